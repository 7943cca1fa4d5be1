//! The layout of lines, learned from one of them: the bytes between values stay the same from line to line.
//!
//! A fast way through lines that a program wrote: literal, value, literal, value. It either gives exactly what the
//! general parser would give, or nothing; then the general parser decides. What lets it skip checks safely: the text
//! of a sensor, a unit or tags is looked up raw and checked when it is new (see `intern`), everything else is checked here.

use crate::assemble::{Part, Parts, Stamp};
use crate::json::{Token, TokenKind};
use crate::number;
use crate::swar::find;

/// More values than this in a line are not learned: their comparison would cost as much as parsing.
const SLOTS_MAX: usize = 32;
/// Longer literals are not learned: nothing that a program repeats on each line is so long.
const LITERAL_MAX_BYTES: usize = 256;

/// The layout of a line, its line end included.
pub(super) struct Layout {
    slots: Vec<(Literal, Slot)>,
    end: Literal,
}

#[derive(Clone, Copy)]
enum Slot {
    Sensor,
    Unit,
    Quality,
    Tags,
    Value,
    TimestampNumber,
    TimestampText,
    OtherText,
    OtherNumber,
}

/// Bytes that must be there, the first sixteen compared at once.
struct Literal {
    text: Box<[u8]>,
    head: u128,
    mask: u128,
}

impl Literal {
    fn new(text: &[u8]) -> Self {
        let mut head = [0; 16];
        let mut mask = [0; 16];
        for (at, byte) in text.iter().take(16).enumerate() {
            head[at] = *byte;
            mask[at] = 0xFF;
        }
        Self { text: text.into(), head: u128::from_le_bytes(head), mask: u128::from_le_bytes(mask) }
    }

    /// The offset behind the literal, if it stands at `at`.
    #[inline]
    fn pass(&self, line: &[u8], at: usize) -> Option<usize> {
        let end = at + self.text.len();
        let same = match line.get(at..at + 16).and_then(|chunk| <[u8; 16]>::try_from(chunk).ok()) {
            Some(chunk) if u128::from_le_bytes(chunk) & self.mask != self.head => false,
            Some(_) if self.text.len() <= 16 => true,
            Some(_) => line.get(at + 16..end) == Some(&self.text[16..]),
            None => line.get(at..end) == Some(&*self.text),
        };
        same.then_some(end)
    }
}

impl Layout {
    /// The layout of a line, from its values in order; `line` ends with its line end. `None` if it cannot be
    /// followed: a part that comes twice or is of an odd type, a nested value.
    pub(super) fn learn(line: &[u8], values: &[(Option<Part>, Token)]) -> Option<Self> {
        let mut slots = Vec::with_capacity(values.len());
        let mut at = 0;
        for (index, (part, token)) in values.iter().enumerate() {
            if part.is_some() && values[..index].iter().any(|(earlier, _)| earlier == part) {
                return None;
            }
            let Some(slot) = slot(*part, token.kind)? else {
                continue;
            };
            slots.push((Literal::new(&line[at..token.span.start]), slot));
            at = token.span.end;
        }
        let end = Literal::new(&line[at..]);
        let literals = slots.iter().map(|(literal, _)| literal).chain([&end]);
        let short = literals.into_iter().all(|literal| literal.text.len() <= LITERAL_MAX_BYTES);
        (short && slots.len() <= SLOTS_MAX).then_some(Self { slots, end })
    }

    /// The parts of the line at the start of `text`, which may go on behind it, and the line's length.
    #[expect(clippy::inline_always, reason = "the parts stay in registers: a tenth of the time of a line")]
    #[inline(always)]
    pub(super) fn parts<'a>(&self, text: &'a [u8]) -> Option<(Parts<'a>, usize)> {
        let mut parts = Parts::default();
        let mut at = 0;
        for (literal, slot) in &self.slots {
            at = literal.pass(text, at)?;
            let start = at;
            match slot {
                Slot::Value => {
                    let scanned = number::scan(text.get(at..)?)?;
                    parts.value = Some(scanned.value);
                    at += scanned.len;
                }
                Slot::TimestampNumber => {
                    let rest = text.get(at..)?;
                    if let Some((integer, len)) = number::plain_integer(rest) {
                        at += len;
                        parts.timestamp = Stamp::Integer(integer);
                    } else {
                        at += number::scan_len(rest)?;
                        parts.timestamp = Stamp::Number(&text[start..at]);
                    }
                }
                Slot::OtherNumber => at += number::scan_len(text.get(at..)?)?,
                Slot::OtherText => at = plain_text_end(text, at)?,
                Slot::Tags => {
                    at = find(text, at, b'}')? + 1;
                    parts.tags = Some(&text[start..at]);
                }
                Slot::Sensor => {
                    at = find(text, at, b'"')?;
                    parts.sensor = Some(&text[start..at]);
                }
                Slot::Unit => {
                    at = find(text, at, b'"')?;
                    parts.unit = Some(&text[start..at]);
                }
                Slot::Quality => {
                    at = find(text, at, b'"')?;
                    parts.quality = Some(&text[start..at]);
                }
                Slot::TimestampText => {
                    at = find(text, at, b'"')?;
                    // A pattern's white space stands for any; a line end or a tab in a text is no JSON.
                    if !is_plain(&text[start..at]) {
                        return None;
                    }
                    parts.timestamp = Stamp::Text(&text[start..at]);
                }
            }
        }
        let end = self.end.pass(text, at)?;
        Some((parts, end))
    }
}

/// How a value is found again: `None` if it cannot be, `Some(None)` if it is part of the literal.
#[expect(clippy::option_option, reason = "the two answers are read apart at once, by the only caller")]
fn slot(part: Option<Part>, kind: TokenKind) -> Option<Option<Slot>> {
    Some(match (part, kind) {
        (_, TokenKind::Null) | (None, TokenKind::True | TokenKind::False) => None,
        (Some(Part::Value), TokenKind::Number) => Some(Slot::Value),
        (Some(Part::Timestamp), TokenKind::Number) => Some(Slot::TimestampNumber),
        (Some(Part::Timestamp), TokenKind::Text) => Some(Slot::TimestampText),
        (Some(Part::Sensor), TokenKind::Text) => Some(Slot::Sensor),
        (Some(Part::Unit), TokenKind::Text) => Some(Slot::Unit),
        (Some(Part::Quality), TokenKind::Text) => Some(Slot::Quality),
        (Some(Part::Tags), TokenKind::Object) => Some(Slot::Tags),
        (None, TokenKind::Text) => Some(Slot::OtherText),
        (None, TokenKind::Number) => Some(Slot::OtherNumber),
        _ => return None,
    })
}

/// Whether it has no escapes, control characters and non-ASCII bytes. Counted to its end: this way it takes many bytes at once.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    let odd = text.iter().filter(|byte| !matches!(byte, 0x20..=0x7E) || **byte == b'\\').count();
    odd == 0
}

/// The offset of the quote behind text without escapes, control characters and non-ASCII bytes.
#[inline]
fn plain_text_end(text: &[u8], at: usize) -> Option<usize> {
    let len = text
        .get(at..)?
        .iter()
        .position(|byte| !matches!(byte, 0x20..=0x7E) || matches!(byte, b'"' | b'\\'))?;
    (text[at + len] == b'"').then_some(at + len)
}
