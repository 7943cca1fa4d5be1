//! A lane: one thread that runs a source, or what waits in an inbox, through a straight run of stages, and passes on what
//! comes out. Nothing in it allocates, locks or logs per record.

use crate::batch::Batch;
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
const FILL_WAIT_NS: i64 = 100_000_000;

/// After how many batches a busy lane wakes those who wait for them. A quarter of the default buffer: the consumer then
/// has enough to do for its waking to be worth it, and the producer does not wait.
const BATCHES_PER_WAKE: u32 = 4;

/// A lane that takes longer for a batch is not busy enough to put waking off: whoever waits is woken for each batch.
const BUSY_NS: i64 = 1_000_000;

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
        self.context.leaving.iter().for_each(Sender::end);
        self.last_acknowledgement()?;
        self.close()
    }

    fn run_source(&mut self) -> Result<(), Abandoned> {
        while !self.context.cancel.is_raised() && self.has_consumer() {
            let seen = self.context.cancel.nudges();
            self.serve_mailbox()?;
            let next_tick_ns = self.tick()?;
            let Feed::Source(source) = &mut self.feed else {
                return Ok(());
            };
            // A source that may have nothing more must not sleep on what nobody was told of yet.
            let wait_ns = if self.unannounced > 0 { 0 } else { FILL_WAIT_NS };
            match source.fill(now_ns().saturating_add(wait_ns).min(next_tick_ns))? {
                Next::Again => self.announce(),
                Next::Wait(until_ns) => {
                    self.announce();
                    self.context.cancel.wait_for_nudge(until_ns.min(next_tick_ns), seen);
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

    /// A source that must be told when its data is safe is told so before it is closed.
    fn last_acknowledgement(&mut self) -> Result<(), Abandoned> {
        if !self.awaits_last_acknowledgement {
            return Ok(());
        }
        if let Feed::Source(source) = &self.feed {
            let positions = source.report();
            let epoch = self.injected_epoch + 1;
            self.context.reports.send(Event::Positions { lane: self.index, epoch, positions });
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
            let next_tick_ns = self.tick()?;
            let timeout = (next_tick_ns != i64::MAX).then(|| {
                Duration::from_nanos(u64::try_from(next_tick_ns.saturating_sub(now_ns())).unwrap_or(0))
            });
            let mut popped = inbox.pop(Some(Duration::ZERO));
            if matches!(popped, Popped::TimedOut) {
                self.announce();
                popped = inbox.pop(timeout);
            }
            match popped {
                Popped::Batch(_, batch) => {
                    self.first_counters(|counters| counters.came_in(u64::from(batch.len())));
                    self.pass(0, batch)?;
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

    /// Counts a batch that went through; every few of them, those who wait are woken.
    fn passed_one(&mut self) {
        self.unannounced += 1;
        let now = now_ns();
        let took_ns = now.saturating_sub(std::mem::replace(&mut self.passed_last_ns, now));
        if self.unannounced >= BATCHES_PER_WAKE || took_ns > BUSY_NS {
            self.announce();
        }
    }

    /// Wakes those who wait for what was passed on.
    fn announce(&mut self) {
        if self.unannounced > 0 {
            self.unannounced = 0;
            self.context.leaving.iter().for_each(Sender::announce);
        }
    }

    /// Nobody is left to work for: what waits is lost, and what still comes is refused.
    fn leave(&self, inbox: &Inbox) {
        for (_, batch) in inbox.close() {
            self.first_counters(|counters| {
                counters.came_in(u64::from(batch.len()));
                counters.lost(u64::from(batch.len()));
            });
            self.context.pool.give(batch);
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
            sink.commit(epoch)?;
            self.context.reports.send(Event::Committed { node: sink.slot.node, epoch });
        }
        self.context.leaving.iter().for_each(|sender| sender.barrier(epoch));
        Ok(())
    }

    /// Passes a batch through the stages from `from` on. The first stage of an inbox lane has counted it already.
    fn pass(&mut self, from: usize, mut batch: Batch) -> Result<(), Abandoned> {
        let counted = from == 0 && matches!(self.feed, Feed::Inbox(_));
        for index in from..self.stages.len() {
            if batch.is_empty() {
                self.context.pool.give(batch);
                return Ok(());
            }
            if index > from || !counted {
                self.stages[index].slot.counters.came_in(u64::from(batch.len()));
            }
            loop {
                let step = self.stages[index].process(&mut batch)?;
                match step {
                    Step::Lost => {
                        self.context.pool.give(batch);
                        return Ok(());
                    }
                    Step::Done | Step::More => self.forward(index, &batch)?,
                }
                if step == Step::Done {
                    break;
                }
            }
            self.stages[index].slot.counters.went_out(u64::from(batch.len()));
        }
        self.deliver(batch)
    }

    /// Passes on what a stage gave besides its input, with the header of that input.
    fn forward(&mut self, index: usize, input: &Batch) -> Result<(), Abandoned> {
        let stage = &mut self.stages[index];
        for (port, senders) in stage.outputs.ports.iter_mut().zip(&stage.port_senders) {
            let Some(port) = port.as_mut().filter(|port| !port.is_empty()) else {
                continue;
            };
            let mut full = std::mem::replace(port, self.context.pool.take());
            full.header = input.header;
            stage.slot.counters.went_out(u64::from(full.len()));
            fan_out(senders, full, &self.context);
        }
        if stage.outputs.main.is_empty() {
            return Ok(());
        }
        let mut extra = std::mem::replace(&mut stage.outputs.main, self.context.pool.take());
        extra.header = input.header;
        stage.slot.counters.went_out(u64::from(extra.len()));
        self.pass(index + 1, extra)
    }

    fn deliver(&mut self, batch: Batch) -> Result<(), Abandoned> {
        if batch.is_empty() {
            self.context.pool.give(batch);
            return Ok(());
        }
        match &mut self.exit {
            Exit::Sink(sink) => sink.write(batch),
            Exit::Senders(senders) => {
                fan_out(senders, batch, &self.context);
                Ok(())
            }
        }
    }

    /// Lets every stage whose time has come tick; returns when the next one's time comes.
    fn tick(&mut self) -> Result<i64, Abandoned> {
        let mut next_tick_ns = i64::MAX;
        for index in 0..self.stages.len() {
            while let Some(step) = self.stages[index].tick()? {
                self.forward_alone(index)?;
                if step != Step::More {
                    break;
                }
            }
            if self.stages[index].tick_every_ns.is_some() {
                next_tick_ns = next_tick_ns.min(self.stages[index].next_tick_ns);
            }
        }
        Ok(next_tick_ns)
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
            sink.commit(self.injected_epoch + 1)?;
        }
        Ok(())
    }

    /// Passes on what a stage gave without an input.
    fn forward_alone(&mut self, index: usize) -> Result<(), Abandoned> {
        let mut blank = self.context.pool.take();
        blank.header.epoch = self.injected_epoch + 1;
        blank.header.config_generation = 1;
        self.forward(index, &blank)?;
        self.context.pool.give(blank);
        self.unannounced += 1;
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
            stage.slot.counters.lose_held();
        }
        if let Exit::Sink(sink) = &mut self.exit {
            sink.slot.close()?;
        }
        Ok(())
    }
}

/// Gives a batch to every consumer: the last gets the batch itself, the others copies.
fn fan_out(senders: &[Sender], batch: Batch, context: &LaneContext) {
    let Some((last, others)) = senders.split_last() else {
        context.pool.give(batch);
        return;
    };
    for sender in others {
        if let Err(back) = sender.send(context.pool.copy(&batch), &context.leaving) {
            context.pool.give(back);
        }
    }
    if let Err(back) = last.send(batch, &context.leaving) {
        context.pool.give(back);
    }
}
