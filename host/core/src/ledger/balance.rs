//! Cross-checking: do all accounts agree, each by itself and with each other?

use super::{Books, ComponentRow, EdgeRow, OutputName, counts, sum};
use cardcage_plugin_api::manifest::Kind;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Something that does not add up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imbalance {
    /// Whose account.
    pub who: Who,
    /// Above 0: records are missing. Below 0: there are more than there should be.
    pub by: i128,
}

/// Whose account does not add up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// A component's own equation.
    Component {
        /// The component.
        name: String,
    },
    /// An edge's own equation.
    Edge {
        /// The producer.
        from: String,
        /// Which of its outputs.
        output: OutputName,
        /// The consumer.
        to: String,
    },
    /// What a component says it gave, against what its edges took.
    Output {
        /// The component.
        name: String,
    },
    /// Consumers of one output that were sent different numbers of records.
    FanOut {
        /// The component.
        name: String,
        /// Which of its outputs.
        output: OutputName,
    },
    /// A component's dead letters, against the edge that took them.
    DeadLetters {
        /// The component.
        name: String,
    },
    /// What edges brought to a component, against its `in`.
    Input {
        /// The component.
        name: String,
    },
    /// An edge that names a component without an account.
    Unknown {
        /// The name.
        name: String,
    },
    /// The totals.
    Pipeline,
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by.unsigned_abs() {
            1 => "1 record".to_owned(),
            by => format!("{by} records"),
        };
        let (less, more) = if self.by > 0 { ("missing", "too few") } else { ("too many", "too many") };
        match &self.who {
            Who::Component { name } => write!(f, "component `{name}`: {by} {less}"),
            Who::Edge { from, output, to } => {
                write!(f, "edge `{from}` ({output}) -> `{to}`: {by} {less}")
            }
            Who::Output { name } => {
                write!(f, "component `{name}`: its edges took {by} {more} of what it gave")
            }
            Who::FanOut { name, output } => {
                write!(f, "component `{name}`: consumers of its {output} output differ by {by}")
            }
            Who::DeadLetters { name } => {
                write!(f, "component `{name}`: its dead-letter edge took {by} {more}")
            }
            Who::Input { name } => {
                write!(f, "component `{name}`: took in {by} {more} of what its edges brought")
            }
            Who::Unknown { name } => write!(f, "an edge names `{name}`, which has no account"),
            Who::Pipeline => write!(f, "the whole pipeline: {by} {less}"),
        }
    }
}

/// The sums over a whole pipeline:
/// `carried + in + created + copied = delivered + dropped + rejected + failed + held + queued + discarded`.
/// A dead letter is no loss: it goes in again at the sink that takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Held from before.
    pub carried: i128,
    /// What sources read.
    #[serde(rename = "in")]
    pub input: i128,
    /// What components made.
    pub created: i128,
    /// What fan-outs made: `(n - 1) * in` for each with `n` consumers.
    pub copied: i128,
    /// What sinks delivered.
    pub delivered: i128,
    /// Unwanted.
    pub dropped: i128,
    /// Unfit.
    pub rejected: i128,
    /// Lost with a failing call.
    pub failed: i128,
    /// Still inside components.
    pub held: i128,
    /// Still between components.
    pub queued: i128,
    /// Given up between components.
    pub discarded: i128,
}

impl Totals {
    /// What is missing: 0 when they balance.
    pub fn imbalance(&self) -> i128 {
        let debit = self.carried + self.input + self.created + self.copied;
        let explained = self.dropped + self.rejected + self.failed + self.held + self.queued + self.discarded;
        debit - self.delivered - explained
    }
}

pub(super) fn totals(books: &Books) -> Totals {
    let mut totals = Totals::default();
    for ComponentRow { kind, account, .. } in &books.components {
        totals.carried += i128::from(account.carried);
        totals.created += i128::from(account.created);
        totals.dropped += sum(counts(&account.dropped));
        totals.rejected += sum(counts(&account.rejected));
        totals.failed += i128::from(account.failed);
        totals.held += i128::from(account.held);
        match kind {
            Kind::Source => totals.input += i128::from(account.input),
            Kind::Stage => {}
            Kind::Sink => totals.delivered += i128::from(account.output),
        }
    }
    for edge in &books.edges {
        totals.queued += i128::from(edge.account.queued);
        totals.discarded += i128::from(edge.account.discarded);
    }
    for sent in outputs(books).values() {
        totals.copied += sum(sent.iter().copied()) - i128::from(sent[0]);
    }
    totals
}

pub(super) fn imbalances(books: &Books) -> Vec<Imbalance> {
    let mut found = Vec::new();
    let mut note = |by: i128, who: Who| {
        if by != 0 {
            found.push(Imbalance { who, by });
        }
    };
    for row in &books.components {
        note(row.account.imbalance(), Who::Component { name: row.name.clone() });
    }
    for EdgeRow { from, output, to, account } in &books.edges {
        let (from, output, to) = (from.clone(), output.clone(), to.clone());
        note(account.imbalance(), Who::Edge { from, output, to });
    }
    for ((from, output), sent) in outputs(books) {
        for other in &sent[1..] {
            let by = i128::from(sent[0]) - i128::from(*other);
            note(by, Who::FanOut { name: from.to_owned(), output: output.clone() });
        }
    }
    let flows = Flows::of(books);
    for row in &books.components {
        flows.check(row, &mut note);
    }
    for name in unknown(books) {
        note(1, Who::Unknown { name: name.to_owned() });
    }
    note(totals(books).imbalance(), Who::Pipeline);
    found
}

/// What the edges of each output were sent, in the order of the edges; never empty.
fn outputs(books: &Books) -> BTreeMap<(&str, &OutputName), Vec<u64>> {
    let mut outputs: BTreeMap<(&str, &OutputName), Vec<u64>> = BTreeMap::new();
    for edge in &books.edges {
        let sent = outputs.entry((&edge.from, &edge.output)).or_default();
        sent.push(edge.account.sent);
    }
    outputs
}

/// What the edges say about each component.
#[derive(Default)]
struct Flows<'a> {
    brought: BTreeMap<&'a str, i128>,
    given: BTreeMap<&'a str, i128>,
    dead_lettered: BTreeMap<&'a str, i128>,
}

impl<'a> Flows<'a> {
    fn of(books: &'a Books) -> Self {
        let mut flows = Self::default();
        for edge in &books.edges {
            *flows.brought.entry(&edge.to).or_default() += i128::from(edge.account.received);
        }
        for ((from, output), sent) in outputs(books) {
            let side = match output {
                OutputName::DeadLetter => &mut flows.dead_lettered,
                OutputName::Main | OutputName::Port(_) => &mut flows.given,
            };
            *side.entry(from).or_default() += i128::from(sent[0]);
        }
        flows
    }

    fn check(&self, row: &ComponentRow, note: &mut impl FnMut(i128, Who)) {
        let name = || row.name.clone();
        let of = |side: &BTreeMap<&str, i128>| side.get(row.name.as_str()).copied().unwrap_or(0);
        if row.kind != Kind::Sink {
            note(i128::from(row.account.output) - of(&self.given), Who::Output { name: name() });
        }
        let dead_lettered = i128::from(row.account.dead_lettered);
        note(dead_lettered - of(&self.dead_lettered), Who::DeadLetters { name: name() });
        if row.kind != Kind::Source {
            note(of(&self.brought) - i128::from(row.account.input), Who::Input { name: name() });
        }
    }
}

/// Names that stand at an edge and have no account.
fn unknown(books: &Books) -> Vec<&str> {
    let names = books.edges.iter().flat_map(|edge| [&edge.from, &edge.to]);
    let mut unknown: Vec<&str> = names
        .map(String::as_str)
        .filter(|name| !books.components.iter().any(|row| row.name == *name))
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    unknown
}
