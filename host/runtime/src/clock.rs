//! The wall clock, for data, and a clock that nobody sets, for waiting.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// UTC nanoseconds since 1970, as records have them. A clock before 1970 reads as 0; past 2262 it stands still.
pub fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Nanoseconds since this was first asked, plus 1: never 0, never backwards, whatever happens to the wall clock.
pub(crate) fn monotonic_ns() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let since = START.get_or_init(Instant::now).elapsed();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX - 1) + 1
}

/// How long until a time (UTC nanoseconds), by the wall clock as it is now; zero if it is past.
pub(crate) fn until(at_ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(at_ns.saturating_sub(now_ns())).unwrap_or(0))
}
