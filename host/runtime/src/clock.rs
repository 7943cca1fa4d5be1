//! The wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// UTC nanoseconds since 1970, as records have them. A clock before 1970 reads as 0; past 2262 it stands still.
pub fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
