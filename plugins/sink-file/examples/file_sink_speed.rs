//! How long the sink takes for a record, beside a loop that only renders lines and writes them:
//! `cargo run --release -p cardcage-sink-file --example file_sink_speed [FOLDER [BATCHES]]`.

#![forbid(unsafe_code)]
#![expect(clippy::cast_precision_loss, reason = "nanoseconds and bytes, shown with one decimal")]

use cardcage_codec::{Format, WriteSettings, Writer};
use cardcage_plugin_api::Record;
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{Failure, START_NS, SinkHarness, TestHost};
use cardcage_sink_file::FileSink;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Every figure is the best of so many.
const ROUNDS: usize = 7;
const BATCH: usize = 4096;
const SENSORS: usize = 100;
/// Batches between two commits: about what comes in a second at ten million records.
const BATCHES_PER_COMMIT: usize = 2_500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let batches: usize = std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(200);
    let folder = folder.join("sink-file-speed");
    let host = TestHost::new();
    let records = records(host);
    println!("{:24} {:>10} {:>10}", "", "ns/record", "B/record");
    for (name, size) in [("by hand", BATCH), ("by hand, batches of 64", 64)] {
        let cost = best(&folder, || by_hand(&folder.join("by-hand.ndjson"), host, &records, size, batches));
        report(name, cost?, &folder, batches);
    }
    for (name, file, size, settings) in [
        ("ndjson", "a.ndjson", BATCH, json!({})),
        ("ndjson, batches of 64", "a.ndjson", 64, json!({})),
        ("ndjson, rotated", "a.ndjson", BATCH, json!({ "rotate": { "size": "16MiB", "keep": 3 } })),
        ("ndjson, {sensor}", "{sensor}.ndjson", BATCH, json!({ "max_open_files": 128 })),
        ("csv", "a.csv", BATCH, json!({})),
        ("line protocol", "a.lp", BATCH, json!({})),
        ("ndjson, gzip 1", "a.ndjson.gz", BATCH, json!({ "level": 1 })),
        ("ndjson, gzip 6", "a.ndjson.gz", BATCH, json!({})),
        ("ndjson, zstd 3", "a.ndjson.zst", BATCH, json!({})),
    ] {
        let mut settings = settings;
        settings["path"] = json!(folder.join(file));
        settings["sync"] = json!("never");
        let cost = best(&folder, || through_the_sink(host, &settings, &records, size, batches));
        report(name, cost?, &folder, batches);
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Readings as a plant sends them: sensors in turn, a millisecond apart.
fn records(host: TestHost) -> Vec<Record> {
    let unit = host.unit("Cel");
    let sensors: Vec<_> =
        (0..SENSORS).map(|number| host.sensor(&format!("plant-1.press-{number:03}.temperature"))).collect();
    (0..BATCH)
        .map(|index| Record {
            timestamp_ns: START_NS + 1_000_000 * i64::try_from(index).unwrap_or_default(),
            value: 20.0 + (index * 7919 % 10_000) as f64 / 1000.0,
            sensor: sensors[index % SENSORS],
            unit,
            ..Record::default()
        })
        .collect()
}

/// Nanoseconds a record, the best of some rounds on an empty folder.
fn best<E>(
    folder: &Path,
    mut round: impl FnMut() -> Result<f64, E>,
) -> Result<f64, Box<dyn std::error::Error>>
where
    E: Into<Box<dyn std::error::Error>>,
{
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        best = best.min(round().map_err(Into::into)?);
    }
    Ok(best)
}

fn report(name: &str, ns: f64, folder: &Path, batches: usize) {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes: u64 = files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum();
    println!("{name:24} {ns:10.1} {:10.1}", bytes as f64 / (batches * BATCH) as f64);
}

fn by_hand(
    path: &Path,
    host: TestHost,
    records: &[Record],
    size: usize,
    batches: usize,
) -> std::io::Result<f64> {
    let host = host.host();
    let mut file = File::create(path)?;
    let mut writer = Writer::new(Format::Ndjson, &WriteSettings::default());
    let mut text = Vec::with_capacity(1 << 20);
    let begin = Instant::now();
    for _ in 0..batches {
        for batch in records.chunks(size) {
            for some in batch.chunks(512) {
                writer.lines(some, &host, &mut text);
                if text.len() >= 256 * 1024 {
                    file.write_all(&text)?;
                    text.clear();
                }
            }
            file.write_all(&text)?;
            text.clear();
        }
    }
    Ok(begin.elapsed().as_nanos() as f64 / (batches * BATCH) as f64)
}

fn through_the_sink(
    host: TestHost,
    settings: &Value,
    records: &[Record],
    size: usize,
    batches: usize,
) -> Result<f64, Failure> {
    let mut sink = SinkHarness::<FileSink>::open_on(host, settings.clone())?;
    let begin = Instant::now();
    for number in 1..=batches {
        for batch in records.chunks(size) {
            sink.write(batch)?;
        }
        if number % BATCHES_PER_COMMIT == 0 {
            sink.commit(1)?;
        }
    }
    sink.commit(2)?;
    let elapsed = begin.elapsed();
    sink.close()?;
    Ok(elapsed.as_nanos() as f64 / (batches * BATCH) as f64)
}
