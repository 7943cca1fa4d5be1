//! One row, split into its values: the general way.

use std::ops::Range;

/// What separates and quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) delimiter: u8,
    pub(super) quote: u8,
}

/// A row's values.
#[derive(Debug, Default)]
pub(super) struct Row {
    values: Vec<Value>,
    /// Values in which a quote was doubled, without the doubling.
    decoded: Vec<u8>,
}

#[derive(Debug)]
struct Value {
    /// In the row, or in `decoded`.
    span: Range<usize>,
    is_decoded: bool,
    /// Where it begins in the row.
    at: usize,
}

/// How a row ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowEnd {
    /// After this many bytes, line end included.
    Whole(usize),
    /// Not in this text.
    Open,
    /// At this byte it stops being CSV.
    Broken(usize),
}

impl Row {
    /// Splits the row at the start of `text`. `end`: nothing follows the text.
    pub(super) fn split(&mut self, text: &[u8], marks: Marks, end: bool) -> RowEnd {
        self.values.clear();
        self.decoded.clear();
        let mut at = 0;
        loop {
            let (value, behind) = if text.get(at) == Some(&marks.quote) {
                match self.quoted(text, at, marks) {
                    Some(found) => found,
                    None if end => return RowEnd::Broken(at),
                    None => return RowEnd::Open,
                }
            } else {
                let is_end = |byte: &u8| *byte == marks.delimiter || matches!(byte, b'\n' | b'\r');
                let len = text[at..].iter().position(|byte| is_end(byte) || *byte == marks.quote);
                let behind = len.map_or(text.len(), |len| at + len);
                (Value { span: at..behind, is_decoded: false, at }, behind)
            };
            self.values.push(value);
            match text[behind..] {
                [byte, ..] if byte == marks.delimiter => at = behind + 1,
                [b'\n', ..] => return RowEnd::Whole(behind + 1),
                [b'\r', b'\n', ..] => return RowEnd::Whole(behind + 2),
                [b'\r'] | [] if end => return RowEnd::Whole(text.len()),
                [b'\r'] | [] => return RowEnd::Open,
                _ => return RowEnd::Broken(behind),
            }
        }
    }

    /// The value in quotes at `at`, and the offset behind its closing quote; `None` if that is not in the text.
    fn quoted(&mut self, text: &[u8], at: usize, marks: Marks) -> Option<(Value, usize)> {
        let start = self.decoded.len();
        let mut piece = at + 1;
        loop {
            let close = piece + memchr::memchr(marks.quote, &text[piece..])?;
            let is_doubled = text.get(close + 1) == Some(&marks.quote);
            if is_doubled {
                // With one of the two quotes.
                self.decoded.extend_from_slice(&text[piece..=close]);
                piece = close + 2;
                continue;
            }
            let was_doubled = piece > at + 1;
            if was_doubled {
                self.decoded.extend_from_slice(&text[piece..close]);
                return Some((Value { span: start..self.decoded.len(), is_decoded: true, at }, close + 1));
            }
            return Some((Value { span: piece..close, is_decoded: false, at }, close + 1));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// A value of the row that was split from `text`.
    pub(super) fn value<'a>(&'a self, text: &'a [u8], index: usize) -> Option<&'a [u8]> {
        let value = self.values.get(index)?;
        let from = if value.is_decoded { &self.decoded } else { text };
        from.get(value.span.clone())
    }

    /// Where in the row a value begins.
    pub(super) fn offset(&self, index: usize) -> usize {
        self.values.get(index).map_or(0, |value| value.at)
    }
}
