//! The sink as the host drives it.

use super::{CardcagePlugin, FileSink};
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{SinkHarness, TestHost, contract};
use cardcage_plugin_api::{Commit, Record, SensorId, UnitId};
use std::fs;
use std::io::Read as _;
use std::path::Path;
use tempfile::TempDir;

fn host() -> TestHost {
    TestHost::of::<CardcagePlugin>("file")
}

fn sink(settings: Value) -> SinkHarness<FileSink> {
    SinkHarness::open_on(host(), settings).unwrap()
}

fn refused(settings: Value) -> String {
    SinkHarness::<FileSink>::open(settings).err().unwrap().message
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

fn write_and_commit(sink: &mut SinkHarness<FileSink>, count: u32) {
    sink.write(&records(sink.host(), count)).unwrap();
    assert_eq!(sink.commit(1).unwrap(), Commit::Committed);
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
        write_and_commit(&mut sink, 2);
        sink.close().unwrap();
        assert_eq!(text(&path), (line(0) + &line(1)).repeat(run));
    }
}

#[test]
fn small_batches_are_gathered_and_a_commit_hands_them_on() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson");
    let mut sink = sink(json!({ "path": path, "sync": "never" }));
    for number in 0..10 {
        sink.write(&records(sink.host(), 10)[number..=number]).unwrap();
    }
    assert_eq!(text(&path), "");
    sink.commit(1).unwrap();
    assert_eq!(text(&path), (0..10).map(line).collect::<String>());
    let bytes = sink.host().metric("bytes_written").unwrap().to_string();
    assert_eq!(bytes, text(&path).len().to_string());
}

#[test]
fn large_batches_and_late_ones_do_not_wait_for_the_commit() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson");
    let mut sink = sink(json!({ "path": path }));
    sink.write(&records(sink.host(), 20_000)).unwrap();
    assert_eq!(text(&path), (0..20_000).map(line).collect::<String>());
    sink.host().advance(std::time::Duration::from_millis(200));
    sink.write(&records(sink.host(), 1)).unwrap();
    assert!(text(&path).ends_with(&(line(19_999) + &line(0))));
}

#[test]
fn half_a_line_of_a_crash_is_cut_off_with_a_warning() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson");
    fs::write(&path, line(7) + "{\"timest").unwrap();
    let mut sink = sink(json!({ "path": path }));
    write_and_commit(&mut sink, 1);
    assert_eq!(text(&path), line(7) + &line(0));
    assert!(sink.host().logs().iter().any(|line| line.message.contains("half a line")));
}

#[test]
fn a_line_end_is_found_far_from_the_end() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson");
    let tail = 64 * 1024;
    for (whole, torn) in [(0, 10), (10, 0), (10, 3 * tail), (tail, 1), (tail - 1, tail), (2 * tail, tail + 1)]
    {
        let mut text = "x".repeat(whole + torn);
        if whole > 0 {
            text.replace_range(whole - 1..whole, "\n");
        }
        fs::write(&path, &text).unwrap();
        sink(json!({ "path": path })).close().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), whole as u64, "{whole} {torn}");
    }
}

#[test]
fn a_failed_write_names_the_path_and_the_cause_and_the_sink_goes_on() {
    let mut sink = sink(json!({ "path": "/dev/full", "format": "ndjson" }));
    let is_named = |why: &str| assert!(why.contains("/dev/full") && why.contains("No space left"), "{why}");
    sink.write(&records(sink.host(), 3)).unwrap();
    let Commit::Partly { lost: 3, why } = sink.commit(1).unwrap() else {
        panic!("three are lost");
    };
    is_named(&why);
    // From now on small batches fail themselves, too.
    for count in [3, 20_000] {
        is_named(&sink.write(&records(sink.host(), count)).unwrap_err().message);
    }
    assert_eq!(sink.commit(1).unwrap(), Commit::Committed);
    sink.close().unwrap();
}

#[test]
fn what_was_not_committed_does_not_stay() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson");
    let mut sink = sink(json!({ "path": path }));
    write_and_commit(&mut sink, 1);
    sink.write(&records(sink.host(), 20_000)).unwrap();
    sink.close().unwrap();
    assert_eq!(text(&path), line(0));
}

#[test]
fn what_others_did_to_the_file_is_seen_before_a_batch() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson");
    let mut older = sink(json!({ "path": path }));
    let mut newer = sink(json!({ "path": path }));
    write_and_commit(&mut older, 2);
    write_and_commit(&mut newer, 1);
    assert_eq!(text(&path), line(0) + &line(1) + &line(0));
    fs::write(&path, "").unwrap();
    write_and_commit(&mut newer, 1);
    assert_eq!(text(&path), line(0));
    fs::rename(&path, folder.path().join("moved")).unwrap();
    write_and_commit(&mut newer, 1);
    write_and_commit(&mut newer, 2);
    assert_eq!(text(&path), line(0) + &line(1), "another program's rotation is followed after a commit");
}

#[test]
fn rows_that_waited_while_the_file_was_emptied_have_a_header_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.csv");
    let header = "timestamp,sensor,value,unit,quality,tags\n";
    let row = |number: u32| format!("1,a,{number}.0,Cel,good,\n");
    let mut sink = sink(json!({ "path": path }));
    for _ in 0..3 {
        sink.write(&records(sink.host(), 1)).unwrap();
        fs::File::options().write(true).truncate(true).open(&path).unwrap();
        write_and_commit(&mut sink, 2);
        assert_eq!(text(&path), header.to_owned() + &row(0) + &row(0) + &row(1));
    }
    sink.close().unwrap();
    let mut again = self::sink(json!({ "path": path }));
    write_and_commit(&mut again, 1);
    assert!(text(&path).starts_with(header));
}

#[test]
fn a_sensor_called_like_a_finished_file_keeps_its_own() {
    let folder = TempDir::new().unwrap();
    let settings =
        json!({ "path": folder.path().join("{sensor}.ndjson"), "rotate": { "size": "1KiB", "keep": 1 } });
    let mut sink = sink(settings);
    let sensor = |name: &str| sink.host().sensor(name);
    let [a, other] = [sensor("a"), sensor("a-20250101T000000Z-000")];
    let reading = |sensor| Record { sensor, ..Record::default() };
    sink.write(&[reading(other)]).unwrap();
    for _ in 0..3 {
        sink.write(&vec![reading(a); 100]).unwrap();
        sink.commit(1).unwrap();
    }
    assert_eq!(text(&folder.path().join("a%2D20250101T000000Z-000.ndjson")).lines().count(), 1);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        3,
        "the live ones and the finished one that is kept"
    );
}

#[test]
fn a_second_sink_on_the_same_file_is_refused_and_told_who_has_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson");
    let component = |name: &str| host().with_state_directory(folder.path().join(name));
    let first = SinkHarness::<FileSink>::open_on(component("archive"), json!({ "path": path })).unwrap();
    let second = SinkHarness::<FileSink>::open_on(component("copy"), json!({ "path": path }));
    let message = second.err().unwrap().message;
    assert!(message.contains("is written by component `archive` of this pipeline already"), "{message}");
    assert!(SinkHarness::<FileSink>::open_on(component("archive"), json!({ "path": path })).is_ok());
    first.close().unwrap();
    assert!(SinkHarness::<FileSink>::open_on(component("copy"), json!({ "path": path })).is_ok());
}

#[test]
fn records_of_unknown_sensors_and_units_are_rejected_not_written() {
    let folder = TempDir::new().unwrap();
    for name in ["a.ndjson", "{sensor}.ndjson", "{unit}.ndjson"] {
        let mut sink = sink(json!({ "path": folder.path().join(name) }));
        let mut batch = records(sink.host(), 3);
        batch[0].sensor = SensorId(77);
        batch[1].unit = UnitId(77);
        assert_eq!(sink.write(&batch).unwrap().rejected("unknown_id"), 2, "{name}");
        sink.commit(1).unwrap();
    }
    for name in ["a", "Cel"] {
        assert!(text(&folder.path().join(format!("{name}.ndjson"))).ends_with(&line(2)));
    }
}

#[test]
fn what_line_protocol_does_to_names_is_told_once_and_what_it_cannot_say_is_rejected_by_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.lp");
    let mut sink = sink(json!({ "path": path, "sync": "never" }));
    let host = sink.host().host();
    let reading = |name: &str, tags: &[(&str, &str)], value| Record {
        timestamp_ns: 1,
        value,
        sensor: host.tagged_sensor(name, tags).unwrap(),
        ..Record::default()
    };
    let batch = [
        reading("temp", &[], 1.0),
        reading("temp.value", &[], 2.0),
        reading("temp.value", &[("site", "graz")], 3.0),
        reading("p.x", &[("unit", "K")], 4.0),
        reading("p.y", &[("e", "")], 5.0),
        reading("back\\", &[], 6.0),
    ];
    for _ in 0..2 {
        let written = sink.write(&batch).unwrap();
        assert_eq!((written.rejected("not_sayable"), written.rejected("unknown_id")), (2, 0));
    }
    sink.commit(1).unwrap();
    let lines = "temp value=1.0 1\ntemp value=2.0 1\ntemp,site=graz value=3.0 1\np x=4.0 1\n";
    assert_eq!(text(&path), lines.repeat(2));
    let logs = sink.host().logs();
    let told: Vec<&str> = logs.iter().map(|line| &*line.message).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].contains("`temp` and `temp.value` are one series"), "{told:?}");
    assert!(told[1].contains("the tag `unit` of sensor `p.x` is left out"), "{told:?}");
    assert!(told[2].contains("cannot say sensor `p.y`") && told[3].contains("`back\\\\`"), "{told:?}");
}

#[test]
fn careless_names_do_not_fill_the_log() {
    let folder = TempDir::new().unwrap();
    let mut sink = sink(json!({ "path": folder.path().join("a.lp") }));
    let host = sink.host().host();
    let batch: Vec<Record> = (0..50)
        .map(|number| Record { sensor: host.sensor(&format!("s{number}\\")).unwrap(), ..Record::default() })
        .collect();
    for _ in 0..2 {
        assert_eq!(sink.write(&batch).unwrap().rejected("not_sayable"), 50);
    }
    let logs = sink.host().logs();
    assert_eq!(logs.len(), 11);
    assert!(logs[10].message.contains("not listed"), "{}", logs[10].message);
}

#[test]
fn compressed_files_are_read_by_the_usual_programs_and_appended_to() {
    let folder = TempDir::new().unwrap();
    for ending in ["gz", "zst"] {
        let path = folder.path().join(format!("a.ndjson.{ending}"));
        for _ in 0..2 {
            let mut sink = sink(json!({ "path": path, "level": 1 }));
            write_and_commit(&mut sink, 40_000);
            write_and_commit(&mut sink, 3);
            sink.close().unwrap();
        }
        let run: String = (0..40_000).chain(0..3).map(line).collect();
        assert!(unpacked(&path) == run.repeat(2), "{ending}");
        // Half a member of a crash, and garbage of a power cut, go.
        let whole = fs::read(&path).unwrap();
        for torn in [&whole[..whole.len() / 3], &whole[..7], &[0; 40][..]] {
            fs::write(&path, [&whole[..], torn].concat()).unwrap();
            let mut sink = sink(json!({ "path": path }));
            write_and_commit(&mut sink, 1);
            sink.close().unwrap();
            let text = unpacked(&path);
            assert!(text.starts_with(&run.repeat(2)) && text.ends_with(&line(0)), "{ending}");
        }
    }
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    let file = fs::File::open(path).unwrap();
    if path.extension().unwrap() == "gz" {
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    } else {
        zstd::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    }
    text
}

#[test]
fn an_archive_of_another_program_is_appended_to_and_not_cut_when_damaged_in_the_middle() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, line(7).as_bytes()).unwrap();
    fs::write(&path, encoder.finish().unwrap()).unwrap();
    let mut sink = sink(json!({ "path": path }));
    write_and_commit(&mut sink, 1);
    sink.close().unwrap();
    assert_eq!(unpacked(&path), line(7) + &line(0));
}

#[test]
fn files_are_rotated_and_kept_as_told() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson");
    let mut sink = sink(json!({ "path": path, "rotate": { "size": "1KiB", "keep": 2 } }));
    for _ in 0..5 {
        write_and_commit(&mut sink, 30);
    }
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let finished = ["a-20260101T000000Z-003.ndjson", "a-20260101T000000Z-004.ndjson"];
    assert_eq!(names, [finished[0], finished[1], "a.ndjson"]);
    assert_eq!(text(&folder.path().join(finished[1])), (0..30).map(line).collect::<String>());
    sink.close().unwrap();
}

#[test]
fn readings_go_to_the_files_of_their_parts() {
    let folder = TempDir::new().unwrap();
    let settings = json!({
        "path": folder.path().join("{date}/{hour}/{sensor}-{tag.line}.ndjson"), "max_open_files": 2
    });
    let mut sink = sink(settings);
    let host = sink.host().host();
    let hour_ns = 3_600_000_000_000;
    let mut batch = Vec::new();
    for (hour, name, tags) in
        [(1, "a", &[("line", "7")][..]), (1, "../b", &[]), (25, "a", &[("line", "7")]), (25, "c", &[])]
    {
        let sensor = host.tagged_sensor(name, tags).unwrap();
        batch.push(Record { timestamp_ns: hour * hour_ns, sensor, ..Record::default() });
    }
    sink.write(&[batch.clone(), batch].concat()).unwrap();
    sink.commit(1).unwrap();
    for path in ["1970-01-01/01/a-7", "1970-01-01/01/%2E.%2Fb-_", "1970-01-02/01/a-7", "1970-01-02/01/c-_"] {
        assert_eq!(text(&folder.path().join(format!("{path}.ndjson"))).lines().count(), 2, "{path}");
    }
}

#[test]
fn a_path_that_cannot_be_opened_is_named() {
    let folder = TempDir::new().unwrap();
    let of = |path: &Path| refused(json!({ "path": path, "format": "ndjson" }));
    assert!(of(folder.path()).contains("cannot open"), "{}", of(folder.path()));
    let below_a_file = folder.path().join("file/a.ndjson");
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(of(&below_a_file).contains("cannot make the folder"), "{}", of(&below_a_file));
    let device = json!({ "path": "/dev/null", "format": "ndjson", "rotate": { "size": "1MiB" } });
    assert!(refused(device.clone()).contains("cannot be rotated; leave `rotate` out"), "{}", refused(device));
}

#[test]
fn settings_that_do_not_fit_are_named() {
    let problem = |settings: Value| {
        let problems = SinkHarness::<FileSink>::describe(settings).unwrap().problems;
        problems.into_iter().next().map(|problem| problem.setting).unwrap_or_default()
    };
    for (settings, setting) in [
        (json!({ "path": "a.txt" }), "format"),
        (json!({ "path": "" }), "path"),
        (json!({ "path": "{sensr}.ndjson" }), "path"),
        (json!({ "path": "a.ndjson", "level": 3 }), "level"),
        (json!({ "path": "a.ndjson.gz", "level": 10 }), "level"),
        (json!({ "path": "a.ndjson.zst", "level": 0 }), "level"),
        (json!({ "path": "a.ndjson", "rotate": {} }), "rotate"),
        (json!({ "path": "a.ndjson", "rotate": { "size": "10B" } }), "rotate.size"),
        (json!({ "path": "a.ndjson", "rotate": { "every": "10ms" } }), "rotate.every"),
        (json!({ "path": "a.ndjson", "rotate": { "every": "1h", "keep": 0 } }), "rotate.keep"),
        (json!({ "path": "a.ndjson", "max_open_files": 0 }), "max_open_files"),
        (json!({ "path": "a.txt", "format": "ndjson" }), ""),
        (
            json!({ "path": "a.ndjson.gz", "level": 9, "rotate": { "size": "64MiB", "every": "1h", "keep": 7 } }),
            "",
        ),
    ] {
        assert_eq!(problem(settings.clone()), setting, "{settings}");
    }
}
