//! The plugins of the plumbing bench linked into one program, on the daemon's own runtime: what loading them as shared
//! libraries is compared with, and what a single call costs. `cargo xtask bench plumbing` builds it with
//! `--cfg cardcage_static` in a target folder of its own, and runs the daemon on the same config.

mod linked;
mod tally;

use cardcage_core::config::{self, ComponentConfig, Config};
use cardcage_core::diagnostic::Diagnostics;
use cardcage_core::graph::wiring;
use cardcage_plugin_api::manifest::Kind;
use cardcage_runtime::{
    Batch, Cancel, ComponentTypeHandle, Dictionary, DictionaryLimits, Environment, HostHandle, Part,
    Pipeline, StageInstance, StageOutputs,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

const USAGE: &str =
    "usage: plumbing run CONFIG [TRAIL] | plumbing call COUNT | plumbing writes COUNT [TRAIL]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run", config] => run(config, None),
        ["run", config, trail] => run(config, Some(Path::new(trail))),
        ["call", count] => count.parse().map_err(|_| USAGE.to_owned()).and_then(call),
        ["writes", count] => writes(count, None),
        ["writes", count, trail] => writes(count, Some(Path::new(trail))),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plumbing: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the config to its end, as the daemon does it, and prints how many records its sinks took. With a folder the audit
/// trail is kept there.
fn run(file: &str, trail: Option<&Path>) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"))?;
    let rendered = |problems: Diagnostics| problems.render();
    let config = config::parse(file, &text, &Nothing).map_err(rendered)?;
    let parts = config.components.iter().map(part).collect::<Result<Vec<_>, _>>()?;
    let descriptions: Vec<_> = parts.iter().map(|part| part.description.clone()).collect();
    let graph = wiring::check(&config, &descriptions).map_err(rendered)?;
    let environment = environment(&config);
    let keeper = trail.map(|folder| tally::keep(&environment, folder.to_owned())).transpose()?;
    let pipeline = Pipeline::start(graph, parts, &environment, |_| ()).map_err(|error| error.to_string())?;
    let summary = pipeline.run(config.checkpoint_every);
    drop(keeper);
    if summary.any_failed() || !summary.balances() {
        return Err(format!("the run failed:\n{}", summary.books.render()));
    }
    let sinks = summary.books.components.iter().filter(|row| row.kind == Kind::Sink);
    println!("{}", sinks.map(|row| row.account.output).sum::<u64>());
    Ok(())
}

/// Calls `process` of a stage with an empty batch and prints nanoseconds a call, the host's bookkeeping around it
/// included.
fn call(count: u32) -> Result<(), String> {
    let failed = |error: cardcage_runtime::CallError| error.to_string();
    let handle = linked::find(Kind::Stage, "range").ok_or("the stage `range` is not linked")?;
    let environment = small_environment();
    let manifest = Arc::new(handle.manifest().clone());
    let host = HostHandle::for_component(&environment, "stage", "range", &BTreeMap::new(), manifest);
    let settings = serde_json::json!({ "min": 0, "max": 1 });
    let reasons = handle.describe(&settings).map_err(failed)?.reasons.len();
    let mut stage = StageInstance::open(&handle, &settings, host, reasons, 0).map_err(failed)?;
    let mut batch = Batch::new(1);
    let mut outputs = StageOutputs { main: Batch::new(1), ports: vec![None] };
    let started = Instant::now();
    for now_ns in 0..i64::from(count) {
        stage.process(&mut batch, &mut outputs, now_ns).map_err(failed)?;
    }
    println!("{:.3}", started.elapsed().as_secs_f64() * 1e9 / f64::from(count));
    stage.close(0).map_err(failed)
}

fn writes(count: &str, trail: Option<&Path>) -> Result<(), String> {
    let count = count.parse().map_err(|_| USAGE.to_owned())?;
    tally::writes(&small_environment(), count, trail)
}

/// For one component without sensors.
fn small_environment() -> Arc<Environment> {
    Arc::new(Environment::new(
        Arc::new(Dictionary::new(DictionaryLimits { sensors: 1, units: 1 })),
        Arc::new(Cancel::default()),
        PathBuf::new(),
    ))
}

fn part(config: &ComponentConfig) -> Result<Part, String> {
    let handle: ComponentTypeHandle = linked::find(config.kind, &config.plugin.name)
        .ok_or_else(|| format!("the {} `{}` is not linked", config.kind, config.plugin.name))?;
    let description = handle.describe(&config.settings).map_err(|error| error.to_string())?;
    Ok(Part { config: config.clone(), handle, description })
}

fn environment(config: &Config) -> Arc<Environment> {
    let limits = DictionaryLimits { sensors: config.limits.sensors, units: config.limits.units };
    let dictionary = Arc::new(Dictionary::new(limits));
    let state = PathBuf::from(&config.state_directory);
    Arc::new(Environment::new(dictionary, Arc::new(Cancel::default()), state))
}

/// The bench's config needs nothing of the outside.
struct Nothing;

impl config::Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("the bench reads no files into its config".to_owned())
    }

    fn credential(&self, _: &str) -> Result<String, String> {
        Err("the bench has no credentials".to_owned())
    }
}
