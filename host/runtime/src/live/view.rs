//! Everything there is to see of a pipeline, as plain values.

use super::{Phase, Progress, Shown};
use crate::audit::TrailStatus;
use crate::cells::MetricReading;
use crate::clock::monotonic_ns;
use crate::inbox::Inbox;
use crate::latency::CallTimes;
pub use cardcage_core::ledger::claims::Claim;
use cardcage_core::ledger::{Books, claims};
use cardcage_plugin_api::manifest::{Kind, MetricKind};
use std::sync::Arc;
use std::time::Duration;

/// A pipeline as it is now.
#[derive(Clone, Debug)]
pub struct View {
    /// What it is at.
    pub phase: Phase,
    /// Since it was built.
    pub uptime: Duration,
    /// The accounts of all components and edges.
    pub books: Books,
    /// Whether all counts of the books are of one moment.
    pub of_one_moment: bool,
    /// One a component, in the order of the books.
    pub components: Vec<ComponentView>,
    /// One an edge, in the order of the books.
    pub edges: Vec<EdgeView>,
    /// What plugins say of their records, beside what the host counted.
    pub claims: Vec<Claim>,
    /// How full the dictionary is.
    pub dictionary: DictionaryView,
    /// The host's own metrics.
    pub host_metrics: Vec<MetricReading>,
    /// The audit trail.
    pub trail: TrailStatus,
    /// Epochs that every sink committed.
    pub committed_epochs: u64,
    /// Since the control loop last turned.
    pub control_silent: Duration,
    /// Lanes that run.
    pub lanes_running: usize,
    /// Lanes in all.
    pub lanes: usize,
}

/// What a component is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentState {
    /// It works, or waits for records.
    Running,
    /// A call failed, and it is about to be opened again.
    Restarting,
    /// It came to its end, and is closed.
    Finished,
    /// It is closed before it came to its end, since it has nobody left to work for or with.
    Stopped,
    /// A call is past its deadline and has not returned: which, and how long it has run.
    Hung {
        /// The call.
        call: &'static str,
        /// How long it has run already.
        running: Duration,
    },
    /// It has failed for good, and why.
    Failed(String),
}

impl ComponentState {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Hung { .. } => "hung",
            Self::Failed(_) => "failed",
        }
    }
}

/// What a component's account does not say.
#[derive(Clone, Debug)]
pub struct ComponentView {
    /// Its name.
    pub name: String,
    /// Source, stage or sink.
    pub kind: Kind,
    /// The name of its plugin.
    pub plugin: String,
    /// What it is doing.
    pub state: ComponentState,
    /// Calls that failed or panicked.
    pub failed_calls: u64,
    /// Calls that outlasted the deadline.
    pub overdue_calls: u64,
    /// How often it was opened again after a failure.
    pub restarts: u64,
    /// Records that its own numbers did not explain.
    pub unexplained: u64,
    /// Writes to metrics that a rule forbade.
    pub violations: u64,
    /// How long its calls took.
    pub calls: Vec<CallTimes>,
    /// Its metrics.
    pub metrics: Vec<MetricReading>,
}

/// What an edge's account does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeView {
    /// The most records that may wait; 0 for an edge inside a lane, where none does.
    pub room: u64,
    /// How long the producer has waited for room, all times together.
    pub blocked: Duration,
}

/// How full the dictionary is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DictionaryView {
    /// Sensors in it.
    pub sensors: usize,
    /// The most it takes: `limits.sensors`.
    pub sensors_max: usize,
    /// Units in it.
    pub units: usize,
    /// The most it takes: `limits.units`.
    pub units_max: usize,
}

pub(super) fn view(shown: &Shown) -> View {
    let (before, _) = shown.books();
    let progress = shown.progress().clone();
    let components: Vec<ComponentView> =
        (0..shown.members.len()).map(|node| component(shown, &progress, node)).collect();
    // Lanes go on while metrics are read: a claim is held against what was counted before and after.
    let (books, of_one_moment) = shown.books();
    let claims = claims(shown, &components, &before, &books);
    let now_ns = monotonic_ns();
    let since = |ns: i64| Duration::from_nanos(u64::try_from(now_ns.saturating_sub(ns)).unwrap_or(0));
    let (sensors, units) = shown.environment.dictionary.len();
    let limits = shown.environment.dictionary.limits();
    View {
        phase: progress.phase,
        uptime: since(shown.since_ns),
        books,
        of_one_moment,
        components,
        edges: shown.edges.iter().map(|place| edge(place.as_ref())).collect(),
        claims,
        dictionary: DictionaryView {
            sensors,
            sensors_max: limits.sensors as usize,
            units,
            units_max: limits.units as usize,
        },
        host_metrics: shown.environment.metrics.read(),
        trail: shown.environment.trail.status(),
        committed_epochs: progress.committed_epochs,
        control_silent: since(shown.beat_ns()),
        lanes_running: shown.lanes.len() - progress.ended_lanes.len(),
        lanes: shown.lanes.len(),
    }
}

fn edge(place: Option<&(Arc<Inbox>, usize)>) -> EdgeView {
    place.map_or_else(EdgeView::default, |(inbox, at)| EdgeView {
        room: inbox.bound(),
        blocked: Duration::from_nanos(inbox.counts(*at).blocked_ns()),
    })
}

fn component(shown: &Shown, progress: &Progress, node: usize) -> ComponentView {
    let (member, counters, host) = (&shown.members[node], &shown.counters[node], &shown.hosts[node]);
    let metrics = host.cells().read();
    ComponentView {
        name: member.name.clone(),
        kind: member.kind,
        plugin: member.plugin.clone(),
        state: state(shown, progress, node),
        failed_calls: counters.failures(),
        overdue_calls: counters.overdue(),
        restarts: counters.restarts(),
        unexplained: counters.unexplained(),
        violations: host.cells().violations(),
        calls: counters.calls(),
        metrics,
    }
}

fn state(shown: &Shown, progress: &Progress, node: usize) -> ComponentState {
    let lane = shown.lanes.iter().position(|lane| lane.nodes.contains(&node));
    let record = lane.map(|lane| &shown.lanes[lane]);
    let call = record.and_then(|record| record.watch.begun()).filter(|call| call.component == node);
    let overdue = call.filter(|call| call.abandoned || call.counted > shown.members[node].deadline);
    if let Some(call) = overdue {
        return ComponentState::Hung { call: call.call, running: call.running };
    }
    if let Some(why) = progress.failed.get(&node) {
        return ComponentState::Failed(why.clone());
    }
    let ended = lane.is_some_and(|lane| progress.ended_lanes.contains(&lane));
    if ended && record.is_some_and(|lane| was_stopped(shown, progress, &lane.nodes)) {
        return ComponentState::Stopped;
    }
    if ended || progress.phase == Phase::Ended {
        return ComponentState::Finished;
    }
    let restarting = shown.counters[node].is_restarting();
    if restarting { ComponentState::Restarting } else { ComponentState::Running }
}

/// Whether a lane that ended did so before its time: one of its own has failed, or its records were refused and nobody is
/// left behind it who would take any.
fn was_stopped(shown: &Shown, progress: &Progress, nodes: &[usize]) -> bool {
    if nodes.iter().any(|node| progress.failed.contains_key(node)) {
        return true;
    }
    let leaving = shown.graph.edges.iter().zip(&shown.edges).filter(|(edge, _)| nodes.contains(&edge.from));
    let leaving: Vec<_> = leaving.filter_map(|(_, place)| place.as_ref()).collect();
    leaving.iter().all(|(inbox, _)| !inbox.is_open())
        && leaving.iter().any(|(inbox, at)| inbox.counts(*at).account().discarded > 0)
}

fn claims(shown: &Shown, components: &[ComponentView], before: &Books, after: &Books) -> Vec<Claim> {
    let mut found = Vec::new();
    for (node, component) in components.iter().enumerate() {
        // What a call under way counts already, the host counts when it returns.
        let in_calls = match component.kind {
            Kind::Source => u64::from(shown.members[node].batch_records),
            Kind::Stage | Kind::Sink => 0,
        };
        let rows = (&before.components[node], &after.components[node]);
        for metric in component.metrics.iter().filter(|metric| metric.kind == MetricKind::Counter) {
            found.extend(claims::compare(rows.0, rows.1, in_calls, &metric.name, metric.value));
        }
    }
    found
}
