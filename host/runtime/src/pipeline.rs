//! A pipeline: started from parts, run to its end, summed up.

use crate::build::{Built, build};
use crate::cancel::Cancel;
use crate::cells::MetricReading;
use crate::control::{Control, DRAIN_DEADLINE};
use crate::event::{DrainHandle, Event, Reports};
use crate::instance::CallError;
use crate::services::Environment;
use crate::vtable::ComponentTypeHandle;
use cardcage_core::config::{ComponentConfig, OnFailure};
use cardcage_core::graph::{Graph, Output};
use cardcage_core::ledger::{Books, ComponentRow, EdgeAccount, EdgeRow, OutputName};
use cardcage_plugin_api::describe::Description;
use cardcage_plugin_api::manifest::Kind;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Duration;

/// A component that passed every check.
pub struct Part {
    /// Its config.
    pub config: ComponentConfig,
    /// Its type.
    pub handle: ComponentTypeHandle,
    /// What it said it will do under its settings.
    pub description: Description,
}

/// Why a pipeline did not start.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// Components that did not open, by node. Those that did are closed again.
    #[error("{} components did not open", .0.len())]
    Open(Vec<(usize, CallError)>),
    /// The system has no more threads.
    #[error("no thread for lane `{lane}`: {why}")]
    Thread {
        /// The component at the lane's head.
        lane: String,
        /// What the system said.
        why: String,
    },
}

/// How a pipeline came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every source finished, or nothing was left alive.
    Finished,
    /// It was asked to drain, and did.
    Drained,
    /// It was asked to drain, and did not come to an end in time.
    DrainDeadline,
}

/// What the control loop knows of a component.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) deadline: Duration,
    pub(crate) on_failure: OnFailure,
    pub(crate) ports: Vec<String>,
}

/// A running pipeline.
pub struct Pipeline {
    built: Built,
    graph: Graph,
    members: Vec<Member>,
    cancel: Arc<Cancel>,
    reports: Reports,
    events: Receiver<Event>,
    threads: Vec<JoinHandle<()>>,
}

/// What a pipeline did.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How it ended.
    pub ended: Ended,
    /// The accounts of all components and edges.
    pub books: Books,
    /// What else is to be said of each component, in the graph's order.
    pub components: Vec<ComponentSummary>,
    /// Epochs that every sink committed.
    pub committed_epochs: u64,
}

/// What a component's account does not say.
#[derive(Clone, Debug)]
pub struct ComponentSummary {
    /// Its name.
    pub name: String,
    /// Why it failed for good; `None` if it did not.
    pub failed: Option<String>,
    /// Calls that failed or panicked.
    pub failed_calls: u64,
    /// Calls that outlasted the deadline.
    pub overdue_calls: u64,
    /// Records that its own numbers did not explain.
    pub unexplained: u64,
    /// Its metrics.
    pub metrics: Vec<MetricReading>,
}

impl Summary {
    /// Whether some component has failed for good.
    pub fn any_failed(&self) -> bool {
        self.components.iter().any(|component| component.failed.is_some())
    }

    /// Whether every record is explained.
    pub fn balances(&self) -> bool {
        self.books.imbalances().is_empty()
            && self.components.iter().all(|component| component.unexplained == 0)
    }
}

impl Pipeline {
    /// Opens every component, hands over the means to ask for the drain, then starts every lane, consumers before what feeds them. `parts` are in the graph's order.
    pub fn start(
        graph: Graph,
        parts: Vec<Part>,
        environment: &Arc<Environment>,
        drainable: impl FnOnce(DrainHandle),
    ) -> Result<Self, PipelineError> {
        let (reports, events) = Reports::new();
        let cancel = Arc::clone(&environment.cancel);
        let members = parts.iter().map(Member::of).collect();
        let mut built = build(&graph, parts, environment, &cancel, &reports).map_err(PipelineError::Open)?;
        let mut lanes = std::mem::take(&mut built.lanes);
        // A lane's head stands in the topological order behind everything that feeds it.
        let order = graph.topological();
        let rank = |node: usize| order.iter().position(|other| *other == node);
        lanes.sort_by_key(|lane| {
            std::cmp::Reverse(built.records[lane.index].nodes.first().and_then(|head| rank(*head)))
        });
        let mut pipeline = Self { built, graph, members, cancel, reports, events, threads: Vec::new() };
        drainable(pipeline.drain_handle());
        for lane in lanes {
            let head = pipeline.members[pipeline.built.records[lane.index].nodes[0]].name.clone();
            let name: String = head.chars().take(15).collect();
            match std::thread::Builder::new().name(name).spawn(move || lane.run()) {
                Ok(thread) => pipeline.threads.push(thread),
                Err(error) => {
                    // What runs already ends by itself; the process will not go on after this.
                    pipeline.cancel.raise();
                    return Err(PipelineError::Thread { lane: head, why: error.to_string() });
                }
            }
        }
        Ok(pipeline)
    }

    /// A handle to ask for the drain from another thread.
    pub fn drain_handle(&self) -> DrainHandle {
        DrainHandle(self.reports.clone())
    }

    /// Runs to the end, injecting barriers every `checkpoint_every`.
    pub fn run(self, checkpoint_every: Duration) -> Summary {
        self.carry_out(checkpoint_every, true)
    }

    /// Runs to the end like [`Pipeline::run`], but tells no source that its data is safe: what was read can be read
    /// again by the run that this one rehearses.
    pub fn rehearse(self, checkpoint_every: Duration) -> Summary {
        self.carry_out(checkpoint_every, false)
    }

    fn carry_out(self, checkpoint_every: Duration, acknowledges: bool) -> Summary {
        let control = Control::new(
            &self.members,
            &self.built.records,
            &self.built.counters,
            &self.cancel,
            checkpoint_every.max(Duration::from_millis(1)),
            DRAIN_DEADLINE,
            acknowledges,
        );
        let outcome = control.run(&self.events);
        let components = self.members.iter().enumerate().map(|(node, member)| ComponentSummary {
            name: member.name.clone(),
            failed: outcome.failed.get(&node).cloned(),
            failed_calls: self.built.counters[node].failures(),
            overdue_calls: self.built.counters[node].overdue(),
            unexplained: self.built.counters[node].unexplained(),
            metrics: self.built.hosts[node].cells().read(),
        });
        let components = components.collect();
        let summary = Summary {
            ended: outcome.ended,
            books: self.books(),
            components,
            committed_epochs: outcome.committed_epochs,
        };
        if outcome.overdue.is_empty() && summary.ended != Ended::DrainDeadline {
            for thread in self.threads {
                // A lane's thread has nothing left that could panic but its own end.
                let _ = thread.join();
            }
        }
        summary
    }

    fn books(&self) -> Books {
        let components = self.members.iter().zip(&self.built.counters).map(|(member, counters)| {
            ComponentRow { name: member.name.clone(), kind: member.kind, account: counters.account() }
        });
        let edges = self.graph.edges.iter().zip(&self.built.edges).map(|(edge, place)| {
            // Inside a lane nothing can get lost between two components: what one gave, the next took in.
            let passed = self.built.counters[edge.to].account().input;
            let fused = EdgeAccount { sent: passed, received: passed, queued: 0, discarded: 0 };
            let account = place.as_ref().map_or(fused, |(inbox, at)| inbox.account(*at));
            let output = match edge.output {
                Output::Main => OutputName::Main,
                Output::DeadLetter => OutputName::DeadLetter,
                Output::Port(port) => {
                    let name = self.members[edge.from].ports.get(port);
                    OutputName::Port(name.cloned().unwrap_or_else(|| port.to_string()))
                }
            };
            let name = |node: usize| self.members[node].name.clone();
            EdgeRow { from: name(edge.from), output, to: name(edge.to), account }
        });
        Books { components: components.collect(), edges: edges.collect() }
    }
}

impl Member {
    fn of(part: &Part) -> Self {
        Self {
            name: part.config.name.clone(),
            kind: part.config.kind,
            deadline: part.config.deadline,
            on_failure: part.config.on_failure,
            ports: part.description.ports.clone(),
        }
    }
}
