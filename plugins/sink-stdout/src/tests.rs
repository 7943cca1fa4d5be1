//! The sink as the host drives it. Under a test harness standard output is no terminal that could show a table, or it
//! is one and must not be written to, so only what needs no output is tested here.

use super::{CardcagePlugin, StdoutSink};
use crate::lines::{LeftOut, Lines};
use crate::output::{Output, OutputError};
use cardcage_codec::{Format, OutputSettings, Writer};
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::{SinkHarness, TestHost, contract, record};
use cardcage_plugin_api::{Record, SensorId};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn an_unknown_shape_is_refused_with_the_known_ones() {
    let failure = SinkHarness::<StdoutSink>::describe(json!({ "format": "xml" })).unwrap_err();
    assert!(failure.message.contains("`ndjson`") && failure.message.contains("`table`"), "{failure}");
}

#[test]
fn settings_of_another_format_are_problems() {
    let problems = |settings| SinkHarness::<StdoutSink>::describe(settings).unwrap().problems;
    assert_eq!(problems(json!({ "format": "ndjson", "delimiter": ";" }))[0].setting, "delimiter");
    assert_eq!(
        problems(json!({ "format": "line_protocol", "timestamp": "rfc3339" }))[0].setting,
        "timestamp"
    );
    assert!(problems(json!({ "format": "csv", "delimiter": ";", "timestamp": "rfc3339" })).is_empty());
}

/// What comes out of a pipe for two batches of the same readings, and what was left out of the second.
fn written(format: Format, records: fn(TestHost) -> Vec<Record>) -> (String, LeftOut) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut output = Output::to(File::from(OwnedFd::from(writer)));
    let host = TestHost::new();
    let settings = OutputSettings { timestamp: Some("s".to_owned()), ..OutputSettings::default() };
    let mut lines = Lines::new(Writer::new(format, &settings.write_settings(format, None).unwrap()));
    let records = records(host);
    lines.write(&records, &mut output, &host.host()).unwrap();
    let left_out = lines.write(&records, &mut output, &host.host()).unwrap();
    drop(output);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    (text, left_out)
}

fn two_readings(host: TestHost) -> Vec<Record> {
    let good = Record { value: 2.5, sensor: host.sensor("a"), unit: host.unit("Cel"), ..record(2.5) };
    vec![good, Record { value: f64::NAN, ..good }, Record { sensor: SensorId(99), ..good }]
}

#[test]
fn each_format_is_written_and_columns_are_named_once() {
    let (text, left_out) = written(Format::Csv, two_readings);
    let header = "timestamp,sensor,value,unit,quality,tags\n";
    let rest = text.strip_prefix(header).unwrap();
    assert_eq!((rest.lines().count(), rest.contains("timestamp")), (4, false), "{text}");
    assert_eq!(left_out, LeftOut { unknown: 1, ..LeftOut::default() });
    let (text, left_out) = written(Format::LineProtocol, two_readings);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert_eq!((left_out.unknown, left_out.by_format.not_finite, left_out.by_format.total()), (1, 1, 1));
    let (text, _) = written(Format::Ndjson, two_readings);
    assert!(text.lines().all(|line| line.starts_with('{')) && text.lines().count() == 4, "{text}");
}

#[test]
fn a_reader_that_went_away_is_an_error_in_words() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut output = Output::to(File::from(OwnedFd::from(writer)));
    let error = output.write(b"x\n").unwrap_err();
    assert!(matches!(error, OutputError::ReaderGone));
    assert_eq!(error.to_string(), "the reader of standard output went away (broken pipe)");
    assert!(!output.is_terminal() && !output.can_show_table());
}

#[test]
fn a_pipe_that_does_not_block_still_gets_everything() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let mut output = Output::to(File::from(OwnedFd::from(writer)));
    let text = vec![b'x'; 1 << 20];
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut all).unwrap();
        all
    });
    output.write(&text).unwrap();
    drop(output);
    assert_eq!(reading.join().unwrap(), text);
}
