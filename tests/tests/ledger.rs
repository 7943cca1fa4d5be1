//! `cardcage ledger`: where the records of a running daemon are, told to someone who knows nothing else.

#![forbid(unsafe_code)]

use e2e::{Pipeline, library, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::process::Output;

/// A command beside the running daemon.
fn ask(pipeline: &Pipeline, arguments: &[&str]) -> Output {
    pipeline.command(arguments).output().expect("the program can be started")
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// The ledger as JSON, once `done` of it is true.
fn ledger_once(pipeline: &Pipeline, done: impl Fn(&Value) -> bool) -> Value {
    wait_for("the ledger to say so", || {
        let output = ask(pipeline, &["ledger", "--format", "json"]);
        let ledger: Value = serde_json::from_slice(&output.stdout).ok()?;
        done(&ledger).then_some(ledger)
    })
}

/// `count` readings, of which every `odd`th is out of range, then `bad` lines that are none.
fn readings(count: u32, odd: u32, bad: u32) -> String {
    let mut lines = String::new();
    for index in 0..count {
        let value = if index % odd == 0 { 500 } else { 20 };
        let timestamp = 1_700_000_000_000_000_000_u64 + u64::from(index);
        let _ = writeln!(lines, "{{\"sensor\":\"press-7\",\"timestamp\":{timestamp},\"value\":{value}}}");
    }
    for _ in 0..bad {
        lines.push_str("{\"sensor\":\"press-7\",\"value\":oops}\n");
    }
    lines
}

const FOLLOWED: &str = "version: 1
checkpoint: { every: 20ms }
sources:
  press: { plugin: file, settings: { path: in.ndjson, follow: true } }
stages:
  plausible: { plugin: range, inputs: [press], settings: { min: -50, max: 100 } }
sinks:
  archive: { plugin: file, inputs: [plausible], settings: { path: out.ndjson } }
";

#[test]
fn why_twelve_percent_do_not_arrive_is_in_the_balance_sheet() {
    let pipeline = Pipeline::new(FOLLOWED, &["source_file", "stage_range", "sink_file"]);
    fs::write(pipeline.path("in.ndjson"), readings(978, 10, 22)).expect("written");
    let run = pipeline.start(&["run"]);
    // 98 of the 978 are out of range, 22 lines are no readings.
    let ledger = ledger_once(&pipeline, |ledger| ledger["totals"]["delivered"] == 880);
    assert_eq!((&ledger["balances"], &ledger["of_one_moment"]), (&true.into(), &true.into()));
    assert_eq!(ledger["totals"]["in"], 1000);
    let sheet = text(&ask(&pipeline, &["ledger"]));
    let (head, sheet) = sheet.split_once('\n').expect("lines");
    assert!(head.starts_with("pipeline.yaml: for "), "{head}");
    insta::assert_snapshot!("ledger", sheet);
    run.signal(Signal::TERM);
    run.finish().expect(0);
}

#[test]
fn a_counter_that_lies_stands_beside_the_truth() {
    let yaml =
        FOLLOWED.replace("plugin: range", "plugin: lying-counter").replace("{ min: -50, max: 100 }", "{}");
    let pipeline = Pipeline::new(&yaml, &["source_file", "sink_file"]);
    pipeline.add(library("lying_counter"));
    fs::write(pipeline.path("in.ndjson"), readings(100, 1, 0)).expect("written");
    let run = pipeline.start(&["run"]);
    let ledger = ledger_once(&pipeline, |ledger| ledger["totals"]["delivered"] == 100);
    let claim = &ledger["claims"][0];
    assert_eq!((&claim["component"], &claim["metric"]), (&"plausible".into(), &"records_out".into()));
    assert_eq!(
        (&claim["claimed"], &claim["counted"], &claim["is_false"]),
        (&200.0.into(), &100.into(), &true.into())
    );
    let sheet = text(&ask(&pipeline, &["ledger"]));
    let expected =
        "`plausible` says 200 in its metric `records_out`; the host counted 100: the metric is wrong";
    assert!(sheet.contains(expected), "{sheet}");
    let status = text(&ask(&pipeline, &["status"]));
    assert!(
        status.contains("degraded: plausible: its metric `records_out` says 200, the host counted 100"),
        "{status}"
    );
    run.signal(Signal::TERM);
    run.finish().expect(0);
}

#[test]
fn lost_records_are_unexplained_the_component_is_named_and_the_health_is_degraded() {
    let yaml = FOLLOWED
        .replace("plugin: range", "plugin: lying-counter")
        .replace("{ min: -50, max: 100 }", "{ loses: true }");
    let pipeline = Pipeline::new(&yaml, &["source_file", "sink_file"]);
    pipeline.add(library("lying_counter"));
    fs::write(pipeline.path("in.ndjson"), readings(100, 1, 0)).expect("written");
    let run = pipeline.start(&["run"]);
    let ledger = ledger_once(&pipeline, |ledger| ledger["totals"]["delivered"] == 99);
    assert_eq!((&ledger["balances"], &ledger["unexplained"]["plausible"]), (&false.into(), &1.into()));
    let sheet = text(&ask(&pipeline, &["ledger"]));
    assert!(sheet.contains("balance: 100 in = 99 delivered + 0 explained + 1 UNEXPLAINED"), "{sheet}");
    assert!(sheet.contains("component `plausible`: 1 record missing"), "{sheet}");
    let status = text(&ask(&pipeline, &["status"]));
    assert!(status.contains("degraded: plausible: its own numbers miss 1 record"), "{status}");
    run.wait_for_stderr("this is a bug of plugin `lying-counter`");
    run.signal(Signal::TERM);
    run.finish().expect(70);
}

#[test]
fn what_is_under_way_is_held_and_it_is_said_where() {
    // The stage never gives anything back, so its batch and what queues behind it stay where they are.
    let yaml = "version: 1
sources:
  gen: { plugin: generate, settings: { count: 20000 } }
stages:
  stuck: { plugin: hang, inputs: [gen], deadline: 10m }
sinks:
  hole: { plugin: blackhole, inputs: [stuck] }
";
    let pipeline = Pipeline::new(yaml, &["source_generate", "sink_blackhole"]);
    pipeline.add(library("hang_in_process"));
    let run = pipeline.start(&["run"]);
    let ledger = ledger_once(&pipeline, |ledger| ledger["books"]["components"][1]["in_hand"] != 0);
    assert_eq!(ledger["balances"], true);
    let sheet = text(&ask(&pipeline, &["ledger"]));
    assert!(sheet.contains("held  in stuck: in the batch it works on"), "{sheet}");
    assert!(sheet.lines().last().is_some_and(|line| line.contains(" in = 0 delivered + ")), "{sheet}");
    run.signal(Signal::INT);
    run.wait_for_stderr("draining");
    run.signal(Signal::INT);
    run.finish().expect(130);
}
