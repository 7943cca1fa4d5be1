//! A source in its lane: filling, lingering, positions.

use crate::batch::Batch;
use crate::clock::{monotonic_ns, now_ns, until};
use crate::instance::{CallError, Filled, SourceInstance};
use crate::slot::{Abandoned, Slot};
use cardcage_plugin_api::abi::{BatchHeader, StreamPosition};
use std::collections::BTreeMap;
use std::time::Duration;

/// A source with the batch that it is filling.
pub(crate) struct SourceSlot {
    pub(crate) slot: Slot<SourceInstance>,
    /// What came since the last flush. Its records count as held.
    pub(crate) filling: Batch,
    /// When the oldest of them came (monotonic).
    filling_since_ns: i64,
    /// `batch.records`.
    pub(crate) batch_records: u32,
    /// `batch.linger`.
    pub(crate) linger_ns: i64,
    /// How far each stream is.
    pub(crate) positions: BTreeMap<u32, u64>,
    pub(crate) epoch: u64,
    /// The source said that there will be no more.
    finished: bool,
}

/// What to do after a `fill`.
#[derive(Debug)]
pub(crate) enum Next {
    /// Fill again.
    Again,
    /// Wait so long, then fill again.
    Wait(Duration),
    /// Pass this batch on, then fill again.
    Pass(Batch),
    /// There will be no more.
    End,
}

impl SourceSlot {
    pub(crate) fn new(slot: Slot<SourceInstance>, batch_records: u32, linger_ns: i64) -> Self {
        let filling = slot.context.pool.take();
        Self {
            slot,
            filling,
            filling_since_ns: 0,
            batch_records,
            linger_ns,
            positions: BTreeMap::new(),
            epoch: 1,
            finished: false,
        }
    }

    /// How long the batch that is being filled may still wait for more (nanoseconds); for ever, if it is empty.
    fn linger_left_ns(&self) -> i64 {
        if self.filling.is_empty() {
            return i64::MAX;
        }
        self.filling_since_ns.saturating_add(self.linger_ns).saturating_sub(monotonic_ns()).max(0)
    }

    /// One `fill`, waiting in it until `wait_until_ns` at most.
    pub(crate) fn fill(&mut self, wait_until_ns: i64) -> Result<Next, Abandoned> {
        let room = self.batch_records.saturating_sub(self.filling.len());
        let now = now_ns();
        let wait_until_ns = wait_until_ns.min(now.saturating_add(self.linger_left_ns()));
        let Some(instance) = self.slot.instance.as_mut().filter(|_| !self.finished) else {
            return Ok(Next::End);
        };
        let before = self.filling.len();
        // A source may wait in `fill`; only what is beyond that counts against its deadline.
        let allowed_ns = wait_until_ns.saturating_sub(now).max(0);
        self.slot.context.watch.begin(self.slot.node, "fill", allowed_ns);
        let filled = instance.fill(&mut self.filling, room, now, wait_until_ns);
        self.slot.end()?;
        match filled {
            Ok((filled, produced, at)) => {
                self.count(produced);
                if before == 0 && produced > 0 {
                    self.filling_since_ns = monotonic_ns();
                }
                Ok(self.after(filled, before, produced, at))
            }
            Err(error) => self.fail(error),
        }
    }

    fn count(&mut self, produced: u32) {
        let Some(instance) = &self.slot.instance else {
            return;
        };
        let counted = instance.counted();
        let counters = &self.slot.counters;
        let entry = self.slot.context.page.entry();
        counters.tallied(&counted.tally);
        counters.came_in(u64::from(produced).saturating_add(counted.tallied()));
        counters.holds(u64::from(self.filling.len()));
        drop(entry);
        let undeclared = counted.undeclared;
        if undeclared > 0 {
            counters.cannot_explain(undeclared);
            if self.slot.complain() {
                tracing::error!(
                    component = self.slot.name(),
                    "imbalance: {undeclared} lines counted for a reason that `describe` does not name; this is a bug \
                     of plugin `{}`",
                    self.slot.opener.handle.plugin()
                );
            }
        }
    }

    fn after(&mut self, filled: Filled, before: u32, produced: u32, at: StreamPosition) -> Next {
        if produced > 0 || filled == Filled::Produced {
            self.positions.insert(at.stream, at.position);
        }
        self.finished = filled == Filled::Finished;
        let other_stream = before > 0 && produced > 0 && self.filling.header.stream != at.stream;
        if other_stream {
            // A batch has one stream: what came before goes on by itself.
            let tail = self.filling.split_off(before, &self.slot.context.pool);
            let head = std::mem::replace(&mut self.filling, tail);
            self.mark(at);
            self.filling_since_ns = monotonic_ns();
            return Next::Pass(head);
        }
        if produced > 0 {
            self.mark(at);
        }
        let full = self.filling.len() >= self.batch_records;
        let lingered = || self.linger_left_ns() == 0;
        // What comes next does not fit the rest of this batch, such as a line of several readings.
        let wants_room = filled == Filled::Produced && produced == 0;
        match filled {
            Filled::Finished => Next::End,
            _ if !self.filling.is_empty() && (full || wants_room || lingered()) => {
                self.flush().map_or(Next::Again, Next::Pass)
            }
            Filled::Produced => Next::Again,
            Filled::IdleUntil(at_ns) => {
                let linger_left = Duration::from_nanos(u64::try_from(self.linger_left_ns()).unwrap_or(0));
                Next::Wait(until(at_ns).min(linger_left))
            }
        }
    }

    /// Writes the header of the batch that is being filled.
    fn mark(&mut self, at: StreamPosition) {
        self.filling.header = BatchHeader {
            source: u32::try_from(self.slot.node).unwrap_or(u32::MAX),
            stream: at.stream,
            position: at.position,
            epoch: self.epoch,
            config_generation: 1,
            reserved: 0,
        };
    }

    /// Takes what was filled, if there is any. It counts as held until [`SourceSlot::gives`].
    pub(crate) fn flush(&mut self) -> Option<Batch> {
        if self.filling.is_empty() {
            return None;
        }
        Some(std::mem::replace(&mut self.filling, self.slot.context.pool.take()))
    }

    /// Counts what was flushed as given.
    pub(crate) fn gives(&self, records: u64) {
        self.slot.counters.went_out(records);
        self.slot.counters.holds(u64::from(self.filling.len()));
    }

    fn fail(&mut self, error: CallError) -> Result<Next, Abandoned> {
        // What was filled before is whole: it goes on.
        self.slot.recover(error)?;
        Ok(if self.slot.instance.is_some() { Next::Again } else { Next::End })
    }

    /// How far each stream is, for a barrier.
    pub(crate) fn report(&self) -> Vec<StreamPosition> {
        let positions = self.positions.iter();
        positions
            .map(|(stream, position)| StreamPosition { stream: *stream, reserved: 0, position: *position })
            .collect()
    }

    /// Tells the source that data up to these positions is safe.
    pub(crate) fn acknowledge(&mut self, positions: &[StreamPosition]) -> Result<(), Abandoned> {
        let Some(instance) = &mut self.slot.instance else {
            return Ok(());
        };
        let now = now_ns();
        self.slot.context.watch.begin(self.slot.node, "acknowledge", 0);
        let acknowledged = instance.acknowledge(positions, now);
        self.slot.end()?;
        match acknowledged {
            Ok(()) => Ok(()),
            Err(error) => self.slot.recover(error),
        }
    }
}
