//! A pipeline in one process: component types written in the test, linked statically, run by the real runtime.

pub(crate) mod components;

use cardcage_core::config::{self, Environment as Outside};
use cardcage_core::graph::wiring;
use cardcage_plugin_api::abi::ComponentType;
use cardcage_plugin_api::manifest::{Capabilities, Capability, ComponentManifest, Permissions, Probe};
use cardcage_runtime::{
    Cancel, ComponentTypeHandle, Dictionary, DictionaryLimits, Environment, Functions, Part, Pipeline,
    PipelineError, Summary,
};
use std::sync::Arc;
use std::time::Duration;

struct NoOutside;

impl Outside for NoOutside {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
    fn file(&self, _: &str) -> Result<String, String> {
        Err("no files".to_owned())
    }
    fn credential(&self, _: &str) -> Result<String, String> {
        Err("no credentials".to_owned())
    }
}

/// A component type for a test, under the plugin name by which the test's config asks for it.
pub(crate) struct Type {
    pub(crate) plugin: &'static str,
    pub(crate) entry: ComponentType,
    pub(crate) does: &'static [Capability],
}

/// The pipeline that this config describes, started.
pub(crate) fn start(yaml: &str, types: &[Type]) -> Result<(Pipeline, Duration), PipelineError> {
    let config = config::parse("test.yaml", yaml, &NoOutside).unwrap_or_else(|problems| panic!("{problems}"));
    let parts: Vec<Part> = config
        .components
        .iter()
        .map(|component| {
            let found = types.iter().find(|of| of.plugin == component.plugin.name);
            let handle = handle(found.unwrap_or_else(|| panic!("no type for `{}`", component.plugin.name)));
            let description = handle.describe(&component.settings).unwrap_or_else(|error| panic!("{error}"));
            Part { config: component.clone(), handle, description }
        })
        .collect();
    let descriptions: Vec<_> = parts.iter().map(|part| part.description.clone()).collect();
    let graph = wiring::check(&config, &descriptions).unwrap_or_else(|problems| panic!("{problems}"));
    let limits = DictionaryLimits { sensors: 1000, units: 100 };
    let environment = Arc::new(Environment::new(
        Arc::new(Dictionary::new(limits)),
        Arc::new(Cancel::default()),
        std::env::temp_dir(),
    ));
    Ok((Pipeline::start(graph, parts, &environment, |_| ())?, config.checkpoint_every))
}

/// Runs the pipeline to its end.
pub(crate) fn run(yaml: &str, types: &[Type]) -> Summary {
    let (pipeline, every) = start(yaml, types).unwrap_or_else(|error| panic!("{error}"));
    pipeline.run(every)
}

fn handle(of: &Type) -> ComponentTypeHandle {
    // SAFETY: the entries come from the SDK's own constructors, whose vtables are constants.
    let functions = unsafe { Functions::of(&of.entry) }.expect("a complete vtable");
    let manifest = ComponentManifest {
        kind: functions.kind(),
        name: of.plugin.to_owned(),
        description: String::new(),
        capabilities: Capabilities { does: of.does.iter().copied().collect(), ..Capabilities::default() },
        permissions: Permissions::default(),
        metrics: Vec::new(),
        probe: Probe::None("a test".to_owned()),
    };
    // SAFETY: the SDK's shims keep the ABI's contract, and code of the test's own binary stays loaded.
    unsafe { ComponentTypeHandle::new(of.plugin, "1.0.0", manifest, functions, None) }
}

/// The account of a component.
pub(crate) fn account<'a>(summary: &'a Summary, name: &str) -> &'a cardcage_core::ledger::Account {
    let row = summary.books.components.iter().find(|row| row.name == name);
    &row.unwrap_or_else(|| panic!("no component `{name}`")).account
}
