//! In steady state the sink allocates nothing for records, whatever the format and however many files.

#![forbid(unsafe_code)]

use cardcage_plugin_api::Record;
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::{START_NS, SinkHarness, TestHost};
use cardcage_sink_file::FileSink;
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const BATCH: usize = 4096;

fn records(host: TestHost) -> Vec<Record> {
    let tagged = |number: u32| host.host().tagged_sensor(&format!("s{number}"), &[("line", "7")]).unwrap();
    let sensors: Vec<_> = (0..20).map(tagged).collect();
    let unit = host.unit("Cel");
    let record = |index: u32| Record {
        timestamp_ns: START_NS + 1000 * i64::from(index),
        value: f64::from(index) / 7.0,
        sensor: sensors[index as usize % sensors.len()],
        unit,
        ..Record::default()
    };
    (0..).map(record).take(BATCH).collect()
}

/// Allocations of some batches of so many records, once everything has its size.
fn allocations(file: &str, records_a_batch: usize) -> u64 {
    let folder = TempDir::new().unwrap();
    let settings = json!({ "path": folder.path().join(file), "sync": "never" });
    let mut sink = SinkHarness::<FileSink>::open(settings).unwrap();
    let records = records(sink.host());
    let mut ten = |records: &[Record], epoch| {
        for _ in 0..10 {
            sink.write(records).unwrap();
        }
        sink.commit(epoch).unwrap();
    };
    for epoch in 0..4 {
        ten(&records, epoch);
    }
    let before = dhat::HeapStats::get().total_blocks;
    ten(&records[..records_a_batch], 5);
    dhat::HeapStats::get().total_blocks - before
}

#[test]
fn no_record_allocates() {
    let _profiler = dhat::Profiler::builder().testing().build();
    for file in [
        "a.ndjson",
        "a.csv",
        "a.lp",
        "{sensor}.ndjson",
        "{date}/{hour}/{tag.line}/{sensor}-{unit}.csv",
        "a.csv.zst",
    ] {
        // The harness allocates for each call, however many records it has.
        assert_eq!(allocations(file, BATCH), allocations(file, 1), "{file}");
    }
}
