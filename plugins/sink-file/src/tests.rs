//! The sink as the host drives it.

use super::{CardcagePlugin, FileSink};
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{SinkHarness, TestHost, contract};
use cardcage_plugin_api::{Commit, Record, SensorId, UnitId};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn sink(settings: Value) -> SinkHarness<FileSink> {
    SinkHarness::open_on(TestHost::of::<CardcagePlugin>("file"), settings).unwrap()
}

fn records(host: TestHost, count: u32) -> Vec<Record> {
    let (sensor, unit) = (host.sensor("a"), host.unit("Cel"));
    (0..count)
        .map(|number| Record { timestamp_ns: 1, value: f64::from(number), sensor, unit, ..Record::default() })
        .collect()
}

fn line(number: u32) -> String {
    format!("{{\"timestamp\":1,\"sensor\":\"a\",\"value\":{number}.0,\"unit\":\"Cel\"}}\n")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn folders_are_made_and_a_second_run_appends() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a/b/readings.ndjson");
    for run in 1..=2 {
        let mut sink = sink(json!({ "path": path }));
        sink.write(&records(sink.host(), 2)).unwrap();
        assert_eq!(sink.commit(1).unwrap(), Commit::Committed);
        sink.close().unwrap();
        assert_eq!(text(&path), (line(0) + &line(1)).repeat(run));
    }
}

#[test]
fn what_was_taken_is_in_the_file_before_any_commit() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson");
    let mut sink = sink(json!({ "path": path, "sync": "never" }));
    // Several writes of the buffer's size.
    sink.write(&records(sink.host(), 20_000)).unwrap();
    assert_eq!(text(&path), (0..20_000).map(line).collect::<String>());
    let bytes = format!("{}", sink.host().metric("bytes_written").unwrap());
    assert_eq!(bytes, text(&path).len().to_string());
}

#[test]
fn half_a_line_of_a_crash_is_cut_off_with_a_warning() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson");
    fs::write(&path, line(7) + "{\"timest").unwrap();
    let mut sink = sink(json!({ "path": path }));
    sink.write(&records(sink.host(), 1)).unwrap();
    assert_eq!(text(&path), line(7) + &line(0));
    assert!(sink.host().logs().iter().any(|line| line.message.contains("half a line")));
}

#[test]
fn a_failed_write_names_the_path_and_the_cause_and_the_sink_goes_on() {
    let mut sink = sink(json!({ "path": "/dev/full", "format": "ndjson" }));
    let batch = records(sink.host(), 3);
    for _ in 0..2 {
        let message = sink.write(&batch).unwrap_err().message;
        assert!(message.contains("/dev/full") && message.contains("No space left"), "{message}");
    }
    assert_eq!(sink.commit(1).unwrap(), Commit::Committed);
    sink.close().unwrap();
}

#[test]
fn what_others_did_to_the_file_is_seen_before_a_batch() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson");
    let mut older = sink(json!({ "path": path }));
    let mut newer = sink(json!({ "path": path }));
    older.write(&records(older.host(), 2)).unwrap();
    newer.write(&records(newer.host(), 1)).unwrap();
    assert_eq!(text(&path), line(0) + &line(1) + &line(0));
    fs::write(&path, "").unwrap();
    newer.write(&records(newer.host(), 1)).unwrap();
    assert_eq!(text(&path), line(0));
}

#[test]
fn records_of_unknown_sensors_and_units_are_rejected_not_written() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson");
    let mut sink = sink(json!({ "path": path }));
    let mut batch = records(sink.host(), 3);
    batch[0].sensor = SensorId(77);
    batch[1].unit = UnitId(77);
    assert_eq!(sink.write(&batch).unwrap().rejected("unknown_id"), 2);
    assert_eq!(text(&path), line(2));
}

#[test]
fn a_path_that_cannot_be_opened_is_named() {
    let folder = TempDir::new().unwrap();
    let refused = |path: &Path| {
        let settings = json!({ "path": path, "format": "ndjson" });
        SinkHarness::<FileSink>::open(settings).err().unwrap().message
    };
    assert!(refused(folder.path()).contains("cannot open"), "{}", refused(folder.path()));
    let below_a_file = folder.path().join("file/a.ndjson");
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(refused(&below_a_file).contains("cannot make the folder"), "{}", refused(&below_a_file));
}

#[test]
fn a_file_without_a_format_is_a_problem_of_the_settings() {
    let problems = |settings| SinkHarness::<FileSink>::describe(settings).unwrap().problems;
    assert_eq!(problems(json!({ "path": "a.txt" }))[0].setting, "format");
    assert_eq!(problems(json!({ "path": "" }))[0].setting, "path");
    assert!(problems(json!({ "path": "a.txt", "format": "ndjson" })).is_empty());
}
