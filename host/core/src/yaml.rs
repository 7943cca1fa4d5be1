//! YAML with places: the one module that knows a YAML library.
//!
//! Two libraries share the work, since neither does all of it. `saphyr-parser` gives events with their places, from
//! which `build` makes the tree: `serde_yaml` keeps no places, reports only the first of several equal keys, and loses
//! whether a scalar was quoted. `serde_yaml` has the word on what is YAML and on what type a plain scalar has, so
//! that a setting means here what it means to everyone who reads it with serde.
//!
//! A file that is hostile or damaged costs bounded time and memory and never a panic.

mod build;
mod mapping;
mod resolve;

pub use resolve::type_of;

use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use std::fmt;

/// The largest text that is read. The largest pipelines that people write by hand have some 100 KB.
pub const TEXT_MAX_BYTES: usize = 10 * 1024 * 1024;
/// The deepest nesting; real configs nest some 8 deep. Also keeps recursion over a tree shallow.
pub const DEPTH_MAX: usize = 64;
/// The most scalars, lists and mappings, with those that aliases stand for: some 50 MB and two seconds at
/// worst. A thousand components have some 50,000.
pub const NODES_MAX: usize = 200_000;
/// The most text that aliases may stand for, so that a few lines cannot grow into gigabytes.
pub const ALIASED_MAX_BYTES: usize = 1024 * 1024;

/// A place in the text, from the first character to behind the last one on the same line. All count from 1; columns
/// count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The line.
    pub line: u32,
    /// The first column.
    pub column: u32,
    /// The column behind the last one; for something of several lines, behind the end of its first line.
    pub end_column: u32,
}

impl Span {
    /// The place as one in a file.
    pub fn in_file(self, file: &str) -> Location {
        Location { file: file.to_owned(), line: self.line, column: self.column, end_column: self.end_column }
    }
}

/// A scalar, list or mapping and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where. For what an alias stands for: where that was written.
    pub span: Span,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with values, in the order of the text; no key stands twice.
    Mapping(Vec<Entry>),
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub span: Span,
    /// Its value.
    pub node: Node,
}

/// A single value.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// Its text, without quotes and with escapes resolved.
    pub text: String,
    /// Whether it was quoted or a block, and so is text whatever it looks like.
    pub quoted: bool,
    /// What it is.
    pub typed: Typed,
    /// Where its text came from, if not from the file.
    pub origin: Option<Origin>,
}

/// What a scalar is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Typed {
    /// Empty, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A whole number above the largest `i64`.
    Unsigned(u64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text,
}

/// Where a substituted scalar's text came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The text as written: `${credential:token}`. Messages show this one: what came out may be a secret.
    pub written: String,
    /// Whether there was no text to be had; that was reported, and nothing more should be said of the value.
    pub failed: bool,
    /// What was brought in from outside the file, each with its own substitution.
    pub brought: Vec<Brought>,
}

/// A text that substitution brought into a setting. `Debug` shows where it is from.
#[derive(Clone, PartialEq, Eq)]
pub struct Brought {
    /// The substitution as written: `${credential:token}`.
    pub written: String,
    /// What came out of it.
    pub text: String,
}

impl fmt::Debug for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Node {
    /// What it is, in words: a scalar's text as written, so never a secret.
    pub fn shown(&self) -> String {
        match &self.value {
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
            Value::Scalar(scalar) if scalar.typed == Typed::Null => "nothing".to_owned(),
            Value::Scalar(scalar) => {
                let text = scalar.origin.as_ref().map_or(&scalar.text, |origin| &origin.written);
                // `"12"` is no number, which would look odd without a word.
                let quoted = scalar.origin.is_none() && scalar.quoted && type_of(text) != Typed::Text;
                let text = clipped(text);
                if quoted { format!("the text `{text}`") } else { format!("`{text}`") }
            }
        }
    }

    /// The scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::Sequence(items) => items,
            Value::Scalar(_) | Value::Mapping(_) => &[],
        }
    }

    /// Whether there is nothing in it: nothing at all, or a list or mapping without parts.
    pub fn is_empty(&self) -> bool {
        match &self.value {
            Value::Scalar(_) => self.is_null(),
            Value::Sequence(items) => items.is_empty(),
            Value::Mapping(entries) => entries.is_empty(),
        }
    }

    /// Whether it is empty, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(|scalar| scalar.typed == Typed::Null)
    }
}

/// Text of unknown length, cut for a message.
pub(crate) fn clipped(text: &str) -> String {
    /// Enough to recognise a value by.
    const SHOWN_MAX_CHARS: usize = 80;
    let mut shown: String = text.chars().take(SHOWN_MAX_CHARS).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

/// The tree in `text`. Problems are added to `problems`; a tree comes back whenever there is one to go on with, also
/// beside errors. An empty text is a null.
pub fn parse(file: &str, text: &str, problems: &mut Diagnostics) -> Option<Node> {
    if text.len() > TEXT_MAX_BYTES {
        let message = format!("{} bytes; at most {TEXT_MAX_BYTES} are read", text.len());
        problems.push(Diagnostic::error(codes::TOO_LARGE, message).help("is this the right file?"));
        return None;
    }
    let before = problems.count(crate::diagnostic::Severity::Error);
    let tree = build::tree(file, text, problems)?;
    let clean = problems.count(crate::diagnostic::Severity::Error) == before;
    if clean && let Some((span, message)) = resolve::refusal(text) {
        problems.push(Diagnostic::error(codes::SYNTAX, message).at(span.in_file(file)));
        return None;
    }
    Some(tree)
}
