//! A running pipeline as others see it: books, states, metrics, taken by any thread without slowing a lane.
//!
//! Nothing here waits for a lane, and no lane waits for anything here: lanes write counts that anyone may read, and the
//! control loop notes what happened when something did.

mod health;
mod view;

pub use health::{Health, Reason, Ruling};
pub use view::{Claim, ComponentState, ComponentView, DictionaryView, EdgeView, View};

use crate::account::Counters;
use crate::build::LaneRecord;
use crate::clock::monotonic_ns;
use crate::inbox::Inbox;
use crate::page::at_one_moment;
use crate::pipeline::Member;
use crate::services::{Environment, HostHandle};
use cardcage_core::graph::{Graph, Output};
use cardcage_core::ledger::{Books, ComponentRow, EdgeAccount, EdgeRow, OutputName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often the books are read before they are taken as they are, though some count moved meanwhile. A reading takes
/// about a microsecond, so this is a millisecond or so.
const READINGS_MAX: u32 = 1000;

/// What a pipeline is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Records flow, or will when there are some.
    Running,
    /// Sources have stopped; what is under way is delivered.
    Draining,
    /// No lane is left.
    Ended,
}

/// A way to look at a running pipeline, for any thread.
#[derive(Clone)]
pub struct Live(pub(crate) Arc<Shown>);

/// What there is to see of a pipeline.
pub(crate) struct Shown {
    pub(crate) graph: Graph,
    pub(crate) members: Vec<Member>,
    pub(crate) lanes: Vec<LaneRecord>,
    pub(crate) counters: Vec<Arc<Counters>>,
    pub(crate) hosts: Vec<HostHandle>,
    /// For each edge of the graph, the inbox and the place in it; `None` for an edge inside a lane.
    pub(crate) edges: Vec<Option<(Arc<Inbox>, usize)>>,
    pub(crate) environment: Arc<Environment>,
    /// When it was built (monotonic nanoseconds).
    pub(crate) since_ns: i64,
    /// When the control loop last turned (monotonic nanoseconds).
    beat_ns: AtomicI64,
    progress: Mutex<Progress>,
}

/// What the control loop notes.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) phase: Phase,
    /// Why components have failed for good, by node.
    pub(crate) failed: BTreeMap<usize, String>,
    pub(crate) ended_lanes: BTreeSet<usize>,
    pub(crate) committed_epochs: u64,
}

impl Live {
    /// The books, and whether all counts are of one moment. Where they are not, since too much moved to catch one, each
    /// account may be a few batches ahead of or behind the others.
    pub fn books(&self) -> (Books, bool) {
        self.0.books()
    }

    /// Everything there is to see.
    pub fn view(&self) -> View {
        view::view(&self.0)
    }
}

impl Shown {
    pub(crate) fn new(
        graph: Graph,
        members: Vec<Member>,
        environment: Arc<Environment>,
        (lanes, counters, hosts): (Vec<LaneRecord>, Vec<Arc<Counters>>, Vec<HostHandle>),
        edges: Vec<Option<(Arc<Inbox>, usize)>>,
    ) -> Self {
        let now_ns = monotonic_ns();
        let progress = Progress {
            phase: Phase::Running,
            failed: BTreeMap::new(),
            ended_lanes: BTreeSet::new(),
            committed_epochs: 0,
        };
        Self {
            graph,
            members,
            lanes,
            counters,
            hosts,
            edges,
            environment,
            since_ns: now_ns,
            beat_ns: AtomicI64::new(now_ns),
            progress: Mutex::new(progress),
        }
    }

    /// What the control loop noted; held for a moment only.
    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The control loop turns.
    pub(crate) fn beat(&self) {
        self.beat_ns.store(monotonic_ns(), Ordering::Relaxed);
    }

    pub(crate) fn beat_ns(&self) -> i64 {
        self.beat_ns.load(Ordering::Relaxed)
    }

    /// The books, and whether they are of one moment.
    pub(crate) fn books(&self) -> (Books, bool) {
        let mut counts = Vec::new();
        let mut passed = Vec::new();
        let pages = self.lanes.iter().map(|lane| &*lane.page);
        let ((), of_one_moment) = at_one_moment(&pages, READINGS_MAX, || {
            counts.clear();
            passed.clear();
            self.counters.iter().for_each(|counters| counters.note(&mut counts));
            let outside = self.edges.iter().flatten();
            passed.extend(outside.map(|(inbox, at)| inbox.counts(*at).account()));
        });
        let mut counts = counts.into_iter();
        let accounts = self.counters.iter().map(|counters| counters.account_of(&mut counts));
        let components: Vec<ComponentRow> = self
            .members
            .iter()
            .zip(accounts)
            .map(|(member, account)| ComponentRow { name: member.name.clone(), kind: member.kind, account })
            .collect();
        let edges = self.edge_rows(&components, passed);
        (Books { components, edges }, of_one_moment)
    }

    fn edge_rows(&self, components: &[ComponentRow], passed: Vec<EdgeAccount>) -> Vec<EdgeRow> {
        let mut passed = passed.into_iter();
        let edges = self.graph.edges.iter().zip(&self.edges).map(|(edge, place)| {
            // Inside a lane nothing can get lost between two components: what one gave, the next took in.
            let inside = components[edge.to].account.input;
            let account = match place {
                None => EdgeAccount { sent: inside, received: inside, queued: 0, discarded: 0 },
                Some(_) => passed.next().unwrap_or_default(),
            };
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
        edges.collect()
    }

    /// What really lies in the queues, by edge. Only to be asked when nothing moves.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (usize, u64)> {
        let places = self.edges.iter().enumerate();
        places.filter_map(|(edge, place)| place.as_ref().map(|(inbox, at)| (edge, inbox.waiting(*at))))
    }
}
