//! Copies of what a sink was given and has not committed, so that its dead letter can have them should they be lost.
//!
//! Kept only for a sink that has a dead letter, and only up to a bound: past it the sink is asked to commit.

use crate::batch::{Batch, Pool};
use std::collections::VecDeque;

/// The most room that copies take, in records: 6 MiB. A sink that takes ten million records a second is then asked to
/// commit some forty times a second, which a disk can do.
const COPIED_MAX: u64 = 256 * 1024;

/// The copies of one sink, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    /// Each with how many of it the sink rejected; which ones it does not say.
    batches: VecDeque<(Batch, u64)>,
}

impl Copies {
    /// Keeps the copy of a batch that was written, of which the sink rejected so many.
    pub(crate) fn keep(&mut self, copy: Batch, rejected: u64, pool: &Pool) {
        // Small batches are put together, since the bound counts room; not where it would no longer be known which of them
        // the rejected ones were in.
        let last = self.batches.back_mut().filter(|(_, before)| *before == 0 && rejected == 0);
        if last.is_some_and(|(last, _)| last.append(copy.records())) {
            pool.give(copy);
        } else {
            self.batches.push_back((copy, rejected));
        }
    }

    /// Whether no more may be kept before a commit.
    pub(crate) fn are_enough(&self) -> bool {
        let room =
            self.batches.iter().map(|(batch, _)| u64::from(batch.capacity())).fold(0, u64::saturating_add);
        room >= COPIED_MAX
    }

    /// Everything is safe.
    pub(crate) fn let_go(&mut self, pool: &Pool) {
        self.batches.drain(..).for_each(|(batch, _)| pool.give(batch));
    }

    /// Takes the copies of the last `lost` records that were not rejected, and lets go of the others. Rejected ones of the
    /// same batches come with them: the sink did not say which those are.
    pub(crate) fn take_last(&mut self, mut lost: u64, pool: &Pool) -> VecDeque<Batch> {
        let mut taken = VecDeque::new();
        while let Some((mut last, rejected)) = self.batches.pop_back() {
            let len = u64::from(last.len());
            let taken_of_it = if lost == 0 { 0 } else { lost.saturating_add(rejected).min(len) };
            lost = lost.saturating_sub(len.saturating_sub(rejected));
            if taken_of_it == len {
                taken.push_front(last);
                continue;
            }
            if taken_of_it > 0 {
                // Below the length, which is a u32.
                let safe = u32::try_from(len - taken_of_it).unwrap_or(0);
                taken.push_front(last.split_off(safe, pool));
            }
            pool.give(last);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cardcage_plugin_api::record::Record;

    fn batch(pool: &Pool, values: &[f64]) -> Batch {
        let mut batch = pool.take();
        let records: Vec<Record> =
            values.iter().map(|value| Record { value: *value, ..Record::default() }).collect();
        assert!(batch.append(&records));
        batch
    }

    fn values(batches: &VecDeque<Batch>) -> Vec<f64> {
        batches.iter().flat_map(Batch::records).map(|record| record.value).collect()
    }

    #[test]
    fn the_last_ones_are_taken_in_order_and_those_that_may_have_been_rejected_with_them() {
        let pool = Pool::new(3, 4);
        for (lost, rejected, expected) in [
            (0, 0, &[][..]),
            (1, 0, &[5.0]),
            (2, 0, &[4.0, 5.0]),
            (3, 0, &[3.0, 4.0, 5.0]),
            (5, 0, &[1.0, 2.0, 3.0, 4.0, 5.0]),
            (u64::MAX, 0, &[1.0, 2.0, 3.0, 4.0, 5.0]),
            // Those that were rejected are in the first batch, and come with it only.
            (1, 1, &[5.0]),
            (3, 1, &[3.0, 4.0, 5.0]),
            (4, 1, &[1.0, 2.0, 3.0, 4.0, 5.0]),
        ] {
            let mut copies = Copies::default();
            copies.keep(batch(&pool, &[1.0, 2.0]), rejected, &pool);
            copies.keep(batch(&pool, &[3.0]), 0, &pool);
            copies.keep(batch(&pool, &[4.0, 5.0]), 0, &pool);
            assert_eq!(copies.batches.len(), 2, "small ones are put together");
            assert_eq!(values(&copies.take_last(lost, &pool)), expected, "{lost} {rejected}");
            assert_eq!(values(&copies.take_last(u64::MAX, &pool)), [0.0; 0], "and no more are left");
        }
    }

    #[test]
    fn there_is_a_bound_whatever_the_batches_hold() {
        let pool = Pool::new(4096, 4);
        let mut copies = Copies::default();
        let mut kept = 0_u64;
        while !copies.are_enough() {
            copies.keep(batch(&pool, &vec![0.0; 4000]), 0, &pool);
            kept += 1;
        }
        assert_eq!(kept * 4096, COPIED_MAX);
        copies.let_go(&pool);
        assert!(!copies.are_enough());
    }
}
