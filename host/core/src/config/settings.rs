//! A component's settings: from the tree to JSON, with a place for every part and the text of what was substituted.

use super::component::{no_mapping, place};
use super::raw;
use super::valid::{Substituted, join};
use super::values::Reader;
use crate::codes;
use crate::diagnostic::Location;
use crate::yaml::{Entry, Node, Scalar, Typed, Value};
use serde_json::{Map, Number};
use std::collections::BTreeMap;

pub(super) struct Settings {
    pub(super) value: serde_json::Value,
    pub(super) locations: BTreeMap<String, Location>,
    pub(super) keys: BTreeMap<String, Location>,
    pub(super) substituted: BTreeMap<String, Substituted>,
    /// Whether a substitution failed, so that a text stands there which nobody meant.
    pub(super) incomplete: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            value: serde_json::Value::Object(Map::new()),
            locations: BTreeMap::new(),
            keys: BTreeMap::new(),
            substituted: BTreeMap::new(),
            incomplete: false,
        }
    }
}

impl Settings {
    /// Keeps the places of the component's own keys: `plugin`, `inputs`, `batch.linger`.
    pub(super) fn locate_fields(&mut self, file: &str, raw: &raw::Component<'_>) {
        let sections = [("", &raw.fields), ("restarts", &raw.restarts), ("batch", &raw.batch)];
        for (path, section) in sections {
            for (key, entry) in section.entries() {
                self.locations.insert(join(path, key), place(file, entry));
            }
        }
    }

    /// Reads what stands under `settings`.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, entry: &Entry) {
        match &entry.node.value {
            Value::Mapping(_) => self.value = self.node(reader, &entry.node, ""),
            _ if entry.node.is_null() => {}
            Value::Scalar(_) | Value::Sequence(_) => no_mapping(reader, &entry.node),
        }
    }

    /// `path` is inside the settings.
    fn node(&mut self, reader: &mut Reader<'_>, node: &Node, path: &str) -> serde_json::Value {
        match &node.value {
            Value::Scalar(scalar) => self.scalar(reader, node, scalar, path),
            Value::Sequence(items) => {
                let items = items.iter().enumerate().map(|(index, item)| {
                    let path = join(path, &index.to_string());
                    let location = item.span.in_file(reader.file);
                    self.locations.insert(join("settings", &path), location);
                    self.node(reader, item, &path)
                });
                serde_json::Value::Array(items.collect())
            }
            Value::Mapping(entries) => {
                let entries = entries.iter().map(|entry| {
                    let path = join(path, &entry.key);
                    let location = place(reader.file, entry);
                    self.locations.insert(join("settings", &path), location);
                    self.keys.insert(path.clone(), entry.span.in_file(reader.file));
                    (entry.key.clone(), self.node(reader, &entry.node, &path))
                });
                serde_json::Value::Object(entries.collect())
            }
        }
    }

    fn scalar(
        &mut self,
        reader: &mut Reader<'_>,
        node: &Node,
        scalar: &Scalar,
        path: &str,
    ) -> serde_json::Value {
        self.incomplete |= scalar.origin.as_ref().is_some_and(|origin| origin.failed);
        if let Some(origin) = scalar.origin.as_ref().filter(|origin| !origin.failed) {
            let substituted = Substituted {
                written: origin.written.clone(),
                text: scalar.text.clone(),
                brought: origin.brought.clone(),
            };
            self.substituted.insert(path.to_owned(), substituted);
        }
        match scalar.typed {
            Typed::Null => serde_json::Value::Null,
            Typed::Bool(value) => serde_json::Value::Bool(value),
            Typed::Integer(value) => serde_json::Value::Number(value.into()),
            Typed::Unsigned(value) => serde_json::Value::Number(value.into()),
            Typed::Text => serde_json::Value::String(scalar.text.clone()),
            Typed::Float(value) => {
                let number = Number::from_f64(value);
                if number.is_none() {
                    let message = format!("`{path}` is {}; settings hold only finite numbers", node.shown());
                    let help = "leave the setting out where it means `no bound`, or put quotes around text";
                    reader.error(codes::BAD_VALUE, node.span, message, help);
                }
                number.map_or(serde_json::Value::Null, serde_json::Value::Number)
            }
        }
    }
}
