//! Reading single values: each reader gives what was written, or reports what is wrong and gives the default.

use super::keys::Shape;
use super::quantity::{self, QuantityError, show_duration, show_size};
use super::raw::Section;
use crate::codes;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::naming::suggestion;
use crate::yaml::{Node, Scalar, Span, Typed, Value, clipped};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Items in one list of the config.
pub(super) const LIST_MAX: usize = 4096;

pub(super) struct Reader<'p> {
    pub(super) file: &'p str,
    pub(super) problems: &'p mut Diagnostics,
}

impl Reader<'_> {
    pub(super) fn error(&mut self, code: Code, span: Span, message: impl Into<String>, help: &str) {
        let diagnostic = Diagnostic::error(code, message).at(span.in_file(self.file));
        let help = (!help.is_empty()).then(|| help.to_owned());
        self.problems.push(diagnostic.maybe_help(help));
    }

    /// The scalar of a node, or a report that one was expected. A substitution that failed was reported before.
    pub(super) fn scalar<'a>(&mut self, node: &'a Node, expected: &str) -> Option<&'a Scalar> {
        match node.scalar() {
            Some(scalar) if scalar.origin.as_ref().is_some_and(|origin| origin.failed) => None,
            Some(scalar) if scalar.typed != Typed::Null => Some(scalar),
            _ => {
                let message = format!("found {}, expected {expected}", node.shown());
                self.error(codes::WRONG_TYPE, node.span, message, "");
                None
            }
        }
    }

    /// Text of any type: `12` is the text "12" here. What the host itself reads so (names, paths, tags) stands in logs and
    /// errors, so it cannot be a secret.
    pub(super) fn text(&mut self, node: &Node, expected: &str) -> Option<String> {
        let scalar = self.scalar(node, expected)?;
        if scalar.origin.as_ref().is_some_and(|origin| origin.written.contains("${credential:")) {
            let message =
                format!("{} stands where {expected} is expected, which logs and errors show", node.shown());
            let help = "only `settings` may hold credentials; write this out, or take it from a variable";
            self.error(codes::BAD_VALUE, node.span, message, help);
            return None;
        }
        Some(scalar.text.clone())
    }

    pub(super) fn optional_text(
        &mut self,
        section: &Section<'_>,
        key: &str,
        expected: &str,
    ) -> Option<String> {
        let node = &section.entry(key)?.node;
        let text = self.text(node, expected)?;
        if text.is_empty() {
            self.error(codes::BAD_VALUE, node.span, format!("`{key}` is empty; expected {expected}"), "");
            return None;
        }
        Some(text)
    }

    pub(super) fn items<'a>(&mut self, node: &'a Node, expected: &str) -> &'a [Node] {
        match &node.value {
            Value::Sequence(items) if items.len() > LIST_MAX => {
                let message = format!("{} items; at most {LIST_MAX} are taken", items.len());
                self.error(codes::BAD_VALUE, node.span, message, "");
                &[]
            }
            Value::Sequence(items) => items,
            Value::Scalar(scalar) if scalar.origin.as_ref().is_some_and(|origin| origin.failed) => &[],
            Value::Scalar(scalar) if scalar.typed != Typed::Null => {
                let help = match &scalar.origin {
                    Some(_) => "put `[` and `]` around it".to_owned(),
                    None => format!("write `[{}]`", clipped(&scalar.text)),
                };
                let message = format!("found {}, expected {expected}", node.shown());
                self.error(codes::WRONG_TYPE, node.span, message, &help);
                // What was meant is clear: later checks go on with it.
                std::slice::from_ref(node)
            }
            _ => {
                self.error(
                    codes::WRONG_TYPE,
                    node.span,
                    format!("found {}, expected {expected}", node.shown()),
                    "",
                );
                &[]
            }
        }
    }

    pub(super) fn texts(
        &mut self,
        section: &Section<'_>,
        key: &str,
        expected: &str,
        item: &str,
    ) -> Vec<String> {
        let Some(entry) = section.entry(key) else {
            return Vec::new();
        };
        let items = self.items(&entry.node, expected).iter();
        items.filter_map(|node| self.text(node, item)).collect()
    }

    pub(super) fn count<N>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        default: N,
        range: &RangeInclusive<N>,
    ) -> N
    where
        N: TryFrom<u64> + PartialOrd + Display + Copy,
    {
        debug_assert!(
            matches!(section.shape(key), Shape::Count(least, most)
                if N::try_from(least).is_ok_and(|least| least == *range.start())
                    && N::try_from(most).is_ok_and(|most| most == *range.end())),
            "the table has other bounds for `{key}`"
        );
        let Some(entry) = section.entry(key) else {
            return default;
        };
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(scalar) = self.scalar(&entry.node, &expected) else {
            return default;
        };
        let found = match scalar.typed {
            Typed::Integer(value) => u64::try_from(value).ok(),
            Typed::Unsigned(value) => Some(value),
            _ => None,
        };
        match found.and_then(|value| N::try_from(value).ok()) {
            Some(value) if range.contains(&value) => value,
            _ => {
                let message = format!("`{key}` is {}; expected {expected}", entry.node.shown());
                self.error(codes::BAD_VALUE, entry.node.span, message, "");
                default
            }
        }
    }

    pub(super) fn duration(
        &mut self,
        section: &Section<'_>,
        key: &str,
        default: Duration,
        range: &RangeInclusive<Duration>,
    ) -> Duration {
        debug_assert_eq!(section.shape(key), Shape::Duration(*range.start(), *range.end()), "`{key}`");
        let bounds = format!("{} to {}", show_duration(*range.start()), show_duration(*range.end()));
        let expected = format!("a duration from {bounds}");
        self.quantity(section, key, (codes::BAD_DURATION, &expected), range, quantity::duration)
            .unwrap_or(default)
    }

    pub(super) fn size(
        &mut self,
        section: &Section<'_>,
        key: &str,
        range: &RangeInclusive<u64>,
    ) -> Option<u64> {
        // The least is the table's or, for what depends on other keys, more.
        debug_assert!(
            matches!(section.shape(key), Shape::Size(least, most) if least <= *range.start() && most == *range.end()),
            "the table has other bounds for `{key}`"
        );
        let bounds = format!("{} to {}", show_size(*range.start()), show_size(*range.end()));
        let expected = format!("a size from {bounds}");
        self.quantity(section, key, (codes::BAD_SIZE, &expected), range, quantity::size)
    }

    fn quantity<Q: PartialOrd>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        (code, expected): (Code, &str),
        range: &RangeInclusive<Q>,
        parse: fn(&str) -> Result<Q, QuantityError>,
    ) -> Option<Q> {
        let node = &section.entry(key)?.node;
        let scalar = self.scalar(node, expected)?;
        match parse(&scalar.text) {
            Ok(value) if range.contains(&value) => Some(value),
            Ok(_) => {
                let message = format!("`{key}` is {}; expected {expected}", node.shown());
                self.error(codes::BAD_VALUE, node.span, message, "");
                None
            }
            // The reason may quote parts of the text, which may be a secret.
            Err(_) if scalar.origin.is_some() => {
                let message = format!("`{key}` is {}, which is not {expected}", node.shown());
                self.error(code, node.span, message, "");
                None
            }
            Err(reason) => {
                let message = format!("`{key}`: {} {reason}", node.shown());
                self.error(code, node.span, message, &format!("expected {expected}"));
                None
            }
        }
    }

    /// One of some words.
    pub(super) fn choice<T: Copy + Default>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        words: &[(&str, T)],
    ) -> T {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        debug_assert!(
            matches!(section.shape(key), Shape::Words(known) if known == names),
            "the table has other words for `{key}`"
        );
        let Some(entry) = section.entry(key) else {
            return T::default();
        };
        let expected = one_of(&names);
        let Some(scalar) = self.scalar(&entry.node, &expected) else {
            return T::default();
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == scalar.text) {
            return *value;
        }
        let message = format!("`{key}` is {}; expected {expected}", entry.node.shown());
        let help = suggestion(&scalar.text, &names).filter(|text| text.starts_with("did you mean"));
        self.error(codes::BAD_VALUE, entry.node.span, message, &help.unwrap_or_default());
        T::default()
    }

    /// A mapping of short texts.
    pub(super) fn tags(&mut self, node: &Node) -> BTreeMap<String, String> {
        /// Tags are part of every sensor's name in the dictionary.
        const TAGS_MAX: usize = 64;
        const TAG_KEY_MAX_BYTES: usize = 64;
        const TAG_MAX_BYTES: usize = 256;
        let entries = match &node.value {
            Value::Mapping(entries) => entries.as_slice(),
            _ if node.is_null() => &[],
            _ => {
                let message = format!("found {}, expected a mapping of tags", node.shown());
                self.error(
                    codes::WRONG_TYPE,
                    node.span,
                    message,
                    "write `key: text` lines, indented below it",
                );
                &[]
            }
        };
        if entries.len() > TAGS_MAX {
            let message = format!("{} tags; at most {TAGS_MAX} are taken", entries.len());
            self.error(codes::BAD_VALUE, node.span, message, "");
            return BTreeMap::new();
        }
        let mut tags = BTreeMap::new();
        for entry in entries {
            let Some(text) = self.text(&entry.node, "the tag's text") else {
                continue;
            };
            if entry.key.len() > TAG_KEY_MAX_BYTES || text.len() > TAG_MAX_BYTES || text.is_empty() {
                let message = format!("tag `{}` is empty or too long", clipped(&entry.key));
                let help = format!(
                    "a tag has 1 to {TAG_MAX_BYTES} bytes of text, and at most {TAG_KEY_MAX_BYTES} bytes of name"
                );
                self.error(codes::BAD_VALUE, entry.span, message, &help);
                continue;
            }
            tags.insert(entry.key.clone(), text);
        }
        tags
    }
}

fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.join(""),
    }
}
