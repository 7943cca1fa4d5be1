//! Where one cell stands: its value and how often it was written, as a pair that another thread can read whole.
//!
//! One thread writes; a reader that meets it in the middle of a write is told so and comes again. What the pair is for:
//! whoever reads it knows exactly how many writes led to this value, however many of them it has not seen.

use crate::sync::{AtomicU64, Ordering, fence};

/// A value (64 bits) and the number of writes that led to it.
#[derive(Debug)]
pub(crate) struct State {
    /// Twice the writes; odd while one is under way.
    version: AtomicU64,
    value: AtomicU64,
}

impl State {
    pub(crate) fn new(value: u64) -> Self {
        Self { version: AtomicU64::new(0), value: AtomicU64::new(value) }
    }

    /// The value, for the thread that writes and for whoever needs no more than one number.
    #[inline]
    pub(crate) fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }

    /// Writes; returns how many writes there were. One thread at a time: two at once would lose writes, nothing worse.
    #[inline]
    pub(crate) fn write(&self, value: u64) -> u64 {
        let before = self.version.load(Ordering::Relaxed) & !1;
        self.version.store(before | 1, Ordering::Relaxed);
        // Whoever sees the value below sees the odd version too.
        fence(Ordering::Release);
        self.value.store(value, Ordering::Relaxed);
        let after = before.wrapping_add(2);
        self.version.store(after, Ordering::Release);
        after / 2
    }

    /// The value and the writes that led to it; `None` if a write is under way.
    pub(crate) fn read(&self) -> Option<(u64, u64)> {
        let before = self.version.load(Ordering::Acquire);
        let value = self.value.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let after = self.version.load(Ordering::Relaxed);
        (before == after && before & 1 == 0).then_some((value, before / 2))
    }
}
