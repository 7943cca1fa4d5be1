//! A lane: one thread that runs a source, or what waits in an inbox, through a straight run of stages, and passes on what
//! comes out. Nothing in it allocates, locks or logs per record.

mod flow;

use crate::clock::now_ns;
use crate::edge::Sender;
use crate::event::Event;
use crate::inbox::{Inbox, Popped};
use crate::sink::SinkSlot;
use crate::slot::{Abandoned, LaneContext};
use crate::source::{Next, SourceSlot};
use crate::stage::{StageSlot, Step};
use cardcage_plugin_api::abi::StreamPosition;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a source may wait in `fill` before it must come back to look for barriers: the ABI's 100 ms.
const FILL_WAIT: Duration = Duration::from_millis(100);

/// Where a lane's batches come from.
pub(crate) enum Feed {
    /// A source on this very thread.
    Source(Box<SourceSlot>),
    /// Other lanes.
    Inbox(Arc<Inbox>),
}

/// Where a lane's batches go.
pub(crate) enum Exit {
    /// To other lanes: the consumers of the last component's main output.
    Senders(Vec<Sender>),
    /// Into a sink on this very thread.
    Sink(Box<SinkSlot>),
}

/// What the control thread leaves for a lane.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    /// The barrier to inject next, once it is higher than the last.
    pub(crate) requested_epoch: AtomicU64,
    /// Everything downstream is safe up to these positions.
    pub(crate) safe: Mutex<Option<Vec<StreamPosition>>>,
    /// Nothing runs downstream any more: a source that waits for its last acknowledgement can close.
    pub(crate) settled: AtomicBool,
}

/// A lane, ready to run.
pub(crate) struct Lane {
    pub(crate) index: usize,
    pub(crate) feed: Feed,
    pub(crate) stages: Vec<StageSlot>,
    pub(crate) exit: Exit,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) context: LaneContext,
    pub(crate) injected_epoch: u64,
    /// Batches passed on since those who wait for them were woken.
    pub(crate) unannounced: u32,
    /// When the last batch went through.
    pub(crate) passed_last_ns: i64,
    /// Whether the source wants to be told of its last position before it closes.
    pub(crate) awaits_last_acknowledgement: bool,
}

impl Lane {
    /// Runs the lane to its end.
    pub(crate) fn run(mut self) {
        let (index, reports) = (self.index, self.context.reports.clone());
        if self.run_to_end().is_ok() {
            reports.send(Event::LaneEnded { lane: index });
        } else {
            // Given up while a call hung: the control thread has settled everything. The instances are left as they
            // are, since the one that hung may still use what it was lent.
            std::mem::forget(self);
        }
    }

    fn run_to_end(&mut self) -> Result<(), Abandoned> {
        match self.feed {
            Feed::Source(_) => self.run_source()?,
            Feed::Inbox(_) => self.run_inbox()?,
        }
        self.drain_stages()?;
        self.report_last_positions();
        self.context.leaving.iter().for_each(Sender::end);
        self.last_acknowledgement()?;
        self.close()
    }

    fn run_source(&mut self) -> Result<(), Abandoned> {
        while !self.context.cancel.is_raised() && self.has_consumer() {
            let seen = self.context.cancel.nudges();
            self.serve_mailbox()?;
            let tick_left = self.tick()?;
            let Feed::Source(source) = &mut self.feed else {
                return Ok(());
            };
            // A source that may have nothing more must not sleep on what nobody was told of yet.
            let wait = if self.unannounced > 0 { Duration::ZERO } else { FILL_WAIT.min(tick_left) };
            match source.fill(now_ns().saturating_add(nanoseconds(wait)))? {
                Next::Again => self.announce(),
                Next::Wait(how_long) => {
                    self.announce();
                    self.context.cancel.wait_for_nudge(how_long.min(tick_left), seen);
                }
                Next::Pass(batch) => {
                    self.pass(0, batch)?;
                    self.passed_one();
                }
                Next::End => break,
            }
        }
        self.flush_source()
    }

    fn flush_source(&mut self) -> Result<(), Abandoned> {
        let Feed::Source(source) = &mut self.feed else {
            return Ok(());
        };
        match source.flush() {
            Some(batch) => self.pass(0, batch),
            None => Ok(()),
        }
    }

    /// Barriers and acknowledgements that the control thread asked for.
    fn serve_mailbox(&mut self) -> Result<(), Abandoned> {
        let requested = self.mailbox.requested_epoch.load(Ordering::Acquire);
        if requested > self.injected_epoch {
            self.flush_source()?;
            self.injected_epoch = requested;
            if let Feed::Source(source) = &mut self.feed {
                source.epoch = requested + 1;
                let positions = source.report();
                self.context.reports.send(Event::Positions { lane: self.index, epoch: requested, positions });
            }
            self.context.leaving.iter().for_each(|sender| sender.barrier(requested));
        }
        self.acknowledge()
    }

    fn acknowledge(&mut self) -> Result<(), Abandoned> {
        let safe = self.mailbox.safe.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (safe, &mut self.feed) {
            (Some(positions), Feed::Source(source)) => source.acknowledge(&positions),
            _ => Ok(()),
        }
    }

    /// Where a source that awaits its last acknowledgement has got to. Before the end is passed on: else everything
    /// downstream could have ended before the control thread knows what there is to acknowledge.
    fn report_last_positions(&self) {
        if let (Feed::Source(source), true) = (&self.feed, self.awaits_last_acknowledgement) {
            let positions = source.report();
            let epoch = self.injected_epoch + 1;
            self.context.reports.send(Event::Positions { lane: self.index, epoch, positions });
        }
    }

    /// A source that must be told when its data is safe is told so before it is closed.
    fn last_acknowledgement(&mut self) -> Result<(), Abandoned> {
        if !self.awaits_last_acknowledgement {
            return Ok(());
        }
        loop {
            let seen = self.context.cancel.nudges();
            let settled = self.mailbox.settled.load(Ordering::Acquire);
            self.acknowledge()?;
            if settled {
                return Ok(());
            }
            // Not a wait that the cancellation ends: draining is when this matters most.
            self.context.cancel.wait_for_nudge_even_if_raised(seen);
        }
    }

    fn run_inbox(&mut self) -> Result<(), Abandoned> {
        let Feed::Inbox(inbox) = &self.feed else {
            return Ok(());
        };
        let inbox = Arc::clone(inbox);
        while self.has_consumer() {
            let tick_left = self.tick()?;
            let timeout = (tick_left != Duration::MAX).then_some(tick_left);
            let mut popped = inbox.pop(Some(Duration::ZERO));
            if matches!(popped, Popped::TimedOut) {
                self.announce();
                popped = inbox.pop(timeout);
            }
            match popped {
                Popped::Batch(edge, batch) => {
                    let entry = self.context.page.entry();
                    inbox.counts(edge).receives(u64::from(batch.len()));
                    self.first_counters(|counters| counters.takes(u64::from(batch.len())));
                    drop(entry);
                    self.go_through(0, batch)?;
                    self.passed_one();
                }
                Popped::Barrier(epoch) => self.barrier(epoch)?,
                Popped::TimedOut => {}
                Popped::Ended => return Ok(()),
            }
        }
        self.leave(&inbox);
        Ok(())
    }

    /// Nobody is left to work for: what waits is lost, and what still comes is refused.
    fn leave(&self, inbox: &Inbox) {
        for (edge, batch) in inbox.close() {
            let entry = self.context.page.entry();
            inbox.counts(edge).receives(u64::from(batch.len()));
            self.first_counters(|counters| {
                counters.takes(u64::from(batch.len()));
            });
            drop(entry);
            match (self.stages.first(), &self.exit) {
                (None, Exit::Sink(sink)) => sink.lose_batch(batch),
                (Some(stage), _) => {
                    stage.slot.lose(batch.len(), None);
                    self.context.pool.give(batch);
                }
                (None, Exit::Senders(_)) => {}
            }
        }
    }

    /// The component to which an inbox brings its batches.
    fn first_counters(&self, count: impl Fn(&crate::account::Counters)) {
        match (self.stages.first(), &self.exit) {
            (Some(stage), _) => count(&stage.slot.counters),
            (None, Exit::Sink(sink)) => count(&sink.slot.counters),
            (None, Exit::Senders(_)) => {}
        }
    }

    fn barrier(&mut self, epoch: u64) -> Result<(), Abandoned> {
        self.injected_epoch = epoch;
        if let Exit::Sink(sink) = &mut self.exit {
            let safe = sink.commit(epoch)?;
            self.context.reports.send(Event::Committed { node: sink.slot.node, epoch, safe });
        }
        self.context.leaving.iter().for_each(|sender| sender.barrier(epoch));
        Ok(())
    }

    /// Lets every stage whose time has come tick; returns how long until the next one's time comes.
    fn tick(&mut self) -> Result<Duration, Abandoned> {
        let mut left = Duration::MAX;
        for index in 0..self.stages.len() {
            while let Some(step) = self.stages[index].tick()? {
                self.forward_alone(index)?;
                if step != Step::More {
                    break;
                }
            }
            left = left.min(self.stages[index].tick_left());
        }
        Ok(left)
    }

    /// The end of the input: each stage in turn gives what it holds to those behind it.
    fn drain_stages(&mut self) -> Result<(), Abandoned> {
        for index in 0..self.stages.len() {
            while self.stages[index].finish()? == Step::More {
                self.forward_alone(index)?;
            }
            self.forward_alone(index)?;
        }
        if let Exit::Sink(sink) = &mut self.exit {
            let (epoch, node) = (self.injected_epoch + 1, sink.slot.node);
            let safe = sink.commit(epoch)?;
            self.context.reports.send(Event::Committed { node, epoch, safe });
        }
        Ok(())
    }

    /// Whether anything that comes out of this lane still reaches someone.
    fn has_consumer(&self) -> bool {
        for stage in &self.stages {
            if stage.slot.instance.is_none() {
                return false;
            }
            if stage.port_senders.iter().flatten().any(Sender::is_open) {
                return true;
            }
        }
        match &self.exit {
            Exit::Sink(sink) => sink.slot.instance.is_some(),
            Exit::Senders(senders) => senders.iter().any(Sender::is_open),
        }
    }

    /// Closes a lane that never ran.
    pub(crate) fn close_unused(&mut self) {
        // Nothing watches it, so it cannot be given up.
        let _ = self.close();
    }

    fn close(&mut self) -> Result<(), Abandoned> {
        if let Feed::Source(source) = &mut self.feed {
            source.slot.close()?;
        }
        for stage in &mut self.stages {
            stage.slot.close()?;
            // A stage that ends with records inside has lost them.
            stage.slot.lose_held();
        }
        if let Exit::Sink(sink) = &mut self.exit {
            sink.slot.close()?;
        }
        Ok(())
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
