//! Where every part of every cell stands, by what a trail has said so far.

use super::misfit::Misfit;
use super::record::{Balance, CellId, Declaration, Entry, Note, Number, Record, What, Writer};
use std::collections::{BTreeMap, HashMap};

/// The most parts of cells that are kept: far above what a pipeline has, and 12 MiB.
const PARTS_MAX: usize = 1 << 18;
/// The most bytes of declarations and writers that are kept.
const TEXTS_MAX_BYTES: usize = 16 << 20;

/// Where every part of every cell stands.
///
/// It is what a file begins with, so that the files before it may go: the one who writes gives it each record and asks for
/// the [opening](Anchor::opening) of the next file. The one who verifies gives it each record and learns what does not fit.
#[derive(Clone, Debug, Default)]
pub struct Anchor {
    declarations: BTreeMap<CellId, Declaration>,
    writers: BTreeMap<(CellId, u32), Writer>,
    parts: HashMap<(CellId, u32), Part>,
    text_bytes: usize,
    /// Rises when something is missing: parts with another number stand where nobody knows.
    known: u32,
    /// Something is missing, and no opening has followed.
    adrift: bool,
    opening: Option<Opening>,
    openings: u32,
}

/// Where a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    value: u64,
    writes: u64,
    violations: u64,
    /// The [`Anchor::known`] of when its value was said.
    known: u32,
    /// The [`Anchor::known`] of when its sums were: a balance says both, an entry the value only.
    summed: u32,
    /// The opening that had it.
    opening: u32,
}

/// What an opening still lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Opening {
    declarations: u32,
    writers: u32,
    balances: u32,
    /// Something was missing before: what it says cannot be compared.
    alone: bool,
}

impl Anchor {
    /// At the beginning of a chain: nothing is known, and nothing is missing.
    pub fn new() -> Self {
        Self::default()
    }

    /// At a place that something is missing before.
    pub fn adrift() -> Self {
        Self { adrift: true, ..Self::default() }
    }

    /// Something is missing from here on: what is declared stays known; what parts hold, and who writes them, does not.
    pub fn lose(&mut self) {
        self.writers.clear();
        self.adrift = true;
        self.known = self.known.wrapping_add(1);
        self.opening = None;
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// If it does not fit to those before. It counts all the same: what follows is compared with it.
    pub fn take(&mut self, record: &Record) -> Result<(), Misfit> {
        let opened = self.within_opening(record);
        let taken = match record {
            Record::Entry(entry) => self.entry(entry),
            Record::Declaration(declaration) => self.declare(declaration),
            Record::Writer(writer) => self.announce(writer),
            Record::Balance(balance) => self.balance(balance),
            Record::Note { note, .. } => {
                self.note(note);
                Ok(())
            }
        };
        opened.and(taken)
    }

    /// What a cell is.
    pub fn declaration(&self, cell: CellId) -> Option<&Declaration> {
        let (_, nearest) = self.declarations.range(..=cell).next_back()?;
        nearest.cells().contains(&cell).then_some(nearest)
    }

    /// All cells that are declared, by number.
    pub fn declarations(&self) -> impl Iterator<Item = &Declaration> {
        self.declarations.values()
    }

    /// Who writes a part of a cell by now.
    pub fn writer(&self, cell: CellId, writer: u32) -> Option<&Writer> {
        let first = self.declaration(cell).map_or(cell, |declaration| declaration.cell);
        self.writers.get(&(first, writer))
    }

    /// Where the parts of a cell stand, by writer.
    pub fn balances(&self, cell: CellId) -> Vec<Balance> {
        let of_cell = self.parts.iter().filter(|((of, _), _)| *of == cell);
        let mut balances: Vec<Balance> = of_cell.map(|(key, part)| part.balance(*key)).collect();
        balances.sort_unstable_by_key(|balance| balance.writer);
        balances
    }

    /// What a file with this number begins with, so that it can be read on its own.
    pub fn opening(&self, file: u64, time_ns: i64) -> impl Iterator<Item = Record> {
        // None of the three can have more than `PARTS_MAX`.
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let note = Note::Opened {
            file,
            declarations: count(self.declarations.len()),
            writers: count(self.writers.len()),
            balances: count(self.parts.len()),
        };
        let mut balances: Vec<Balance> = self.parts.iter().map(|(key, part)| part.balance(*key)).collect();
        balances.sort_unstable_by_key(|balance| (balance.cell, balance.writer));
        [Record::Note { time_ns, note }]
            .into_iter()
            .chain(self.declarations.values().cloned().map(Record::Declaration))
            .chain(self.writers.values().cloned().map(Record::Writer))
            .chain(balances.into_iter().map(Record::Balance))
    }

    /// Follows an opening: everything in it is counted, and at its end everything known must have stood in it.
    fn within_opening(&mut self, record: &Record) -> Result<(), Misfit> {
        let Some(opening) = &mut self.opening else {
            return Ok(());
        };
        let left = match record {
            Record::Declaration(_) => &mut opening.declarations,
            Record::Writer(_) => &mut opening.writers,
            Record::Balance(_) => &mut opening.balances,
            _ => &mut 0,
        };
        if let Some(less) = left.checked_sub(1) {
            *left = less;
            return Ok(());
        }
        let whole = (opening.declarations, opening.writers, opening.balances) == (0, 0, 0);
        self.opening = None;
        let begins_anew = matches!(record, Record::Note { note: Note::Began { .. }, .. });
        let has_all = || self.parts.values().all(|part| part.opening == self.openings);
        if whole && (begins_anew || has_all()) { Ok(()) } else { Err(Misfit::Opening) }
    }

    fn note(&mut self, note: &Note) {
        match *note {
            // Cells are new, and begin at 0.
            Note::Began { .. } => *self = Self { openings: self.openings, ..Self::default() },
            Note::Opened { declarations, writers, balances, .. } => {
                self.openings = self.openings.wrapping_add(1);
                self.opening = Some(Opening { declarations, writers, balances, alone: self.adrift });
                if self.adrift {
                    // What this opening does not have is gone.
                    self.parts.clear();
                }
                self.adrift = false;
            }
            _ => {}
        }
    }

    fn declare(&mut self, declaration: &Declaration) -> Result<(), Misfit> {
        let cell = declaration.cell;
        if let Some(before) = self.declaration(cell) {
            let same = before == declaration;
            return if same { Ok(()) } else { Err(Misfit::Redeclared { cell }) };
        }
        let texts = [&declaration.component, &declaration.metric, &declaration.unit, &declaration.help];
        self.remember(texts.iter().map(|text| text.len()).sum::<usize>() + 8 * declaration.bounds.len())?;
        self.declarations.insert(cell, declaration.clone());
        Ok(())
    }

    fn announce(&mut self, writer: &Writer) -> Result<(), Misfit> {
        let key = (writer.cell, writer.writer);
        if self.declaration(writer.cell).is_none() && !self.adrift {
            return Err(Misfit::Undeclared { cell: writer.cell });
        }
        if let Some(before) = self.writers.get_mut(&key) {
            // Texts are bounded one by one, so that one in place of another changes little.
            before.clone_from(writer);
            return Ok(());
        }
        self.remember(writer.thread.len())?;
        self.writers.insert(key, writer.clone());
        Ok(())
    }

    /// Room for one more declaration or writer with so many bytes of texts.
    fn remember(&mut self, text_bytes: usize) -> Result<(), Misfit> {
        /// About what a map needs beside the texts.
        const BESIDE: usize = 200;
        let bytes = self.text_bytes + text_bytes + BESIDE;
        if bytes > TEXTS_MAX_BYTES {
            return Err(Misfit::TooMany);
        }
        self.text_bytes = bytes;
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), Misfit> {
        let Entry { cell, writer, old, new, count, what, .. } = *entry;
        let declared = self.declared(cell, Some(writer))?;
        let number = declared.map_or(Number::Float, |declaration| declaration.number);
        let (before, after) = (number.value(old).as_f64(), number.value(new).as_f64());
        let is_allowed = declared.map_or(!after.is_nan(), |metric| metric.allows(before, after, count));
        let known = self.known;
        let part = self.part(cell, writer)?;
        let (expected, is_known) = (part.value, part.known == known);
        (part.value, part.known) = (new, known);
        let (sum, is_done) = match what {
            What::Write => (&mut part.writes, true),
            What::Violation { .. } => (&mut part.violations, false),
        };
        *sum = sum.saturating_add(count);
        if is_known && expected != old {
            return Err(Misfit::Gap { cell, writer, number, expected, found: old });
        }
        if count == 0 || !(is_done || old == new) {
            return Err(Misfit::Contradiction { cell, writer });
        }
        if is_done && !is_allowed {
            return Err(Misfit::Rule { cell, writer, number, old, new });
        }
        Ok(())
    }

    fn balance(&mut self, balance: &Balance) -> Result<(), Misfit> {
        let Balance { cell, writer, value, writes, violations } = *balance;
        let number = self.declared(cell, None)?.map_or(Number::Float, |declaration| declaration.number);
        let (known, opening) = (self.known, self.openings);
        let part = self.part(cell, writer)?;
        let before = *part;
        *part = Part { value, writes, violations, known, summed: known, opening };
        let same_value = before.value == value || before.known != known;
        let same_sums = (before.writes, before.violations) == (writes, violations) || before.summed != known;
        if same_value && same_sums {
            return Ok(());
        }
        Err(Misfit::Balance {
            cell,
            writer,
            number,
            value,
            writes,
            violations,
            entries_value: before.value,
            entries_writes: before.writes,
            entries_violations: before.violations,
        })
    }

    /// What a cell is; `None` where the declaration may be what is missing.
    fn declared(&self, cell: CellId, writer: Option<u32>) -> Result<Option<&Declaration>, Misfit> {
        let Some(declaration) = self.declaration(cell) else {
            return if self.adrift { Ok(None) } else { Err(Misfit::Undeclared { cell }) };
        };
        if let Some(writer) = writer
            && !self.adrift
            && !self.writers.contains_key(&(declaration.cell, writer))
        {
            return Err(Misfit::Unannounced { cell, writer });
        }
        Ok(Some(declaration))
    }

    /// A part; new ones stand at 0, and are known to if nothing is missing.
    fn part(&mut self, cell: CellId, writer: u32) -> Result<&mut Part, Misfit> {
        if self.parts.len() >= PARTS_MAX && !self.parts.contains_key(&(cell, writer)) {
            return Err(Misfit::TooMany);
        }
        let is_known = !self.adrift && !self.opening.is_some_and(|opening| opening.alone);
        let known = if is_known { self.known } else { self.known.wrapping_sub(1) };
        let new = Part { value: 0, writes: 0, violations: 0, known, summed: known, opening: self.openings };
        Ok(self.parts.entry((cell, writer)).or_insert(new))
    }
}

impl Part {
    fn balance(&self, (cell, writer): (CellId, u32)) -> Balance {
        Balance { cell, writer, value: self.value, writes: self.writes, violations: self.violations }
    }
}
