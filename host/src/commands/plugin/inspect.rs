//! `cardcage plugin inspect FILE|NAME`.

#![forbid(unsafe_code)]

use super::{Answer, Format, list, text};
use crate::loader::catalogue::Catalogue;
use crate::loader::climb;
use crate::loader::libraries::SystemLibraries;
use crate::loader::refusal::Refusal;
use crate::loader::vetting::Vetting;
use cardcage_core::naming::nearest;
use cardcage_plugin_api::manifest::{ComponentManifest, Kind, Manifest, MetricDeclaration};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Shows a plugin, or all of that name. Schemas come from a plugin's code, which runs in the vetting child only.
pub(super) fn run(plugin: &Path, directory: Option<PathBuf>, format: Format) -> Answer {
    let files = match files_of(plugin, directory) {
        Ok(files) => files,
        Err(complaint) => return Answer::refused(complaint),
    };
    let mut libraries = SystemLibraries::default();
    let shown: Vec<Shown> = files.into_iter().map(|file| look(file, &mut libraries)).collect();
    let refused = shown.iter().any(|shown| shown.refusal.is_some());
    let text = match format {
        Format::Json => text::json(&serde_json::json!({ "plugins": shown })),
        Format::Text => shown.iter().map(render).collect::<Vec<_>>().join("\n"),
    };
    Answer { text, refused, ..Answer::default() }
}

#[derive(Serialize)]
struct Shown {
    file: PathBuf,
    manifest: Option<Manifest>,
    /// One for each component type, in the manifest's order; none if the plugin was refused.
    schemas: Vec<Value>,
    refusal: Option<Refusal>,
}

fn look(file: PathBuf, libraries: &mut SystemLibraries) -> Shown {
    let looked = climb::look(&file, libraries, &mut |_, _| ());
    let vetted = looked
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|candidate| Vetting::default().vet(candidate, libraries));
    let (schemas, refusal) = match vetted {
        Ok(vetted) => {
            let components = vetted.verdict.components.into_iter();
            (components.map(|component| component.schema).collect(), None)
        }
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    Shown { file, manifest: looked.ok().map(|candidate| candidate.manifest), schemas, refusal }
}

/// A path as it is; for a name, the file of the highest version for each kind (a source and a sink may share a name);
/// for `NAME@VERSION`, those of that version.
fn files_of(plugin: &Path, directory: Option<PathBuf>) -> Result<Vec<PathBuf>, String> {
    let wanted = match plugin.to_str() {
        Some(name) if !name.contains('/') && !plugin.exists() => name,
        _ => return Ok(vec![plugin.to_owned()]),
    };
    let (name, version) = match wanted.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (wanted, None),
    };
    let directories = list::directories(directory);
    let catalogue = Catalogue::scan(&directories, &[], Vetting::default());
    let mut files: BTreeMap<Kind, &Path> = BTreeMap::new();
    for (file, manifest) in catalogue.plugins() {
        if manifest.name == name && version.is_none_or(|version| manifest.version == version) {
            // The highest version comes last.
            files.extend(manifest.components.iter().map(|component| (component.kind, file)));
        }
    }
    if !files.is_empty() {
        let mut files: Vec<PathBuf> = files.into_values().map(Path::to_owned).collect();
        files.dedup();
        return Ok(files);
    }
    let near = nearest(name, catalogue.plugins().map(|(_, manifest)| manifest.name.as_str()))
        .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    let folders: Vec<String> = directories.iter().map(|folder| folder.display().to_string()).collect();
    Err(format!("there is no file and no plugin `{wanted}` in {}{near}\n", folders.join(", ")))
}

fn render(shown: &Shown) -> String {
    let mut text = String::new();
    if let Some(manifest) = &shown.manifest {
        let build = &manifest.build;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {}  {}", manifest.name, manifest.version, manifest.description);
        let mut facts = vec![
            vec!["file".to_owned(), shown.file.display().to_string()],
            vec![
                "built for".to_owned(),
                format!("ABI {}, plugin API {}, {}", manifest.abi, build.api, build.arch),
            ],
        ];
        if !build.features.trim().is_empty() {
            facts.push(vec!["CPU features".to_owned(), build.features.trim().to_owned()]);
        }
        text.push_str(&text::table("  ", &facts));
        for (index, component) in manifest.components.iter().enumerate() {
            text.push_str(&component_text(component, shown.schemas.get(index)));
        }
    }
    if let Some(refusal) = &shown.refusal {
        let _ = writeln!(text, "\n{refusal}");
    }
    text
}

fn component_text(component: &ComponentManifest, schema: Option<&Value>) -> String {
    let mut text = format!("\n{} {}", component.kind, component.name);
    if !component.description.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "  {}", component.description);
    }
    text.push('\n');
    let capabilities = &component.capabilities;
    let mut facts = Vec::new();
    let mut fact = |name: &str, words: Vec<String>| {
        if !words.is_empty() {
            facts.push(vec![name.to_owned(), words.join(", ")]);
        }
    };
    fact("does", capabilities.does.iter().map(|one| one.name().to_owned()).collect());
    fact("writes", capabilities.writes.iter().map(|field| format!("{field:?}").to_lowercase()).collect());
    if capabilities.threads > 0 {
        fact("threads", vec![capabilities.threads.to_string()]);
    }
    for (kind, list) in component.permissions.lists() {
        fact(&format!("may {kind}"), list.to_vec());
    }
    text.push_str(&text::table("  ", &facts));
    if !component.metrics.is_empty() {
        text.push_str("  metrics\n");
        let rows: Vec<Vec<String>> = component.metrics.iter().map(metric_row).collect();
        text.push_str(&text::table("    ", &rows));
    }
    if let Some(schema) = schema {
        text.push_str(&settings_text(schema));
    }
    text
}

fn metric_row(metric: &MetricDeclaration) -> Vec<String> {
    let kind = format!("{:?}", metric.kind).to_lowercase();
    vec![metric.name.clone(), kind, metric.unit.clone(), metric.help.clone()]
}

fn settings_text(schema: &Value) -> String {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return "  settings: none\n".to_owned();
    };
    let required = |name: &str| {
        let list = schema.get("required").and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(|one| one == name))
    };
    let rows: Vec<Vec<String>> = properties
        .iter()
        .map(|(name, property)| {
            let default = match property.get("default") {
                _ if required(name) => "required".to_owned(),
                None | Some(Value::Null) => "optional".to_owned(),
                Some(default) => format!("default {default}"),
            };
            let about = property.get("description").and_then(Value::as_str).unwrap_or_default();
            let about = about.split_whitespace().collect::<Vec<_>>().join(" ");
            vec![name.clone(), type_words(schema, property, 0), default, about]
        })
        .collect();
    if rows.is_empty() {
        return "  settings: none\n".to_owned();
    }
    format!("  settings\n{}", text::table("    ", &rows))
}

/// A schema in few words: `number`, `drop | flag`, `list of text`.
fn type_words(root: &Value, schema: &Value, depth: usize) -> String {
    /// Deeper types are called what they are outside.
    const DEPTH_MAX: usize = 4;
    let inner = |schema: &Value| type_words(root, schema, depth + 1);
    let list = |key: &str| schema.get(key).and_then(Value::as_array);
    if depth > DEPTH_MAX {
        return "…".to_owned();
    }
    if let Some(target) =
        schema.get("$ref").and_then(Value::as_str).and_then(|name| root.pointer(name.strip_prefix('#')?))
    {
        return inner(target);
    }
    if let Some(only) = schema.get("const") {
        return only.as_str().map_or_else(|| only.to_string(), str::to_owned);
    }
    if let Some(values) = list("enum") {
        let words: Vec<String> = values
            .iter()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect();
        return words.join(" | ");
    }
    if let Some(options) = list("oneOf").or_else(|| list("anyOf")) {
        let mut words: Vec<String> = options.iter().map(inner).filter(|word| word != "nothing").collect();
        words.dedup();
        return words.join(" | ");
    }
    let names: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect()
        }
        _ => return "anything".to_owned(),
    };
    let words: Vec<String> = names
        .into_iter()
        .map(|name| match name {
            "string" => "text".to_owned(),
            "integer" => "whole number".to_owned(),
            "boolean" => "true | false".to_owned(),
            "object" => "mapping".to_owned(),
            "null" => "nothing".to_owned(),
            "array" => match schema.get("items") {
                Some(items) => format!("list of {}", inner(items)),
                None => "list".to_owned(),
            },
            other => other.to_owned(),
        })
        .collect();
    words.join(" | ")
}
