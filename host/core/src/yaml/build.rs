//! From events to a tree with places.

use super::mapping::{Key, Mapping};
use super::{ALIASED_MAX_BYTES, DEPTH_MAX, NODES_MAX, Node, Scalar, Span, Typed, Value, clipped, type_of};
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics, lines};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use std::collections::HashMap;

/// The tree, or `None` with the reason among the problems.
pub(super) fn tree(file: &str, text: &str, problems: &mut Diagnostics) -> Option<Node> {
    let mut builder = Builder {
        file,
        lines: lines(text),
        problems,
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        aliased_bytes: 0,
        root: None,
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => match builder.event(event, span) {
                Go::On => {}
                Go::Finished => break,
                Go::GivenUp => return None,
            },
            Err(error) => {
                builder.syntax(&error);
                return None;
            }
        }
    }
    let start = Span { line: 1, column: 1, end_column: 1 };
    Some(builder.root.unwrap_or_else(|| null(start)))
}

enum Go {
    On,
    Finished,
    GivenUp,
}

struct Builder<'a> {
    file: &'a str,
    lines: Vec<&'a str>,
    problems: &'a mut Diagnostics,
    open: Vec<Open>,
    /// What each anchor stands for, once it is complete.
    anchors: HashMap<usize, Node>,
    nodes: usize,
    aliased_bytes: usize,
    root: Option<Node>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    span: Span,
    anchor: usize,
    parts: Parts,
}

enum Parts {
    Sequence(Vec<Node>),
    Mapping(Mapping),
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: saphyr_parser::Span) -> Go {
        let span = self.span(span);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                let message = "a second document begins here; a pipeline is one document";
                self.error(codes::SECOND_DOCUMENT, span, message, "remove `---` and what follows it");
                Go::Finished
            }
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(tag) = tag {
                    self.tag(span, &tag);
                }
                let quoted = style != ScalarStyle::Plain;
                let typed = if quoted { Typed::Text } else { type_of(&text) };
                let scalar = Scalar { text: text.into_owned(), quoted, typed, origin: None };
                let value = Value::Scalar(scalar);
                self.complete(Node { value, span }, anchor, 1)
            }
            Event::SequenceStart(anchor, tag) => {
                self.start(span, anchor, tag.as_deref(), Parts::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let parts = Parts::Mapping(Mapping::default());
                self.start(span, anchor, tag.as_deref(), parts)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => Go::On,
        }
    }

    fn start(&mut self, span: Span, anchor: usize, tag: Option<&Tag>, parts: Parts) -> Go {
        if let Some(tag) = tag {
            self.tag(span, tag);
        }
        if self.open.len() >= DEPTH_MAX {
            self.too_deep(span);
            return Go::GivenUp;
        }
        self.open.push(Open { span, anchor, parts });
        Go::On
    }

    fn end(&mut self, end: Span) -> Go {
        let Some(Open { mut span, anchor, parts }) = self.open.pop() else {
            return Go::On;
        };
        if end.line == span.line {
            // A closing bracket's own span may reach over blanks behind it; a block's end has none.
            let bracket = u32::from(end.end_column > end.column);
            span.end_column = (end.column + bracket).max(span.column);
        } else {
            span.end_column = self.line_end(span);
        }
        let value = match parts {
            Parts::Sequence(items) => Value::Sequence(items),
            Parts::Mapping(mapping) => Value::Mapping(mapping.entries),
        };
        self.complete(Node { value, span }, anchor, 1)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Go {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            let help = "write the value out";
            self.error(
                codes::RECURSIVE_ALIAS,
                span,
                "this alias stands for something that contains it",
                help,
            );
            return Go::GivenUp;
        };
        let (nodes, bytes) = weight(&node);
        if self.open.len() + depth(&node) > DEPTH_MAX {
            let message = format!("with what this alias stands for, nested more than {DEPTH_MAX} deep");
            self.error(codes::TOO_LARGE, span, &message, "write the value out");
            return Go::GivenUp;
        }
        if !self.count_aliased(span, bytes) {
            return Go::GivenUp;
        }
        self.complete(node, 0, nodes)
    }

    /// Keeps what an anchor stands for. The copy counts like any other, or nested anchors would multiply the tree.
    fn remember(&mut self, anchor: usize, node: &Node) -> bool {
        let (nodes, bytes) = weight(node);
        self.nodes += nodes;
        self.anchors.insert(anchor, node.clone());
        self.count_aliased(node.span, bytes)
    }

    fn count_aliased(&mut self, span: Span, bytes: usize) -> bool {
        self.aliased_bytes += bytes;
        let fits = self.aliased_bytes <= ALIASED_MAX_BYTES;
        if !fits {
            let message = format!("anchors and aliases stand for more than {ALIASED_MAX_BYTES} bytes");
            self.error(codes::TOO_LARGE, span, &message, "write the values out");
        }
        fits
    }

    /// A node is whole: it goes into what it is part of.
    fn complete(&mut self, node: Node, anchor: usize, nodes: usize) -> Go {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            let message = format!("more than {NODES_MAX} values");
            let help = "is this the right file? Pipelines with thousands of components stay far below";
            self.error(codes::TOO_LARGE, node.span, &message, help);
            return Go::GivenUp;
        }
        if anchor != 0 && !self.remember(anchor, &node) {
            return Go::GivenUp;
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { parts: Parts::Sequence(items), .. }) => items.push(node),
            Some(Open { parts: Parts::Mapping(mapping), .. }) => match std::mem::take(&mut mapping.key) {
                Key::Awaited => {
                    let key = mapping.accept(&node, self.file, self.problems);
                    mapping.key = key;
                }
                Key::Good(key, span) => mapping.insert(key, span, node),
                Key::Refused => {}
            },
        }
        Go::On
    }

    fn tag(&mut self, span: Span, tag: &Tag) {
        let tag = match tag.handle.as_str() {
            "tag:yaml.org,2002:" => format!("!!{}", tag.suffix),
            _ => tag.to_string(),
        };
        let message = format!("the tag `{}` means nothing here", clipped(&tag));
        self.error(codes::TAG, span, &message, "remove it; put quotes around a value that begins with `!`");
    }

    fn too_deep(&mut self, span: Span) {
        let message = format!("nested more than {DEPTH_MAX} deep");
        let help = "no setting needs that; is a bracket missing?";
        self.error(codes::TOO_LARGE, span, &message, help);
    }

    fn syntax(&mut self, error: &ScanError) {
        let place = error.marker();
        let span = self.span(saphyr_parser::Span::empty(*place));
        // The parser looks ahead, and so may reach its own bound before the tree reaches ours.
        if error.info() == "recursion limit exceeded" {
            self.too_deep(span);
            return;
        }
        let line = self.lines.get((span.line as usize).saturating_sub(1));
        let above = self.lines.get((span.line as usize).saturating_sub(2));
        let help = [line, above].into_iter().flatten().find_map(|line| hint(line));
        let info = clipped(error.info());
        self.problems
            .push(Diagnostic::error(codes::SYNTAX, info).at(span.in_file(self.file)).maybe_help(help));
    }

    fn error(&mut self, code: crate::diagnostic::Code, span: Span, message: &str, help: &str) {
        self.problems.push(Diagnostic::error(code, message).at(span.in_file(self.file)).help(help));
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let count = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let mut own = Span {
            line: count(span.start.line()).max(1),
            column: count(span.start.col()).saturating_add(1),
            end_column: count(span.end.col()).saturating_add(1),
        };
        if span.end.line() != span.start.line() {
            own.end_column = self.line_end(own);
        }
        own
    }

    /// The column behind the last character of a line.
    fn line_end(&self, span: Span) -> u32 {
        let line = self.lines.get((span.line as usize).saturating_sub(1));
        let chars = line.map_or(0, |line| line.trim_end().chars().count());
        u32::try_from(chars).unwrap_or(u32::MAX).saturating_add(1).max(span.column)
    }
}

/// What is probably wrong with a line that is no YAML.
fn hint(line: &str) -> Option<String> {
    let flow = line.contains('{') || line.contains('[');
    if flow && line.contains("${") {
        return Some(format!("inside `{{ }}` and `[ ]` it needs quotes: write `\"{}\"`", substituted(line)));
    }
    let doubled = line.find('"').is_some_and(|quote| line[quote..].contains('\\'));
    if doubled && !line.contains('\'') {
        return Some(
            "between double quotes `\\` begins an escape; single quotes take text as it is".to_owned(),
        );
    }
    let quotes = |sign: char| line.matches(sign).count() % 2 == 1;
    if quotes('"') || (quotes('\'') && !line.contains('"')) {
        return Some("is a quote never closed?".to_owned());
    }
    let unclosed = |open: char, close: char| line.matches(open).count() != line.matches(close).count();
    if unclosed('[', ']') || unclosed('{', '}') {
        return Some("is a bracket never closed?".to_owned());
    }
    if line.contains('\0') {
        return Some(
            "the file holds a NUL byte, which no text has: is it damaged, or not a text file?".to_owned(),
        );
    }
    if line.trim_start_matches(' ').starts_with('\t') {
        return Some("indent with spaces: YAML takes no tabs there".to_owned());
    }
    None
}

/// The value around the first substitution of a line: what the quotes go around.
fn substituted(line: &str) -> String {
    let at = line.find("${").unwrap_or(0);
    let start = line[..at].rfind([' ', '[', '{', ',']).map_or(0, |before| before + 1);
    let closed = line[at..].find('}').map_or(line.len(), |close| at + close + 1);
    let end = line[closed..].find([' ', ',', ']', '}']).map_or(line.len(), |rest| closed + rest);
    clipped(&line[start..end])
}

fn null(span: Span) -> Node {
    Node {
        value: Value::Scalar(Scalar { text: String::new(), quoted: false, typed: Typed::Null, origin: None }),
        span,
    }
}

/// Nodes in a tree, and bytes of their texts.
fn weight(node: &Node) -> (usize, usize) {
    let add = |(nodes, bytes): (usize, usize), (more, text): (usize, usize)| (nodes + more, bytes + text);
    match &node.value {
        Value::Scalar(scalar) => (1, scalar.text.len()),
        Value::Sequence(items) => items.iter().map(weight).fold((1, 0), add),
        Value::Mapping(entries) => {
            entries.iter().map(|entry| add((1, entry.key.len()), weight(&entry.node))).fold((1, 0), add)
        }
    }
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(_) => 0,
        Value::Sequence(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Mapping(entries) => 1 + entries.iter().map(|entry| depth(&entry.node)).max().unwrap_or(0),
    }
}
