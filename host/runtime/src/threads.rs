//! Threads that plugins start through their host: named, counted, joined by a deadline.

use crate::clock::now_ns;
use cardcage_plugin_api::abi::Outcome;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A started thread, as its joiner sees it.
#[derive(Debug, Default)]
pub(crate) struct Joinable {
    ended: Mutex<Option<Outcome>>,
    changed: Condvar,
}

/// How many threads of a component run, and how many may.
#[derive(Debug, Default)]
pub(crate) struct ThreadCount {
    most: u32,
    running: AtomicU32,
}

impl ThreadCount {
    pub(crate) fn new(most: u32) -> Self {
        Self { most, running: AtomicU32::new(0) }
    }

    pub(crate) fn running(&self) -> u32 {
        self.running.load(Ordering::Acquire)
    }

    fn reserve(&self) -> bool {
        let more = |running| (running < self.most).then_some(running + 1);
        self.running.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }
}

/// Starts `run` on a thread of its own; `FULL` past the declared number, `FAILED` if the system has no more threads.
pub(crate) fn start(
    name: &str,
    count: &Arc<ThreadCount>,
    run: impl FnOnce() -> Outcome + Send + 'static,
) -> Result<Arc<Joinable>, Outcome> {
    if !count.reserve() {
        return Err(Outcome::FULL);
    }
    let joinable = Arc::new(Joinable::default());
    let (ending, ending_count) = (Arc::clone(&joinable), Arc::clone(count));
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let outcome = run();
        ending_count.running.fetch_sub(1, Ordering::AcqRel);
        *ending.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        ending.changed.notify_all();
    });
    if started.is_err() {
        count.running.fetch_sub(1, Ordering::AcqRel);
        return Err(Outcome::FAILED);
    }
    Ok(joinable)
}

impl Joinable {
    /// What the thread returned, or `CANCELLED` if it still runs then.
    pub(crate) fn join(&self, until_ns: i64) -> Outcome {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = *ended {
                return outcome;
            }
            let left = u64::try_from(until_ns.saturating_sub(now_ns())).unwrap_or(0);
            if left == 0 {
                return Outcome::CANCELLED;
            }
            let wait = self.changed.wait_timeout(ended, Duration::from_nanos(left));
            ended = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_threads_than_declared_and_a_late_one_is_not_waited_for() {
        let count = Arc::new(ThreadCount::new(1));
        let gate = Arc::new(std::sync::Barrier::new(2));
        let inner = Arc::clone(&gate);
        let first = start("first", &count, move || {
            inner.wait();
            Outcome::OK
        });
        let first = first.expect("a thread");
        assert_eq!(start("second", &count, || Outcome::OK).err(), Some(Outcome::FULL));
        assert_eq!(first.join(0), Outcome::CANCELLED);
        gate.wait();
        assert_eq!(first.join(i64::MAX), Outcome::OK);
        assert_eq!(count.running(), 0);
        assert!(start("third", &count, || Outcome::OK).is_ok());
    }
}
