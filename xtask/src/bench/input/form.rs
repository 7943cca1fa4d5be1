//! How a reading is written.

use super::Made;
use std::io::{self, Write};

/// A form that readings are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Form {
    /// Lines as a program writes them: always the same keys in the same order.
    Ndjson,
    /// Lines as many programs write them: keys in any order, others among them, objects in objects, escapes.
    Unusual,
    /// Columns with a header.
    Csv,
    /// One field a line; the sensor's parts are tags, and there is no unit.
    LineProtocol,
}

impl Form {
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Unusual => "unusual.ndjson",
            Self::Csv => "csv",
            Self::LineProtocol => "lp",
        }
    }

    /// What stands before the first reading.
    pub(super) fn begin(self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Csv => out.write_all(b"timestamp,sensor,value,unit\n"),
            _ => Ok(()),
        }
    }

    pub(super) fn line(self, out: &mut impl Write, reading: Made) -> io::Result<()> {
        let Made { timestamp_ns, sensor, .. } = reading;
        let (plant, press) = (sensor / 100, sensor % 100);
        let value = Value(reading.value);
        match self {
            Self::Ndjson => writeln!(
                out,
                r#"{{"timestamp":{timestamp_ns},"sensor":"plant-{plant}/press-{press:02}/bearing","value":{value},"unit":"degC"}}"#,
            ),
            Self::Unusual => unusual(out, reading),
            Self::Csv => {
                writeln!(out, "{timestamp_ns},plant-{plant}/press-{press:02}/bearing,{value},degC")
            }
            Self::LineProtocol => {
                writeln!(out, "bearing,plant={plant},press={press:02} temperature={value} {timestamp_ns}")
            }
        }
    }
}

/// A value in 1/10,000, with all four digits behind the point.
struct Value(i64);

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let distance = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:04}", distance / 10_000, distance % 10_000)
    }
}

/// The four keys that count in an order that changes line by line, and others that each line has or has not.
fn unusual(out: &mut impl Write, reading: Made) -> io::Result<()> {
    let Made { timestamp_ns, sensor, mut taste, .. } = reading;
    let mut choose = |count: u64| {
        let chosen = taste % count;
        taste /= count;
        chosen
    };
    let (plant, press) = (sensor / 100, sensor % 100);
    let name = match choose(3) {
        0 => format!("plant-{plant}/press-{press:02}/bearing"),
        1 => format!("plant-{plant}\\/press-{press:02}\\/bearing"),
        _ => format!("plant-{plant}/press-{press:02}/\\u0062earing"),
    };
    let mut members = vec![
        format!("\"timestamp\":{timestamp_ns}"),
        format!("\"sensor\":\"{name}\""),
        format!("\"value\": {}", Value(reading.value)),
        "\"unit\":\"degC\"".to_owned(),
    ];
    if choose(2) == 0 {
        let batch = choose(1000);
        members.push(format!(
            "\"meta\":{{\"batch\":{batch},\"ok\":true,\"limits\":[-40,1.5e2,null],\"by\":{{\"name\":\"a \\\"b\\\"\"}}}}"
        ));
    }
    if choose(3) == 0 {
        members.push("\"note\":\"checked, } and closed\"".to_owned());
    }
    // Every order is as likely as any other.
    for last in (1..members.len()).rev() {
        members.swap(last, usize::try_from(choose(last as u64 + 1)).unwrap_or(0));
    }
    writeln!(out, "{{{}}}", members.join(", "))
}
