//! The JSON Schema of `pipeline.yaml`, for editors: completion, descriptions and errors while somebody types.
//!
//! Draft-07, which the engines behind editors know best. It is made of [`super::keys`] and of the settings' schemas of
//! the plugins that are there. It may take what [`super::parse`] refuses (it cannot know that an input exists), but
//! refuses nothing that `parse` takes: wherever a scalar stands, a text with `${` in it may stand instead.
//!
//! Keywords beyond the standard (`markdownDescription`, `markdownEnumDescriptions`, `patternErrorMessage`,
//! `errorMessage`, `defaultSnippets`) are those of VS Code; others pass over them.

mod settings;
mod shapes;

use super::keys::{self, Absent, Key, Shape, Table};
use cardcage_plugin_api::manifest::Kind;
use serde_json::{Map, Value, json};
use shapes::NAME;
use std::collections::BTreeSet;

/// A component type that a pipeline may use.
#[derive(Clone, Copy, Debug)]
pub struct ComponentType<'a> {
    /// Source, stage or sink.
    pub kind: Kind,
    /// The plugin's name.
    pub plugin: &'a str,
    /// The plugin's version.
    pub version: &'a str,
    /// The type's name.
    pub name: &'a str,
    /// One sentence about it.
    pub description: &'a str,
    /// The JSON Schema of its settings.
    pub settings: &'a Value,
}

/// The schema of a pipeline that may use these component types: those of one plugin in one row, and of several versions
/// of a plugin the highest last.
pub fn pipeline(types: &[ComponentType<'_>]) -> Value {
    let mut definitions = Map::new();
    definitions.insert("substitution".to_owned(), shapes::substitution());
    for kind in [Kind::Source, Kind::Stage, Kind::Sink] {
        let own: Vec<Offer<'_>> = offers(types, kind);
        for offer in &own {
            settings::define(&offer.definition(), &offer.title(), offer.of.settings, &mut definitions);
        }
        definitions.insert(kind.name().to_owned(), component(kind, &own));
    }
    let mut schema = mapping(&keys::TOP);
    let top = [
        ("$schema", json!("http://json-schema.org/draft-07/schema#")),
        ("title", json!("Cardcage pipeline")),
        ("type", json!("object")),
        ("definitions", Value::Object(definitions)),
    ];
    schema.extend(top.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(schema)
}

/// A component type with what names it.
struct Offer<'a> {
    of: ComponentType<'a>,
    /// Whether the plugin's name alone means this type.
    by_plugin_alone: bool,
    /// Whether no version need be named.
    highest: bool,
}

fn offers<'a>(types: &[ComponentType<'a>], kind: Kind) -> Vec<Offer<'a>> {
    let own: Vec<&ComponentType<'a>> = types.iter().filter(|one| one.kind == kind).collect();
    own.iter()
        .map(|one| {
            let same_plugin = || own.iter().filter(|other| other.plugin == one.plugin);
            let highest = same_plugin().next_back().is_some_and(|last| last.version == one.version);
            let mut siblings = same_plugin().filter(|other| other.version == one.version);
            let namesake = siblings.clone().any(|other| other.name == other.plugin);
            let alone = siblings.all(|other| other.name == one.name);
            let by_plugin_alone = one.name == one.plugin || (alone && !namesake);
            Offer { of: **one, by_plugin_alone, highest }
        })
        .collect()
}

impl Offer<'_> {
    /// The shortest way to ask for it.
    fn reference(&self) -> String {
        let ComponentType { plugin, name, version, .. } = self.of;
        let type_name = if self.by_plugin_alone { String::new() } else { format!("/{name}") };
        let version = if self.highest { String::new() } else { format!("@{version}") };
        format!("{plugin}{type_name}{version}")
    }

    /// All ways to ask for it.
    fn pattern(&self) -> String {
        let ComponentType { plugin, name, version, .. } = self.of;
        let optional = |yes: bool| if yes { "?" } else { "" };
        let version = version.replace('.', r"\.");
        format!("^{plugin}(/{name}){}(@{version}){}$", optional(self.by_plugin_alone), optional(self.highest))
    }

    fn title(&self) -> String {
        format!("settings of {}", self.reference())
    }

    fn definition(&self) -> String {
        let ComponentType { kind, plugin, name, version, .. } = self.of;
        format!("{kind}.{plugin}.{name}.{version}")
    }
}

/// What stands in a section of this kind under a component's name.
fn component(kind: Kind, offers: &[Offer<'_>]) -> Value {
    let mut schema = mapping(&keys::COMPONENT);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        if kind == Kind::Source {
            properties.remove("inputs");
        }
        let plugin = properties.get("plugin").cloned().unwrap_or_default();
        properties.insert("plugin".to_owned(), plugins(plugin, offers));
    }
    let required: &[&str] = if kind == Kind::Stage { &["plugin", "inputs"] } else { &["plugin"] };
    schema.insert("required".to_owned(), json!(required));
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("title".to_owned(), json!(kind.name()));
    schema.insert("defaultSnippets".to_owned(), snippets(kind, offers));
    let settings = offers.iter().map(|offer| {
        let reference = json!({ "$ref": format!("#/definitions/{}", offer.definition()) });
        let mut then = json!({ "title": offer.title(), "properties": { "settings": reference } });
        if settings::requires_some(offer.of.settings) {
            then["required"] = json!(["settings"]);
        }
        let condition = json!({ "type": "string", "pattern": offer.pattern() });
        json!({ "if": { "properties": { "plugin": condition }, "required": ["plugin"] }, "then": then })
    });
    let settings: Vec<Value> = settings.collect();
    if !settings.is_empty() {
        schema.insert("allOf".to_owned(), Value::Array(settings));
    }
    Value::Object(schema)
}

/// The names that `plugin` may be, if any plugin is there; else every well-formed one.
fn plugins(mut schema: Value, offers: &[Offer<'_>]) -> Value {
    if offers.is_empty() {
        return schema;
    }
    let references: Vec<String> = offers.iter().map(Offer::reference).collect();
    let descriptions: Vec<&str> = offers.iter().map(|offer| offer.of.description).collect();
    let others = offers.iter().map(|offer| {
        let ComponentType { plugin, name, .. } = offer.of;
        format!("{plugin}(/{name}){}", if offer.by_plugin_alone { "?" } else { "" })
    });
    let others = others.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("|");
    let version = r"@\d{1,9}\.\d{1,9}\.\d{1,9}(-[A-Za-z0-9.-]{1,64})?";
    schema["anyOf"] = json!([
        { "enum": references, "markdownEnumDescriptions": descriptions },
        { "type": "string", "pattern": format!("^({others})({version})?$") },
        shapes::substituted(),
    ]);
    schema
}

/// A component with its settings to be filled in, for the editor's completion.
fn snippets(kind: Kind, offers: &[Offer<'_>]) -> Value {
    let snippets = offers.iter().map(|offer| {
        let mut body = json!({ "plugin": offer.reference() });
        if kind != Kind::Source {
            body["inputs"] = json!(["${1:component}"]);
        }
        if let Some(settings) = settings::skeleton(offer.of.settings) {
            body["settings"] = settings;
        }
        json!({ "label": offer.reference(), "description": offer.of.description, "body": body })
    });
    Value::Array(snippets.collect())
}

/// A mapping with the keys of a table.
fn mapping(table: &Table) -> Map<String, Value> {
    let mut properties = Map::new();
    for key in table.keys {
        properties.insert(key.name.to_owned(), property(table, key));
    }
    let required = table.keys.iter().filter(|key| key.default == Absent::Required).map(|key| key.name);
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!(["object", "null"]));
    schema.insert("properties".to_owned(), Value::Object(properties));
    schema.insert("additionalProperties".to_owned(), json!(false));
    let required: Vec<&str> = required.collect();
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn property(table: &Table, key: &Key) -> Value {
    let mut schema = match key.shape {
        Shape::Mapping => keys::table(&table.path_of(key)).map_or_else(|| json!({}), |t| mapping(t).into()),
        Shape::Components => components(key),
        shape => shapes::schema(shape),
    };
    let effect = if key.has_effect { "" } else { " Has no effect in this version." };
    schema["description"] = json!(format!("{}{effect}", key.meaning));
    schema["markdownDescription"] = json!(match key.shape {
        Shape::Mapping | Shape::Components => format!("{}{effect}", key.meaning),
        shape => format!("{}{effect}\n\n{shape}; {}", key.meaning, absent(key.default)),
    });
    if let Absent::Value(value) = key.default {
        schema["default"] = shapes::default(key.shape, value);
    }
    schema
}

fn absent(default: Absent) -> String {
    if default == Absent::Required { default.to_string() } else { format!("default: {default}") }
}

fn components(key: &Key) -> Value {
    let kind = key.name.trim_end_matches('s');
    let reference = json!({ "$ref": format!("#/definitions/{kind}") });
    let names = json!({
        "pattern": format!("^{NAME}$"),
        "patternErrorMessage":
            "a component's name has 1 to 64 letters, digits, `_` and `-`, and begins with a letter or digit",
    });
    let mut schema = json!({ "additionalProperties": reference, "propertyNames": names });
    if key.default == Absent::Required {
        schema["type"] = json!("object");
        schema["minProperties"] = json!(1);
    } else {
        schema["type"] = json!(["object", "null"]);
    }
    schema
}
