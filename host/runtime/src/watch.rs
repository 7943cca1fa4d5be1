//! Who watches the calls: one word per lane that says since when a call runs.
//!
//! A call that hangs cannot be killed. The control thread can only see that it is overdue and give the lane up; which of
//! the two was first, the return or the giving up, is settled by one atomic word.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// No call runs.
const IDLE: i64 = 0;
/// The control thread has given the lane up.
const ABANDONED: i64 = -1;

/// What one lane is doing.
#[derive(Debug)]
pub(crate) struct Watch {
    /// When the running call should have begun to return (monotonic nanoseconds), or one of the words above.
    since: AtomicI64,
    component: AtomicUsize,
    call: AtomicUsize,
    /// Records lent to the running call.
    lent: AtomicU64,
}

/// The names of the calls, by the number kept in the watch.
const CALLS: [&str; 10] =
    ["fill", "process", "tick", "finish", "write", "commit", "open", "acknowledge", "close", "snapshot"];

/// A call that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    /// The word that identifies this call.
    pub(crate) since_ns: i64,
    pub(crate) component: usize,
    pub(crate) call: &'static str,
    pub(crate) lent: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            since: AtomicI64::new(IDLE),
            component: AtomicUsize::new(0),
            call: AtomicUsize::new(0),
            lent: AtomicU64::new(0),
        }
    }
}

impl Watch {
    /// A call begins. `since_ns` (monotonic) is when it begins to count against its deadline.
    pub(crate) fn begin(&self, component: usize, call: &'static str, lent: u64, since_ns: i64) {
        self.component.store(component, Ordering::Relaxed);
        self.call.store(CALLS.iter().position(|name| *name == call).unwrap_or(0), Ordering::Relaxed);
        self.lent.store(lent, Ordering::Relaxed);
        self.since.store(since_ns.max(1), Ordering::Release);
    }

    /// The call returned. `false` if the lane was given up meanwhile: the thread must touch nothing any more.
    pub(crate) fn end(&self) -> bool {
        self.since
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| (word != ABANDONED).then_some(IDLE))
            .is_ok()
    }

    /// The call that runs now.
    pub(crate) fn running(&self) -> Option<Running> {
        let since_ns = self.since.load(Ordering::Acquire);
        (since_ns > IDLE).then(|| Running {
            since_ns,
            component: self.component.load(Ordering::Relaxed),
            call: CALLS[self.call.load(Ordering::Relaxed) % CALLS.len()],
            lent: self.lent.load(Ordering::Relaxed),
        })
    }

    /// Gives the lane up, if the very call still runs.
    pub(crate) fn abandon(&self, running: Running) -> bool {
        let word = running.since_ns;
        self.since.compare_exchange(word, ABANDONED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_the_call_returns_or_the_lane_is_given_up_never_both() {
        let watch = Watch::default();
        assert_eq!(watch.running(), None);
        watch.begin(3, "write", 7, 100);
        let running = watch.running().expect("a call");
        assert_eq!((running.component, running.call, running.lent), (3, "write", 7));
        assert!(watch.end());
        assert!(!watch.abandon(running), "it has returned");
        watch.begin(3, "write", 7, 200);
        let running = watch.running().expect("a call");
        assert!(watch.abandon(running));
        assert!(!watch.end(), "it was given up");
    }
}
