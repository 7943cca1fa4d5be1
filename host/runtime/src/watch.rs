//! Who watches the calls: one word per lane that says since when a call runs.
//!
//! A call that hangs cannot be killed. The control thread can only see that it is overdue and give the lane up; which of
//! the two was first, the return or the giving up, is settled by one atomic word.

use crate::clock::monotonic_ns;
use crate::latency::CALLS;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

/// No call runs.
const IDLE: i64 = 0;
/// The control thread has given the lane up.
const ABANDONED: i64 = -1;

/// What one lane is doing.
#[derive(Debug)]
pub(crate) struct Watch {
    /// When the running call should have begun to return (monotonic nanoseconds), or one of the words above.
    since: AtomicI64,
    /// When it began (monotonic nanoseconds).
    began: AtomicI64,
    component: AtomicUsize,
    call: AtomicUsize,
}

/// A call that has begun and not returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) component: usize,
    pub(crate) call: &'static str,
    /// The lane was given up for it.
    pub(crate) abandoned: bool,
    /// How long it has run.
    pub(crate) running: Duration,
    /// How much of that counts against its deadline.
    pub(crate) counted: Duration,
}

/// A call that returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    /// Its number in [`CALLS`].
    pub(crate) call: usize,
    pub(crate) took_ns: u64,
}

/// A call that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    /// The word that identifies this call.
    pub(crate) since_ns: i64,
    pub(crate) component: usize,
    pub(crate) call: &'static str,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            since: AtomicI64::new(IDLE),
            began: AtomicI64::new(IDLE),
            component: AtomicUsize::new(0),
            call: AtomicUsize::new(0),
        }
    }
}

impl Watch {
    /// A call begins; it counts against its deadline from `allowed_ns` later on.
    pub(crate) fn begin(&self, component: usize, call: &'static str, allowed_ns: i64) {
        let now_ns = monotonic_ns();
        self.began.store(now_ns, Ordering::Relaxed);
        self.begin_at(component, call, now_ns.saturating_add(allowed_ns));
    }

    fn begin_at(&self, component: usize, call: &'static str, since_ns: i64) {
        self.component.store(component, Ordering::Relaxed);
        self.call.store(CALLS.iter().position(|name| *name == call).unwrap_or(0), Ordering::Relaxed);
        self.since.store(since_ns.max(1), Ordering::Release);
    }

    /// The call returned. `None` if the lane was given up meanwhile: the thread must touch nothing any more.
    pub(crate) fn end(&self) -> Option<Returned> {
        self.since
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| (word != ABANDONED).then_some(IDLE))
            .ok()?;
        let took_ns = monotonic_ns().saturating_sub(self.began.load(Ordering::Relaxed));
        Some(Returned {
            call: self.call.load(Ordering::Relaxed),
            took_ns: u64::try_from(took_ns).unwrap_or(0),
        })
    }

    /// The call that runs, or that the lane was given up for.
    pub(crate) fn begun(&self) -> Option<Begun> {
        let word = self.since.load(Ordering::Acquire);
        let now_ns = monotonic_ns();
        let since = |ns: i64| Duration::from_nanos(u64::try_from(now_ns.saturating_sub(ns)).unwrap_or(0));
        let begun = Begun {
            component: self.component.load(Ordering::Relaxed),
            call: CALLS[self.call.load(Ordering::Relaxed) % CALLS.len()],
            abandoned: word == ABANDONED,
            running: since(self.began.load(Ordering::Relaxed)),
            counted: since(word),
        };
        // Not a mixture of this call and the next.
        (word != IDLE && self.since.load(Ordering::Acquire) == word).then_some(begun)
    }

    /// The call that runs now.
    pub(crate) fn running(&self) -> Option<Running> {
        let since_ns = self.since.load(Ordering::Acquire);
        (since_ns > IDLE).then(|| Running {
            since_ns,
            component: self.component.load(Ordering::Relaxed),
            call: CALLS[self.call.load(Ordering::Relaxed) % CALLS.len()],
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
        watch.begin_at(3, "write", 100);
        let running = watch.running().expect("a call");
        assert_eq!((running.component, running.call), (3, "write"));
        assert!(watch.end().is_some());
        assert!(!watch.abandon(running), "it has returned");
        watch.begin_at(3, "write", 200);
        let running = watch.running().expect("a call");
        assert!(watch.abandon(running));
        assert!(watch.end().is_none() && watch.begun().is_some_and(|begun| begun.abandoned));
    }
}
