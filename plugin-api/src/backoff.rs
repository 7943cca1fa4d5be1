//! Waiting longer after each failure, for components that connect, open or start something again.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Delays that double from `first` to `max`. Each is shortened at random by up to a half, so that many who lost the same
/// server do not come back at the same moment.
///
/// ```
/// # use cardcage_plugin_api::Backoff;
/// # use std::time::Duration;
/// let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
/// let delay = backoff.next_delay();
/// assert!((50..=100).contains(&delay.as_millis()));
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Begins with `first`; no delay is longer than `max`.
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { first: first.min(max), max, next: first.min(max) }
    }

    /// How long to wait after another failure.
    pub fn next_delay(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.max);
        // Every `RandomState` has keys of its own: random enough to spread callers, without a crate for it.
        let parts = u32::try_from(RandomState::new().hash_one(0_u8) % 1024).unwrap_or(0);
        whole.saturating_sub(whole / 2048 * parts)
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        for whole in [1, 2, 4, 5, 5] {
            let delay = backoff.next_delay();
            let whole = Duration::from_secs(whole);
            assert!((whole / 2..=whole).contains(&delay), "{delay:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_secs(1));
    }

    #[test]
    fn delays_differ_and_the_longest_ones_do_not_overflow() {
        let day = Duration::from_hours(24);
        let delays: std::collections::BTreeSet<_> =
            (0..64).map(|_| Backoff::new(day, day).next_delay()).collect();
        assert!(delays.len() > 8, "{delays:?}");
        let mut endless = Backoff::new(Duration::MAX, Duration::MAX);
        assert!(endless.next_delay() >= Duration::MAX / 2);
        assert!(endless.next_delay() >= Duration::MAX / 2);
    }
}
