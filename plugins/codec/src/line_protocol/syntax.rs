//! The grammar of a line: the general way through it.
//!
//! In names a backslash takes the meaning from the comma, equals sign or space behind it, and is itself anywhere else;
//! in texts it does so for a quote and a backslash. Only a text may hold a line end.

use crate::number;
use std::ops::Range;

/// A line, as offsets into it.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Measurement and tags.
    pub(super) series: Range<usize>,
    pub(super) fields: Vec<Field>,
    pub(super) timestamp: Option<Range<usize>>,
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) key: Range<usize>,
    pub(super) value: FieldValue,
    pub(super) value_at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum FieldValue {
    /// Of any of the three types of number, or a boolean; infinite if it is too large for an `f64`.
    Number(f64),
    /// An integer that its type does not hold.
    TooLarge,
    /// The contents of the quotes.
    Text(Range<usize>),
}

/// What stands at the start of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// A line of this many bytes, line end included.
    Whole(usize),
    /// Nothing to read in this many bytes: white space, a comment.
    Nothing(usize),
    /// A line whose end is not in this text.
    Open,
    /// At this byte it stops being line protocol.
    Broken(usize),
}

impl Line {
    /// Reads the line at the start of `text`. `end`: nothing follows the text.
    pub(super) fn parse(&mut self, text: &[u8], end: bool) -> LineEnd {
        self.fields.clear();
        self.timestamp = None;
        let start = skip_blanks(text, 0);
        match text.get(start) {
            None | Some(b'\n' | b'\r' | b'#') => return nothing(text, start, end),
            _ => {}
        }
        let Some(series_end) = name_end(text, start, b" ") else {
            return if end { LineEnd::Broken(text.len()) } else { LineEnd::Open };
        };
        self.series = start..series_end;
        if text[series_end] != b' ' {
            return LineEnd::Broken(series_end);
        }
        let mut at = skip_blanks(text, series_end);
        loop {
            at = match self.field(text, at, end) {
                Ok(behind) => behind,
                Err(stop) => return stop,
            };
            match text.get(at) {
                Some(b',') => at += 1,
                _ => break,
            }
        }
        if text.get(at) == Some(&b' ') {
            at = skip_blanks(text, at);
            let len = text[at..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
            self.timestamp = (len > 0).then_some(at..at + len);
            at = skip_blanks(text, at + len);
        }
        match text[at..] {
            [b'\n', ..] => LineEnd::Whole(at + 1),
            [b'\r', b'\n', ..] => LineEnd::Whole(at + 2),
            [] | [b'\r'] if end => LineEnd::Whole(text.len()),
            [] | [b'\r'] => LineEnd::Open,
            _ => LineEnd::Broken(at),
        }
    }

    /// Reads `key=value` at `at` and gives the offset behind it.
    fn field(&mut self, text: &[u8], at: usize, end: bool) -> Result<usize, LineEnd> {
        let open = if end { LineEnd::Broken(text.len()) } else { LineEnd::Open };
        let key_end = name_end(text, at, b"=, ").ok_or(open)?;
        if text[key_end] != b'=' || key_end == at {
            return Err(LineEnd::Broken(key_end));
        }
        let value_at = key_end + 1;
        let (value, behind) = if text.get(value_at) == Some(&b'"') {
            let close = text_end(text, value_at + 1).ok_or(open)?;
            (FieldValue::Text(value_at + 1..close), close + 1)
        } else {
            let is_end = |byte: &u8| matches!(byte, b',' | b' ' | b'\n' | b'\r');
            let len = text[value_at..].iter().position(is_end);
            if len.is_none() && !end {
                return Err(LineEnd::Open);
            }
            let behind = len.map_or(text.len(), |len| value_at + len);
            let value = scalar(&text[value_at..behind]).ok_or(LineEnd::Broken(value_at))?;
            (value, behind)
        };
        self.fields.push(Field { key: at..key_end, value, value_at });
        Ok(behind)
    }
}

/// A boolean's value as a number; `None` for anything else.
#[inline]
pub(super) fn boolean(text: &[u8]) -> Option<f64> {
    match text {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => Some(1.0),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => Some(0.0),
        _ => None,
    }
}

/// Appends what a name means to `into`; `None` if it is not UTF-8.
pub(super) fn decode_name(name: &[u8], into: &mut String) -> Option<()> {
    let mut chars = std::str::from_utf8(name).ok()?.chars().peekable();
    while let Some(char) = chars.next() {
        match chars.peek() {
            Some(special @ (',' | '=' | ' ')) if char == '\\' => {
                into.push(*special);
                chars.next();
            }
            _ => into.push(char),
        }
    }
    Some(())
}

/// The parts of a name that stand between `separator`s without a backslash in front.
pub(super) fn split_name(name: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut escaped = false;
    name.split(move |byte| {
        let separates = *byte == separator && !escaped;
        escaped = *byte == b'\\';
        separates
    })
}

/// The offset of the first of `ends` or of a line end, without a backslash in front; `None` if there is none.
fn name_end(text: &[u8], at: usize, ends: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text[at..]
        .iter()
        .position(|byte| {
            let is_end = *byte == b'\n' || (ends.contains(byte) && !escaped);
            escaped = *byte == b'\\';
            is_end
        })
        .map(|len| at + len)
}

/// The offset of the quote that ends the text at `at`.
fn text_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'"' | b'\\')));
    }
}

/// A value without quotes: a number, an integer with its type behind it, or a boolean.
fn scalar(text: &[u8]) -> Option<FieldValue> {
    if let Some(value) = boolean(text) {
        return Some(FieldValue::Number(value));
    }
    if let Some(digits) = text.strip_suffix(b"i").or(text.strip_suffix(b"u")) {
        let is_signed = text.ends_with(b"i");
        return integer(digits, is_signed);
    }
    number::lenient(text).map(FieldValue::Number)
}

fn integer(digits: &[u8], is_signed: bool) -> Option<FieldValue> {
    let digits = std::str::from_utf8(digits).ok()?;
    let magnitude = digits.strip_prefix(['-', '+']).filter(|_| is_signed).unwrap_or(digits);
    if magnitude.is_empty() || !magnitude.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Beyond 2^53 the nearest value that an f64 holds.
    #[expect(clippy::cast_precision_loss, reason = "rounded to the nearest, as documented")]
    let value = if is_signed {
        digits.parse::<i64>().map(|integer| integer as f64)
    } else {
        digits.parse::<u64>().map(|integer| integer as f64)
    };
    Some(value.map_or(FieldValue::TooLarge, FieldValue::Number))
}

fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while text.get(at) == Some(&b' ') {
        at += 1;
    }
    at
}

fn nothing(text: &[u8], at: usize, end: bool) -> LineEnd {
    let is_lone_return = text.get(at) == Some(&b'\r') && !matches!(text.get(at + 1), None | Some(b'\n'));
    match crate::reader::first_line(text, end) {
        _ if is_lone_return => LineEnd::Broken(at),
        Some(len) => LineEnd::Nothing(len),
        None => LineEnd::Open,
    }
}
