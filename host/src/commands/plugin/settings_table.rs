//! A plugin's settings as rows for people: nested ones by dotted names, each with type, default, bounds, examples.

#![forbid(unsafe_code)]

use crate::loader::settings::bounds_in_words;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Deeper settings are shown as what they are in. Settings nest some 3 deep.
const DEPTH_MAX: usize = 8;
/// More rows than this are no table to read; a schema that refers to itself would make more.
const ROWS_MAX: usize = 500;

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// Its dotted name: `rotate.size`.
    pub(crate) name: String,
    /// What it takes, in words: `whole number, at least 1`.
    #[serde(rename = "type")]
    pub(crate) takes: String,
    /// What holds where it is absent.
    pub(crate) default: Absent,
    /// What it means; a paragraph a line.
    pub(crate) description: String,
    /// As it could be written.
    pub(crate) examples: Vec<String>,
    /// The words that it may be, each with what it means, where the plugin says so.
    pub(crate) words: Vec<Word>,
}

/// One of the words that a setting may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Word {
    /// The word.
    pub(crate) word: String,
    /// What it means.
    pub(crate) description: String,
}

/// What holds where a setting is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Absent {
    /// It may not be.
    Required,
    /// Nothing, or what the description says.
    Optional,
    /// This value.
    Value(Value),
}

impl Absent {
    /// As one reads it.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Required => "required".to_owned(),
            Self::Optional => "optional".to_owned(),
            Self::Value(value) => plain(value),
        }
    }
}

/// The settings of a schema, in the order of their names, what has to be set first.
pub(crate) fn rows(schema: &Value) -> Vec<Row> {
    let mut table = Table { root: schema, rows: Vec::new() };
    table.mapping(schema, "", &mut BTreeSet::new());
    table.rows
}

struct Table<'a> {
    root: &'a Value,
    rows: Vec<Row>,
}

impl<'a> Table<'a> {
    /// The rows of a mapping's settings. `open` are the references that led here.
    fn mapping(&mut self, schema: &'a Value, path: &str, open: &mut BTreeSet<&'a str>) {
        let required: Vec<&str> = list(schema, "required").iter().filter_map(Value::as_str).collect();
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        let first = |name: &str| !required.contains(&name);
        let mut names: Vec<&String> = properties.keys().collect();
        names.sort_by_key(|name| (first(name), *name));
        for name in names {
            if self.rows.len() >= ROWS_MAX {
                return;
            }
            let setting = &properties[name];
            let inside = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let default = match setting.get("default") {
                _ if required.contains(&name.as_str()) => Absent::Required,
                // What is in a mapping is shown in rows of its own.
                None | Some(Value::Null | Value::Object(_)) => Absent::Optional,
                Some(value) => Absent::Value(value.clone()),
            };
            let parts = self.parts(setting);
            self.rows.push(Row {
                name: inside.clone(),
                takes: self.takes(setting, 0),
                default,
                description: parts.iter().find_map(|part| description(part)).unwrap_or_default(),
                examples: parts.iter().flat_map(|part| list(part, "examples")).map(plain).collect(),
                words: parts
                    .iter()
                    .flat_map(|part| part.get("items").map_or_else(|| vec![*part], |items| self.parts(items)))
                    .flat_map(words)
                    .collect(),
            });
            for part in parts {
                self.below(part, &inside, open);
            }
        }
    }

    fn below(&mut self, part: &'a Value, path: &str, open: &mut BTreeSet<&'a str>) {
        // A part that is met again inside itself is shown once.
        let title = part.get("title").and_then(Value::as_str);
        let reference = self.name_of(part).or(title).unwrap_or_default();
        if part.get("properties").is_none() || path.split('.').count() > DEPTH_MAX || open.contains(reference)
        {
            return;
        }
        let named = !reference.is_empty() && open.insert(reference);
        self.mapping(part, path, open);
        if named {
            open.remove(reference);
        }
    }

    /// The name under which the schema defines this very part.
    fn name_of(&self, part: &Value) -> Option<&'a str> {
        let parts = self.root.get("$defs").and_then(Value::as_object)?;
        parts.iter().find(|(_, known)| std::ptr::eq(*known, part)).map(|(name, _)| name.as_str())
    }

    /// The schema and what it refers to or offers as alternatives, nearest first.
    fn parts(&self, schema: &'a Value) -> Vec<&'a Value> {
        let mut found: Vec<&'a Value> = Vec::new();
        let mut open = vec![schema];
        while let Some(part) = open.pop() {
            if found.len() > ROWS_MAX || found.iter().any(|known| std::ptr::eq(*known, part)) {
                continue;
            }
            found.push(part);
            let inner = ["allOf", "anyOf", "oneOf"].iter().flat_map(|key| list(part, key).iter().rev());
            open.extend(inner.filter(|inner| !is_word(inner)));
            open.extend(self.target(part));
        }
        found
    }

    fn target(&self, schema: &Value) -> Option<&'a Value> {
        self.root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
    }

    /// A schema in few words: `number`, `drop | flag`, `list of text`.
    fn takes(&self, schema: &'a Value, depth: usize) -> String {
        if depth > DEPTH_MAX {
            return "…".to_owned();
        }
        let inner = |schema: &'a Value| self.takes(schema, depth + 1);
        if let Some(target) = self.target(schema) {
            return inner(target);
        }
        if let Some(only) = schema.get("const") {
            return plain(only);
        }
        let words = |values: &[Value]| values.iter().map(plain).collect::<Vec<_>>().join(" | ");
        if !list(schema, "enum").is_empty() {
            return words(list(schema, "enum"));
        }
        for key in ["oneOf", "anyOf", "allOf"] {
            let mut options: Vec<String> = list(schema, key).iter().map(inner).collect();
            options.retain(|option| option != "nothing");
            options.dedup();
            if !options.is_empty() {
                return options.join(" | ");
            }
        }
        let Some(rules) = schema.as_object() else { return "anything".to_owned() };
        let names: Vec<&str> = match rules.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => return "anything".to_owned(),
        };
        let kinds: Vec<String> = names
            .into_iter()
            .filter(|name| *name != "null")
            .map(|name| match name {
                "string" => "text".to_owned(),
                "integer" => bounded("whole number", rules),
                "number" => bounded("number", rules),
                "boolean" => "true | false".to_owned(),
                "array" => match rules.get("items") {
                    Some(items) => format!("list of {}", inner(items)),
                    None => "list".to_owned(),
                },
                "object" => match rules.get("additionalProperties").filter(|more| more.is_object()) {
                    Some(more) => format!("mapping of {}", inner(more)),
                    None => "mapping".to_owned(),
                },
                other => other.to_owned(),
            })
            .collect();
        if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(" | ") }
    }
}

fn bounded(kind: &str, rules: &Map<String, Value>) -> String {
    bounds_in_words(rules).map_or_else(|| kind.to_owned(), |bounds| format!("{kind}, {bounds}"))
}

fn is_word(schema: &Value) -> bool {
    schema.get("const").is_some()
        || (schema.get("enum").is_some() && schema.get("type") != Some(&Value::Null))
}

/// The words of alternatives that are words, if at least one says what it means.
fn words(schema: &Value) -> Vec<Word> {
    let options = list(schema, "oneOf").iter().chain(list(schema, "anyOf"));
    let words = options.filter_map(|option| {
        let word = plain(option.get("const")?);
        Some(Word { word, description: description(option).unwrap_or_default() })
    });
    let words: Vec<Word> = words.collect();
    if words.iter().all(|word| word.description.is_empty()) { Vec::new() } else { words }
}

/// Doc comments are wrapped at the source's width: a paragraph becomes one line.
fn description(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    let paragraphs = text.split("\n\n").map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    Some(paragraphs.collect::<Vec<_>>().join("\n"))
}

fn list<'a>(schema: &'a Value, key: &str) -> &'a [Value] {
    schema.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A value as it is written in a pipeline.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{key}: {}", plain(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
