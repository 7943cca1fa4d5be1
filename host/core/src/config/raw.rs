//! The config as written: mappings with known keys where mappings belong, and nothing yet known of the values.

use super::keys::{self, Shape, Table};
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::naming::{nearest, suggestion};
use crate::yaml::{Entry, Node, Span, Value, clipped};
use cardcage_plugin_api::manifest::Kind;

/// A pipeline as written.
#[derive(Debug)]
pub struct Pipeline<'a> {
    /// The values at the top that are no mappings.
    pub top: Section<'a>,
    /// `plugins`.
    pub plugins: Section<'a>,
    /// `plugins.trust`.
    pub trust: Section<'a>,
    /// `limits`.
    pub limits: Section<'a>,
    /// `control`.
    pub control: Section<'a>,
    /// `log`.
    pub log: Section<'a>,
    /// `audit`.
    pub audit: Section<'a>,
    /// `audit.rotate`.
    pub rotate: Section<'a>,
    /// `checkpoint`.
    pub checkpoint: Section<'a>,
    /// Sources, stages and sinks.
    pub components: Vec<Component<'a>>,
}

/// A component as written.
#[derive(Debug)]
pub struct Component<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where its name stands.
    pub span: Span,
    /// The kind that its section stands for.
    pub kind: Kind,
    /// Its own keys.
    pub fields: Section<'a>,
    /// Its `restarts`.
    pub restarts: Section<'a>,
    /// Its `batch`.
    pub batch: Section<'a>,
}

/// A mapping with known keys only; empty where it is absent.
#[derive(Debug)]
pub struct Section<'a> {
    table: &'static Table,
    /// By the key as it should be written.
    entries: Vec<(&'static str, &'a Entry)>,
}

impl<'a> Section<'a> {
    /// The entry of a key.
    pub fn entry(&self, key: &str) -> Option<&'a Entry> {
        debug_assert!(self.table.keys.iter().any(|known| known.name == key), "`{key}` is in no table");
        self.entries.iter().find(|(known, _)| *known == key).map(|(_, entry)| *entry)
    }

    /// What the table says that a key's value looks like.
    pub(super) fn shape(&self, key: &str) -> Shape {
        self.table.key(key).map_or(Shape::Mapping, |key| key.shape)
    }

    /// All entries with their keys as they should be written.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, &'a Entry)> {
        self.entries.iter().copied()
    }

    /// The table that says which keys are known.
    pub fn table(&self) -> &'static Table {
        self.table
    }
}

/// The sections of components, in the order in which components are listed.
pub(super) const KINDS: [(&str, Kind); 3] =
    [("sources", Kind::Source), ("stages", Kind::Stage), ("sinks", Kind::Sink)];

/// Reads the shape; what does not have it is reported and left out.
pub fn read<'a>(file: &str, root: &'a Node, problems: &mut Diagnostics) -> Pipeline<'a> {
    let mut reader = Reader { file, problems };
    let top = reader.section(&keys::TOP, Some(root));
    let below = |key: &str| top.entry(key).map(|entry| &entry.node);
    let plugins = reader.section(&keys::PLUGINS, below("plugins"));
    let trust = reader.section(&keys::TRUST, plugins.entry("trust").map(|entry| &entry.node));
    let limits = reader.section(&keys::LIMITS, below("limits"));
    let control = reader.section(&keys::CONTROL, below("control"));
    let log = reader.section(&keys::LOG, below("log"));
    let audit = reader.section(&keys::AUDIT, below("audit"));
    let rotate = reader.section(&keys::ROTATE, audit.entry("rotate").map(|entry| &entry.node));
    let checkpoint = reader.section(&keys::CHECKPOINT, below("checkpoint"));
    let mut components = Vec::new();
    for (section, kind) in KINDS {
        if let Some(entry) = top.entry(section) {
            components.extend(reader.components(section, kind, &entry.node));
        }
    }
    Pipeline { top, plugins, trust, limits, control, log, audit, rotate, checkpoint, components }
}

struct Reader<'p> {
    file: &'p str,
    problems: &'p mut Diagnostics,
}

impl Reader<'_> {
    fn section<'a>(&mut self, table: &'static Table, node: Option<&'a Node>) -> Section<'a> {
        let entries = node.map_or(&[][..], |node| self.mapping(node, table.path));
        let known: Vec<&'static str> = table.keys.iter().map(|key| key.name).collect();
        let mut good: Vec<(&'static str, &Entry)> = Vec::with_capacity(entries.len());
        let mut unknown: Vec<&Entry> = Vec::new();
        for entry in entries {
            match known.iter().find(|known| **known == entry.key) {
                Some(known) => good.push((known, entry)),
                None => unknown.push(entry),
            }
        }
        for entry in unknown {
            self.unknown_key(table, &known, entry);
            // Read on as what was probably meant: what is wrong below it comes out now, and that the key is missing,
            // which only follows, does not.
            let meant = nearest(&entry.key, known.iter().copied());
            if let Some(meant) = meant.filter(|meant| !good.iter().any(|(key, _)| key == meant)) {
                good.push((meant, entry));
            }
        }
        Section { table, entries: good }
    }

    fn components<'a>(&mut self, section: &str, kind: Kind, node: &'a Node) -> Vec<Component<'a>> {
        let entries = self.mapping(node, section);
        let components = entries.iter().map(|entry| {
            let fields = self.section(&keys::COMPONENT, Some(&entry.node));
            let below = |key: &str| fields.entry(key).map(|entry| &entry.node);
            let restarts = self.section(&keys::RESTARTS, below("restarts"));
            let batch = self.section(&keys::BATCH, below("batch"));
            Component { name: &entry.key, span: entry.span, kind, fields, restarts, batch }
        });
        components.collect()
    }

    /// The entries of a mapping; nothing at all is an empty one.
    fn mapping<'a>(&mut self, node: &'a Node, path: &str) -> &'a [Entry] {
        match &node.value {
            Value::Mapping(entries) => entries,
            _ if node.is_null() => &[],
            Value::Scalar(_) | Value::Sequence(_) => {
                let place = match path {
                    "" => "a pipeline is a mapping of keys such as `sources:`".to_owned(),
                    "*" => "a component is a mapping, as in `{ plugin: NAME }`".to_owned(),
                    _ => format!("`{}` is a mapping", path.trim_start_matches("*.")),
                };
                let message = format!("found {}, but {place}", node.shown());
                let help = match &node.value {
                    Value::Sequence(_) if KINDS.iter().any(|(section, _)| *section == path) => {
                        "components stand by name, as in `host: { plugin: host }`, without `- `"
                    }
                    _ => "write `key: value` lines, indented below it",
                };
                self.problems
                    .push(Diagnostic::error(codes::WRONG_TYPE, message).at(self.at(node.span)).help(help));
                &[]
            }
        }
    }

    fn unknown_key(&mut self, table: &Table, known: &[&str], entry: &Entry) {
        let name = clipped(&entry.key);
        let (place, whole) = match table.path {
            "" => ("at the top level".to_owned(), "a pipeline"),
            "*" => ("in a component".to_owned(), "a component"),
            path => (format!("in `{}`", path.trim_start_matches("*.")), "it"),
        };
        let unspaced = entry.key.split_once(':').filter(|(key, _)| known.contains(key));
        let help = if let Some((key, value)) = unspaced {
            Some(format!("put a space behind the colon: `{key}: {}`", clipped(value.trim())))
        } else if nearest(&entry.key, known.iter().copied()).is_none() && table.path == "*" {
            Some(format!(
                "{whole}'s keys are {}; what the plugin itself takes goes under `settings:`",
                known.join(", ")
            ))
        } else {
            suggestion(&entry.key, known)
        };
        let diagnostic = Diagnostic::error(codes::UNKNOWN_KEY, format!("unknown key `{name}` {place}"));
        self.problems.push(diagnostic.at(self.at(entry.span)).maybe_help(help));
    }

    fn at(&self, span: Span) -> Location {
        span.in_file(self.file)
    }
}
