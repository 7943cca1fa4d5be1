//! A plugin's own schema of its settings, as a part of the pipeline's.
//!
//! What `schemars` writes is draft 2020-12. Only known keywords are taken over: a plugin's schema is foreign text, and
//! leaving one out only makes the editor more lenient; the plugin itself has the last word.

use super::shapes::or_substituted;
use serde_json::{Map, Value, json};

/// Deeper parts of a schema take anything. Schemas of settings nest some 10 deep.
const DEPTH_MAX: usize = 64;

/// Keywords that say nothing of a value, and stay outside when alternatives are put around it.
const NOTES: [&str; 5] = ["description", "markdownDescription", "default", "examples", "deprecated"];
/// Keywords taken over as they are.
const PLAIN: [&str; 15] = [
    "type",
    "const",
    "enum",
    "required",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
];

/// Adds the schema under this name, and what it refers to under names that begin with it. Editors show the title.
pub(super) fn define(name: &str, title: &str, schema: &Value, definitions: &mut Map<String, Value>) {
    let parts = schema.get("$defs").and_then(Value::as_object);
    let plugin = Plugin { name, parts };
    let mut made = plugin.convert(schema, 0);
    if !requires_some(schema) && made.get("type") == Some(&json!("object")) {
        // `settings:` with nothing behind it is an empty mapping.
        made["type"] = json!(["object", "null"]);
    }
    definitions.insert(name.to_owned(), titled(made, title));
    for (part, schema) in parts.into_iter().flatten() {
        definitions.insert(plugin.definition(part), titled(plugin.convert(schema, 0), part));
    }
}

fn titled(mut schema: Value, title: &str) -> Value {
    if let Value::Object(rules) = &mut schema {
        rules.insert("title".to_owned(), json!(title));
    }
    schema
}

/// Whether something has to be set.
pub(super) fn requires_some(schema: &Value) -> bool {
    required(schema).next().is_some()
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// What has to be set, with an example each: the body of a snippet. `None` if nothing has to be.
pub(super) fn skeleton(schema: &Value) -> Option<Value> {
    let settings: Map<String, Value> = required(schema)
        .enumerate()
        .map(|(index, name)| {
            let property = schema.get("properties").and_then(|all| all.get(name));
            let example = property.and_then(|property| property.get("examples")?.get(0));
            // Tab stops of a snippet; the first one is the input's.
            let value = match example {
                Some(Value::String(text)) => json!(format!("${{{}:{}}}", index + 2, escaped(text))),
                Some(other) if !other.is_array() && !other.is_object() => other.clone(),
                _ => json!(format!("${}", index + 2)),
            };
            (name.to_owned(), value)
        })
        .collect();
    (!settings.is_empty()).then_some(Value::Object(settings))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('$', "\\$").replace('}', "\\}")
}

/// The plugin's schema as far as its parts refer to each other.
struct Plugin<'a> {
    name: &'a str,
    parts: Option<&'a Map<String, Value>>,
}

impl Plugin<'_> {
    fn definition(&self, part: &str) -> String {
        format!("{}.{part}", self.name)
    }

    /// The definition that a reference means; `None` for one that leads nowhere.
    fn target(&self, reference: &str) -> Option<String> {
        if reference == "#" {
            return Some(self.name.to_owned());
        }
        let part = reference.strip_prefix("#/$defs/")?;
        self.parts?.contains_key(part).then(|| self.definition(part))
    }

    fn convert(&self, schema: &Value, depth: usize) -> Value {
        let Value::Object(rules) = schema else {
            return schema.clone();
        };
        if depth > DEPTH_MAX {
            return json!({});
        }
        let inner = |schema: &Value| self.convert(schema, depth + 1);
        let all = |schemas: &Value| match schemas {
            Value::Array(schemas) => Value::Array(schemas.iter().map(inner).collect()),
            other => inner(other),
        };
        let each = |schemas: &Value| match schemas {
            Value::Object(schemas) => {
                Value::Object(schemas.iter().map(|(key, schema)| (key.clone(), inner(schema))).collect())
            }
            _ => json!({}),
        };
        let mut made = Map::new();
        for (keyword, value) in rules {
            let (keyword, value) = match keyword.as_str() {
                "$ref" => {
                    let Some(target) = value.as_str().and_then(|target| self.target(target)) else {
                        continue;
                    };
                    let reference = json!({ "$ref": format!("#/definitions/{target}") });
                    if rules.len() == 1 {
                        return reference;
                    }
                    // What stands beside a reference is passed over in draft-07; inside `allOf` it is not.
                    ("allOf", json!([reference]))
                }
                "properties" => ("properties", each(value)),
                "items" if rules.contains_key("prefixItems") => ("additionalItems", inner(value)),
                "prefixItems" => ("items", all(value)),
                // Of alternatives that take a substitution each, several would match.
                "anyOf" | "oneOf" => ("anyOf", all(value)),
                "items" | "additionalProperties" | "allOf" => (keyword.as_str(), all(value)),
                "description" => {
                    let text = one_line(value.as_str().unwrap_or_default());
                    let default = default_note(rules.get("default"));
                    made.insert("markdownDescription".to_owned(), json!(format!("{text}{default}")));
                    ("description", json!(text))
                }
                other if PLAIN.contains(&other) || NOTES.contains(&other) => (other, value.clone()),
                _ => continue,
            };
            made.insert(keyword.to_owned(), value);
        }
        if let Some(words) = words(rules) {
            made.remove("anyOf");
            made.extend(words);
        }
        expect_examples(&mut made);
        if refuses_text(&made) { substitutable(made) } else { Value::Object(made) }
    }
}

/// Doc comments are wrapped at the source's width: a paragraph becomes one line.
fn one_line(text: &str) -> String {
    let paragraphs = text.split("\n\n");
    let lines = paragraphs.map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n\n")
}

fn default_note(default: Option<&Value>) -> String {
    match default {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(default)) => format!("\n\ndefault: `{default}`"),
        Some(default) => format!("\n\ndefault: `{default}`"),
    }
}

/// Alternatives that are all words (what an enum's schema is, if its variants are documented), as one list of words.
fn words(rules: &Map<String, Value>) -> Option<Map<String, Value>> {
    let options = rules.get("oneOf").or_else(|| rules.get("anyOf"))?.as_array()?;
    let mut words = Vec::new();
    let mut about = Vec::new();
    for option in options {
        match (option.get("const"), option.get("enum")) {
            (Some(word), _) => words.push(word.clone()),
            (_, Some(Value::Array(several))) => words.extend(several.iter().cloned()),
            _ => return None,
        }
        let text = option.get("description").and_then(Value::as_str).unwrap_or_default();
        about.resize(words.len(), one_line(text));
    }
    let mut made = Map::new();
    made.insert("enum".to_owned(), Value::Array(words));
    made.insert("markdownEnumDescriptions".to_owned(), json!(about));
    Some(made)
}

/// A pattern is no help to a person; examples are.
fn expect_examples(made: &mut Map<String, Value>) {
    let examples = made.get("examples").and_then(Value::as_array).filter(|_| made.contains_key("pattern"));
    let shown: Vec<String> = examples
        .into_iter()
        .flatten()
        .map(|example| example.as_str().map_or_else(|| example.to_string(), str::to_owned))
        .collect();
    if !shown.is_empty() {
        made.insert(
            "patternErrorMessage".to_owned(),
            json!(format!("expected something like {}", shown.join(", "))),
        );
    }
}

/// Whether these very rules refuse some text, where a scalar belongs.
fn refuses_text(rules: &Map<String, Value>) -> bool {
    let types: Vec<&str> = match rules.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let scalar = types.iter().any(|one| matches!(*one, "integer" | "number" | "boolean" | "string"));
    let bounded =
        ["enum", "const", "pattern", "maxLength"].iter().any(|keyword| rules.contains_key(*keyword));
    bounded || (scalar && !types.contains(&"string"))
}

/// The same, or a substitution; notes stay outside, where editors look for them.
fn substitutable(mut rules: Map<String, Value>) -> Value {
    let notes: Map<String, Value> = NOTES
        .iter()
        .filter_map(|note| rules.remove(*note).map(|value| ((*note).to_owned(), value)))
        .collect();
    let mut made = or_substituted(&Value::Object(rules));
    if let Value::Object(made) = &mut made {
        made.extend(notes);
    }
    made
}
