//! A plugin that writes to its metric what its manifest forbids.

use e2e::{Pipeline, library, wait_for};
use rustix::process::Signal;
use serde_json::Value;

const YAML: &str = "\
version: 1
state_directory: state
sources: { numbers: { plugin: generate, settings: { rate: 20000 } } }
stages: { boaster: { plugin: lying-counter, inputs: [numbers], settings: { falls: true } } }
sinks: { nowhere: { plugin: blackhole, inputs: [boaster] } }
";

#[test]
fn a_write_that_breaks_a_rule_changes_nothing_and_is_in_the_status_and_in_the_trail() {
    let pipeline = Pipeline::new(YAML, &["source_generate", "sink_blackhole"]);
    pipeline.add(library("lying_counter"));
    let running = pipeline.start(&["run"]);
    let status = wait_for("a violation in the status", || {
        let output = pipeline.command(&["status", "--format", "json"]).output().expect("can be started");
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        let components = status["components"].as_array()?;
        let violations = |name: &str| {
            components.iter().find(|component| component["name"] == name)?["violations"].as_u64()
        };
        assert_eq!((violations("numbers"), violations("nowhere")), (Some(0), Some(0)), "{status:#}");
        violations("boaster").filter(|count| *count > 0).map(|_| status.clone())
    });
    assert!(status["health"].to_string().contains("boaster"), "it counts against it: {status:#}");
    let text = pipeline.command(&["status"]).output().expect("can be started").stdout;
    let text = String::from_utf8_lossy(&text);
    assert!(text.lines().any(|line| line.contains("degraded: boaster") && line.contains("rule")), "{text}");
    running.signal(Signal::TERM);
    running.finish().expect(0);

    let shown = pipeline.run(&["audit", "show", "--violations", "--format", "json"]).expect(0).stdout;
    let shown: Vec<Value> =
        shown.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect();
    assert!(!shown.is_empty());
    for entry in &shown {
        assert_eq!((&entry["component"], &entry["metric"]), (&"boaster".into(), &"records_out".into()));
        assert_eq!(entry["old"], entry["new"], "it changed nothing: {entry}");
    }
    let told =
        pipeline.run(&["audit", "explain", "boaster.records_out", "--format", "json"]).expect(0).json();
    let run = &told["runs"][0];
    let share = &run["shares"][0];
    let refused: u64 = shown.iter().filter_map(|entry| entry["count"].as_u64()).sum();
    assert_eq!((share["refused"].as_u64(), refused > 0), (Some(refused), true), "{told}");
    // Twice the records that it passed on, and not one less.
    let delivered =
        pipeline.run(&["audit", "explain", "nowhere.records", "--format", "json"]).expect(0).json();
    let delivered = delivered["runs"][0]["value"].as_f64().expect("a number");
    assert_eq!(run["value"], 2.0 * delivered, "{told}");
}
