//! The host's own counts of one component: what went in, what came out, and why the rest did not.
//!
//! Written once a batch by the component's lane (and, after it is gone, by whoever clears up behind it), read by anyone.

use cardcage_core::ledger::Account;
use cardcage_plugin_api::describe::Reason;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counts of one component.
#[derive(Debug)]
pub struct Counters {
    reasons: Vec<Reason>,
    input: AtomicU64,
    created: AtomicU64,
    output: AtomicU64,
    /// Per described reason.
    out_for: Vec<AtomicU64>,
    failed: AtomicU64,
    dead_lettered: AtomicU64,
    held: AtomicU64,
    /// Records that a call's own numbers did not explain, each way.
    unexplained: AtomicU64,
    failures: AtomicU64,
    overdue: AtomicU64,
}

macro_rules! counts {
    ($($(#[$doc:meta])* $add:ident, $field:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $add(&self, count: u64) {
            if count > 0 {
                self.$field.fetch_add(count, Ordering::Relaxed);
            }
        }
    )*};
}

impl Counters {
    /// All zero, for a component that described these reasons.
    pub fn new(reasons: &[Reason]) -> Self {
        Self {
            reasons: reasons.to_vec(),
            input: AtomicU64::new(0),
            created: AtomicU64::new(0),
            output: AtomicU64::new(0),
            out_for: reasons.iter().map(|_| AtomicU64::new(0)).collect(),
            failed: AtomicU64::new(0),
            dead_lettered: AtomicU64::new(0),
            held: AtomicU64::new(0),
            unexplained: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            overdue: AtomicU64::new(0),
        }
    }

    counts! {
        /// Records that came in.
        came_in, input;
        /// Records that the component made.
        made, created;
        /// Records that went on.
        went_out, output;
        /// Records lost in failed calls.
        lost, failed;
        /// Records given to the dead letter instead of being lost.
        dead_letter, dead_lettered;
        /// Records that the component's numbers do not explain.
        cannot_explain, unexplained;
        /// Calls that failed or panicked.
        failed_calls, failures;
        /// Calls that outlasted the deadline.
        overdue_calls, overdue;
    }

    /// Records that did not come out, per reason.
    pub(crate) fn tallied(&self, tally: &[u64]) {
        for (total, count) in self.out_for.iter().zip(tally) {
            if *count > 0 {
                total.fetch_add(*count, Ordering::Relaxed);
            }
        }
    }

    /// How many records the component holds now.
    pub(crate) fn holds(&self, held: u64) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// What the component held is lost.
    pub(crate) fn lose_held(&self) {
        self.lost(self.held.swap(0, Ordering::Relaxed));
    }

    /// How many records the component holds.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Calls that failed or panicked.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Calls that outlasted the deadline.
    pub fn overdue(&self) -> u64 {
        self.overdue.load(Ordering::Relaxed)
    }

    /// Records that the component's own numbers did not explain.
    pub fn unexplained(&self) -> u64 {
        self.unexplained.load(Ordering::Relaxed)
    }

    /// The account as the ledger has it.
    pub fn account(&self) -> Account {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let reasons = |rejects: bool| {
            let of_kind =
                self.reasons.iter().zip(&self.out_for).filter(move |(reason, _)| reason.rejects == rejects);
            of_kind.map(|(reason, count)| (reason.name.clone(), read(count))).collect()
        };
        Account {
            carried: 0,
            input: read(&self.input),
            created: read(&self.created),
            output: read(&self.output),
            dropped: reasons(false),
            rejected: reasons(true),
            failed: read(&self.failed),
            dead_lettered: read(&self.dead_lettered),
            held: read(&self.held),
        }
    }
}
