//! A mapping while it is read: which keys it may have.

use super::{Entry, Node, Span, Typed, Value, clipped};
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use std::collections::HashMap;

/// A mapping as far as it has come.
#[derive(Default)]
pub(super) struct Mapping {
    pub(super) entries: Vec<Entry>,
    /// Index in `entries` by key; entries of large mappings are not searched one by one.
    by_key: HashMap<String, usize>,
    pub(super) key: Key,
}

/// What is known of the key when a part of a mapping comes.
#[derive(Default)]
pub(super) enum Key {
    /// The part is the key.
    #[default]
    Awaited,
    /// The part is its value.
    Good(String, Span),
    /// The part belongs to a key that was refused, and goes with it.
    Refused,
}

impl Mapping {
    /// What to do with the part that follows this key; a key that is refused is reported.
    pub(super) fn accept(&mut self, node: &Node, file: &str, problems: &mut Diagnostics) -> Key {
        let refuse = |problem: Diagnostic, help: &str| {
            (Key::Refused, Some(problem.at(node.span.in_file(file)).help(help)))
        };
        let (key, problem) = match &node.value {
            Value::Scalar(scalar) if scalar.text == "<<" && !scalar.quoted => refuse(
                Diagnostic::error(
                    codes::MERGE,
                    "`<<` merges are not supported: they hide where a setting comes from",
                ),
                "write the settings out, or give the whole mapping an anchor and refer to it",
            ),
            Value::Scalar(scalar) if scalar.typed == Typed::Null && !scalar.quoted => refuse(
                Diagnostic::error(codes::BAD_KEY, "a key is missing before `:`"),
                "write a name, or remove the line",
            ),
            Value::Scalar(scalar) => match self.by_key.get(&scalar.text) {
                None => (Key::Good(scalar.text.clone(), node.span), None),
                Some(first) => {
                    let first = self.entries[*first].span.in_file(file);
                    let message = format!("`{}` stands here a second time", clipped(&scalar.text));
                    let problem = Diagnostic::error(codes::DUPLICATE_KEY, message)
                        .related(first, "it stands here first");
                    refuse(problem, "keep one of the two")
                }
            },
            Value::Sequence(_) | Value::Mapping(_) => refuse(
                Diagnostic::error(codes::BAD_KEY, format!("{} stands where a key is expected", node.shown())),
                "put quotes around it if it is meant as text",
            ),
        };
        problems.extend(problem);
        key
    }

    /// Adds an entry under a key that was accepted.
    pub(super) fn insert(&mut self, key: String, span: Span, node: Node) {
        self.by_key.insert(key.clone(), self.entries.len());
        self.entries.push(Entry { key, span, node });
    }
}
