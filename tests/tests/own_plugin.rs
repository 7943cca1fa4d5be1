//! A plugin author's first hour: a stage in a crate of its own, from the README, built, checked and run.

#![forbid(unsafe_code)]

use e2e::{Pipeline, own_crate, workspace};
use rustix::process::Signal;
use std::fs;

/// The README's Rust block.
fn readme_stage() -> String {
    let readme = fs::read_to_string(workspace().join("README.md")).expect("there is a README");
    let (_, rest) = readme.split_once("```rust\n").expect("with a Rust block");
    rest.split_once("```").expect("that ends").0.to_owned()
}

const PIPELINE: &str = "version: 1
sources:
  gen: { plugin: generate, settings: { count: 100, sensors: 1, waveform: constant } }
stages:
  calm: { plugin: deadband, inputs: [gen], settings: { at_least: 0.5 } }
sinks:
  archive: { plugin: file, inputs: [calm], settings: { path: out.ndjson } }
";

#[test]
fn the_stage_in_the_readme_is_some_thirty_lines_and_runs_from_a_crate_of_its_own() {
    let source = readme_stage();
    let code = source.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//"));
    let lines = code.count();
    assert!(lines <= 33, "{lines} lines with settings, export and all");
    let own = own_crate::build("deadband", &source);
    let pipeline = Pipeline::new(PIPELINE, &["source_generate", "sink_file"]);
    let library = pipeline.add(&own.library());
    let library = library.to_str().expect("a path in UTF-8");
    pipeline.run(&["plugin", "check", library]).expect(0);
    let shown = pipeline.run(&["plugin", "inspect", library]).expect(0);
    assert!(shown.stdout.contains("at_least"), "{}", shown.stdout);
    pipeline.run(&["run"]).expect(0);
    let out = fs::read_to_string(pipeline.path("out.ndjson")).expect("written");
    assert_eq!(out.lines().count(), 1, "a constant passes once: {out}");
    pipeline.write_yaml(&PIPELINE.replace("at_least: 0.5", "atleast: 0.5"));
    let refused = pipeline.run(&["check"]).expect(78);
    assert!(refused.stderr.contains("did you mean `at_least`"), "{}", refused.stderr);
}

/// Loses the last record of each batch without a word, and does not let itself be probed.
const LOSING: &str = r#"
use cardcage_plugin_api::prelude::*;

pub struct Losing;

impl Stage for Losing {
    type Settings = NoSettings;
    fn describe(_: &NoSettings) -> Description {
        Description::stage()
    }
    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self)
    }
    fn process(&mut self, batch: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        batch.truncate(batch.len() - 1);
        Ok(Flow::Done)
    }
}

export_plugin! { name: "losing", components: [stage Losing { }], probe: none("it has something to hide") }
"#;

#[test]
fn a_stage_that_loses_records_is_named_in_log_and_summary_and_the_end_is_70() {
    let own = own_crate::build("losing", LOSING);
    let yaml =
        PIPELINE.replace("plugin: deadband", "plugin: losing").replace(", settings: { at_least: 0.5 }", "");
    let pipeline = Pipeline::new(&yaml, &["source_generate", "sink_file"]);
    pipeline.add(&own.library());
    let run = pipeline.run(&["run"]).expect(70);
    assert!(run.stderr.contains("imbalance: 100 records came in"), "the log: {}", run.stderr);
    assert!(run.stderr.contains("unexplained: calm"), "the summary: {}", run.stderr);
    assert!(run.stderr.contains("component `calm`: 1 record missing"), "the books: {}", run.stderr);
}

/// Never comes back from `open`, and does not let itself be probed.
const STUCK: &str = r#"
use cardcage_plugin_api::prelude::*;

pub struct Stuck;

impl Stage for Stuck {
    type Settings = NoSettings;
    fn describe(_: &NoSettings) -> Description {
        Description::stage()
    }
    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        loop {
            std::thread::park();
        }
    }
    fn process(&mut self, _: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        Ok(Flow::Done)
    }
}

export_plugin! { name: "stuck", components: [stage Stuck { }], probe: none("it hangs") }
"#;

#[test]
fn a_component_that_hangs_in_open_is_named_and_ctrl_c_still_ends_the_process() {
    let own = own_crate::build("stuck", STUCK);
    let stuck = "plugin: stuck, deadline: 200ms";
    let yaml = PIPELINE.replace("plugin: deadband", stuck).replace(", settings: { at_least: 0.5 }", "");
    let pipeline = Pipeline::new(&yaml, &["source_generate", "sink_file"]);
    pipeline.add(&own.library());
    let run = pipeline.start(&["run"]);
    run.wait_for_stderr("`open` is still running past its deadline of 200 ms");
    assert!(run.stderr().contains("calm"), "{}", run.stderr());
    run.signal(Signal::INT);
    run.finish().expect(130);
}
