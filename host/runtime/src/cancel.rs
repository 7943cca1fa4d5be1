//! The one word that ends waiting: the pipeline drains.

use crate::clock::until;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Raised once, when sources must stop; everything that waits sees it.
#[derive(Debug, Default)]
pub struct Cancel {
    raised: AtomicBool,
    /// Counts wake-ups that are not the cancellation itself: a barrier, an acknowledgement.
    nudges: Mutex<u64>,
    changed: Condvar,
}

impl Cancel {
    /// Tells everyone.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.nudge();
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Wakes those that wait in [`Cancel::wait_for_nudge`], to look at what else changed.
    pub fn nudge(&self) {
        *self.nudges.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    /// How many nudges there were; to be read before looking at what a nudge would announce.
    pub fn nudges(&self) -> u64 {
        *self.nudges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until then (UTC nanoseconds); `false` as soon as cancelled. The wall clock is looked at once: a step of it
    /// does not change how long this takes.
    pub fn wait_until(&self, until_ns: i64) -> bool {
        self.wait(until(until_ns))
    }

    /// Sleeps for so long; `false` as soon as cancelled.
    pub fn wait(&self, how_long: Duration) -> bool {
        self.sleep(how_long, |_| false);
        !self.is_raised()
    }

    /// Sleeps for so long, until cancelled, or until there were more nudges than `seen`.
    pub fn wait_for_nudge(&self, how_long: Duration, seen: u64) {
        self.sleep(how_long, |nudges| nudges != seen);
    }

    fn sleep(&self, how_long: Duration, enough: impl Fn(u64) -> bool) {
        let deadline = Instant::now().checked_add(how_long);
        let mut nudges = self.nudges.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_raised() && !enough(*nudges) {
            // A time beyond what the clock can say is for ever.
            let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            nudges = self.changed.wait_timeout(nudges, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sleeps until there were more nudges than `seen`, also while the pipeline drains.
    pub fn wait_for_nudge_even_if_raised(&self, seen: u64) {
        let mut nudges = self.nudges.lock().unwrap_or_else(PoisonError::into_inner);
        while *nudges == seen {
            nudges = self.changed.wait(nudges).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now_ns;
    use std::sync::Arc;

    #[test]
    fn a_wait_ends_at_its_time_or_when_cancelled() {
        let cancel = Arc::new(Cancel::default());
        assert!(cancel.wait_until(now_ns() + 1_000_000));
        let waiting = Arc::clone(&cancel);
        let thread = std::thread::spawn(move || waiting.wait_until(i64::MAX));
        cancel.raise();
        assert!(!thread.join().unwrap_or(true));
    }

    #[test]
    fn a_nudge_before_the_wait_is_not_missed() {
        let cancel = Cancel::default();
        let seen = cancel.nudges();
        cancel.nudge();
        cancel.wait_for_nudge(Duration::MAX, seen);
        assert!(!cancel.is_raised());
    }
}
