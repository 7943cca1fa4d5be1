//! A sink in its lane: what is written is held until it is committed.

use crate::batch::Batch;
use crate::clock::{now_ns, until};
use crate::copies::Copies;
use crate::instance::{Committed, FailureKind, SinkInstance};
use crate::slot::{Abandoned, Slot};
use std::time::Duration;

/// The longest wait between two tries to commit while the pipeline drains.
const DRAINING_RETRY: Duration = Duration::from_millis(100);

/// A sink. Its counters' `held` is what was written since the last commit.
pub(crate) struct SinkSlot {
    pub(crate) slot: Slot<SinkInstance>,
    /// The epoch under way.
    pub(crate) epoch: u64,
    /// Whether everything written since the last barrier is safe, with the dead letter, or still held.
    safe: bool,
    /// Of what is held, for the dead letter if there is one.
    copies: Copies,
}

impl SinkSlot {
    pub(crate) fn new(slot: Slot<SinkInstance>) -> Self {
        Self { slot, epoch: 1, safe: true, copies: Copies::default() }
    }

    /// Gives the sink a batch.
    pub(crate) fn write(&mut self, mut batch: Batch) -> Result<(), Abandoned> {
        let records = batch.len();
        let Some(instance) = &mut self.slot.instance else {
            self.lose_batch(batch);
            return Ok(());
        };
        let copy = self.slot.dead_letter.as_ref().map(|_| self.slot.context.pool.copy(&batch));
        let now = now_ns();
        self.slot.context.watch.begin(self.slot.node, "write", 0);
        let written = instance.write(&mut batch, now);
        self.slot.end()?;
        self.slot.context.pool.give(batch);
        match written {
            Ok(()) => {
                let rejected = self.take(u64::from(records));
                let Some(copy) = copy else {
                    return Ok(());
                };
                self.copies.keep(copy, rejected, &self.slot.context.pool);
                if self.copies.are_enough() { self.commit_or_lose(self.epoch) } else { Ok(()) }
            }
            Err(error) => {
                // A failed write takes nothing of its batch; what was written before it may still be made safe.
                if error.kind == FailureKind::Failed {
                    self.try_commit()?;
                }
                self.lose_last(u64::MAX, &error);
                self.safe &= self.slot.dead_letter.is_some();
                self.slot.lose(records, copy);
                self.tell_lost(u64::from(records), &error);
                self.slot.recover(error)
            }
        }
    }

    /// A batch that comes when the sink has failed for good.
    pub(crate) fn lose_batch(&self, batch: Batch) {
        if self.slot.dead_letter.is_some() {
            self.slot.lose(batch.len(), Some(batch));
        } else {
            self.slot.lose(batch.len(), None);
            self.slot.context.pool.give(batch);
        }
    }

    /// Counts a written batch: held until the commit, less what the sink rejected. Returns how many that is.
    fn take(&mut self, records: u64) -> u64 {
        let Some(instance) = &self.slot.instance else {
            return 0;
        };
        let counted = instance.counted();
        let rejected = counted.tallied();
        let counters = &self.slot.counters;
        let entry = self.slot.context.page.entry();
        counters.tallied(&counted.tally);
        counters.let_go(records);
        counters.holds(counters.held() + records.saturating_sub(rejected));
        drop(entry);
        let unexplained = rejected.saturating_sub(records).saturating_add(counted.undeclared);
        if unexplained > 0 {
            self.slot.counters.cannot_explain(unexplained);
            if self.slot.complain() {
                tracing::error!(
                    component = self.slot.name(),
                    "imbalance: {rejected} of {records} records counted as rejected, {unexplained} more than there \
                     are or for a reason that `describe` does not name; this is a bug of plugin `{}`",
                    self.slot.opener.handle.plugin()
                );
            }
        }
        rejected
    }

    /// Makes everything written so far safe, trying again for as long as the sink says so. Returns whether everything
    /// written since the last commit is; then the next epoch is under way.
    pub(crate) fn commit(&mut self, epoch: u64) -> Result<bool, Abandoned> {
        self.commit_or_lose(epoch)?;
        self.epoch = epoch + 1;
        Ok(std::mem::replace(&mut self.safe, true))
    }

    fn commit_or_lose(&mut self, epoch: u64) -> Result<(), Abandoned> {
        let mut tries = 0_u64;
        loop {
            let Some(instance) = &mut self.slot.instance else {
                self.safe = false;
                return Ok(());
            };
            let now = now_ns();
            self.slot.context.watch.begin(self.slot.node, "commit", 0);
            let committed = instance.commit(epoch, now);
            self.slot.end()?;
            match committed {
                Ok(Committed::Safe) => {
                    self.delivered();
                    return Ok(());
                }
                Ok(Committed::Retry(at_ns, why)) => {
                    tries += 1;
                    if tries.is_power_of_two() {
                        tracing::warn!(component = self.slot.name(), "commit put off (try {tries}): {why}");
                    }
                    self.wait_until(at_ns);
                }
                Ok(Committed::Permanent(lost, why)) => {
                    self.lose_last(lost, why);
                    return Ok(());
                }
                Err(error) => {
                    self.lose_last(u64::MAX, &error);
                    return self.slot.recover(error);
                }
            }
        }
    }

    /// One try to save what was written before a failure.
    fn try_commit(&mut self) -> Result<(), Abandoned> {
        let Some(instance) = &mut self.slot.instance else {
            return Ok(());
        };
        let now = now_ns();
        self.slot.context.watch.begin(self.slot.node, "commit", 0);
        let committed = instance.commit(self.epoch, now);
        self.slot.end()?;
        match committed {
            Ok(Committed::Safe) => self.delivered(),
            Ok(Committed::Permanent(lost, why)) => self.lose_last(lost, why),
            // What is held is lost with the instance.
            Ok(Committed::Retry(..)) | Err(_) => {}
        }
        Ok(())
    }

    fn delivered(&mut self) {
        self.copies.let_go(&self.slot.context.pool);
        let _entry = self.slot.context.page.entry();
        self.slot.counters.went_out(self.slot.counters.held());
        self.slot.counters.holds(0);
    }

    /// Of what is held the last `lost` are gone; the rest is delivered.
    fn lose_last(&mut self, lost: u64, why: impl std::fmt::Display) {
        let held = self.slot.counters.held();
        let lost = lost.min(held);
        if held == 0 {
            // Everything that there is a copy of was rejected.
            self.copies.let_go(&self.slot.context.pool);
            return;
        }
        let copies = self.copies.take_last(lost, &self.slot.context.pool);
        self.safe &= lost == 0 || self.slot.dead_letter.is_some();
        self.slot.lose_last(lost, copies);
        self.tell_lost(lost, why);
    }

    /// Says what became of records that the sink did not deliver.
    fn tell_lost(&self, lost: u64, why: impl std::fmt::Display) {
        let component = self.slot.name();
        match &self.slot.dead_letter {
            _ if lost == 0 => {}
            Some(_) => {
                tracing::warn!(
                    component,
                    "{lost} records were not delivered and go to the dead letter: {why}"
                );
            }
            None => tracing::error!(
                component,
                "{lost} records were not delivered and are nowhere, since it has no `dead_letter`: {why}"
            ),
        }
    }

    /// Waits before a commit is tried again; while the pipeline drains, never long, since time is short then.
    fn wait_until(&self, at_ns: i64) {
        let how_long = until(at_ns);
        if !self.slot.context.cancel.wait(how_long) {
            std::thread::sleep(how_long.min(DRAINING_RETRY));
        }
    }
}
