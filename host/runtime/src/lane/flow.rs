//! How batches go through a lane: from stage to stage, out to the consumers, and when those are woken.

use super::{Exit, Feed, Lane};
use crate::batch::Batch;
use crate::clock::monotonic_ns;
use crate::edge::Sender;
use crate::slot::{Abandoned, LaneContext};
use crate::stage::Step;

/// After how many batches a busy lane wakes those who wait for them. Half of the default buffer: the consumer then has
/// enough to do for its waking to be worth it, and the producer does not wait.
const BATCHES_PER_WAKE: u32 = 8;

/// A lane that takes longer for a batch is not busy enough to put waking off: whoever waits is woken for each batch.
const BUSY_NS: i64 = 1_000_000;

impl Lane {
    /// Passes a batch on to the stage with this index and those behind it, from the component before it.
    pub(super) fn pass(&mut self, to: usize, batch: Batch) -> Result<(), Abandoned> {
        self.hand_on(to, u64::from(batch.len()));
        self.go_through(to, batch)
    }

    /// Passes a batch that the stage with this index (or, behind the last, whoever is next) has counted through it and
    /// on.
    pub(super) fn go_through(&mut self, from: usize, mut batch: Batch) -> Result<(), Abandoned> {
        for index in from..self.stages.len() {
            if batch.is_empty() {
                break;
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
            self.hand_on(index + 1, u64::from(batch.len()));
        }
        self.deliver(batch)
    }

    /// Counts records as they go to the stage with this index, or behind the last to the consumers, from the component
    /// before it: in one entry, so that nobody sees them in neither place.
    fn hand_on(&self, to: usize, records: u64) {
        let _entry = self.context.page.entry();
        match (to.checked_sub(1), &self.feed) {
            (Some(from), _) => self.stages[from].slot.counters.gives(records),
            (None, Feed::Source(source)) => source.gives(records),
            (None, Feed::Inbox(_)) => {}
        }
        match (self.stages.get(to), &self.exit) {
            (Some(stage), _) => stage.slot.counters.takes(records),
            (None, Exit::Senders(senders)) => senders.iter().for_each(|sender| sender.count(records)),
            (None, Exit::Sink(_)) => {}
        }
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
            let records = u64::from(full.len());
            let entry = self.context.page.entry();
            stage.slot.counters.gives(records);
            for sender in senders {
                sender.count(records);
            }
            drop(entry);
            fan_out(senders, full, &self.context);
        }
        if stage.outputs.main.is_empty() {
            return Ok(());
        }
        let mut extra = std::mem::replace(&mut stage.outputs.main, self.context.pool.take());
        extra.header = input.header;
        // While what comes first is under way, the rest of the input stays in this stage's hand: should a call further on
        // hang, it is found there.
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

    /// Passes on what a stage gave without an input.
    pub(super) fn forward_alone(&mut self, index: usize) -> Result<(), Abandoned> {
        let mut blank = self.context.pool.take();
        blank.header.epoch = self.injected_epoch + 1;
        blank.header.config_generation = 1;
        self.forward(index, &blank)?;
        self.context.pool.give(blank);
        self.unannounced += 1;
        Ok(())
    }

    /// Counts a batch that went through; every few of them, those who wait are woken.
    pub(super) fn passed_one(&mut self) {
        self.unannounced += 1;
        let now = monotonic_ns();
        let took_ns = now.saturating_sub(std::mem::replace(&mut self.passed_last_ns, now));
        if self.unannounced >= BATCHES_PER_WAKE || took_ns > BUSY_NS {
            self.announce();
        }
    }

    /// Wakes those who wait for what was passed on.
    pub(super) fn announce(&mut self) {
        if self.unannounced > 0 {
            self.unannounced = 0;
            self.context.leaving.iter().for_each(Sender::announce);
        }
    }
}

/// Gives a batch, counted as sent, to every consumer: the last gets the batch itself, the others copies.
fn fan_out(senders: &[Sender], batch: Batch, context: &LaneContext) {
    let Some((last, others)) = senders.split_last() else {
        context.pool.give(batch);
        return;
    };
    for sender in others {
        if let Err(back) = sender.send(context.pool.copy(&batch), &context.leaving) {
            context.takes_back(sender, back);
        }
    }
    if let Err(back) = last.send(batch, &context.leaving) {
        context.takes_back(last, back);
    }
}
