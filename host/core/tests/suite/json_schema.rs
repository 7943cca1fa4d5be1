//! The JSON Schema for editors: it takes what the config takes, and refuses what people misspell.
//!
//! That it takes whatever config any of the suites finds good is asserted where they parse: see [`crate::pipeline`].

mod validator;

use crate::pipeline::{good, parse};
use cardcage_core::config::Config;
use cardcage_core::config::json_schema::{self, ComponentType};
use cardcage_core::config::keys::{Absent, Key, Shape, TABLES, Table};
use cardcage_plugin_api::manifest::Kind;
use serde_json::{Value, json};
use std::sync::OnceLock;
use validator::broken;

const SMALL: &str = "\
version: 1
sources: { host: { plugin: host } }
sinks: { archive: { plugin: file, inputs: [host] } }
";

/// Where a text breaks the schema that is made when no plugin is there.
pub(crate) fn refused(text: &str) -> Vec<String> {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| json_schema::pipeline(&[]));
    broken(schema, &document(text))
}

fn document(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What an attentive author derives for a sink: nested settings, words with descriptions, several types, quantities.
fn file_settings() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "FileSettings",
        "type": "object",
        "additionalProperties": false,
        "required": ["path"],
        "properties": {
            "path": { "type": "string", "description": "The file to\nwrite.", "examples": ["out/readings.ndjson"] },
            "sync": { "$ref": "#/$defs/Sync", "description": "When it is safe.", "default": "commit" },
            "keep": { "type": ["integer", "null"], "format": "uint32", "minimum": 1 },
            "rotate": { "anyOf": [{ "$ref": "#/$defs/Rotate" }, { "type": "null" }] },
            "again": { "$ref": "#" },
        },
        "$defs": {
            "Sync": { "oneOf": [
                { "type": "string", "const": "commit", "description": "At each\ncheckpoint." },
                { "type": "string", "enum": ["interval", "never"] },
            ] },
            "Rotate": {
                "type": "object",
                "additionalProperties": false,
                "properties": { "size": {
                    "type": ["string", "integer"], "pattern": "^\\d+(B|MiB)$", "examples": ["64MiB"],
                } },
            },
        },
    })
}

fn with_plugins() -> Value {
    let (file, none) = (file_settings(), json!({ "type": "object", "additionalProperties": false }));
    let old = json!({ "type": "object", "properties": { "old": {} }, "additionalProperties": false });
    let of = |kind, plugin, version, name, settings| ComponentType {
        kind,
        plugin,
        version,
        name,
        description: "one sentence",
        settings,
    };
    json_schema::pipeline(&[
        of(Kind::Source, "host", "1.0.0", "host", &none),
        of(Kind::Sink, "file", "1.0.0", "file", &old),
        of(Kind::Sink, "file", "1.2.0", "file", &file),
        of(Kind::Sink, "mqtt", "0.1.0", "publish", &none),
        of(Kind::Sink, "mqtt", "0.1.0", "retain", &none),
    ])
}

/// Where a sink breaks the rules.
fn sink(written: &str) -> Vec<String> {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    let schema = SCHEMA.get_or_init(with_plugins);
    let text = SMALL.replace("plugin: file", written);
    broken(schema, &document(&text))
}

#[test]
fn the_whole_schema_is_known() {
    let schema = serde_json::to_string_pretty(&with_plugins()).expect("values are JSON");
    insta::assert_snapshot!("schema", schema);
}

#[test]
fn a_key_that_nobody_knows_is_refused_in_every_mapping() {
    for table in &TABLES {
        let text = with(table, "nobody", "1");
        let refused = refused(&text);
        assert!(refused.iter().any(|at| at.contains("nobody")), "`{}`: {refused:?}\n{text}", table.path);
        assert!(parse(&text).is_err(), "{text}");
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_refused_for_every_key() {
    for table in &TABLES {
        for key in table.keys {
            for wrong in wrong_values(key) {
                let text = with(table, key.name, wrong);
                assert!(parse(&text).is_err(), "the config takes it: {text}");
                assert!(!refused(&text).is_empty(), "the schema takes it: {text}");
            }
        }
    }
}

fn wrong_values(key: &Key) -> &'static [&'static str] {
    match key.shape {
        Shape::Version => &["2", "one", "[1]"],
        Shape::Mapping | Shape::Components | Shape::Settings => &["[a]", "text"],
        Shape::Path | Shape::Text(_) => &["[a]", "{ a: b }"],
        Shape::Paths => &["[[a]]", "a"],
        Shape::Hashes => &["[abc]", "a"],
        Shape::Octal => &["0999", "rw", "[0600]"],
        Shape::Words(_) => &["nobody", "[a]", "1"],
        Shape::Count(..) => &["-1", "1.5", "many", "1e30", "[1]"],
        Shape::Duration(..) => &["5", "5 sec", "soon", "[1s]"],
        Shape::Size(..) => &["64", "64mib", "big", "[1B]"],
        Shape::Plugin => &["a/b/c", "range@1", "[range]"],
        Shape::Inputs => &["host", "[a.b.c]", "[[host]]", "[host, host]"],
        Shape::Tags => &["[a]", "{ a: [b] }", "text"],
        Shape::Sink => &["a.b", "[a]"],
    }
}

/// A pipeline in which this key of this table has this value.
fn with(table: &Table, key: &str, value: &str) -> String {
    let inside = format!("{key}: {value}");
    let nested = |path: &str| {
        path.rsplit('.')
            .filter(|name| !name.is_empty())
            .fold(inside.clone(), |inside, name| format!("{name}: {{ {inside} }}"))
    };
    if table.path.is_empty() {
        // A section that is replaced takes its components with it.
        let kept = SMALL.split_inclusive('\n').filter(|line| !line.starts_with(&format!("{key}:")));
        return kept.chain([inside.as_str(), "\n"]).collect();
    }
    let Some(path) = table.path.strip_prefix('*') else {
        return format!("{SMALL}{}\n", nested(table.path));
    };
    let sink = "plugin: file, inputs: [host]";
    let written = SMALL.replace(sink, &format!("{sink}, {}", nested(path)));
    // Not twice.
    match key {
        "plugin" => written.replacen("plugin: file, ", "", 1),
        "inputs" => written.replacen("inputs: [host], ", "", 1),
        _ => written,
    }
}

#[test]
fn a_default_that_is_written_changes_nothing() {
    for table in &TABLES {
        for key in table.keys {
            let Absent::Value(value) = key.default else { continue };
            let (written, absent) = (good(&with(table, key.name, value)), good(SMALL));
            let whole = |config: &Config| {
                let Config { plugins, state_directory, limits, control, log, audit, .. } = config;
                let more = (config.checkpoint_every, config.on_bad_config);
                format!("{plugins:?} {state_directory} {limits:?} {control:?} {log:?} {audit:?} {more:?}")
            };
            assert_eq!(whole(&written), whole(&absent), "`{}` in `{}`", key.name, table.path);
            for (written, absent) in written.components.iter().zip(&absent.components) {
                assert!(written.same_as(absent), "`{}` in `{}`", key.name, table.path);
            }
        }
    }
}

#[test]
fn a_substitution_may_stand_wherever_a_scalar_may() {
    for table in &TABLES {
        for key in table.keys {
            let value = match key.shape {
                Shape::Mapping | Shape::Components | Shape::Settings => continue,
                Shape::Paths | Shape::Hashes | Shape::Inputs => "[\"${ROOM}\"]",
                Shape::Tags => "{ a: \"${ROOM}\" }",
                _ => "\"${ROOM}\"",
            };
            let text = with(table, key.name, value);
            assert_eq!(refused(&text), Vec::<String>::new(), "{text}");
        }
    }
    let written = "plugin: file, settings: { path: \"${X}\", sync: \"${X}\", keep: \"${X}\", rotate: { size: \"${X}\" } }";
    assert_eq!(sink(written), Vec::<String>::new());
}

#[test]
fn settings_are_those_of_the_plugin_however_it_is_named() {
    for reference in ["file", "file/file", "file@1.2.0", "file/file@1.2.0"] {
        let written = |settings: &str| sink(&format!("plugin: {reference}, settings: {{ {settings} }}"));
        assert_eq!(
            written("path: out, sync: commit, keep: 3, rotate: { size: 64MiB }"),
            Vec::<String>::new()
        );
        assert_eq!(written("path: out, again: { path: in }, rotate: ~, keep: ~"), Vec::<String>::new());
        for wrong in [
            "pth: out",
            "path: out, kep: 3",
            "path: out, sync: comit",
            "path: out, keep: many",
            "path: out, keep: 0",
            "path: out, rotate: { sice: 64MiB }",
            "path: out, rotate: { size: 64 MiB }",
            "path: out, again: {}",
            "sync: commit",
        ] {
            assert!(!written(wrong).is_empty(), "{reference}: {wrong}");
        }
    }
    assert_eq!(sink("plugin: file@1.0.0, settings: { old: 1 }"), Vec::<String>::new(), "an older version");
    assert!(!sink("plugin: file@1.0.0, settings: { path: out }").is_empty());
    assert!(!sink("plugin: file").is_empty(), "`path` has to be set");
}

#[test]
fn a_plugin_that_is_not_there_is_refused_and_a_type_must_be_named_where_there_are_several() {
    assert_eq!(sink("plugin: mqtt/retain"), Vec::<String>::new());
    assert_eq!(sink("plugin: mqtt/publish@0.1.0, settings: ~"), Vec::<String>::new());
    for wrong in ["mqtt", "mqtt/subscribe", "flie", "host", "file@1"] {
        assert!(!sink(&format!("plugin: {wrong}, settings: {{ path: out }}")).is_empty(), "{wrong}");
    }
}

#[test]
fn a_schema_that_is_no_good_makes_editors_lenient_and_nothing_worse() {
    let deep = (0..500).fold(json!(true), |inner, _| json!({ "items": inner }));
    for odd in [json!(null), json!([1]), json!({ "$ref": "#/nowhere", "properties": 3 }), json!(true), deep] {
        let schema = json_schema::pipeline(&[ComponentType {
            kind: Kind::Source,
            plugin: "host",
            version: "1.0.0",
            name: "host",
            description: "",
            settings: &odd,
        }]);
        assert_eq!(schema["title"], "Cardcage pipeline");
    }
}
