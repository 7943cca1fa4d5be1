//! In steady state no line allocates, whatever the format and however odd its lines are.

#![forbid(unsafe_code)]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod support;

use cardcage_codec::{CsvSettings, Format, ReadSettings, Reader, Round};
use cardcage_plugin_api::Record;
use support::{NOW_NS, Names};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Lines of every kind, many times more than there are sensors.
fn text(line: impl Fn(usize) -> String) -> String {
    (0..400).map(line).collect()
}

/// What reading all of it once more allocates, once everything is known.
fn reading(format: Format, text: &str) -> u64 {
    let (names, mut room) = (Names::default(), vec![Record::default(); 2000]);
    let round = Round { now_ns: NOW_NS, batch_records: room.len() };
    let columns = ["sensor", "value", "unit"].map(str::to_owned).to_vec();
    let csv = CsvSettings { columns: Some(columns), ..CsvSettings::default() };
    let mut reader = Reader::new(format, &ReadSettings { csv, ..ReadSettings::default() });
    let mut before = 0;
    // The fast ways learn from few lines only, each time later: so many rounds until they know all they will.
    for _ in 0..40 {
        reader.begin(None);
        before = dhat::HeapStats::get().total_blocks;
        let taken = reader.read(text.as_bytes(), true, &mut room, round, &names, &mut |_| ());
        assert_eq!(taken.bytes, text.len());
        assert!(taken.records > 0);
    }
    dhat::HeapStats::get().total_blocks - before
}

#[test]
fn no_line_allocates() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let lp = Format::LineProtocol;
    let cases: [(&str, Format, String); 7] = [
        ("plain", Format::Ndjson, text(|n| format!("{{\"sensor\":\"s{}\",\"value\":{n}.5}}\n", n % 20))),
        (
            "times and qualities",
            Format::Ndjson,
            text(|n| {
                format!(
                    "{{\"timestamp\":\"2026-01-31T12:00:0{}Z\",\"sensor\":\"a\\/b\",\"quality\":\"bad\\u007cstale\",\"value\":{n},\"tags\":{{\"a\":\"{}\"}}}}\n",
                    n % 10,
                    n % 3
                )
            }),
        ),
        ("rows", Format::Csv, text(|n| format!("s{},{n}.5,Cel\n", n % 20))),
        ("quoted rows", Format::Csv, text(|n| format!("\"a \"\"{}\"\"\",\"{n}\",\"{}\"\n", n % 20, n % 2))),
        ("fields", lp, text(|n| format!("m,a={} x=1,y={n}i,z=t 17000000000000000{:02}\n", n % 20, n % 60))),
        ("texts", lp, text(|n| format!("m\\ n,a={} x\\,y=1,t\\ u=\"te\\\"xt\",quality=\"bad\" \n", n % 20))),
        (
            "nothing",
            lp,
            text(|n| if n % 3 == 0 { "m a=1\n".to_owned() } else { "# \nm a=\nm \"\n".to_owned() }),
        ),
    ];
    for (name, format, text) in &cases {
        assert_eq!(reading(*format, text), 0, "{format:?}, {name}");
    }
    // Where every line has its own layout, one in 256 is learned from, and the layout takes the place of another one.
    let any_order = text(|n| {
        let mut members = [
            format!("\"value\": {n}"),
            "\"sensor\":\"a\"".to_owned(),
            "\"n\\u006f\":{}".to_owned(),
            "\"x\":[1]".to_owned(),
        ];
        members.rotate_left(n % 4);
        members.swap(n % 3, 3);
        format!("{{{}}}\n", members.join(", "))
    });
    let learned = reading(Format::Ndjson, &any_order);
    assert!(learned <= 2 * 24, "{learned} allocations for 400 lines");
}
