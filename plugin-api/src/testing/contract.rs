//! What every plugin promises, checked from inside its own tests: manifest, types, schema, description of its probe.
//!
//! One of the crate's few files with unsafe code: the way from a component type to its vtable.

use super::instance;
use crate::__private::Library;
use crate::abi::{CommonVtable, ComponentType, KindCode};
use crate::manifest::{ComponentManifest, Kind, Manifest, Probe};

/// What is wrong with a plugin that can be seen without running its components; empty if nothing. For a plugin's own
/// tests: `assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());`.
pub fn contract<L: Library>() -> Vec<String> {
    let manifest: Manifest = match serde_json::from_slice(L::MANIFEST) {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("the manifest: {error}")],
    };
    if manifest.components.len() != L::COMPONENTS.len() {
        return vec![format!(
            "{} component types, {} in the manifest",
            L::COMPONENTS.len(),
            manifest.components.len()
        )];
    }
    let pairs = manifest.components.iter().zip(L::COMPONENTS);
    pairs
        .flat_map(|(declared, component)| {
            let problems = component_problems(declared, component);
            problems.into_iter().map(|problem| format!("{} `{}`: {problem}", declared.kind, declared.name))
        })
        .collect()
}

fn component_problems(declared: &ComponentManifest, component: &ComponentType) -> Vec<String> {
    let Some(common) = common(declared.kind, component) else {
        return vec!["its vtable is of another kind".to_owned()];
    };
    let mut problems = Vec::new();
    if let Err(failure) = instance::schema(common) {
        problems.push(failure.message);
    }
    let Probe::Settings(settings) = &declared.probe else {
        return problems;
    };
    match instance::describe(common, settings) {
        Err(failure) => problems.push(format!("the probe's settings: {}", failure.message)),
        Ok(description) => {
            problems.extend(description.malformed());
            if description.kind != declared.kind {
                problems.push(format!("it describes itself as a {}", description.kind));
            }
            let beyond = description.capabilities.beyond(&declared.capabilities);
            problems.extend(beyond.iter().map(|what| format!("undeclared: {what}")));
            let wrong = description.problems.iter();
            problems.extend(wrong.map(|wrong| format!("the probe's `{}`: {}", wrong.setting, wrong.message)));
        }
    }
    problems
}

fn common(kind: Kind, component: &ComponentType) -> Option<&'static CommonVtable> {
    // SAFETY: a component type's pointers are null or lead to a vtable of their kind that lives as long as the code.
    unsafe {
        match (kind, component.kind) {
            (Kind::Source, KindCode::SOURCE) => component.source.as_ref().map(|vtable| &vtable.common),
            (Kind::Stage, KindCode::STAGE) => component.stage.as_ref().map(|vtable| &vtable.common),
            (Kind::Sink, KindCode::SINK) => component.sink.as_ref().map(|vtable| &vtable.common),
            _ => None,
        }
    }
}
