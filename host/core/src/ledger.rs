//! The ledger: records accounted like money.
//!
//! The host counts on both sides of every component and every edge. For each component
//! `carried + in + created = out + dropped + rejected + failed + dead_lettered + held` must hold, for each edge
//! `sent = received + queued + discarded`, and the two kinds of account must agree with each other. It proves counts,
//! not identity: a record lost and another made up in its place balance.

mod balance;
mod call;
pub mod claims;
mod render;
mod sheet;

pub use balance::{Imbalance, Totals, Who};
pub use call::Call;
pub use sheet::sheet;

use cardcage_plugin_api::manifest::Kind;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// What one component did with its records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Held from before this account was opened: restored from a checkpoint.
    pub carried: u64,
    /// Came in, retries not counted again. For a source: what it read, with input lines that it rejected.
    #[serde(rename = "in")]
    pub input: u64,
    /// Made here.
    pub created: u64,
    /// Went out: over the main output and connected ports, each record once however many consumers it has. For a
    /// sink: delivered.
    #[serde(rename = "out")]
    pub output: u64,
    /// Unwanted, by reason.
    #[serde(serialize_with = "by_reason")]
    pub dropped: Vec<(String, u64)>,
    /// Unfit, by reason.
    #[serde(serialize_with = "by_reason")]
    pub rejected: Vec<(String, u64)>,
    /// In a batch whose call failed, and not saved by a dead letter.
    pub failed: u64,
    /// In a batch whose call failed, and sent to the dead letter.
    pub dead_lettered: u64,
    /// Still inside.
    pub held: u64,
    /// How many of those held are in the batch that is worked on this moment, not kept from one to the next.
    pub in_hand: u64,
}

impl Account {
    /// What came in or was made, less what is accounted for: 0 when it balances, above 0 when records are missing.
    pub fn imbalance(&self) -> i128 {
        let debit = sum([self.carried, self.input, self.created]);
        let credit = sum([self.output, self.failed, self.dead_lettered, self.held]);
        debit - credit - sum(counts(&self.dropped)) - sum(counts(&self.rejected))
    }

    /// All dropped records, whatever the reason.
    pub fn dropped_total(&self) -> u64 {
        counts(&self.dropped).fold(0, u64::saturating_add)
    }

    /// All rejected records, whatever the reason.
    pub fn rejected_total(&self) -> u64 {
        counts(&self.rejected).fold(0, u64::saturating_add)
    }
}

/// What passed over one edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EdgeAccount {
    /// Given by the producer's side.
    pub sent: u64,
    /// Taken by the consumer's side.
    pub received: u64,
    /// Between the two.
    pub queued: u64,
    /// Given up between the two, as when the consumer has failed for good.
    pub discarded: u64,
}

impl EdgeAccount {
    /// What was sent less what is accounted for: 0 when it balances.
    pub fn imbalance(&self) -> i128 {
        sum([self.sent]) - sum([self.received, self.queued, self.discarded])
    }
}

/// A component's row in the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComponentRow {
    /// The component.
    pub name: String,
    /// Source, stage or sink.
    pub kind: Kind,
    /// Its account.
    #[serde(flatten)]
    pub account: Account,
}

/// An edge's row in the books. Every edge of the graph has one, also one inside a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EdgeRow {
    /// The producer.
    pub from: String,
    /// Which of its outputs.
    pub output: OutputName,
    /// The consumer.
    pub to: String,
    /// Its account.
    #[serde(flatten)]
    pub account: EdgeAccount,
}

/// Which output of a component an edge begins at, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputName {
    /// The main one.
    Main,
    /// A port.
    Port(String),
    /// What failed there.
    DeadLetter,
}

impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main => f.write_str("main"),
            Self::Port(name) => f.write_str(name),
            Self::DeadLetter => f.write_str("dead_letter"),
        }
    }
}

/// The accounts of a whole pipeline, taken at one moment at which nothing moves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Books {
    /// One a component.
    pub components: Vec<ComponentRow>,
    /// One an edge.
    pub edges: Vec<EdgeRow>,
}

impl Books {
    /// Everything that does not add up; empty when the books balance.
    ///
    /// Each component and each edge is checked by itself; then what a component gave against what its edges took
    /// from each of its outputs, what its edges brought against its `in`, its dead letters against theirs; then the
    /// totals.
    pub fn imbalances(&self) -> Vec<Imbalance> {
        balance::imbalances(self)
    }

    /// The sums over the whole pipeline.
    pub fn totals(&self) -> Totals {
        balance::totals(self)
    }

    /// The books as a table for people, one row a component, reasons below, and a last line that says that they add
    /// up or else what does not.
    pub fn render(&self) -> String {
        render::books(self)
    }
}

fn counts(reasons: &[(String, u64)]) -> impl Iterator<Item = u64> {
    reasons.iter().map(|(_, count)| *count)
}

fn sum(counts: impl IntoIterator<Item = u64>) -> i128 {
    counts.into_iter().map(i128::from).sum()
}

/// `{"out_of_range": 3}` instead of pairs; equal reasons add up.
fn by_reason<S: Serializer>(reasons: &[(String, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut merged: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, count) in reasons {
        let total = merged.entry(reason).or_default();
        *total = total.saturating_add(*count);
    }
    merged.serialize(serializer)
}
