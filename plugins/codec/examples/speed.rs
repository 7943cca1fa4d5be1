//! How long a record takes to read and to write in each format, beside a loop written by hand for just these lines:
//! `cargo run --release -p cardcage-codec --example speed [LINES [FILTER]]`.

#![forbid(unsafe_code)]
#![expect(clippy::cast_precision_loss, reason = "numbers of lines and nanoseconds, shown with one decimal")]

use cardcage_codec::{
    CsvSettings, Dictionary, Format, ReadSettings, Reader, Round, TimestampForm, WriteSettings, Writer,
};
use cardcage_plugin_api::{DictionaryFull, Record, SensorId, UnitId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;

/// Every figure is the best of so many.
const ROUNDS: usize = 5;
const BATCH: usize = 4096;

#[derive(Default)]
struct Names(RefCell<(Vec<String>, HashMap<String, usize>)>);

impl Names {
    fn id(&self, name: &str) -> usize {
        let (names, ids) = &mut *self.0.borrow_mut();
        *ids.entry(name.to_owned()).or_insert_with(|| {
            names.push(name.to_owned());
            names.len() - 1
        })
    }
}

impl Dictionary for Names {
    fn sensor_id(&self, name: &str, _: &[(&str, &str)]) -> Result<SensorId, DictionaryFull> {
        u32::try_from(self.id(name)).map(SensorId).map_err(|_| DictionaryFull)
    }
    fn unit_id(&self, code: &str) -> Result<UnitId, DictionaryFull> {
        u16::try_from(self.id(code)).map(UnitId).map_err(|_| DictionaryFull)
    }
    fn with_sensor<R>(&self, id: SensorId, with: impl FnOnce(&str, &[(&str, &str)]) -> R) -> Option<R> {
        self.0.borrow().0.get(id.0 as usize).map(|name| with(name, &[]))
    }
    fn with_unit<R>(&self, id: UnitId, with: impl FnOnce(&str) -> R) -> Option<R> {
        self.0.borrow().0.get(usize::from(id.0)).map(|name| with(name))
    }
}

/// A reading to be written in some format.
struct Made {
    timestamp_ns: u64,
    plant: u64,
    press: u64,
    value: f64,
}

type Line = fn(&Made, u64) -> String;
type ByHand = fn(&[u8]) -> u64;

fn main() {
    let lines: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let filter = std::env::args().nth(2).unwrap_or_default();
    let made = made_up(lines);
    let plain = ReadSettings::default;
    let pattern = |text: &str| text.parse::<TimestampForm>().unwrap_or_default();
    let in_ns = || ReadSettings { timestamp: TimestampForm::Nanoseconds, ..plain() };
    let columns = ["timestamp", "sensor", "value", "unit"].map(str::to_owned).to_vec();
    let told = CsvSettings { columns: Some(columns), ..CsvSettings::default() };
    let csv = || ReadSettings { csv: told.clone(), ..plain() };
    let csv_pattern = || ReadSettings { timestamp: pattern("%Y-%m-%d %H:%M:%S%.f"), ..csv() };
    println!(
        "{:28} {:>8} {:>8} {:>8} {:>8} {:>6}",
        "ns a record", "bytes", "read", "by hand", "write", "ratio"
    );
    let cases: [(&str, Format, ReadSettings, Line, Option<ByHand>); 8] = [
        ("ndjson", Format::Ndjson, plain(), ndjson, None),
        ("ndjson, keys in any order", Format::Ndjson, plain(), ndjson_any_order, None),
        ("ndjson, escapes, extra keys", Format::Ndjson, plain(), ndjson_unusual, None),
        ("csv", Format::Csv, csv(), csv_row, Some(csv_by_hand)),
        ("csv, all quoted", Format::Csv, csv(), csv_quoted, None),
        ("csv, times by pattern", Format::Csv, csv_pattern(), csv_times, None),
        ("line protocol", Format::LineProtocol, in_ns(), line_protocol, Some(line_protocol_by_hand)),
        ("line protocol, three fields", Format::LineProtocol, in_ns(), line_protocol_three, None),
    ];
    for (name, format, settings, line, by_hand) in cases {
        if filter.strip_suffix("$").map_or(name.contains(&filter), |whole| whole == name) {
            case(name, format, &settings, &made, line, by_hand);
        }
    }
}

fn case(
    name: &str,
    format: Format,
    settings: &ReadSettings,
    made: &[Made],
    line: Line,
    by_hand: Option<ByHand>,
) {
    let mut text = Vec::new();
    for (number, reading) in (0..).zip(made) {
        text.extend_from_slice(line(reading, number).as_bytes());
    }
    let (mut read_ns, mut write_ns, mut hand_ns) = (f64::MAX, f64::MAX, f64::MAX);
    let mut records_read = 0;
    for _ in 0..ROUNDS {
        let (records, read, write) = once(format, settings, &text);
        records_read = records;
        read_ns = read_ns.min(read as f64 / records as f64);
        write_ns = write_ns.min(write as f64 / records as f64);
        if let Some(by_hand) = by_hand {
            let start = cpu_ns();
            black_box(by_hand(black_box(&text)));
            hand_ns = hand_ns.min((cpu_ns() - start) as f64 / records as f64);
        }
    }
    assert!(records_read >= made.len(), "{name}: {records_read} records of {} lines", made.len());
    let bytes = text.len() as f64 / records_read as f64;
    print!("{name:28} {bytes:8.1} {read_ns:8.1} ");
    match by_hand {
        Some(_) => println!("{hand_ns:8.1} {write_ns:8.1} {:6.2}", read_ns / hand_ns),
        None => println!("{:>8} {write_ns:8.1}", ""),
    }
}

/// Records, and nanoseconds for reading and for writing all of them.
fn once(format: Format, settings: &ReadSettings, text: &[u8]) -> (usize, u64, u64) {
    let names = Names::default();
    // The first id is no unit.
    names.id("");
    let mut reader = Reader::new(format, settings);
    let mut writer = Writer::new(format, &WriteSettings::default());
    let mut room = vec![Record::default(); BATCH];
    let mut out = Vec::with_capacity(1 << 20);
    let (mut at, mut count, mut last) = (0, 0, 0);
    // The clock moves in ticks of some milliseconds, so each pass is measured as a whole.
    let start = cpu_ns();
    while at < text.len() {
        let round = Round { now_ns: 0, batch_records: BATCH };
        let taken = reader.read(&text[at..], true, &mut room, round, &names, &mut |line| panic!("{line}"));
        (last, count) = (taken.records, count + taken.records);
        at += taken.bytes;
        assert!(taken.bytes > 0, "stuck at byte {at}");
    }
    let read = cpu_ns() - start;
    let start = cpu_ns();
    let mut written = 0;
    while written < count {
        out.clear();
        writer.lines(&room[..last], &names, &mut out);
        black_box(&out);
        written += last;
    }
    (count, read, cpu_ns() - start)
}

/// The CPU time of this thread, so that other work on the machine does not count.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// A thousand sensors in random order, as in `cargo xtask bench`.
fn made_up(lines: usize) -> Vec<Made> {
    let mut state: u64 = 7;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut timestamp_ns = 1_700_000_000_000_000_000_u64;
    let mut make = |_| {
        timestamp_ns += 500_000 + below(1_000_000);
        let (sensor, value) = (below(1000), below(1_600_000) as f64 / 10_000.0 - 28.0);
        Made { timestamp_ns, plant: sensor / 100, press: sensor % 100, value }
    };
    (0..lines).map(&mut make).collect()
}

fn ndjson(made: &Made, _: u64) -> String {
    let Made { timestamp_ns, plant, press, value } = made;
    format!(
        "{{\"timestamp\":{timestamp_ns},\"sensor\":\"plant-{plant}/press-{press:02}/bearing\",\"value\":{value:.4},\"unit\":\"degC\"}}\n"
    )
}

fn ndjson_any_order(made: &Made, number: u64) -> String {
    let Made { timestamp_ns, plant, press, value } = made;
    let mut members = [
        format!("\"timestamp\":{timestamp_ns}"),
        format!("\"sensor\":\"plant-{plant}/press-{press:02}/bearing\""),
        format!("\"value\":{value:.4}"),
        "\"unit\":\"degC\"".to_owned(),
    ];
    // One of all 24 orders, never the one before.
    let (mut code, mut len) = (number.wrapping_mul(7) % 24, 4);
    for end in (1..4_u64).rev() {
        let other = usize::try_from(code % (end + 1)).unwrap_or(0);
        code /= end + 1;
        len -= 1;
        members.swap(len, other);
    }
    format!("{{{}}}\n", members.join(", "))
}

fn ndjson_unusual(made: &Made, number: u64) -> String {
    let Made { timestamp_ns, plant, press, value } = made;
    let mut text = format!("{{ \"seq\": {number}, \"note\": \"line\\nof \\u00e9 {}\", ", number % 7);
    let order = number % 3;
    for step in 0..3 {
        let _ = match (order + step) % 3 {
            0 => write!(text, "\"timestamp\": {timestamp_ns}, "),
            1 => write!(text, "\"sensor\": \"plant-{plant}\\/press-{press:02}\\/bearing\", "),
            _ => write!(text, "\"value\": {value:.4e}, \"more\": {{\"a\": [1, 2, {number}]}}, "),
        };
    }
    text.push_str("\"ok\": true, \"unit\": \"degC\"}\n");
    text
}

fn csv_row(made: &Made, _: u64) -> String {
    let Made { timestamp_ns, plant, press, value } = made;
    format!("{timestamp_ns},plant-{plant}/press-{press:02}/bearing,{value:.4},degC\n")
}

fn csv_quoted(made: &Made, _: u64) -> String {
    let Made { timestamp_ns, plant, press, value } = made;
    format!("\"{timestamp_ns}\",\"plant-{plant}/press-{press:02}/bearing\",\"{value:.4}\",\"degC\"\n")
}

fn csv_times(made: &Made, _: u64) -> String {
    let Made { timestamp_ns, plant, press, value } = made;
    let (second, fraction) =
        ((timestamp_ns / 1_000_000_000) % 3600, timestamp_ns % 1_000_000_000 / 1_000_000);
    let time = format!("2026-01-31 12:{:02}:{:02}.{fraction:03}", second / 60, second % 60);
    format!("{time},plant-{plant}/press-{press:02}/bearing,{value:.4},degC\n")
}

fn line_protocol(made: &Made, _: u64) -> String {
    let Made { timestamp_ns, plant, press, value } = made;
    format!("bearing,plant={plant},press={press:02},unit=degC temperature={value:.4} {timestamp_ns}\n")
}

fn line_protocol_three(made: &Made, number: u64) -> String {
    let Made { timestamp_ns, plant, press, value } = made;
    format!(
        "bearing,plant={plant},press={press:02} temperature={value:.4},speed={}i,on={} {timestamp_ns}\n",
        number % 3000,
        !number.is_multiple_of(3)
    )
}

/// `123,name,1.5,unit`, whatever the values are good for.
fn csv_by_hand(text: &[u8]) -> u64 {
    let (mut sum, mut at) = (0_u64, 0);
    while at < text.len() {
        let (timestamp_ns, len) = integer(&text[at..]);
        at += len + 1;
        let sensor = memchr::memchr(b',', &text[at..]).unwrap_or(0);
        at += sensor + 1;
        let (value, len) = fast_float2::parse_partial::<f64, _>(&text[at..]).unwrap_or((0.0, 1));
        at += len + 1;
        let unit = memchr::memchr(b'\n', &text[at..]).unwrap_or(0);
        at += unit + 1;
        sum ^= timestamp_ns ^ value.to_bits() ^ (sensor ^ unit) as u64;
    }
    sum
}

/// `name key=1.5 123`, likewise.
fn line_protocol_by_hand(text: &[u8]) -> u64 {
    let (mut sum, mut at) = (0_u64, 0);
    while at < text.len() {
        let series = memchr::memchr(b' ', &text[at..]).unwrap_or(0);
        at += series + 1;
        let key = memchr::memchr(b'=', &text[at..]).unwrap_or(0);
        at += key + 1;
        let (value, len) = fast_float2::parse_partial::<f64, _>(&text[at..]).unwrap_or((0.0, 1));
        at += len + 1;
        let (timestamp_ns, len) = integer(&text[at..]);
        at += len + 1;
        sum ^= timestamp_ns ^ value.to_bits() ^ (series ^ key) as u64;
    }
    sum
}

fn integer(text: &[u8]) -> (u64, usize) {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = text[..len]
        .iter()
        .fold(0_u64, |value, digit| value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
    (value, len)
}
