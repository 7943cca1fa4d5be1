//! Threads of the vetting child, which has one of its own.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// How long a thread that was joined may still be listed: the kernel takes it off a moment later.
const PATIENCE: Duration = Duration::from_millis(200);

/// How many there are now; `None` where the sandbox does not let the child see.
pub(super) fn count() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}

/// How many are left once those that were ending have ended.
pub(super) fn settled(before: Option<usize>) -> Option<usize> {
    let until = Instant::now() + PATIENCE;
    loop {
        let now = count();
        if now <= before || Instant::now() >= until {
            return now;
        }
        std::thread::yield_now();
    }
}
