//! Trails as a daemon writes them, in memory.

use cardcage_core::audit::{
    Anchor, Balance, Block, BlockBuilder, Declaration, Entry, FileHeader, Hash, Head, Note, Number, Record,
    Report, Rule, Rules, Step, Stream, Verifier, What, Writer, file_name,
};
use cardcage_plugin_api::manifest::MetricKind;

/// A trail as its files, each with its number.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    pub(super) files: Vec<(u64, Vec<u8>)>,
}

/// Writes a trail, and keeps the account that files begin with.
pub(super) struct Scribe {
    pub(super) trail: Trail,
    pub(super) head: Head,
    pub(super) anchor: Anchor,
    block: BlockBuilder,
    time_ns: i64,
}

impl Scribe {
    /// At the beginning of a run.
    pub(super) fn new() -> Self {
        let mut scribe = Self {
            trail: Trail::default(),
            head: Head::NONE,
            anchor: Anchor::new(),
            block: BlockBuilder::new(),
            time_ns: 1_700_000_000_000_000_000,
        };
        scribe.rotate();
        scribe.began();
        scribe
    }

    /// The daemon starts again, without a word of the run before.
    pub(super) fn begin(&mut self) {
        self.anchor = Anchor::new();
        self.rotate();
        self.began();
    }

    fn began(&mut self) {
        self.note(Note::Began { version: "0.1.0".into(), detail: "write".into() });
    }

    /// Goes on in the last file of a trail.
    pub(super) fn write_after(&mut self, trail: &Trail, head: Head) {
        self.trail = trail.clone();
        self.head = head;
        self.block = BlockBuilder::new();
        self.note(Note::Remark { text: "goes on".into() });
    }

    /// Writes what need not fit to what was written.
    pub(super) fn forge(&mut self, record: &Record) {
        // What it says of that is for the reader to find out.
        let _ = self.anchor.take(record);
        self.block.push(record).expect("there is room");
    }

    pub(super) fn now(&mut self) -> i64 {
        self.time_ns += 1_000_000;
        self.time_ns
    }

    /// Ends the file and begins the next.
    pub(super) fn rotate(&mut self) {
        self.seal();
        let number = self.trail.files.last().map_or(1, |(number, _)| number + 1);
        self.trail.files.push((number, FileHeader { number, after: self.head }.encode().to_vec()));
        let time_ns = self.now();
        for record in self.anchor.clone().opening(number, time_ns) {
            self.push(&record);
        }
    }

    pub(super) fn push(&mut self, record: &Record) {
        self.anchor.take(record).expect("fits to what was written before");
        if self.block.push(record).is_err() {
            self.seal();
            self.block.push(record).expect("an empty block has room");
        }
    }

    pub(super) fn note(&mut self, note: Note) {
        let time_ns = self.now();
        self.push(&Record::Note { time_ns, note });
    }

    /// Ends the block.
    pub(super) fn seal(&mut self) {
        if !self.block.is_empty() {
            let sealed = self.block.finish(self.head);
            self.head = sealed.head;
            self.trail.files.last_mut().expect("a file is open").1.extend_from_slice(sealed.bytes);
        }
    }

    pub(super) fn declare(&mut self, cell: u32, component: &str, metric: &str, kind: MetricKind) {
        let mut declaration = declaration(cell);
        (declaration.component, declaration.metric, declaration.kind) =
            (component.into(), metric.into(), kind);
        declaration.rules.monotonic = kind == MetricKind::Counter;
        self.push(&Record::Declaration(declaration));
        self.writer(cell, 0, 0);
    }

    pub(super) fn writer(&mut self, cell: u32, writer: u32, generation: u32) {
        let time_ns = self.now();
        self.push(&Record::Writer(Writer {
            cell,
            writer,
            time_ns,
            generation,
            thread: format!("lane-{writer}"),
        }));
    }

    /// Where a part stands.
    pub(super) fn value(&self, cell: u32, writer: u32) -> u64 {
        let balances = self.anchor.balances(cell);
        balances.iter().find(|balance| balance.writer == writer).map_or(0, |balance| balance.value)
    }

    pub(super) fn write(&mut self, cell: u32, writer: u32, to: f64, count: u64) {
        let (time_ns, old) = (self.now(), self.value(cell, writer));
        let entry = Entry { cell, writer, time_ns, old, new: to.to_bits(), count, what: What::Write };
        self.push(&Record::Entry(entry));
    }

    pub(super) fn forbidden(&mut self, cell: u32, writer: u32, attempted: f64, rule: Rule) {
        let (time_ns, old) = (self.now(), self.value(cell, writer));
        let what = What::Violation { rule, attempted: attempted.to_bits() };
        self.push(&Record::Entry(Entry { cell, writer, time_ns, old, new: old, count: 1, what }));
    }

    /// Ends the run in order.
    pub(super) fn end(mut self) -> (Trail, Head) {
        let cells: Vec<u32> = self.anchor.declarations().flat_map(Declaration::cells).collect();
        let balances: Vec<Balance> = cells.iter().flat_map(|cell| self.anchor.balances(*cell)).collect();
        for balance in balances {
            self.push(&Record::Balance(balance));
        }
        self.note(Note::Ended);
        self.seal();
        (self.trail, self.head)
    }
}

pub(super) fn declaration(cell: u32) -> Declaration {
    Declaration {
        cell,
        component: "plausible".into(),
        metric: "out_of_range".into(),
        kind: MetricKind::Counter,
        number: Number::Float,
        unit: "1".into(),
        help: "Records out of range.".into(),
        rules: Rules { monotonic: true, ..Rules::default() },
        bounds: Vec::new(),
    }
}

/// Goes through a file in pieces of this size.
pub(super) fn steps(file: &[u8], piece: usize, mut each: impl FnMut(&Step<'_>)) {
    let mut stream = Stream::new();
    let mut rest = file;
    loop {
        match stream.step() {
            Step::More if rest.is_empty() => stream.end(),
            Step::More => {
                let room = stream.room();
                let now = piece.min(room.len()).min(rest.len());
                room[..now].copy_from_slice(&rest[..now]);
                rest = &rest[now..];
                stream.filled(now);
            }
            step => {
                each(&step);
                if matches!(step, Step::End { .. }) {
                    return;
                }
            }
        }
    }
}

/// The records of a block.
pub(super) fn records(block: &Block<'_>) -> Vec<Record> {
    block.records.clone().map(|record| record.expect("was written")).collect()
}

/// What verifying finds, with these heads.
pub(super) fn verify(trail: &Trail, heads: &[Hash]) -> Report {
    let mut verifier = Verifier::new(heads);
    for (number, file) in &trail.files {
        verifier.file(&file_name(*number), *number);
        steps(file, usize::MAX, |step| verifier.step(step));
    }
    verifier.finish()
}

/// Four files with one run and a bit of everything; blocks are small.
pub(super) fn sample() -> (Trail, Head) {
    let mut scribe = Scribe::new();
    scribe.declare(1, "plausible", "out_of_range", MetricKind::Counter);
    scribe.declare(2, "", "queue_records", MetricKind::Gauge);
    scribe.writer(1, 1, 0);
    for file in 0..4u32 {
        for block in 0..4u32 {
            let so_far = f64::from(16 * file + 4 * block);
            for n in 0..4u32 {
                scribe.write(1, 0, so_far + f64::from(n + 1), 1);
                scribe.write(2, 0, f64::from(n * 1000), 2);
            }
            scribe.write(1, 1, so_far * 2.5, 7);
            scribe.forbidden(1, 0, -1.0, Rule::Monotonic);
            scribe.seal();
        }
        if file < 3 {
            scribe.rotate();
        }
    }
    scribe.end()
}
