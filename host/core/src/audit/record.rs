//! What a trail says: changes, what they are changes of, and who made them.

use cardcage_plugin_api::manifest::MetricKind;
use serde::Serialize;
use std::fmt;
use std::ops::RangeInclusive;

/// The longest text in a record; longer ones are cut at a character's end. Names are far shorter, and a declaration with
/// all of its texts fits into a block many times over.
pub const TEXT_MAX_BYTES: usize = 1024;

/// The number of a cell, given once in a run.
pub type CellId = u32;

/// One thing that a trail says.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A change, or one that a rule forbade.
    Entry(Entry),
    /// What a cell is. Stands before the cell's first entry, and again at the beginning of each file.
    Declaration(Declaration),
    /// Who writes a part of a cell from now on. Stands before the part's first entry, again whenever another generation
    /// or thread goes on in it, and again at the beginning of each file.
    Writer(Writer),
    /// Where a part of a cell stands by now. At the beginning of each file, and at the end of a run.
    Balance(Balance),
    /// Something that happened to the trail itself.
    Note {
        /// When, in UTC nanoseconds since 1970.
        time_ns: i64,
        /// What.
        note: Note,
    },
}

/// One change of one part of a cell: a write, or several that were merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which cell.
    pub cell: CellId,
    /// Which part of it. Each (cell, writer) pair is one chain.
    pub writer: u32,
    /// When, in UTC nanoseconds since 1970: that of the last write, if several were merged.
    pub time_ns: i64,
    /// The value before, as the bits of the cell's [`Number`]. It is the `new` of the chain's entry before; 0 in the first.
    pub old: u64,
    /// The value after. The same as `old` where a rule forbade the write.
    pub new: u64,
    /// How many writes this stands for; never 0.
    pub count: u64,
    /// Whether it was done or forbidden.
    pub what: What,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It was done.
    Write,
    /// A rule forbade it; the cell was left as it was.
    Violation {
        /// Which rule.
        rule: Rule,
        /// The value that was attempted; the last one, if several were merged.
        attempted: u64,
    },
}

/// What a cell is.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// Its number. A histogram has one for each bucket, beginning with this one: see [`Declaration::cells`].
    pub cell: CellId,
    /// The component whose metric it is; empty for the host's own.
    pub component: String,
    /// The metric's name.
    pub metric: String,
    /// Counter, gauge or histogram.
    pub kind: MetricKind,
    /// How its values are written.
    pub number: Number,
    /// The unit's code; `1` or empty for plain counts.
    pub unit: String,
    /// One sentence; may be empty.
    pub help: String,
    /// What writes must keep to.
    pub rules: Rules,
    /// The upper bounds of a histogram's buckets, rising, without the last one, which has none; at most 255. Empty for
    /// others. What a bucket's cell holds is the sum of the observations that fell into it, and each observation is one write:
    /// so the sum of counts is how many there were.
    pub bounds: Vec<f64>,
}

impl Declaration {
    /// The most bounds of a histogram.
    pub const BOUNDS_MAX: usize = 255;

    /// The metric as it is called everywhere: `COMPONENT.METRIC`, or `METRIC` for the host's own.
    pub fn name(&self) -> String {
        if self.component.is_empty() {
            self.metric.clone()
        } else {
            format!("{}.{}", self.component, self.metric)
        }
    }

    /// The upper bound of the bucket that this cell is; infinity for the last. `None` if it is no bucket.
    pub fn bucket(&self, cell: CellId) -> Option<f64> {
        let index = usize::try_from(cell.checked_sub(self.cell)?).ok()?;
        (self.kind == MetricKind::Histogram && self.cells().contains(&cell))
            .then(|| self.bounds.get(index).copied().unwrap_or(f64::INFINITY))
    }

    /// Whether the rules allow what one write did, or `count` merged ones: to move a cell of this metric from `old` to `new`.
    /// Of merged writes only the last value is known, and of a bucket's the sum: what cannot be told is allowed.
    pub fn allows(&self, old: f64, new: f64, count: u64) -> bool {
        if self.kind == MetricKind::Histogram {
            return !new.is_nan();
        }
        let Rules { monotonic, min, max, largest_step } = self.rules;
        let step = (new - old).abs();
        new.is_finite()
            && !(monotonic && new < old)
            && min.is_none_or(|min| new >= min)
            && max.is_none_or(|max| new <= max)
            && largest_step.is_none_or(|largest| count > 1 || step <= largest)
    }

    /// The cells that it declares: one, or one for each bucket of a histogram.
    pub fn cells(&self) -> RangeInclusive<CellId> {
        let more = if self.kind == MetricKind::Histogram { self.bounds.len() } else { 0 };
        self.cell..=self.cell.saturating_add(u32::try_from(more).unwrap_or(u32::MAX))
    }
}

/// What writes to a cell must keep to. A write of what is not a number breaks a rule always.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rules {
    /// It never falls.
    pub monotonic: bool,
    /// No write goes below.
    pub min: Option<f64>,
    /// No write goes above.
    pub max: Option<f64>,
    /// No write changes the value by more.
    pub largest_step: Option<f64>,
}

/// A rule that a write can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// [`Rules::monotonic`].
    Monotonic,
    /// What was written is not a number.
    NotANumber,
    /// [`Rules::min`].
    Min,
    /// [`Rules::max`].
    Max,
    /// [`Rules::largest_step`].
    LargestStep,
}

impl Rule {
    /// All of them, in the order of their numbers on disk, which begin with 1.
    pub(crate) const ALL: [Self; 5] =
        [Self::Monotonic, Self::NotANumber, Self::Min, Self::Max, Self::LargestStep];

    /// What the write did, as in a sentence: "the write …".
    pub const fn broken(self) -> &'static str {
        match self {
            Self::Monotonic => "would have made it fall",
            Self::NotANumber => "was not a number",
            Self::Min => "went below the least allowed value",
            Self::Max => "went above the largest allowed value",
            Self::LargestStep => "was a larger step than allowed",
        }
    }
}

/// How the 64 bits of a value are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// As an `f64`.
    Float,
    /// As a `u64`.
    Integer,
}

impl Number {
    /// The value that these bits stand for.
    pub fn value(self, bits: u64) -> Value {
        match self {
            Self::Float => Value::Float(f64::from_bits(bits)),
            Self::Integer => Value::Integer(bits),
        }
    }
}

/// A value of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of a [`Number::Float`].
    Float(f64),
    /// Of a [`Number::Integer`].
    Integer(u64),
}

impl Value {
    /// As a float, which loses digits of large integers: for comparing and for adding up what is shown.
    #[expect(clippy::cast_precision_loss, reason = "what is shown of numbers above 2^53 may be rounded")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Float(value) => value,
            Self::Integer(value) => value as f64,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
        }
    }
}

/// Who writes a part of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "`writer` is the part's number, by the name it has everywhere")]
pub struct Writer {
    /// Which cell; a histogram's first one stands for all of its buckets.
    pub cell: CellId,
    /// Which part of it.
    pub writer: u32,
    /// Since when, in UTC nanoseconds since 1970.
    pub time_ns: i64,
    /// Which generation of the component: how often it was started before.
    pub generation: u32,
    /// The thread's name.
    pub thread: String,
}

/// Where a part of a cell stands: what its owner counted, and not what the trail adds up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Which cell.
    pub cell: CellId,
    /// Which part of it.
    pub writer: u32,
    /// Its value, as bits of the cell's [`Number`].
    pub value: u64,
    /// How many writes were done to it in this run.
    pub writes: u64,
    /// How many a rule forbade in this run.
    pub violations: u64,
}

/// Something that happened to the trail itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A run of the daemon begins: cells are new and at 0, and so are their numbers.
    Began {
        /// Of Cardcage.
        version: String,
        /// What is kept, in the words of the config: `write, at most 1000000 entries a second`.
        detail: String,
    },
    /// The run ended in order. Balances of all parts stand before.
    Ended,
    /// The first record of each file. Behind it stand, for everything that is known of this run, declarations, writers
    /// and balances, as many as it says.
    Opened {
        /// The file's number.
        file: u64,
        /// How many declarations follow.
        declarations: u32,
        /// How many writers follow.
        writers: u32,
        /// How many balances follow.
        balances: u32,
    },
    /// Retention is about to remove the files with the blocks before this one.
    Removed {
        /// The number of the first block that stays.
        first_kept: u64,
    },
    /// A trail that was damaged was set aside; this one begins in its place.
    SetAside {
        /// The names of its files now.
        files: String,
        /// What was found.
        why: String,
    },
    /// Writes to a metric that the component did not declare: there is no cell that could have changed.
    Undeclared {
        /// The component.
        component: String,
        /// The name it used.
        metric: String,
        /// How many.
        count: u64,
    },
    /// Something else that an auditor should know, in words: entries were merged because the disk was full, say.
    Remark {
        /// The words.
        text: String,
    },
}
