//! How long a record takes to parse and to print: `cargo run --release --example ndjson_speed [LINES]`.

#![forbid(unsafe_code)]
#![expect(clippy::cast_precision_loss, reason = "numbers of lines and nanoseconds, shown with one decimal")]

use cardcage_codec::ndjson::{Reader, Step, Writer};
use cardcage_codec::{Dictionary, ReadSettings, WriteSettings};
use cardcage_plugin_api::{DictionaryFull, Record, SensorId, UnitId};
use std::cell::RefCell;

#[derive(Default)]
struct Names(RefCell<Vec<String>>);

impl Names {
    fn id(&self, name: &str) -> usize {
        let mut names = self.0.borrow_mut();
        names.iter().position(|known| known == name).unwrap_or_else(|| {
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
        self.0.borrow().get(id.0 as usize).map(|name| with(name, &[]))
    }
    fn with_unit<R>(&self, id: UnitId, with: impl FnOnce(&str) -> R) -> Option<R> {
        self.0.borrow().get(usize::from(id.0)).map(|name| with(name))
    }
}

fn main() {
    let lines: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let text = made_up(lines);
    println!("{lines} lines, {:.1} bytes a line", text.len() as f64 / lines as f64);
    let names = Names::default();
    let mut records: Vec<Record> = Vec::with_capacity(4096);
    let (mut parse_ns, mut print_ns, mut scan_ns) = (f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..20 {
        let start = cpu_ns();
        let found = memchr::memchr_iter(b'\n', std::hint::black_box(&text)).count();
        scan_ns = scan_ns.min((cpu_ns() - start) as f64 / found as f64);
        let mut reader = Reader::new(ReadSettings::default());
        let mut writer = Writer::new(&WriteSettings::default());
        let mut out = Vec::with_capacity(1 << 20);
        let (mut parse, mut print) = (0, 0);
        let (mut at, mut count) = (0, 0);
        while at < text.len() {
            let start = cpu_ns();
            records.clear();
            while records.len() < 4096
                && let Step::Record(record, len) = reader.step(&text[at..], &names, 0)
            {
                records.push(record);
                at += len;
            }
            let parsed = cpu_ns();
            out.clear();
            writer.lines(&records, &names, &mut out);
            parse += parsed - start;
            print += cpu_ns() - parsed;
            count += records.len();
            assert!(!records.is_empty(), "no record at byte {at}");
        }
        assert_eq!(count, lines);
        parse_ns = parse_ns.min(parse as f64 / lines as f64);
        print_ns = print_ns.min(print as f64 / lines as f64);
    }
    println!(
        "parse {parse_ns:.1} ns a record, print {print_ns:.1} ns; for comparison, finding a line's end {scan_ns:.1} ns (CPU time, best of 20)"
    );
}

/// The CPU time of this thread, so that other work on the machine does not count.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// Lines of about 100 bytes from a thousand sensors in random order, as in `cargo xtask bench`.
fn made_up(lines: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(lines * 104);
    let mut state: u64 = 7;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut timestamp = 1_700_000_000_000_000_000_u64;
    for _ in 0..lines {
        timestamp += 500_000 + below(1_000_000);
        let (sensor, value) = (below(1000), below(1_600_000) as f64 / 10_000.0 - 28.0);
        let (plant, press) = (sensor / 100, sensor % 100);
        text.extend_from_slice(
            format!(
                r#"{{"timestamp":{timestamp},"sensor":"plant-{plant}/press-{press:02}/bearing","value":{value:.4},"unit":"degC"}}"#
            )
            .as_bytes(),
        );
        text.push(b'\n');
    }
    text
}
