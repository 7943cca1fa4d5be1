//! What a trail says of one metric: run by run, who changed it, when, and by how much.

use cardcage_core::audit::{
    Anchor, Balance, Declaration, Entry, Note, Number, Record, Rule, Value, What, Writer,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The most runs that are told of, the latest ones; a daemon that is restarted every hour has as many in four days.
const RUNS_MAX: usize = 100;
/// The most writers that are told apart in a run; what others did is put together.
const SHARES_MAX: usize = 1000;
/// The most names of metrics that are kept, to say which there are.
const NAMES_MAX: usize = 10_000;

/// The history of one metric.
#[derive(Debug)]
pub(super) struct History {
    wanted: String,
    /// The latest runs.
    pub(super) runs: VecDeque<Run>,
    /// How many earlier ones were left out.
    pub(super) runs_left_out: u64,
    /// The run that is being read.
    current: Run,
    /// Whether anything of that run is there.
    is_begun: bool,
    /// The names of all metrics.
    pub(super) names: BTreeSet<String>,
}

/// One run of the daemon.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// When it began and which version it was; `None` where retention has removed its beginning.
    pub(super) began: Option<(i64, String)>,
    /// When it ended in order.
    pub(super) ended_ns: Option<i64>,
    /// What the metric is; `None` if this run does not have it.
    pub(super) declaration: Option<Declaration>,
    /// Where each part stands, by cell and writer.
    pub(super) parts: BTreeMap<(u32, u32), Balance>,
    /// What was done before everything that is there.
    pub(super) before: Share,
    /// What each writer did, in the order in which they began.
    pub(super) shares: Vec<(Who, Share)>,
    /// The last write that was refused.
    pub(super) refused: Option<(Entry, Rule, u64, Who)>,
    /// The largest change.
    pub(super) largest: Option<(Entry, Who)>,
}

/// A thread of a generation of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    /// The part it writes.
    pub(super) writer: u32,
    /// Which generation and thread; `None` where nothing says so, and for all beyond [`SHARES_MAX`].
    pub(super) by: Option<(u32, String)>,
}

/// What somebody did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Share {
    /// The first and the last change, in UTC nanoseconds since 1970.
    pub(super) time_ns: Option<(i64, i64)>,
    /// Entries.
    pub(super) changes: u64,
    /// Writes that they stand for.
    pub(super) writes: u64,
    /// Writes that were refused.
    pub(super) refused: u64,
    /// By how much the value changed in all.
    pub(super) by: f64,
}

impl History {
    /// Of the metric with this name.
    pub(super) fn new(wanted: &str) -> Self {
        Self {
            wanted: wanted.to_owned(),
            runs: VecDeque::new(),
            runs_left_out: 0,
            current: Run::default(),
            is_begun: false,
            names: BTreeSet::new(),
        }
    }

    /// Takes the next record. `anchor` has taken it.
    pub(super) fn record(&mut self, anchor: &Anchor, record: &Record) {
        match record {
            Record::Note { time_ns, note: Note::Began { version, .. } } => {
                self.end_run();
                self.is_begun = true;
                self.current.began = Some((*time_ns, version.clone()));
            }
            Record::Note { time_ns, note: Note::Ended } => self.current.ended_ns = Some(*time_ns),
            Record::Note { .. } | Record::Writer(_) => {}
            Record::Declaration(declaration) => self.declaration(declaration),
            Record::Balance(balance) => self.balance(balance),
            Record::Entry(entry) => {
                if self.current.declaration.as_ref().is_some_and(|of| of.cells().contains(&entry.cell)) {
                    self.current.entry(entry, anchor.writer(entry.cell, entry.writer));
                }
            }
        }
    }

    /// The trail is over. Whether the metric was found.
    pub(super) fn finish(&mut self) -> bool {
        self.end_run();
        !self.runs.is_empty()
    }

    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.current);
        if run.declaration.is_none() || !self.is_begun {
            return;
        }
        if self.runs.len() == RUNS_MAX {
            self.runs.pop_front();
            self.runs_left_out += 1;
        }
        self.runs.push_back(run);
    }

    fn declaration(&mut self, declaration: &Declaration) {
        self.is_begun = true;
        let name = declaration.name();
        if name == self.wanted {
            self.current.declaration = Some(declaration.clone());
        }
        if self.names.len() < NAMES_MAX {
            self.names.insert(name);
        }
    }

    fn balance(&mut self, balance: &Balance) {
        let run = &mut self.current;
        let Some(declaration) = run.declaration.as_ref().filter(|of| of.cells().contains(&balance.cell))
        else {
            return;
        };
        let number = declaration.number;
        // Of a part that nothing was heard of yet, it says what was done before what is there.
        if run.parts.insert((balance.cell, balance.writer), *balance).is_none() {
            run.before.writes = run.before.writes.saturating_add(balance.writes);
            run.before.refused = run.before.refused.saturating_add(balance.violations);
            run.before.by += number.value(balance.value).as_f64();
        }
    }
}

impl Run {
    /// How the values are meant.
    pub(super) fn number(&self) -> Number {
        self.declaration.as_ref().map_or(Number::Float, |declaration| declaration.number)
    }

    /// The sum of all parts.
    pub(super) fn sum(&self) -> Value {
        let values = self.parts.values().map(|part| self.number().value(part.value));
        match self.number() {
            // Not `sum`, which begins at -0.
            Number::Float => Value::Float(values.fold(0.0, |sum, value| sum + value.as_f64())),
            Number::Integer => {
                let sum = self.parts.values().fold(0u64, |sum, part| sum.saturating_add(part.value));
                Value::Integer(sum)
            }
        }
    }

    fn entry(&mut self, entry: &Entry, writer: Option<&Writer>) {
        let number = self.number();
        let new = Balance { cell: entry.cell, writer: entry.writer, value: 0, writes: 0, violations: 0 };
        let part = self.parts.entry((entry.cell, entry.writer)).or_insert(new);
        part.value = entry.new;
        let by = writer.map(|writer| (writer.generation, writer.thread.clone()));
        let who = Who { writer: entry.writer, by };
        let share = Self::share(&mut self.shares, &who);
        let change = number.value(entry.new).as_f64() - number.value(entry.old).as_f64();
        match entry.what {
            What::Write => {
                part.writes = part.writes.saturating_add(entry.count);
                share.writes = share.writes.saturating_add(entry.count);
                share.changes += 1;
                share.by += change;
                let span = share.time_ns.get_or_insert((entry.time_ns, entry.time_ns));
                span.1 = entry.time_ns;
                let size = |entry: &Entry| {
                    (number.value(entry.new).as_f64() - number.value(entry.old).as_f64()).abs()
                };
                if self.largest.as_ref().is_none_or(|(largest, _)| size(entry) > size(largest)) {
                    self.largest = Some((*entry, who));
                }
            }
            What::Violation { rule, attempted } => {
                part.violations = part.violations.saturating_add(entry.count);
                share.refused = share.refused.saturating_add(entry.count);
                self.refused = Some((*entry, rule, attempted, who));
            }
        }
    }

    fn share<'a>(shares: &'a mut Vec<(Who, Share)>, who: &Who) -> &'a mut Share {
        let others = Who { writer: 0, by: None };
        let known = shares.iter().position(|(known, _)| known == who);
        let index = known.unwrap_or_else(|| {
            let who = if shares.len() < SHARES_MAX { who.clone() } else { others.clone() };
            let last = shares.iter().position(|(known, _)| *known == who);
            last.unwrap_or_else(|| {
                shares.push((who, Share::default()));
                shares.len() - 1
            })
        });
        &mut shares[index].1
    }
}
