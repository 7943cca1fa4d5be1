//! Threads of the vetting child, which has one of its own.

#![forbid(unsafe_code)]

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

/// How long a thread that was joined may still be listed: the kernel takes it off a moment later.
const PATIENCE: Duration = Duration::from_millis(200);

/// How many there are now; `None` where the sandbox does not let the child see.
pub(super) fn count() -> Option<usize> {
    // A folder's links are itself, its own entry for itself, and here one for each thread: no need to open and read it.
    std::fs::metadata("/proc/self/task").ok()?.nlink().checked_sub(2).and_then(|count| count.try_into().ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_counts_while_it_runs() {
        const MORE: usize = 3;
        let wait = std::sync::Barrier::new(MORE + 1);
        std::thread::scope(|scope| {
            for _ in 0..MORE {
                scope.spawn(|| wait.wait());
            }
            let during = count();
            wait.wait();
            // Those, and the one that counts.
            assert!(during > Some(MORE), "{during:?}");
        });
    }
}
