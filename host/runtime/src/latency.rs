//! How long calls take: a histogram of each call of a component, counted once a call and never per record.

use std::sync::atomic::{AtomicU64, Ordering};

/// The upper bounds of the buckets, in nanoseconds: 1 and 5 of each decade from a microsecond, about what the smallest
/// batch costs, to ten seconds, beyond which deadlines are.
pub const BOUNDS_NS: [u64; 15] = [
    1_000,
    5_000,
    10_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Every call of a plugin that a lane makes, by the number that a watch keeps.
pub(crate) const CALLS: [&str; 10] =
    ["fill", "process", "tick", "finish", "write", "commit", "open", "acknowledge", "close", "snapshot"];

/// How often one call took how long. Written by one thread.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    /// One more than there are bounds: the last is for everything longer.
    buckets: [AtomicU64; BOUNDS_NS.len() + 1],
    sum_ns: AtomicU64,
}

/// What a histogram says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTimes {
    /// The call: `process`, for example.
    pub call: &'static str,
    /// How many took at most as long as the bound of the same index and longer than the one before; the last has those
    /// beyond every bound.
    pub buckets: [u64; BOUNDS_NS.len() + 1],
    /// All of them together, in nanoseconds.
    pub sum_ns: u64,
}

impl CallTimes {
    /// How many calls there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl Latency {
    pub(crate) fn took(&self, ns: u64) {
        let bucket = BOUNDS_NS.partition_point(|bound| *bound < ns);
        bump(&self.buckets[bucket], 1);
        bump(&self.sum_ns, ns);
    }

    pub(crate) fn read(&self, call: &'static str) -> CallTimes {
        CallTimes {
            call,
            buckets: std::array::from_fn(|index| self.buckets[index].load(Ordering::Relaxed)),
            sum_ns: self.sum_ns.load(Ordering::Relaxed),
        }
    }
}

/// Adds to a count that one thread at a time writes: cheaper than an atomic addition.
pub(crate) fn bump(count: &AtomicU64, by: u64) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_whose_bound_is_not_below_it() {
        let latency = Latency::default();
        for ns in [0, 1_000, 1_001, 5_000, 10_000_000_000, 10_000_000_001, u64::MAX / 2] {
            latency.took(ns);
        }
        let read = latency.read("process");
        assert_eq!((read.buckets[0], read.buckets[1], read.buckets[14], read.buckets[15]), (2, 2, 1, 2));
        assert_eq!(read.count(), 7);
    }
}
