//! Comma-separated values, by RFC 4180.
//!
//! Rows end with a line end (`\n` or `\r\n`), values are apart by a delimiter; a value in quotes may hold either, and
//! a quote doubled. Stricter than some: a quote inside of a value without quotes, or text behind a closing one, is no
//! CSV. A row that is none, or does not end within `max_line`, is rejected up to its first line end: one forgotten
//! quote must not swallow what follows.

mod reader;
mod row;
mod writer;

pub(crate) use reader::Reader;
pub(crate) use writer::Writer;
