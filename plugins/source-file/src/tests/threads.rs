//! Several threads give what one thread gives, in the same order.

use super::{FileSource, file, line, lines, open};
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{SourceHarness, TestHost};
use cardcage_plugin_api::{Fill, Record};
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use tempfile::TempDir;

/// Each reading with its sensor's name, and each count of rejected lines.
type Gave = (Vec<(u64, i64, &'static str)>, Vec<(String, u64)>);

/// More calls than any of these files needs: a source that stands still fails, and does not hang.
const CALLS_MAX: usize = 50_000;

fn all(mut source: SourceHarness<FileSource>, capacity: usize) -> Gave {
    source = source.with_capacity(capacity);
    let host = source.host();
    let (mut gave, mut counts): Gave = (Vec::new(), Vec::new());
    for _ in 0..CALLS_MAX {
        let filled = source.fill().unwrap();
        let one = |r: &Record| (r.value.to_bits(), r.timestamp_ns, host.sensor_name(r.sensor));
        gave.extend(filled.records.iter().map(one));
        for (index, (reason, count)) in filled.reasons.into_iter().enumerate() {
            match counts.get_mut(index) {
                Some(known) => known.1 += count,
                None => counts.push((reason, count)),
            }
        }
        if filled.fill == Fill::Finished {
            source.close().unwrap();
            return (gave, counts);
        }
    }
    panic!("the source stands still behind {} readings", gave.len());
}

fn settings(path: &Path, threads: u32) -> Value {
    json!({ "path": path, "threads": threads, "max_line": "4KiB" })
}

/// Lines with blank ones, bad ones, long ones and ever more sensors among them.
fn mixed(count: u32, bad_every: u32) -> String {
    let mut text = String::new();
    for number in 0..count {
        text.push_str(&line(number));
        if number % bad_every == bad_every - 1 {
            text.push_str("nonsense\n\n");
        }
        if number % 1000 == 999 {
            writeln!(
                text,
                "{{\"sensor\":\"late-{number}\",\"value\":1,\"timestamp\":5,\"tags\":{{\"a\":\"b\"}}}}"
            )
            .unwrap();
        }
        if number % 5000 == 4999 {
            writeln!(text, "{{\"note\":\"{}\",\"sensor\":\"s1\",\"value\":1}}", "x".repeat(40_000)).unwrap();
        }
    }
    text
}

#[test]
fn more_threads_give_the_same_in_the_same_order() {
    let folder = TempDir::new().unwrap();
    let clean = lines(20_000);
    let mut zipped = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let noise: String = (0..40_000_u32).map(|n| line(n.wrapping_mul(2_654_435_761))).collect();
    zipped.write_all(noise.as_bytes()).unwrap();
    let mut csv = String::from("timestamp,sensor,value\n");
    let mut quoted = csv.clone();
    let (mut protocol, mut texts) = (String::new(), String::new());
    for number in 0..10_000 {
        writeln!(csv, "1700000000,s{},{number}", number % 7).unwrap();
        writeln!(quoted, "1700000000,\"s\n{}\",{number}", number % 7).unwrap();
        writeln!(protocol, "m,host=h{} a={number},b={number},c=3 1700000000000000000", number % 3).unwrap();
        writeln!(texts, "m,host=h{} a={number},note=\"one\ntwo\n{number}\" 17", number % 3).unwrap();
    }
    for (name, text) in [
        ("clean.ndjson", clean.trim_end().as_bytes().to_vec()),
        ("mixed.ndjson", mixed(20_000, 300).into_bytes()),
        ("bad.ndjson", mixed(8_000, 2).into_bytes()),
        ("noise.ndjson.gz", zipped.finish().unwrap()),
        ("a.csv", csv.into_bytes()),
        ("quoted.csv", quoted.into_bytes()),
        ("a.lp", protocol.into_bytes()),
        ("texts.lp", texts.into_bytes()),
    ] {
        let path = file(&folder, name, text);
        for capacity in [4096, 7] {
            let one = all(open(settings(&path, 1)), capacity);
            assert!(one.0.len() >= 8000, "{name}: {} readings", one.0.len());
            for threads in [2, 4] {
                let several = all(open(settings(&path, threads)), capacity);
                assert_eq!(several.1, one.1, "{name} {threads} {capacity}");
                assert_eq!(several.0.len(), one.0.len(), "{name} {threads} {capacity}");
                assert!(several.0 == one.0, "{name} {threads} {capacity}");
            }
        }
    }
}

#[test]
fn a_position_is_exact_wherever_a_batch_ends() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", mixed(12_000, 500));
    let whole = all(open(settings(&path, 1)), 4096).0;
    let mut came = 0;
    let mut source = open(settings(&path, 3)).with_capacity(333);
    for _ in 0..8 {
        for _ in 0..5 {
            came += source.fill().unwrap().records.len();
        }
        let (version, state) = source.snapshot().unwrap();
        let mut later = open(settings(&path, 1));
        later.restore(version, &state).unwrap();
        assert!(all(later, 4096).0 == whole[came..], "restored behind {came}");
        let mut later = open(settings(&path, 3));
        later.restore(version, &state).unwrap();
        source.close().unwrap();
        source = later.with_capacity(333);
    }
}

#[test]
fn which_sensors_still_fit_does_not_depend_on_threads() {
    let folder = TempDir::new().unwrap();
    let mut text = String::new();
    for number in 0..20_000_u32 {
        let sensor = number.wrapping_mul(7919) % 3000;
        writeln!(text, "{{\"sensor\":\"s{sensor}\",\"value\":{number},\"timestamp\":1}}").unwrap();
    }
    let path = file(&folder, "a.ndjson", text);
    let limited = |threads| {
        let host = TestHost::new().with_limits(1000, 10);
        all(SourceHarness::open_on(host, settings(&path, threads)).unwrap(), 4096)
    };
    let one = limited(1);
    assert!(one.1.iter().any(|(reason, count)| reason == "sensor_limit" && *count > 0));
    for _ in 0..3 {
        assert!(limited(4) == one);
    }
}

#[test]
fn threads_end_with_the_source_in_the_middle_of_a_file() {
    let folder = TempDir::new().unwrap();
    let large = file(&folder, "large.ndjson", lines(20_000));
    let host = TestHost::of::<super::CardcagePlugin>("file");
    let mut source = SourceHarness::<FileSource>::open_on(host, settings(&large, 4)).unwrap();
    source.fill().unwrap();
    source.fill().unwrap();
    // `close` joins them, and says so if one does not end.
    source.close().unwrap();
}
