//! `cardcage run` as its user meets it: real files, real signals, a full disk.

#![forbid(unsafe_code)]

use e2e::{Pipeline, library, wait_for, wait_for_lines};
use rustix::process::Signal;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const GENERATE_TO_FILE: &str = "version: 1
sources:
  gen: { plugin: generate, settings: { SETTINGS } }
stages:
  plausible: { plugin: range, inputs: [gen], settings: { min: 0, max: 49.5 } }
sinks:
  archive: { plugin: file, inputs: [plausible], settings: { path: out/readings.ndjson } }
";
const GENERATE_TO_FILE_PLUGINS: [&str; 3] = ["source_generate", "stage_range", "sink_file"];

fn generate(settings: &str) -> Pipeline {
    Pipeline::new(&GENERATE_TO_FILE.replace("SETTINGS", settings), &GENERATE_TO_FILE_PLUGINS)
}

/// The lines of a file, each of which must be whole JSON.
fn readings(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("written");
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is torn");
    text.lines().map(|line| serde_json::from_str(line).expect("a whole line of JSON")).collect()
}

fn summary(pipeline: &Pipeline) -> Value {
    let text = fs::read_to_string(pipeline.path("summary.json")).expect("a summary");
    serde_json::from_str(&text).expect("JSON")
}

fn component<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let rows = summary["books"]["components"].as_array().expect("rows");
    rows.iter().find(|row| row["name"] == name).expect("a row")
}

#[test]
fn a_finite_pipeline_ends_with_0_and_a_summary_that_adds_up() {
    let pipeline = generate("count: 1000, sensors: 1, waveform: count");
    let run = pipeline.run(&["run", "--summary-json", "summary.json"]).expect(0);
    let lines = readings(&pipeline.path("out/readings.ndjson"));
    let summary = summary(&pipeline);
    assert_eq!(summary["balances"], true);
    assert_eq!(summary["totals"]["in"], 1000);
    assert_eq!(component(&summary, "archive")["out"], lines.len());
    let dropped = component(&summary, "plausible")["dropped"]["out_of_range"].as_u64().expect("a count");
    assert_eq!(dropped + lines.len() as u64, 1000);
    assert!(dropped > 0 && !lines.is_empty());
    assert!(run.stderr.contains("balance: 1,000 in = "), "{}", run.stderr);
    assert!(run.stderr.contains("out_of_range"), "{}", run.stderr);
}

#[test]
fn ctrl_c_drains_and_every_record_that_was_read_is_in_the_file() {
    let pipeline = generate("sensors: 5, waveform: sawtooth, rate: 50000");
    let run = pipeline.start(&["run", "--summary-json", "summary.json"]);
    wait_for_lines(&pipeline.path("out/readings.ndjson"), 1000);
    run.signal(Signal::INT);
    run.finish().expect(0);
    let summary = summary(&pipeline);
    assert_eq!(summary["ended"], "drained");
    assert_eq!(summary["balances"], true);
    assert_eq!(component(&summary, "archive")["out"], readings(&pipeline.path("out/readings.ndjson")).len());
}

#[test]
fn sigterm_drains_as_well() {
    let pipeline = generate("rate: 1000");
    let run = pipeline.start(&["run"]);
    run.wait_for_stderr("running");
    run.signal(Signal::TERM);
    run.finish().expect(0);
}

#[test]
fn a_hung_stage_does_not_keep_a_second_ctrl_c_from_ending_the_process() {
    let yaml = "version: 1
sources:
  gen: { plugin: generate, settings: { rate: 1000 } }
stages:
  stuck: { plugin: hang, inputs: [gen], deadline: 10m }
sinks:
  hole: { plugin: blackhole, inputs: [stuck] }
";
    let pipeline = Pipeline::new(yaml, &["source_generate", "sink_blackhole"]);
    pipeline.add(library("hang_in_process"));
    let run = pipeline.start(&["run"]);
    run.wait_for_stderr("running");
    run.signal(Signal::INT);
    run.wait_for_stderr("draining");
    run.signal(Signal::INT);
    run.finish().expect(130);
}

#[test]
fn a_call_past_its_deadline_is_in_the_log_and_in_the_summary_and_the_end_is_70() {
    let yaml = "version: 1
sources:
  gen: { plugin: generate, settings: { count: 100 } }
stages:
  stuck: { plugin: hang, inputs: [gen], deadline: 300ms }
sinks:
  hole: { plugin: blackhole, inputs: [stuck] }
";
    let pipeline = Pipeline::new(yaml, &["source_generate", "sink_blackhole"]);
    pipeline.add(library("hang_in_process"));
    let run = pipeline.run(&["run", "--summary-json", "summary.json"]).expect(70);
    assert!(run.stderr.contains("`process` is still running past its deadline of 300 ms"), "{}", run.stderr);
    assert!(run.stderr.contains("failed for good: stuck"), "{}", run.stderr);
    assert_eq!(summary(&pipeline)["balances"], true);
    assert_eq!(component(&summary(&pipeline), "stuck")["failed"], 100);
}

#[test]
fn records_that_are_refused_at_the_commit_end_with_74_or_go_to_the_dead_letter() {
    let yaml = "version: 1
sources:
  gen: { plugin: generate, settings: { count: 100, sensors: 3 } }
sinks:
  full: { plugin: file, inputs: [gen], settings: { path: /dev/full, format: ndjson }, dead_letter: dead }
  dead: { plugin: file, inputs: [], settings: { path: dead.ndjson } }
";
    let without = yaml.replace(", dead_letter: dead", "").replace("inputs: []", "inputs: [gen]");
    let pipeline = Pipeline::new(&without, &["source_generate", "sink_file"]);
    let run = pipeline.run(&["run", "--summary-json", "summary.json"]).expect(74);
    assert!(run.stderr.contains("100 records were not delivered and are nowhere"), "{}", run.stderr);
    assert!(run.stderr.contains("lost: full: 100 records"), "{}", run.stderr);
    assert_eq!(summary(&pipeline)["balances"], true);
    let pipeline = Pipeline::new(yaml, &["source_generate", "sink_file"]);
    let run = pipeline.run(&["run", "--summary-json", "summary.json"]).expect(0);
    assert!(
        run.stderr.contains("100 records were not delivered and go to the dead letter"),
        "{}",
        run.stderr
    );
    assert_eq!(component(&summary(&pipeline), "full")["dead_lettered"], 100);
    assert_eq!(readings(&pipeline.path("dead.ndjson")).len(), 100);
}

/// A file system of this size in a new folder; none where that is not allowed.
fn small_disk<'a>(folder: &'a Path, size: &str) -> Option<Mounted<'a>> {
    fs::create_dir_all(folder).expect("made");
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"])
        .arg(folder)
        .output();
    let mounted = mount.is_ok_and(|mount| mount.status.success()).then_some(Mounted(folder));
    if mounted.is_none() {
        println!("skipped: a small file system to fill needs root");
    }
    mounted
}

#[test]
fn a_trail_that_lacks_the_end_of_the_run_is_told_of_by_the_summary_and_the_exit_code() {
    let pipeline = generate("count: 1000, sensors: 3, waveform: constant");
    fs::create_dir(pipeline.path("out")).expect("made");
    let trail = pipeline.path(".cardcage/audit");
    let Some(_mount) = small_disk(&trail, "16k") else {
        return;
    };
    while fs::write(trail.join("filler"), vec![0; 64 << 10]).is_ok() {}
    let run = pipeline.run(&["run", "--summary-json", "summary.json"]).expect(74);
    assert!(run.stderr.contains("the audit trail lacks the end of this run: "), "{}", run.stderr);
    let summary = summary(&pipeline);
    assert_eq!(summary["balances"], true, "{}", run.stderr);
    assert!(summary["unaudited"].as_str().is_some_and(|why| why.contains("No space")), "{summary}");
}

#[test]
fn a_full_disk_is_said_in_words_and_leaves_whole_lines() {
    let pipeline = generate("count: 200000, sensors: 3, waveform: constant");
    let out = pipeline.path("out");
    let Some(_mount) = small_disk(&out, "256k") else {
        return;
    };
    let run = pipeline.run(&["run", "--summary-json", "summary.json"]).expect(70);
    assert!(run.stderr.contains("No space left on device"), "{}", run.stderr);
    assert!(run.stderr.contains("failed for good: archive"), "{}", run.stderr);
    let summary = summary(&pipeline);
    assert_eq!(summary["balances"], true, "{}", run.stderr);
    assert_eq!(component(&summary, "archive")["out"], readings(&out.join("readings.ndjson")).len());
}

/// Unmounts when dropped.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Left mounted, the folder could not be removed; there is nothing more to do about it here.
        let _ = std::process::Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn forty_components_run_and_balance() {
    let mut yaml = String::from(
        "version: 1\nsources:\n  gen: { plugin: generate, settings: { count: 10000 } }\nstages:\n",
    );
    for at in 0..28 {
        let input = match at {
            0 | 10 | 20 => "gen".to_owned(),
            _ => format!("s{}", at - 1),
        };
        let _ = writeln!(yaml, "  s{at}: {{ plugin: range, inputs: [{input}], settings: {{ min: -1e9 }} }}");
    }
    yaml.push_str("sinks:\n");
    for at in 0..11 {
        let input = ["s9", "s19", "s27", "s5"][at % 4];
        let _ = writeln!(yaml, "  k{at}: {{ plugin: blackhole, inputs: [{input}] }}");
    }
    let pipeline = Pipeline::new(&yaml, &["source_generate", "stage_range", "sink_blackhole"]);
    pipeline.run(&["run", "--summary-json", "summary.json"]).expect(0);
    let summary = summary(&pipeline);
    assert_eq!(summary["balances"], true);
    assert_eq!(summary["totals"]["delivered"], 110_000);
}

#[test]
fn a_file_of_readings_comes_through_and_bad_lines_are_counted_by_reason() {
    let yaml = "version: 1
sources:
  lines: { plugin: file, settings: { path: in.ndjson } }
stages:
  units: { plugin: convert, inputs: [lines], settings: { to: degF } }
sinks:
  archive: { plugin: file, inputs: [units], settings: { path: out.ndjson } }
";
    let pipeline = Pipeline::new(yaml, &["source_file", "stage_convert", "sink_file"]);
    let lines = [
        r#"{"timestamp":1700000000000000000,"sensor":"oven","value":100,"unit":"degC"}"#,
        "this is no reading",
        r#"{"timestamp":1700000000,"sensor":"oven","value":"hot"}"#,
        r#"{"sensor":"oven","value":0.5,"unit":"Cel","timestamp":"2023-11-14T22:13:20Z","tags":{"plant":"a"}}"#,
    ];
    fs::write(pipeline.path("in.ndjson"), lines.join("\n")).expect("written");
    let run = pipeline.run(&["run", "--summary-json", "summary.json"]).expect(0);
    let out = readings(&pipeline.path("out.ndjson"));
    assert_eq!(out.len(), 2);
    assert_eq!((out[0]["value"].as_f64(), out[1]["value"].as_f64()), (Some(212.0), Some(32.9)));
    assert_eq!(out[1]["tags"]["plant"], "a");
    assert_eq!(out[0]["timestamp"], out[1]["timestamp"]);
    let summary = summary(&pipeline);
    assert_eq!(component(&summary, "lines")["in"], 4);
    let rejected = component(&summary, "lines")["rejected"].as_object().expect("reasons");
    assert_eq!(rejected.values().filter_map(Value::as_u64).sum::<u64>(), 2);
    assert!(run.stderr.contains("in.ndjson"), "the log names the file: {}", run.stderr);
}

#[test]
fn the_state_directory_is_held_by_one_process() {
    let pipeline = generate("rate: 100");
    let first = pipeline.start(&["run"]);
    first.wait_for_stderr("running");
    let second = pipeline.run(&["run"]).expect(73);
    assert!(second.stderr.contains("is held by another cardcage process"), "{}", second.stderr);
    first.signal(Signal::TERM);
    first.finish().expect(0);
}

#[test]
fn wrong_arguments_are_64_and_a_missing_pipeline_says_where_it_was_looked_for() {
    let pipeline = generate("count: 1");
    pipeline.run(&["rnu"]).expect(64);
    pipeline.run(&["run", "--no-such"]).expect(64);
    let missing = pipeline.run(&["run", "nowhere.yaml"]).expect(74);
    assert!(missing.stderr.contains("nowhere.yaml"), "{}", missing.stderr);
    pipeline.run(&["--help"]).expect(0);
    pipeline.run(&["--version"]).expect(0);
}

#[test]
fn all_problems_of_a_pipeline_are_reported_at_once_with_their_lines() {
    let yaml = "version: 1
sources:
  gen: { plugin: genrate, settings: { count: 1 } }
stages:
  plausible: { plugin: range, inputs: [gen], settings: { min: 5, max: 1 } }
sinks:
  archive: { plugin: file, inputs: [plausible], settings: { pth: x } }
";
    let pipeline = Pipeline::new(yaml, &GENERATE_TO_FILE_PLUGINS);
    let refused = pipeline.run(&["run"]).expect(78);
    for part in [":4:", "did you mean `generate`", ":6:", "is above", ":8:", "pth"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert!(!pipeline.path("x").exists() && !pipeline.path("out").exists(), "nothing was opened");
}

#[test]
fn a_drain_does_not_need_anyone_to_read_the_log() {
    let pipeline = generate("rate: 1000");
    let mut command = pipeline.command(&["run", "--summary-json", "summary.json"]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().expect("started");
    wait_for_lines(&pipeline.path("out/readings.ndjson"), 10);
    drop(child.stderr.take());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::INT).expect("alive");
    let status = wait_for("the end", || child.try_wait().expect("waited for"));
    assert_eq!(status.code(), Some(0));
    assert_eq!(summary(&pipeline)["balances"], true);
}

#[test]
fn a_source_that_fails_after_its_first_file_does_not_give_it_twice() {
    let yaml = "version: 1
sources:
  lines: { plugin: file, settings: { path: [a.ndjson, /proc/self/mem], format: ndjson }, restarts: { count: 1, window: 1m } }
sinks:
  archive: { plugin: file, inputs: [lines], settings: { path: out.ndjson } }
";
    let pipeline = Pipeline::new(yaml, &["source_file", "sink_file"]);
    let line = r#"{"timestamp":1700000000000000000,"sensor":"oven","value":100}"#;
    fs::write(pipeline.path("a.ndjson"), format!("{line}\n").repeat(1000)).expect("written");
    let run = pipeline.run(&["run"]).expect(70);
    assert!(run.stderr.contains("failed for good: lines"), "{}", run.stderr);
    assert_eq!(readings(&pipeline.path("out.ndjson")).len(), 1000);
}

#[test]
fn a_closed_pipe_ends_the_printing_sink_in_words() {
    let yaml = "version: 1
sources:
  gen: { plugin: generate, settings: { count: 1000000 } }
sinks:
  print: { plugin: stdout, inputs: [gen], restarts: { count: 0, window: 1m } }
";
    let pipeline = Pipeline::new(yaml, &["source_generate", "sink_stdout"]);
    let mut command = pipeline.command(&["run"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("started");
    drop(child.stdout.take());
    let status = wait_for("the end", || child.try_wait().expect("waited for"));
    assert_eq!(status.code(), Some(70));
}
