//! Lines to records.

use super::layout::Layout;
use super::tokens::Tokens;
use super::walk::KeyTable;
use crate::assemble::{Assembler, Part};
use crate::dictionary::Dictionary;
use crate::intern::Spelling;
use crate::json::{self, NotJson, Token};
use crate::reader::Taken;
use crate::reject::{About, Keys, Reason, Rejected, Rejection};
use crate::settings::{FieldNames, ReadSettings};
use cardcage_plugin_api::Record;

/// Layouts kept at a time: lines with and without tags, with and without a quality, from two programs.
const LAYOUTS_MAX: usize = 4;
/// The most lines that are not learned from, one after the other: where no two lines are alike, what learning
/// allocates is then nothing beside what is read.
const LEARNING_PAUSE_MAX: u32 = 65_535;
/// A call that reads at least so many lines, all by layouts, shows that learning pays: then what is new is learned at once.
const PAYING_LINES: usize = 256;

/// So many lines of no known layout, one after the other, and the layouts that did not fit last are left alone...
const STRANGE_MAX: u32 = 16;
/// ...but for every so many of them.
const LAYOUTS_TRIED_EVERY: u32 = 16;

/// Reads lines of JSON objects into records.
pub struct Reader {
    settings: ReadSettings,
    assembler: Assembler,
    keys: KeyTable,
    layouts: Vec<Layout>,
    /// The layout that fitted last, tried first.
    likely: usize,
    /// The layout that is replaced next.
    oldest: usize,
    /// So many lines are not learned from, and so many after the next one that is: where no line is like another,
    /// learning would cost more than it brings.
    unlearned: u32,
    pause: u32,
    /// Lines of no known layout, one after the other.
    strange: u32,
    values: Vec<(Option<Part>, Token)>,
    text: String,
}

/// What stands at the start of the text that [`Reader::step`] was given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// A reading, in this many bytes with the line end.
    Record(Record, usize),
    /// A line of white space, in this many bytes with the line end.
    Blank(usize),
    /// A line that is no reading, in this many bytes with the line end.
    Rejected(Rejection, usize),
    /// No whole line.
    Incomplete,
}

impl Reader {
    /// A reader; `settings.fields` is free of problems.
    pub fn new(settings: ReadSettings) -> Self {
        let escaped = |text: &str| {
            let mut contents = Vec::new();
            json::write_escaped(text, &mut contents);
            contents.into_boxed_slice()
        };
        Self {
            assembler: Assembler::new(&settings, Spelling::Json, escaped),
            keys: KeyTable::new(&settings.fields),
            settings,
            layouts: Vec::with_capacity(LAYOUTS_MAX),
            likely: 0,
            oldest: 0,
            unlearned: 0,
            pause: 0,
            strange: 0,
            values: Vec::new(),
            text: String::new(),
        }
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
        let line_max = self.settings.max_line;
        let mut taken = Taken::default();
        let strange = self.strange;
        while let Some(slot) = room.get_mut(taken.records) {
            let rest = &text[taken.bytes..];
            if let Some((record, len)) = self.follow(self.likely, rest, dictionary, now_ns)
                && len <= line_max
            {
                *slot = record;
                taken.records += 1;
                taken.bytes += len;
                taken.lines += 1;
                continue;
            }
            let step = match self.step_slowly(rest, dictionary, now_ns) {
                Step::Incomplete if end && !rest.is_empty() => match self.line(rest, dictionary, now_ns) {
                    Ok(Some(record)) => Step::Record(record, rest.len()),
                    Ok(None) => Step::Blank(rest.len()),
                    Err(rejection) => Step::Rejected(rejection, rest.len()),
                },
                step => step,
            };
            let (rejection, len) = match step {
                Step::Record(record, len) if len <= line_max => {
                    *slot = record;
                    taken.records += 1;
                    taken.bytes += len;
                    taken.lines += 1;
                    continue;
                }
                Step::Record(_, len) | Step::Blank(len) | Step::Rejected(_, len) if len > line_max => {
                    (Some(Rejection::new(Reason::TooLong, 0)), len)
                }
                Step::Rejected(rejection, len) => (Some(rejection), len),
                Step::Record(_, len) | Step::Blank(len) => (None, len),
                Step::Incomplete => break,
            };
            if let Some(rejection) = rejection {
                let raw = rest[..len].strip_suffix(b"\n").unwrap_or(&rest[..len]);
                let about = About::Keys(&self.settings.fields);
                rejected(&Rejected { rejection, line: taken.lines, at: taken.bytes, raw, about });
            }
            taken.bytes += len;
            taken.lines += 1;
        }
        if taken.records >= PAYING_LINES && self.strange == strange {
            (self.pause, self.unlearned) = (0, 0);
        }
        taken
    }

    /// Reads the line at the start of `text`, which may go on behind it. A reading without a timestamp gets `now_ns`
    /// (UTC nanoseconds) and says so in its quality.
    #[inline]
    pub fn step<D: Dictionary>(&mut self, text: &[u8], dictionary: &D, now_ns: i64) -> Step {
        if let Some((record, len)) = self.follow_another(self.likely, text, dictionary, now_ns) {
            return Step::Record(record, len);
        }
        self.step_slowly(text, dictionary, now_ns)
    }

    #[inline(never)]
    fn step_slowly<D: Dictionary>(&mut self, text: &[u8], dictionary: &D, now_ns: i64) -> Step {
        let likely = self.likely;
        let others = if self.strange < STRANGE_MAX || self.strange.is_multiple_of(LAYOUTS_TRIED_EVERY) {
            self.layouts.len()
        } else {
            0
        };
        for index in (0..others).filter(|index| *index != likely) {
            if let Some((record, len)) = self.follow_another(index, text, dictionary, now_ns) {
                self.likely = index;
                self.strange = 0;
                return Step::Record(record, len);
            }
        }
        self.strange = self.strange.wrapping_add(1);
        if let Some((parts, len)) = self.keys.parts(text)
            && let Ok(record) = self.assembler.record(&parts, dictionary, now_ns)
        {
            self.learn(&text[..len]);
            return Step::Record(record, len);
        }
        let Some(end) = memchr::memchr(b'\n', text) else {
            return Step::Incomplete;
        };
        let len = end + 1;
        match self.line(&text[..end], dictionary, now_ns) {
            Ok(Some(record)) => {
                self.learn(&text[..len]);
                Step::Record(record, len)
            }
            Ok(None) => Step::Blank(len),
            Err(rejection) => Step::Rejected(rejection, len),
        }
    }

    /// Reads one line, all of `line`, without its line end; `None` if it is blank. Never takes the fast way.
    pub fn line<D: Dictionary>(
        &mut self,
        line: &[u8],
        dictionary: &D,
        now_ns: i64,
    ) -> Result<Option<Record>, Rejection> {
        if line.first() != Some(&b'{') && line.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        if let Err(error) = std::str::from_utf8(line) {
            return Err(Rejection::new(Reason::BadJson, error.valid_up_to()));
        }
        self.scan(line)?;
        // Of a key that comes twice the last wins.
        let token = |part| self.values.iter().rev().find(|(p, _)| *p == Some(part)).map(|(_, token)| token);
        let tokens = Tokens {
            line,
            sensor: token(Part::Sensor),
            timestamp: token(Part::Timestamp),
            value: token(Part::Value),
            unit: token(Part::Unit),
            quality: token(Part::Quality),
            tags: token(Part::Tags),
        };
        self.text.clear();
        let parts = tokens.parts(&mut self.text)?;
        self.assembler
            .record(&parts, dictionary, now_ns)
            .map(Some)
            .map_err(|reason| Rejection::new(reason, tokens.offset_of(reason)))
    }

    /// Finds the values of the object in `line`.
    fn scan(&mut self, line: &[u8]) -> Result<(), Rejection> {
        let Self { settings, values, text, .. } = self;
        values.clear();
        json::whole_object(line, |key, token| {
            values.push((part_of(settings, &line[key], text), token));
        })
        .map_err(|NotJson(at)| Rejection::new(Reason::BadJson, at))
    }

    #[expect(clippy::inline_always, reason = "see `Layout::parts`")]
    #[inline(always)]
    fn follow<D: Dictionary>(
        &mut self,
        layout: usize,
        text: &[u8],
        dictionary: &D,
        now_ns: i64,
    ) -> Option<(Record, usize)> {
        let (parts, len) = self.layouts.get(layout)?.parts(text)?;
        let record = self.assembler.record(&parts, dictionary, now_ns).ok()?;
        Some((record, len))
    }

    /// [`Reader::follow`], not inlined.
    #[inline(never)]
    fn follow_another<D: Dictionary>(
        &mut self,
        layout: usize,
        text: &[u8],
        dictionary: &D,
        now_ns: i64,
    ) -> Option<(Record, usize)> {
        self.follow(layout, text, dictionary, now_ns)
    }

    /// Learns the layout of a line that is a reading, unless there was too much to learn lately.
    fn learn(&mut self, line: &[u8]) {
        if self.unlearned > 0 {
            self.unlearned -= 1;
            return;
        }
        self.pause = (self.pause * 2 + 1).min(LEARNING_PAUSE_MAX);
        self.unlearned = self.pause;
        let scanned = self.scan(&line[..line.len() - 1]);
        let Some(layout) = scanned.ok().and_then(|()| Layout::learn(line, &self.values)) else {
            return;
        };
        if self.layouts.len() < LAYOUTS_MAX {
            self.likely = self.layouts.len();
            self.layouts.push(layout);
        } else {
            self.likely = self.oldest;
            self.layouts[self.oldest] = layout;
            self.oldest = (self.oldest + 1) % LAYOUTS_MAX;
        }
    }
}

impl Keys for FieldNames {
    fn missing(&self, reason: Reason) -> Option<&str> {
        match reason {
            Reason::NoSensor => Some(&self.sensor),
            Reason::MissingValue => Some(&self.value),
            _ => None,
        }
    }

    fn each(&self, raw: &[u8], found: &mut dyn FnMut(&str)) {
        // The line was scanned before; what is no JSON any more has no keys.
        let _ = json::whole_object(raw, |key, _| {
            let mut text = String::new();
            if json::unescape(&raw[key], &mut text).is_some() {
                found(&text);
            }
        });
    }
}

/// The part of a record that a key stands for. `scratch` is for keys with escapes.
fn part_of(settings: &ReadSettings, key: &[u8], scratch: &mut String) -> Option<Part> {
    let mut key = key;
    if key.contains(&b'\\') {
        scratch.clear();
        json::unescape(key, scratch)?;
        key = scratch.as_bytes();
    }
    let names = &settings.fields;
    [
        (&names.sensor, Part::Sensor),
        (&names.timestamp, Part::Timestamp),
        (&names.value, Part::Value),
        (&names.unit, Part::Unit),
        (&names.quality, Part::Quality),
        (&names.tags, Part::Tags),
    ]
    .into_iter()
    .find(|(name, _)| name.as_bytes() == key)
    .map(|(_, part)| part)
}
