//! The one word that ends waiting: the pipeline drains.

use crate::clock::now_ns;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

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

    /// Sleeps until then (UTC nanoseconds); `false` as soon as cancelled.
    pub fn wait_until(&self, until_ns: i64) -> bool {
        let mut nudges = self.nudges.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.is_raised() {
                return false;
            }
            let Some(left) = left(until_ns) else {
                return true;
            };
            nudges = self.changed.wait_timeout(nudges, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sleeps until then, until cancelled, or until there were more nudges than `seen`.
    pub fn wait_for_nudge(&self, until_ns: i64, seen: u64) {
        let mut nudges = self.nudges.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_raised() && *nudges == seen {
            let Some(left) = left(until_ns) else {
                return;
            };
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

/// How long until then; `None` if it is past.
fn left(until_ns: i64) -> Option<Duration> {
    u64::try_from(until_ns.saturating_sub(now_ns())).ok().filter(|left| *left > 0).map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        cancel.wait_for_nudge(i64::MAX, seen);
        assert!(!cancel.is_raised());
    }
}
