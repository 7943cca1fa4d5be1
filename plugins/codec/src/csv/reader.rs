//! Rows to records.

use super::row::{Marks, Row, RowEnd};
use crate::assemble::{Assembler, Part, Parts, Stamp};
use crate::dictionary::Dictionary;
use crate::intern::Spelling;
use crate::number;
use crate::reader::{Taken, first_line};
use crate::reject::{About, Keys, Reason, Rejected, Rejection};
use crate::settings::{FieldNames, ReadSettings};
use crate::swar;
use crate::timestamp::TimestampForm;
use cardcage_plugin_api::Record;

/// The most columns of a file; more are no table of readings.
const COLUMNS_MAX: usize = 4096;

/// Reads rows of CSV.
pub(crate) struct Reader {
    fields: FieldNames,
    marks: Marks,
    comment: Option<u8>,
    line_max: usize,
    /// Named in the settings, so that no row names them.
    given: Option<Columns>,
    /// Of this file; unknown before its first row.
    columns: Option<Columns>,
    /// Whether a timestamp can be an integer of any number of digits.
    integers: bool,
    assembler: Assembler,
    row: Row,
}

/// What the columns hold.
#[derive(Clone, Debug)]
struct Columns {
    slots: Box<[Slot]>,
    names: Box<[String]>,
    fields: FieldNames,
    /// The row that named them, without its line end.
    header: Box<[u8]>,
}

type Slot = Option<Part>;

/// What a step found.
enum Step {
    Record(Record, usize),
    /// No reading and no fault: blank, a comment, the header.
    Nothing(usize),
    Rejected(Rejection, usize),
    Incomplete,
}

impl Reader {
    pub(crate) fn new(settings: &ReadSettings) -> Self {
        let spell = |text: &str| text.as_bytes().into();
        let given = settings.csv.columns.as_ref().map(|names| {
            Columns::new(names.iter().map(String::clone).collect(), &settings.fields, Box::default())
        });
        Self {
            fields: settings.fields.clone(),
            marks: Marks { delimiter: settings.csv.delimiter, quote: settings.csv.quote },
            comment: settings.csv.comment,
            line_max: settings.max_line,
            columns: given.clone(),
            given,
            integers: !matches!(settings.timestamp, TimestampForm::Rfc3339 | TimestampForm::Pattern(_)),
            assembler: Assembler::new(settings, Spelling::Plain, spell),
            row: Row::default(),
        }
    }

    /// Goes to the start of a file, or into its middle with the row that names the columns.
    pub(crate) fn begin(&mut self, header: Option<&[u8]>) {
        if self.given.is_some() {
            return;
        }
        let Some(header) = header else {
            self.columns = None;
            return;
        };
        if self.columns.as_ref().is_none_or(|columns| *columns.header != *header) {
            // A header that was read once can be read again.
            if let RowEnd::Whole(_) = self.row.split(header, self.marks, true) {
                self.columns = self.name_columns(header).ok();
            }
        }
    }

    /// The row that named the columns; empty if the settings did.
    pub(crate) fn header(&self) -> Option<&[u8]> {
        self.columns.as_ref().map(|columns| &*columns.header)
    }

    /// [`crate::Reader::read`] for this format.
    #[inline]
    pub(crate) fn read<D: Dictionary>(
        &mut self,
        text: &[u8],
        end: bool,
        room: &mut [Record],
        now_ns: i64,
        dictionary: &D,
        rejected: &mut dyn FnMut(&Rejected<'_>),
    ) -> Taken {
        let mut taken = Taken::default();
        while let Some(slot) = room.get_mut(taken.records) {
            let rest = &text[taken.bytes..];
            if let Some((record, len)) = self.follow(rest, dictionary, now_ns) {
                *slot = record;
                taken.records += 1;
                taken.bytes += len;
                taken.lines += 1;
                continue;
            }
            if rest.is_empty() {
                break;
            }
            let len = match self.step(rest, end, dictionary, now_ns) {
                Step::Record(record, len) => {
                    *slot = record;
                    taken.records += 1;
                    len
                }
                Step::Nothing(len) => len,
                Step::Rejected(rejection, len) => {
                    let raw = without_line_end(&rest[..len]);
                    let about = self.columns.as_ref().map_or(About::Nothing, |columns| About::Keys(columns));
                    rejected(&Rejected { rejection, line: taken.lines, at: taken.bytes, raw, about });
                    len
                }
                Step::Incomplete => break,
            };
            let line_ends = memchr::memchr_iter(b'\n', &rest[..len]).count() as u64;
            taken.lines += line_ends + u64::from(rest[len - 1] != b'\n');
            taken.bytes += len;
        }
        taken
    }

    /// The record of a row as programs write them: no value with line ends or doubled quotes. Gives what the general
    /// way would give, or nothing.
    #[inline]
    fn follow<D: Dictionary>(&mut self, text: &[u8], dictionary: &D, now_ns: i64) -> Option<(Record, usize)> {
        let columns = self.columns.as_ref()?;
        if self.comment.is_some() && text.first() == self.comment.as_ref() {
            return None;
        }
        let (parts, len) = columns.parts(text, self.marks, self.integers)?;
        if len > self.line_max {
            return None;
        }
        Some((self.assembler.record(&parts, dictionary, now_ns).ok()?, len))
    }

    #[inline(never)]
    fn step<D: Dictionary>(&mut self, text: &[u8], end: bool, dictionary: &D, now_ns: i64) -> Step {
        let is_comment = self.comment.is_some() && text.first() == self.comment.as_ref();
        if is_comment || matches!(text, [b'\n', ..] | [b'\r', b'\n', ..] | [b'\r']) {
            return first_line(text, end).map_or(Step::Incomplete, |len| {
                let too_long = is_comment && len > self.line_max;
                if too_long { Step::Rejected(TOO_LONG, len) } else { Step::Nothing(len) }
            });
        }
        let fault = match self.row.split(text, self.marks, end) {
            RowEnd::Whole(len) if len <= self.line_max => return self.row(text, len, dictionary, now_ns),
            RowEnd::Open if text.len() <= self.line_max => return Step::Incomplete,
            RowEnd::Broken(at) if at < self.line_max => Rejection::new(Reason::BadCsv, at),
            RowEnd::Whole(_) | RowEnd::Open | RowEnd::Broken(_) => TOO_LONG,
        };
        first_line(text, end).map_or(Step::Incomplete, |len| {
            Step::Rejected(if len > self.line_max { TOO_LONG } else { fault }, len)
        })
    }

    /// What the row that was just split says.
    fn row<D: Dictionary>(&mut self, text: &[u8], len: usize, dictionary: &D, now_ns: i64) -> Step {
        let Some(columns) = &self.columns else {
            return match self.name_columns(without_line_end(&text[..len])) {
                Ok(columns) => {
                    self.columns = Some(columns);
                    Step::Nothing(len)
                }
                Err(rejection) => Step::Rejected(rejection, len),
            };
        };
        if self.row.len() != columns.slots.len() {
            // At the first value too many, or at the row's end.
            let at = self.row.offset(columns.slots.len());
            return Step::Rejected(Rejection::new(Reason::ColumnCount, at), len);
        }
        match parts_of(&self.row, text, &columns.slots) {
            Ok(parts) => match self.assembler.record(&parts, dictionary, now_ns) {
                Ok(record) => Step::Record(record, len),
                Err(reason) => {
                    let index = reason
                        .part()
                        .and_then(|part| columns.slots.iter().rposition(|slot| *slot == Some(part)));
                    let at = index.map_or(0, |index| self.row.offset(index));
                    Step::Rejected(Rejection::new(reason, at), len)
                }
            },
            Err(rejection) => Step::Rejected(rejection, len),
        }
    }

    /// The columns that the row just split names.
    fn name_columns(&self, header: &[u8]) -> Result<Columns, Rejection> {
        let mut names = Vec::new();
        for index in 0..self.row.len() {
            let name = self.row.value(header, index).and_then(|name| std::str::from_utf8(name).ok());
            match name {
                Some(name) if index < COLUMNS_MAX => names.push(name.trim().to_owned()),
                _ => return Err(Rejection::new(Reason::BadCsv, self.row.offset(index))),
            }
        }
        Ok(Columns::new(names, &self.fields, header.into()))
    }
}

const TOO_LONG: Rejection = Rejection { reason: Reason::TooLong, offset: 0 };

impl Columns {
    fn new(names: Vec<String>, fields: &FieldNames, header: Box<[u8]>) -> Self {
        let mut slots: Vec<Slot> = names.iter().map(|name| part_of(fields, name)).collect();
        // Of a column that comes twice the last wins, as with the keys of JSON.
        for index in 0..slots.len() {
            if slots[index].is_some() && slots[index + 1..].contains(&slots[index]) {
                slots[index] = None;
            }
        }
        Self { slots: slots.into(), names: names.into(), fields: fields.clone(), header }
    }

    /// The parts of the row at the start of `text`, and the row's length.
    #[inline]
    fn parts<'a>(&self, text: &'a [u8], marks: Marks, integers: bool) -> Option<(Parts<'a>, usize)> {
        let mut parts = Parts::default();
        let mut at = 0;
        let (last, slots) = self.slots.split_last()?;
        for slot in slots {
            at = take(*slot, text, at, marks, integers, &mut parts)?;
            if text.get(at) != Some(&marks.delimiter) {
                return None;
            }
            at += 1;
        }
        at = take(*last, text, at, marks, integers, &mut parts)?;
        match text.get(at..)? {
            [b'\n', ..] => Some((parts, at + 1)),
            [b'\r', b'\n', ..] => Some((parts, at + 2)),
            _ => None,
        }
    }
}

/// Takes the value at `at` and gives the offset behind it; `None` if the general way must look at it.
#[inline]
fn take<'a>(
    slot: Slot,
    text: &'a [u8],
    at: usize,
    marks: Marks,
    integers: bool,
    parts: &mut Parts<'a>,
) -> Option<usize> {
    match slot {
        Some(Part::Value) if text.get(at) == Some(&marks.quote) => {
            let (value, behind) = plain(text, at, marks)?;
            let scanned = number::scan(value).filter(|scanned| scanned.len == value.len())?;
            parts.value = Some(scanned.value);
            return Some(behind);
        }
        Some(Part::Value) => {
            let scanned = number::scan(text.get(at..)?)?;
            parts.value = Some(scanned.value);
            return Some(at + scanned.len);
        }
        Some(Part::Timestamp) if integers => {
            if let Some((integer, len)) = number::plain_integer(text.get(at..)?)
                && text
                    .get(at + len)
                    .is_some_and(|byte| *byte == marks.delimiter || matches!(byte, b'\n' | b'\r'))
            {
                parts.timestamp = Stamp::Integer(integer);
                return Some(at + len);
            }
        }
        _ => {}
    }
    let (value, behind) = plain(text, at, marks)?;
    let value_if_any = (!value.is_empty()).then_some(value);
    match slot {
        Some(Part::Sensor) => parts.sensor = value_if_any,
        Some(Part::Unit) => parts.unit = value_if_any,
        Some(Part::Quality) => parts.quality = value_if_any,
        Some(Part::Tags) => parts.tags = value_if_any,
        Some(Part::Timestamp) => {
            parts.timestamp = value_if_any.map_or(Stamp::Absent, |text| Stamp::Text(text.trim_ascii()));
        }
        Some(Part::Value) | None => {}
    }
    Some(behind)
}

/// The value at `at` without its quotes, and the offset behind it; `None` for doubled quotes and line ends inside.
#[inline]
fn plain(text: &[u8], at: usize, marks: Marks) -> Option<(&[u8], usize)> {
    if text.get(at) != Some(&marks.quote) {
        let behind = swar::find_value_end(text, at, marks.delimiter, marks.quote)?;
        return Some((&text[at..behind], behind));
    }
    let close = swar::find(text, at + 1, marks.quote)?;
    let value = &text[at + 1..close];
    if text.get(close + 1) == Some(&marks.quote) || value.contains(&b'\n') {
        return None;
    }
    Some((value, close + 1))
}

/// The parts of a row as the general way found them.
fn parts_of<'a>(row: &'a Row, text: &'a [u8], slots: &[Slot]) -> Result<Parts<'a>, Rejection> {
    let mut parts = Parts::default();
    for (index, part) in slots.iter().enumerate() {
        let (Some(part), Some(value)) = (part, row.value(text, index).filter(|value| !value.is_empty()))
        else {
            continue;
        };
        match part {
            Part::Sensor => parts.sensor = Some(value),
            Part::Unit => parts.unit = Some(value),
            Part::Quality => parts.quality = Some(value),
            Part::Tags => parts.tags = Some(value),
            Part::Timestamp => parts.timestamp = Stamp::Text(value.trim_ascii()),
            Part::Value => {
                let number = number::lenient(value.trim_ascii());
                parts.value = Some(number.ok_or(Rejection::new(Reason::BadNumber, row.offset(index)))?);
            }
        }
    }
    Ok(parts)
}

fn part_of(fields: &FieldNames, name: &str) -> Option<Part> {
    let parts = [
        (&fields.sensor, Part::Sensor),
        (&fields.timestamp, Part::Timestamp),
        (&fields.value, Part::Value),
        (&fields.unit, Part::Unit),
        (&fields.quality, Part::Quality),
        (&fields.tags, Part::Tags),
    ];
    parts.into_iter().find(|(key, _)| *key == name).map(|(_, part)| part)
}

fn without_line_end(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

impl Keys for Columns {
    fn missing(&self, reason: Reason) -> Option<&str> {
        match reason {
            Reason::NoSensor => Some(&self.fields.sensor),
            Reason::MissingValue => Some(&self.fields.value),
            _ => None,
        }
    }

    fn each(&self, _: &[u8], found: &mut dyn FnMut(&str)) {
        for name in &self.names {
            found(name);
        }
    }
}
