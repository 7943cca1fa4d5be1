//! The host's own counts of one component: what went in, what came out, and why the rest did not.
//!
//! Written once a batch by the component's lane, in entries of that lane's [`Page`](crate::page::Page) (after the lane
//! was given up, by whoever clears up behind it), read by anyone.

use crate::latency::{CALLS, CallTimes, Latency, bump};
use cardcage_core::ledger::Account;
use cardcage_plugin_api::describe::Reason;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
    /// Kept from one call to the next.
    held: AtomicU64,
    /// In the batch that the component works on, and in what it gave and nobody has taken yet.
    in_hand: AtomicU64,
    /// Records that a call's own numbers did not explain, each way.
    unexplained: AtomicU64,
    failures: AtomicU64,
    overdue: AtomicU64,
    restarts: AtomicU64,
    restarting: AtomicBool,
    calls: [Latency; CALLS.len()],
}

macro_rules! counts {
    ($($(#[$doc:meta])* $add:ident, $field:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $add(&self, count: u64) {
            if count > 0 {
                bump(&self.$field, count);
            }
        }
    )*};
}

macro_rules! readings {
    ($($(#[$doc:meta])* $read:ident, $field:ident;)*) => {$(
        $(#[$doc])*
        pub fn $read(&self) -> u64 {
            self.$field.load(Ordering::Relaxed)
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
            in_hand: AtomicU64::new(0),
            unexplained: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            overdue: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            restarting: AtomicBool::new(false),
            calls: std::array::from_fn(|_| Latency::default()),
        }
    }

    counts! {
        /// Records that the component made.
        made, created;
        /// Records that the component's numbers do not explain.
        cannot_explain, unexplained;
        /// Calls that failed or panicked.
        failed_calls, failures;
        /// Calls that outlasted the deadline.
        overdue_calls, overdue;
        /// The component was opened again after a failure.
        restarted, restarts;
        /// Records that a source read, or rejected while it read.
        came_in, input;
        /// Records that were held and are delivered.
        went_out, output;
    }

    readings! {
        /// Calls that failed or panicked.
        failures, failures;
        /// Calls that outlasted the deadline.
        overdue, overdue;
        /// How often the component was opened again after a failure.
        restarts, restarts;
        /// Records that the component's own numbers did not explain.
        unexplained, unexplained;
        /// How many records the component keeps from one call to the next.
        held, held;
        /// How many records are in the batch that the component works on.
        in_hand, in_hand;
    }

    /// A batch comes to the component.
    pub(crate) fn takes(&self, records: u64) {
        bump(&self.input, records);
        bump(&self.in_hand, records);
    }

    /// Records that were in hand go on.
    pub(crate) fn gives(&self, records: u64) {
        bump(&self.output, records);
        self.let_go(records);
    }

    /// Records that were in hand are lost with a failed call.
    pub(crate) fn loses(&self, records: u64) {
        bump(&self.failed, records);
        self.let_go(records);
    }

    /// Records that were in hand go to the dead letter instead of being lost.
    pub(crate) fn dead_letters(&self, records: u64) {
        bump(&self.dead_lettered, records);
        self.let_go(records);
    }

    /// Records that were in hand stay with the component, or came to nothing for a reason that is counted.
    pub(crate) fn let_go(&self, records: u64) {
        let in_hand = self.in_hand();
        self.in_hand.store(in_hand.saturating_sub(records), Ordering::Relaxed);
    }

    /// After a call: how many records there really are, in its batch and in what it gave.
    pub(crate) fn has_in_hand(&self, records: u64) {
        self.in_hand.store(records, Ordering::Relaxed);
    }

    /// Records that did not come out, per reason.
    pub(crate) fn tallied(&self, tally: &[u64]) {
        for (total, count) in self.out_for.iter().zip(tally) {
            if *count > 0 {
                bump(total, *count);
            }
        }
    }

    /// How many records the component holds now.
    pub(crate) fn holds(&self, held: u64) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// Of what the component held the last `lost` are gone, and the rest is delivered. The dead letter gets so many of
    /// them, which are more if it gets some that were counted as rejected.
    pub(crate) fn loses_last(&self, lost: u64, dead_lettered: u64) {
        bump(&self.output, self.held().saturating_sub(lost));
        bump(&self.dead_lettered, dead_lettered);
        bump(&self.created, dead_lettered.saturating_sub(lost));
        bump(&self.failed, lost.saturating_sub(dead_lettered));
        self.holds(0);
    }

    /// What the component held is lost.
    pub(crate) fn lose_held(&self) {
        bump(&self.failed, self.held());
        self.holds(0);
    }

    /// Everything that is with the component is lost.
    pub(crate) fn lose_all(&self) {
        self.lose_held();
        self.loses(self.in_hand());
    }

    /// Whether the component is between a failure and being opened again.
    pub(crate) fn restarting(&self, restarting: bool) {
        self.restarting.store(restarting, Ordering::Relaxed);
    }

    /// Whether the component is between a failure and being opened again.
    pub fn is_restarting(&self) -> bool {
        self.restarting.load(Ordering::Relaxed)
    }

    /// A call took so long. `call` is its number in [`CALLS`].
    pub(crate) fn called(&self, call: usize, took_ns: u64) {
        self.calls[call % CALLS.len()].took(took_ns);
    }

    /// How long calls took, of those calls that were made.
    pub fn calls(&self) -> Vec<CallTimes> {
        let read = self.calls.iter().zip(CALLS).map(|(latency, call)| latency.read(call));
        read.filter(|times| times.count() > 0).collect()
    }

    /// The account as the ledger has it.
    pub fn account(&self) -> Account {
        let mut counts = Vec::new();
        self.note(&mut counts);
        self.account_of(&mut counts.into_iter())
    }

    /// Notes down every count of the account, for [`Counters::account_of`]: quick, since lanes go on meanwhile.
    pub(crate) fn note(&self, counts: &mut Vec<u64>) {
        let fields = [&self.input, &self.created, &self.output, &self.failed, &self.dead_lettered];
        let fields = fields.into_iter().chain([&self.held, &self.in_hand]).chain(&self.out_for);
        counts.extend(fields.map(|count| count.load(Ordering::Relaxed)));
    }

    /// The account with the counts that [`Counters::note`] wrote down.
    pub(crate) fn account_of(&self, counts: &mut impl Iterator<Item = u64>) -> Account {
        let mut next = || counts.next().unwrap_or(0);
        let (input, created, output) = (next(), next(), next());
        let (failed, dead_lettered, held, in_hand) = (next(), next(), next(), next());
        let mut account = Account { input, created, output, failed, dead_lettered, ..Account::default() };
        account.held = held.saturating_add(in_hand);
        account.in_hand = in_hand;
        for reason in &self.reasons {
            let side = if reason.rejects { &mut account.rejected } else { &mut account.dropped };
            side.push((reason.name.clone(), next()));
        }
        account
    }
}
