//! Trails that were made for a test, byte by byte the same each time.

use cardcage_core::audit::{
    Anchor, Balance, BlockBuilder, Declaration, Entry, FileHeader, Head, Note, Number, Record, Rule, Rules,
    What, Writer, file_name,
};
use cardcage_plugin_api::manifest::MetricKind;
use std::path::Path;

/// The files of a trail, each with its number.
pub(crate) type Files = Vec<(u64, Vec<u8>)>;

/// A counter of a stage, with two generations and two refused writes.
pub(crate) const COUNTER: u32 = 1;
/// A gauge of the host.
pub(crate) const GAUGE: u32 = 2;
/// A histogram of a sink: buckets up to 0.5, 1, and above.
pub(crate) const HISTOGRAM: u32 = 3;

/// Writes a trail.
pub(crate) struct Scribe {
    files: Files,
    head: Head,
    anchor: Anchor,
    block: BlockBuilder,
    time_ns: i64,
}

impl Scribe {
    /// A run begins, at noon.
    pub(crate) fn new() -> Self {
        let mut scribe = Self {
            files: Vec::new(),
            head: Head::NONE,
            anchor: Anchor::new(),
            block: BlockBuilder::new(),
            time_ns: 1_772_366_400_000_000_000,
        };
        scribe.rotate();
        scribe.begin();
        scribe
    }

    /// The next record is so much later.
    pub(crate) fn wait(&mut self, ms: i64) {
        self.time_ns += ms * 1_000_000;
    }

    /// The beginning of a run.
    pub(crate) fn begin(&mut self) {
        self.note(Note::Began {
            version: "0.1.0".into(),
            detail: "write, at most 1000000 entries a second".into(),
        });
        let counter = declaration(COUNTER, "plausible", "out_of_range", MetricKind::Counter);
        let help = "Records outside of the range.".to_owned();
        let rules = Rules { monotonic: true, largest_step: Some(1000.0), ..Rules::default() };
        self.push(&Record::Declaration(Declaration { help, rules, ..counter }));
        let gauge = declaration(GAUGE, "", "cardcage_queue_records", MetricKind::Gauge);
        self.push(&Record::Declaration(gauge));
        let histogram = declaration(HISTOGRAM, "archive", "write_seconds", MetricKind::Histogram);
        let (unit, bounds) = ("s".to_owned(), vec![0.5, 1.0]);
        self.push(&Record::Declaration(Declaration { unit, bounds, ..histogram }));
        for cell in [COUNTER, GAUGE, HISTOGRAM] {
            self.writer(cell, 0);
        }
    }

    /// Who writes from now on.
    pub(crate) fn writer(&mut self, cell: u32, generation: u32) {
        let thread = if cell == GAUGE { "control" } else { "lane-numbers" };
        let time_ns = self.time_ns;
        self.push(&Record::Writer(Writer { cell, writer: 0, time_ns, generation, thread: thread.into() }));
    }

    pub(crate) fn note(&mut self, note: Note) {
        let time_ns = self.time_ns;
        self.push(&Record::Note { time_ns, note });
    }

    /// A write to this value.
    pub(crate) fn write(&mut self, cell: u32, to: f64, count: u64) {
        self.entry(cell, Some(to), count, What::Write);
    }

    /// A write that a rule forbade.
    pub(crate) fn refused(&mut self, cell: u32, attempted: f64, rule: Rule) {
        self.entry(cell, None, 1, What::Violation { rule, attempted: attempted.to_bits() });
    }

    fn entry(&mut self, cell: u32, to: Option<f64>, count: u64, what: What) {
        self.wait(100);
        let old = self.anchor.balances(cell).first().map_or(0, |balance| balance.value);
        let new = to.map_or(old, f64::to_bits);
        let time_ns = self.time_ns;
        self.push(&Record::Entry(Entry { cell, writer: 0, time_ns, old, new, count, what }));
    }

    /// What need not fit.
    pub(crate) fn forge(&mut self, record: &Record) {
        // Whether it fits is what the program is asked.
        let _ = self.anchor.take(record);
        self.block.push(record).expect("there is room");
    }

    fn push(&mut self, record: &Record) {
        self.anchor.take(record).expect("fits");
        self.block.push(record).expect("there is room");
    }

    /// Ends the block.
    pub(crate) fn seal(&mut self) {
        if !self.block.is_empty() {
            let sealed = self.block.finish(self.head);
            self.head = sealed.head;
            self.files.last_mut().expect("a file is open").1.extend_from_slice(sealed.bytes);
        }
    }

    /// Begins the next file.
    pub(crate) fn rotate(&mut self) {
        self.seal();
        let number = self.files.last().map_or(1, |(number, _)| number + 1);
        self.files.push((number, FileHeader { number, after: self.head }.encode().to_vec()));
        for record in self.anchor.clone().opening(number, self.time_ns) {
            self.push(&record);
        }
    }

    /// Ends the run in order.
    pub(crate) fn end(&mut self) {
        let cells: Vec<u32> = self.anchor.declarations().flat_map(Declaration::cells).collect();
        let balances: Vec<Balance> = cells.iter().flat_map(|cell| self.anchor.balances(*cell)).collect();
        for balance in balances {
            self.push(&Record::Balance(balance));
        }
        self.note(Note::Ended);
        self.seal();
    }

    /// Its files.
    pub(crate) fn files(mut self) -> (Files, Head) {
        self.seal();
        (self.files, self.head)
    }
}

fn declaration(cell: u32, component: &str, metric: &str, kind: MetricKind) -> Declaration {
    Declaration {
        cell,
        component: component.into(),
        metric: metric.into(),
        kind,
        number: Number::Float,
        unit: "1".into(),
        help: String::new(),
        rules: Rules::default(),
        bounds: Vec::new(),
    }
}

/// Three files with one run and a bit of everything.
pub(crate) fn sample() -> (Files, Head) {
    let mut scribe = Scribe::new();
    scribe.write(COUNTER, 3.0, 3);
    scribe.write(GAUGE, 512.0, 1);
    scribe.write(HISTOGRAM, 0.25, 1);
    scribe.write(HISTOGRAM + 2, 7.5, 2);
    scribe.seal();
    scribe.refused(COUNTER, -1.0, Rule::Monotonic);
    scribe.write(COUNTER, 4.0, 1);
    scribe.rotate();
    // The component was restarted and goes on counting.
    scribe.writer(COUNTER, 1);
    scribe.write(COUNTER, 504.0, 500);
    scribe.write(GAUGE, 0.0, 9);
    scribe.seal();
    scribe.refused(COUNTER, 9504.0, Rule::LargestStep);
    scribe.note(Note::Undeclared { component: "plausible".into(), metric: "secret".into(), count: 2 });
    scribe.rotate();
    scribe.write(COUNTER, 505.0, 1);
    scribe.end();
    scribe.files()
}

/// Puts a trail into the state directory `state` of this folder.
pub(crate) fn put(folder: &Path, files: &[(u64, Vec<u8>)]) {
    let audit = folder.join("state/audit");
    // What was there before is another test case.
    let _ = std::fs::remove_dir_all(&audit);
    std::fs::create_dir_all(&audit).expect("a folder can be made");
    for (number, bytes) in files {
        std::fs::write(audit.join(file_name(*number)), bytes).expect("a file can be written");
    }
}
