//! A pipeline: started from parts, run to its end, summed up.

use crate::build::build;
use crate::cancel::Cancel;
use crate::cells::MetricReading;
use crate::control::{Control, DRAIN_DEADLINE};
use crate::event::{DrainHandle, Event, Reports};
use crate::instance::CallError;
use crate::lane::Lane;
use crate::live::{Live, Phase, Shown};
use crate::services::Environment;
use crate::vtable::ComponentTypeHandle;
use cardcage_core::config::{ComponentConfig, OnFailure};
use cardcage_core::graph::Graph;
use cardcage_core::ledger::Books;
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

/// What the control loop, and whoever looks on, knows of a component.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) plugin: String,
    pub(crate) batch_records: u32,
    pub(crate) kind: Kind,
    pub(crate) deadline: Duration,
    pub(crate) on_failure: OnFailure,
    pub(crate) ports: Vec<String>,
}

/// A running pipeline.
pub struct Pipeline {
    live: Live,
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
        let built = build(&graph, parts, environment, &cancel, &reports).map_err(PipelineError::Open)?;
        let mut lanes = built.lanes;
        // A lane's head stands in the topological order behind everything that feeds it.
        let order = graph.topological();
        let rank = |node: usize| order.iter().position(|other| *other == node);
        lanes.sort_by_key(|lane| {
            std::cmp::Reverse(built.records[lane.index].nodes.first().and_then(|head| rank(*head)))
        });
        let kept = (built.records, built.counters, built.hosts);
        let shown = Shown::new(graph, members, Arc::clone(environment), kept, built.edges);
        let live = Live(Arc::new(shown));
        let mut pipeline = Self { live, cancel, reports, events, threads: Vec::new() };
        drainable(pipeline.drain_handle());
        for lane in lanes {
            pipeline.start_lane(lane)?;
        }
        Ok(pipeline)
    }

    fn start_lane(&mut self, lane: Lane) -> Result<(), PipelineError> {
        let shown = &self.live.0;
        let head = shown.members[shown.lanes[lane.index].nodes[0]].name.clone();
        let name: String = head.chars().take(15).collect();
        match std::thread::Builder::new().name(name).spawn(move || lane.run()) {
            Ok(thread) => {
                self.threads.push(thread);
                Ok(())
            }
            Err(error) => {
                // What runs already ends by itself; the process will not go on after this.
                self.cancel.raise();
                Err(PipelineError::Thread { lane: head, why: error.to_string() })
            }
        }
    }

    /// A way to look at it while it runs, and at its end.
    pub fn live(&self) -> Live {
        self.live.clone()
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
        let shown = &self.live.0;
        let control = Control::new(
            shown,
            &self.cancel,
            checkpoint_every.max(Duration::from_millis(1)),
            DRAIN_DEADLINE,
            acknowledges,
        );
        let outcome = control.run(&self.events);
        shown.progress().phase = Phase::Ended;
        let components = shown.members.iter().enumerate().map(|(node, member)| ComponentSummary {
            name: member.name.clone(),
            failed: outcome.failed.get(&node).cloned(),
            failed_calls: shown.counters[node].failures(),
            overdue_calls: shown.counters[node].overdue(),
            unexplained: shown.counters[node].unexplained(),
            metrics: shown.hosts[node].cells().read(),
        });
        let components = components.collect();
        let nothing_moves = outcome.overdue.is_empty() && outcome.ended != Ended::DrainDeadline;
        if nothing_moves {
            for thread in self.threads {
                // A lane's thread has nothing left that could panic but its own end.
                let _ = thread.join();
            }
        }
        let (mut books, _) = shown.books();
        if nothing_moves {
            // What really waits, should it be other than what was counted.
            for (edge, waiting) in shown.waiting() {
                books.edges[edge].account.queued = waiting;
            }
        }
        Summary { ended: outcome.ended, books, components, committed_epochs: outcome.committed_epochs }
    }
}

impl Member {
    fn of(part: &Part) -> Self {
        Self {
            name: part.config.name.clone(),
            plugin: part.handle.plugin().to_owned(),
            batch_records: part.config.batch.records,
            kind: part.config.kind,
            deadline: part.config.deadline,
            on_failure: part.config.on_failure,
            ports: part.description.ports.clone(),
        }
    }
}
