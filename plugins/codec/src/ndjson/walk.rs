//! One walk over a line whose layout is not known: keys in any order, escapes, white space, members that nobody asked for.
//!
//! As with layouts it gives exactly what the general parser would give, or nothing; then the general parser decides, and
//! says what is wrong. The text of a sensor, a unit or tags is looked up raw and checked when it is new (see `intern`), so
//! only its end is looked for; everything else is checked here.

use crate::assemble::{Part, Parts, Stamp};
use crate::intern::equal;
use crate::json::{self, skip_space};
use crate::number;
use crate::settings::FieldNames;
use crate::swar::find_special;

/// The keys of a record, as they stand in lines without escapes.
pub(super) struct KeyTable {
    keys: [(KeyHead, Box<[u8]>, Part); 6],
}

/// A key's length and its first eight bytes, zeros behind a shorter one: most keys are told apart by these alone.
#[derive(Clone, Copy, PartialEq, Eq)]
struct KeyHead {
    len: usize,
    word: u64,
}

impl KeyHead {
    /// The head of a key of `len` bytes; `word` may hold what follows it.
    #[inline]
    const fn new(word: u64, len: usize) -> Self {
        let word = if len >= 8 { word } else { word & ((1 << (8 * len)) - 1) };
        Self { len, word }
    }
}

impl KeyTable {
    pub(super) fn new(fields: &FieldNames) -> Self {
        let key = |name: &str, part| {
            let mut raw = Vec::new();
            json::write_escaped(name, &mut raw);
            let mut word = [0; 8];
            for (to, byte) in word.iter_mut().zip(&raw) {
                *to = *byte;
            }
            (KeyHead::new(u64::from_le_bytes(word), raw.len()), raw.into_boxed_slice(), part)
        };
        // The order in which the general way looks for them: of two parts that share a key the first has it.
        Self {
            keys: [
                key(&fields.sensor, Part::Sensor),
                key(&fields.timestamp, Part::Timestamp),
                key(&fields.value, Part::Value),
                key(&fields.unit, Part::Unit),
                key(&fields.quality, Part::Quality),
                key(&fields.tags, Part::Tags),
            ],
        }
    }

    /// The part that the key at `start` stands for.
    #[inline]
    fn part(&self, text: &[u8], start: usize, len: usize) -> Option<Part> {
        let word = u64::from_le_bytes(*text.get(start..)?.first_chunk()?);
        let head = KeyHead::new(word, len);
        let is_key = |(known, raw, _): &&(KeyHead, Box<[u8]>, Part)| {
            *known == head && (len <= 8 || text.get(start..start + len).is_some_and(|key| equal(key, raw)))
        };
        self.keys.iter().find(is_key).map(|(_, _, part)| *part)
    }

    /// The parts of the line at the start of `text`, which may go on behind it, and the line's length. `None` for a
    /// part that comes twice: the first of them would never be checked.
    pub(super) fn parts<'a>(&self, text: &'a [u8]) -> Option<(Parts<'a>, usize)> {
        let mut parts = Parts::default();
        let mut at = skip_space(text, pass(text, skip_space(text, 0), b'{')?);
        loop {
            let key = pass(text, at, b'"')?;
            let end = find_special(text, key)?;
            // A key with escapes is for the general way; so is one near the text's end.
            let colon = skip_space(text, pass(text, end, b'"')?);
            if text.len() - key < 8 {
                return None;
            }
            let part = self.part(text, key, end - key);
            at = skip_space(text, pass(text, colon, b':')?);
            at = if let Some(part) = part {
                take(part, text, at, &mut parts)?
            } else {
                let behind = json::skip(text, at)?;
                if !json::is_utf8(&text[key..behind]) {
                    return None;
                }
                behind
            };
            at = skip_space(text, at);
            match text.get(at)? {
                b',' => at = skip_space(text, at + 1),
                b'}' => break,
                _ => return None,
            }
        }
        at = skip_space(text, at + 1);
        Some((parts, pass(text, at, b'\n')?))
    }
}

/// Takes the value at `at` and gives the offset behind it; `None` if the general way must look at it.
#[inline]
fn take<'a>(part: Part, text: &'a [u8], at: usize, parts: &mut Parts<'a>) -> Option<usize> {
    let first = *text.get(at)?;
    if is_told(part, parts) {
        return None;
    }
    if first == b'n' {
        return text[at..].starts_with(b"null").then_some(at + 4);
    }
    match part {
        Part::Value => {
            let scanned = number::scan(&text[at..])?;
            parts.value = Some(scanned.value);
            return Some(at + scanned.len);
        }
        Part::Timestamp if first != b'"' => {
            if let Some((integer, len)) = number::plain_integer(&text[at..]) {
                parts.timestamp = Stamp::Integer(integer);
                return Some(at + len);
            }
            let len = number::scan_len(&text[at..])?;
            parts.timestamp = Stamp::Number(&text[at..at + len]);
            return Some(at + len);
        }
        Part::Tags if first == b'{' => {
            // What is looked up raw was checked when it was new: it need only end where an object would.
            let end = json::skip(text, at)?;
            parts.tags = Some(&text[at..end]);
            return Some(end);
        }
        _ => {}
    }
    let start = pass(text, at, b'"')?;
    let end = match part {
        Part::Sensor | Part::Unit => loose_end(text, start)?,
        // Escapes in these are for the general way.
        _ => find_special(text, start).filter(|end| text[*end] == b'"')?,
    };
    let contents = &text[start..end];
    match part {
        Part::Sensor => parts.sensor = Some(contents),
        Part::Unit => parts.unit = Some(contents),
        Part::Quality => parts.quality = Some(contents),
        Part::Timestamp if json::is_utf8(contents) => parts.timestamp = Stamp::Text(contents),
        Part::Timestamp | Part::Tags | Part::Value => return None,
    }
    Some(end + 1)
}

#[inline]
fn is_told(part: Part, parts: &Parts<'_>) -> bool {
    match part {
        Part::Sensor => parts.sensor.is_some(),
        Part::Timestamp => !matches!(parts.timestamp, Stamp::Absent),
        Part::Value => parts.value.is_some(),
        Part::Unit => parts.unit.is_some(),
        Part::Quality => parts.quality.is_some(),
        Part::Tags => parts.tags.is_some(),
    }
}

/// The offset of the quote that ends a string, whatever its escapes are.
#[inline]
fn loose_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = find_special(text, at)?;
        match text[at] {
            b'"' => return Some(at),
            // What it escapes is no quote; a line end behind it makes the string unknown and its line a wrong one.
            b'\\' => at += 2,
            _ => return None,
        }
    }
}

#[inline]
fn pass(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    (text.get(at) == Some(&byte)).then_some(at + 1)
}
