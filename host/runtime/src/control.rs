//! The control loop: epochs, acknowledgements, overdue calls, failures, the drain. One loop over one enum of events.

use crate::account::Counters;
use crate::build::LaneRecord;
use crate::cancel::Cancel;
use crate::clock::monotonic_ns;
use crate::event::Event;
use crate::live::{Phase, Shown};
use crate::pipeline::{Ended, Member};
use crate::watch::Running;
use cardcage_core::config::OnFailure;
use cardcage_plugin_api::abi::StreamPosition;
use cardcage_plugin_api::manifest::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How often running calls are compared with their deadlines: a tenth of the shortest deadline anyone sets.
const WATCH_EVERY: Duration = Duration::from_millis(100);
/// How long a drain may take: below the 90 s after which a service manager kills.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(30);

/// The state of the control loop.
pub(crate) struct Control<'a> {
    pub(crate) members: &'a [Member],
    pub(crate) lanes: &'a [LaneRecord],
    pub(crate) counters: &'a [Arc<Counters>],
    pub(crate) cancel: &'a Cancel,
    /// Where others see how things are.
    pub(crate) shown: &'a Shown,
    pub(crate) epoch_every: Duration,
    pub(crate) drain_deadline: Duration,
    alive: BTreeSet<usize>,
    failed: BTreeMap<usize, String>,
    overdue: BTreeSet<usize>,
    drain_since: Option<Instant>,
    drain_asked: bool,
    epoch: u64,
    committed_epochs: u64,
    /// Whether some record that a source could give again was lost behind it, or was never to be kept.
    tainted: bool,
    /// The sinks that have yet to commit the epoch under way; empty when none is.
    uncommitted: BTreeSet<usize>,
    positions: BTreeMap<usize, (u64, Vec<StreamPosition>)>,
    next_epoch: Instant,
}

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) ended: Ended,
    pub(crate) failed: BTreeMap<usize, String>,
    pub(crate) overdue: BTreeSet<usize>,
    pub(crate) committed_epochs: u64,
}

impl<'a> Control<'a> {
    pub(crate) fn new(
        shown: &'a Shown,
        cancel: &'a Cancel,
        epoch_every: Duration,
        drain_deadline: Duration,
        acknowledges: bool,
    ) -> Self {
        let lanes = &shown.lanes;
        Self {
            members: &shown.members,
            lanes,
            counters: &shown.counters,
            cancel,
            shown,
            epoch_every,
            drain_deadline,
            alive: (0..lanes.len()).collect(),
            failed: BTreeMap::new(),
            overdue: BTreeSet::new(),
            drain_since: None,
            drain_asked: false,
            epoch: 0,
            committed_epochs: 0,
            tainted: !acknowledges,
            uncommitted: BTreeSet::new(),
            positions: BTreeMap::new(),
            next_epoch: Instant::now() + epoch_every,
        }
    }

    /// Runs until no lane lives or the drain takes too long.
    pub(crate) fn run(mut self, events: &Receiver<Event>) -> Outcome {
        while !self.alive.is_empty() {
            self.shown.beat();
            match events.recv_timeout(WATCH_EVERY.min(self.epoch_every)) {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.watch();
            self.advance_epoch();
            self.settle();
            if self.drain_since.is_some_and(|since| since.elapsed() > self.drain_deadline) {
                tracing::error!(
                    "the drain took longer than {} s; ending with what is held",
                    self.drain_deadline.as_secs()
                );
                return self.outcome(Ended::DrainDeadline);
            }
        }
        let ended = if self.drain_asked { Ended::Drained } else { Ended::Finished };
        self.outcome(ended)
    }

    fn outcome(self, ended: Ended) -> Outcome {
        Outcome { ended, failed: self.failed, overdue: self.overdue, committed_epochs: self.committed_epochs }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Drain => {
                self.drain_asked = true;
                self.drain();
            }
            Event::Positions { lane, epoch, positions } => {
                self.positions.insert(lane, (epoch, positions));
            }
            Event::Committed { node, epoch, safe } => {
                if !safe {
                    self.taint(node);
                }
                if epoch == self.epoch {
                    self.no_longer_awaited(node);
                }
            }
            Event::Failed { node, why } => self.fail(node, why),
            Event::LaneEnded { lane } => self.lane_ended(lane),
        }
    }

    fn drain(&mut self) {
        if self.drain_since.is_none() {
            self.drain_since = Some(Instant::now());
            self.shown.progress().phase = Phase::Draining;
            self.cancel.raise();
        }
    }

    /// Something that was written is not safe, and positions only go forward: from here on no source is told that its
    /// data is, so that it can be asked for again after a restart.
    fn taint(&mut self, node: usize) {
        if !std::mem::replace(&mut self.tainted, true) {
            let component = self.members[node].name.as_str();
            tracing::warn!(
                component,
                "it lost records; sources are not told any more that their data is safe"
            );
        }
    }

    fn fail(&mut self, node: usize, why: String) {
        self.shown.progress().failed.insert(node, why.clone());
        self.failed.insert(node, why);
        self.taint(node);
        self.no_longer_awaited(node);
        if self.members[node].on_failure == OnFailure::Stop {
            tracing::error!(
                component = self.members[node].name.as_str(),
                "`on_failure: stop`: draining everything"
            );
            self.drain();
        }
    }

    fn lane_ended(&mut self, lane: usize) {
        self.alive.remove(&lane);
        self.shown.progress().ended_lanes.insert(lane);
        for node in &self.lanes[lane].nodes {
            self.no_longer_awaited(*node);
        }
    }

    /// Starts the next epoch when it is due and the one before is complete.
    fn advance_epoch(&mut self) {
        let sources_live = self.alive.iter().any(|lane| self.lanes[*lane].inbox.is_none());
        let due = Instant::now() >= self.next_epoch;
        if !due || !sources_live || !self.uncommitted.is_empty() || self.cancel.is_raised() {
            return;
        }
        self.epoch += 1;
        self.next_epoch = Instant::now() + self.epoch_every;
        let live_sinks = self.alive.iter().flat_map(|lane| &self.lanes[*lane].nodes).copied();
        self.uncommitted = live_sinks
            .filter(|node| self.members[*node].kind == Kind::Sink && !self.failed.contains_key(node))
            .collect();
        for lane in self.lanes {
            lane.mailbox.requested_epoch.store(self.epoch, Ordering::Release);
        }
        self.cancel.nudge();
    }

    /// A sink committed the epoch under way, or is gone.
    fn no_longer_awaited(&mut self, node: usize) {
        if self.uncommitted.remove(&node) && self.uncommitted.is_empty() {
            if !self.tainted {
                self.committed_epochs = self.epoch;
                self.shown.progress().committed_epochs = self.epoch;
            }
            self.acknowledge(self.epoch);
        }
    }

    /// Every sink has committed: the sources may forget everything up to here.
    fn acknowledge(&mut self, epoch: u64) {
        let safe: Vec<usize> =
            self.positions.iter().filter(|(_, (of, _))| *of <= epoch).map(|(lane, _)| *lane).collect();
        for lane in safe {
            if let Some((_, positions)) = self.positions.remove(&lane).filter(|_| !self.tainted) {
                let mut mail = self.lanes[lane].mailbox.safe.lock().unwrap_or_else(PoisonError::into_inner);
                *mail = Some(positions);
            }
        }
        self.cancel.nudge();
    }

    /// When only sources that wait for their last acknowledgement are left, everything downstream is committed.
    fn settle(&mut self) {
        let downstream = self.alive.iter().any(|lane| self.lanes[*lane].inbox.is_some());
        if downstream || self.alive.is_empty() {
            return;
        }
        let waiting: Vec<usize> =
            self.alive.iter().copied().filter(|lane| self.positions.contains_key(lane)).collect();
        if !waiting.is_empty() {
            self.acknowledge(u64::MAX);
        }
        for lane in self.lanes {
            lane.mailbox.settled.store(true, Ordering::Release);
        }
        self.cancel.nudge();
    }

    /// Looks at every running call, and gives up lanes whose call has outlasted its deadline.
    fn watch(&mut self) {
        let now = monotonic_ns();
        for lane in self.alive.clone() {
            let Some(running) = self.lanes[lane].watch.running() else {
                continue;
            };
            let deadline = self.members[running.component].deadline;
            let ran_ns = u64::try_from(now.saturating_sub(running.since_ns)).unwrap_or(0);
            if Duration::from_nanos(ran_ns) > deadline && self.lanes[lane].watch.abandon(running) {
                self.abandon(lane, running, deadline);
            }
        }
    }

    /// A call hangs, and nothing can end it: its component has failed, its thread is left behind, its neighbours are
    /// told that the lane is gone.
    fn abandon(&mut self, lane: usize, running: Running, deadline: Duration) {
        let node = running.component;
        let name = self.members[node].name.as_str();
        let why =
            format!("`{}` is still running past its deadline of {} ms", running.call, deadline.as_millis());
        tracing::error!(
            component = name,
            "{why}; it cannot be ended from outside: its thread is left behind"
        );
        self.overdue.insert(node);
        self.counters[node].overdue_calls(1);
        let record = &self.lanes[lane];
        let entry = record.page.entry();
        for member in &record.nodes {
            self.counters[*member].lose_all();
        }
        drop(entry);
        if let Some(inbox) = &record.inbox {
            let first = &self.counters[record.nodes[0]];
            for (edge, batch) in inbox.close() {
                let _entry = record.page.entry();
                inbox.counts(edge).receives(u64::from(batch.len()));
                first.takes(u64::from(batch.len()));
                first.loses(u64::from(batch.len()));
            }
        }
        record.senders.iter().for_each(crate::edge::Sender::end);
        self.fail(node, why);
        self.lane_ended(lane);
    }
}
