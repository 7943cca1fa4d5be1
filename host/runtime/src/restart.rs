//! When a failing component is tried again, and when no more. Pure: time comes in as an argument.

use std::collections::VecDeque;
use std::time::Duration;

/// The first wait before a restart; it doubles from one to the next.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait: a component that comes back after a network failure should not sleep through it.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The restarts of one component.
#[derive(Debug)]
pub(crate) struct Restarts {
    count: usize,
    window: Duration,
    /// When restarts were made (UTC nanoseconds), oldest first; at most `count`.
    made: VecDeque<i64>,
}

impl Restarts {
    /// At most `count` restarts in any `window`.
    pub(crate) fn new(count: u32, window: Duration) -> Self {
        Self { count: count as usize, window, made: VecDeque::new() }
    }

    /// The component failed: how long to wait before it is tried again, or `None` if it has failed for good.
    pub(crate) fn after_failure(&mut self, now_ns: i64) -> Option<Duration> {
        let window_ns = i64::try_from(self.window.as_nanos()).unwrap_or(i64::MAX);
        while self.made.front().is_some_and(|made| now_ns.saturating_sub(*made) > window_ns) {
            self.made.pop_front();
        }
        if self.made.len() >= self.count {
            return None;
        }
        let doublings = u32::try_from(self.made.len()).unwrap_or(u32::MAX).min(16);
        self.made.push_back(now_ns);
        Some(FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn waits_double_and_end_for_good_after_count() {
        let mut restarts = Restarts::new(3, Duration::from_mins(1));
        let waits: Vec<_> = (0..4).map(|at| restarts.after_failure(at * SECOND)).collect();
        let expected = [100, 200, 400].map(|ms| Some(Duration::from_millis(ms)));
        assert_eq!(waits, [expected[0], expected[1], expected[2], None]);
    }

    #[test]
    fn failures_outside_the_window_are_forgotten() {
        let mut restarts = Restarts::new(1, Duration::from_mins(1));
        for at in 0..5 {
            assert_eq!(restarts.after_failure(at * 61 * SECOND), Some(FIRST_WAIT));
        }
    }

    #[test]
    fn without_restarts_the_first_failure_is_the_last() {
        assert_eq!(Restarts::new(0, Duration::from_mins(1)).after_failure(0), None);
    }
}
