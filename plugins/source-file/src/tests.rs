//! The source as the host drives it.

mod archives;
mod exactly_once;
mod follow;
mod texts;
mod threads;

use super::{CardcagePlugin, FileSource};
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{SourceHarness, contract};
use cardcage_plugin_api::{Fill, Quality};
use std::path::PathBuf;
use tempfile::TempDir;

fn file(folder: &TempDir, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn line(number: u32) -> String {
    format!("{{\"timestamp\":1700000000,\"sensor\":\"s{}\",\"value\":{number}}}\n", number % 7)
}

fn lines(count: u32) -> String {
    (0..count).map(line).collect()
}

fn open(settings: Value) -> SourceHarness<FileSource> {
    SourceHarness::open(settings).unwrap()
}

fn values(records: &[cardcage_plugin_api::Record]) -> Vec<u32> {
    records.iter().map(|record| format!("{}", record.value).parse().unwrap()).collect()
}

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn every_line_comes_once_and_in_order() {
    let folder = TempDir::new().unwrap();
    // More than two buffers, so that lines are cut by them, and no line end at the end.
    let text = lines(20_000);
    let path = file(&folder, "a.ndjson", text.trim_end());
    let mut source = open(json!({ "path": path })).with_capacity(1000);
    let records = source.until_finished().unwrap();
    assert_eq!(values(&records), (0..20_000).collect::<Vec<_>>());
    assert_eq!(source.host().sensor_name(records[8].sensor), "s1");
    assert_eq!(records[0].quality, Quality::GOOD);
    source.close().unwrap();
}

#[test]
fn a_position_is_behind_the_last_line_taken() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", lines(10));
    let mut source = open(json!({ "path": path })).with_capacity(4);
    let filled = source.fill().unwrap();
    assert_eq!((filled.header.stream, filled.header.position), (0, lines(4).len() as u64));
}

#[test]
fn a_restored_source_goes_on_where_the_snapshot_was() {
    let folder = TempDir::new().unwrap();
    let settings =
        json!({ "path": [file(&folder, "a.ndjson", lines(5)), file(&folder, "b.ndjson", lines(5))] });
    let mut source = open(settings.clone()).with_capacity(4);
    for taken in [4, 5, 9, 10] {
        source.fill().unwrap();
        let (version, state) = source.snapshot().unwrap();
        let mut other = open(settings.clone());
        other.restore(version, &state).unwrap();
        assert_eq!(other.until_finished().unwrap().len(), 10 - taken);
    }
    let (version, state) = source.snapshot().unwrap();
    let mut other = open(settings);
    other.restore(version, &state).unwrap();
    assert!(other.host().logs().iter().any(|line| line.message.contains("nothing new")));
}

#[test]
fn files_are_streams_and_no_batch_mixes_them() {
    let folder = TempDir::new().unwrap();
    let paths = [
        file(&folder, "a.ndjson", lines(3)),
        file(&folder, "b.jsonl", ""),
        file(&folder, "c.json", lines(2)),
    ];
    let mut source = open(json!({ "path": paths }));
    for (stream, count, fill) in [(0, 3, Fill::Produced), (1, 0, Fill::Produced), (2, 2, Fill::Finished)] {
        let filled = source.fill().unwrap();
        assert_eq!((filled.header.stream, filled.records.len(), filled.fill), (stream, count, fill));
    }
    assert_eq!(source.fill().unwrap().fill, Fill::Finished);
}

#[test]
fn bad_lines_are_counted_by_reason_and_logged_with_their_place() {
    let folder = TempDir::new().unwrap();
    let text = format!("{}nonsense\n\n{{\"sensor\":\"a\"}}\n{}", line(0), line(1));
    let path = file(&folder, "a.ndjson", &text);
    let mut source = open(json!({ "path": path }));
    let filled = source.fill().unwrap();
    assert_eq!(values(&filled.records), [0, 1]);
    assert_eq!((filled.rejected("bad_json"), filled.rejected("missing_value")), (1, 1));
    let logs = source.host().logs();
    let message = &logs.iter().find(|line| line.message.contains("missing_value")).unwrap().message;
    assert!(message.contains("line=4") && message.contains("a.ndjson"), "{message}");
    let second = line(0).len();
    let message = &logs.iter().find(|line| line.message.contains("bad_json")).unwrap().message;
    assert!(message.contains("line=2") && message.contains(&format!("byte={second} ")), "{message}");
}

#[test]
fn a_file_of_nonsense_is_logged_in_samples() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", "x\n".repeat(1234));
    let mut source = open(json!({ "path": path }));
    let filled = source.fill().unwrap();
    assert_eq!(filled.rejected("bad_json"), 1234);
    let logged = source.host().logs().iter().filter(|line| line.message.contains("line rejected")).count();
    assert_eq!(logged, 5 + 3);
}

#[test]
fn a_line_that_is_too_long_is_rejected_without_being_held() {
    let folder = TempDir::new().unwrap();
    for long_bytes in [200, 3 << 20, 9 << 20] {
        let text =
            format!("{}{{\"sensor\":\"{}\",\"value\":1}}\n{}", line(0), "x".repeat(long_bytes), line(1));
        let path = file(&folder, "a.ndjson", &text);
        let mut source = open(json!({ "path": path, "max_line": "128B" }));
        let (mut records, mut rejected) = (Vec::new(), 0);
        loop {
            let filled = source.fill().unwrap();
            rejected += filled.rejected("too_long");
            records.extend(filled.records);
            if filled.fill == Fill::Finished {
                assert_eq!(filled.header.position, text.len() as u64);
                break;
            }
        }
        assert_eq!((values(&records), rejected), (vec![0, 1], 1), "{long_bytes}");
    }
}

#[test]
fn a_line_longer_than_the_buffer_is_taken_if_allowed() {
    let folder = TempDir::new().unwrap();
    let text = format!("{{\"note\":\"{}\",\"sensor\":\"a\",\"value\":1}}\n{}", "x".repeat(700_000), line(2));
    let path = file(&folder, "a.ndjson", text);
    assert_eq!(values(&open(json!({ "path": path })).until_finished().unwrap()), [1, 2]);
}

#[test]
fn a_missing_file_and_a_folder_are_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let refused = |path: PathBuf| {
        let settings = json!({ "path": path, "format": "ndjson" });
        SourceHarness::<FileSource>::open(settings).err().unwrap().message
    };
    let message = refused(folder.path().join("missing.ndjson"));
    assert!(message.contains("missing.ndjson") && message.contains("No such file"), "{message}");
    assert!(refused(folder.path().to_owned()).contains("no regular file"));
}

#[test]
fn settings_that_cannot_work_are_problems_not_surprises() {
    for (settings, setting) in [
        (json!({ "path": [] }), "path"),
        (json!({ "path": "a.json", "poll": "1ms" }), "poll"),
        (json!({ "path": "a.json", "max_open_files": 0 }), "max_open_files"),
        (json!({ "path": "a.json", "threads": 0 }), "threads"),
        (json!({ "path": "a.json", "from": "end" }), "from"),
        (json!({ "path": "logs/[.json" }), "path"),
        (json!({ "path": "a.json", "fields": { "value": "sensor" } }), "fields.value"),
        (json!({ "path": "a.json", "timestamp": "%Y" }), "timestamp"),
        (json!({ "path": "a.json", "max_line": "1B" }), "max_line"),
        (json!({ "path": "a.json", "defaults": { "sensor": "" } }), "defaults.sensor"),
    ] {
        let description = SourceHarness::<FileSource>::describe(settings.clone()).unwrap();
        let named: Vec<&str> = description.problems.iter().map(|p| p.setting.as_str()).collect();
        assert_eq!(named, [setting], "{settings}");
    }
}

#[test]
fn patterns_are_read_by_name_and_a_file_under_two_names_once() {
    let folder = TempDir::new().unwrap();
    for (name, number) in [("d10.ndjson", 10), ("d9.ndjson", 9), ("c.ndjson", 1)] {
        file(&folder, name, line(number));
    }
    std::os::unix::fs::symlink(folder.path().join("c.ndjson"), folder.path().join("d11.ndjson")).unwrap();
    let mut source = open(json!({ "path": folder.path().join("*.ndjson") }));
    assert_eq!(values(&source.until_finished().unwrap()), [1, 9, 10]);
    let none = json!({ "path": folder.path().join("*.json") });
    let message = SourceHarness::<FileSource>::open(none).err().unwrap().message;
    assert!(message.contains("no file matches"), "{message}");
}

#[test]
fn where_reading_begins_is_a_choice() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", format!("{}{{\"sensor\"", lines(3)));
    let mut source = open(json!({ "path": path, "follow": true }));
    source.fill().unwrap();
    let (version, state) = source.snapshot().unwrap();
    let elsewhere =
        String::from_utf8(state.clone()).unwrap().replace("\"process\":\"", "\"process\":\"another ");
    // The line that was cut off when the source opened is not wanted, nor is its rest.
    let rest = format!(":\"s\",\"value\":4}}\n{}", line(5));
    for (from, state, expected) in [
        ("checkpoint", elsewhere.as_str(), vec![4, 5]),
        ("start", &elsewhere, vec![0, 1, 2, 4, 5]),
        ("end", &elsewhere, vec![5]),
        // The same process: the source was restarted after a failure.
        ("start", std::str::from_utf8(&state).unwrap(), vec![4, 5]),
    ] {
        let path = file(&folder, "a.ndjson", format!("{}{{\"sensor\"", lines(3)));
        let mut source = open(json!({ "path": path, "from": from, "follow": true }));
        source.restore(version, state.as_bytes()).unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, rest.as_bytes()))
            .unwrap();
        assert_eq!(follow::drain(&mut source), expected, "{from}");
    }
}

#[test]
fn a_state_of_the_first_version_is_still_read() {
    let folder = TempDir::new().unwrap();
    let paths = [file(&folder, "a.ndjson", lines(3)), file(&folder, "b.ndjson", lines(3))];
    let state = json!({ "files": [
        { "path": paths[0], "position": lines(3).len(), "line": 3 },
        { "path": paths[1], "position": lines(1).len(), "line": 1 },
    ]});
    let mut source = open(json!({ "path": paths }));
    source.restore(1, state.to_string().as_bytes()).unwrap();
    assert_eq!(values(&source.until_finished().unwrap()), [1, 2]);
    let message = open(json!({ "path": paths })).restore(3, b"{}").unwrap_err().message;
    assert!(message.contains("version 3"), "{message}");
}

#[test]
fn a_file_is_known_again_under_another_name_and_on_another_device() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", lines(5));
    let mut source = open(json!({ "path": path })).with_capacity(2);
    source.fill().unwrap();
    let (version, state) = source.snapshot().unwrap();
    // Device numbers change when machines start.
    let mut other: Value = cardcage_plugin_api::serde_json::from_slice(&state).unwrap();
    other["files"][0]["identity"]["device"] = json!(1);
    let mut later = open(json!({ "path": path }));
    later.restore(version, other.to_string().as_bytes()).unwrap();
    assert_eq!(values(&later.until_finished().unwrap()), [2, 3, 4]);
    // Renamed while nobody read: its rest comes before what has its name now.
    std::fs::rename(&path, folder.path().join("a.ndjson.1")).unwrap();
    let path = file(&folder, "a.ndjson", line(77));
    let mut later = open(json!({ "path": path }));
    later.restore(version, &state).unwrap();
    assert_eq!(values(&later.until_finished().unwrap()), [2, 3, 4, 77]);
    // Another file on the same inode.
    std::fs::write(&path, lines(9).replace("1700000000", "1800000000")).unwrap();
    let mut reused: Value = cardcage_plugin_api::serde_json::from_slice(&state).unwrap();
    let inode = std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap());
    reused["files"][0]["identity"]["inode"] = json!(inode);
    let mut later = open(json!({ "path": path }));
    later.restore(version, reused.to_string().as_bytes()).unwrap();
    assert_eq!(later.until_finished().unwrap().len(), 9);
}
