//! NDJSON file -> range -> convert -> NDJSON file.

use crate::layout::{Layout, Reading};
use crate::window::{BUFFER_BYTES, each_line};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};

/// Readings outside are dropped; a tenth of the bench's input is. The daemon's bench pipeline has the same numbers.
const RANGE: std::ops::RangeInclusive<f64> = -20.0..=124.0;
/// More than any line that one record can become, without its sensor's name.
const LINE_BYTES: usize = 128;

/// What went in and out.
#[derive(Default)]
pub(crate) struct Counts {
    input: u64,
    output: u64,
    rejected: u64,
    /// So that a run without output cannot be optimised into not parsing.
    checksum: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.input, self.output, self.rejected)
    }
}

/// The whole job, or without an output its first half.
pub(crate) fn run(input: File, mut output: Option<File>) -> io::Result<Counts> {
    let mut counts = Counts::default();
    let mut layout = Layout::default();
    let mut out = Vec::with_capacity(BUFFER_BYTES + LINE_BYTES);
    let lines = each_line(input, |rest| {
        // The learned layout ends with the newline, so the line's end needs no search of its own.
        let Some(reading) = layout.parse(rest).or_else(|| layout.learn(rest)) else {
            return Ok(None);
        };
        keep(&reading, &mut counts, output.is_some().then_some(&mut out));
        if out.len() >= BUFFER_BYTES {
            write(&mut output, &mut out)?;
        }
        Ok(Some(reading.length))
    })?;
    write(&mut output, &mut out)?;
    std::hint::black_box(counts.checksum);
    (counts.input, counts.rejected) = (lines.all, lines.rejected);
    Ok(counts)
}

fn write(output: &mut Option<File>, out: &mut Vec<u8>) -> io::Result<()> {
    if let Some(file) = output {
        file.write_all(out)?;
    }
    out.clear();
    Ok(())
}

/// Range, convert, print.
#[inline]
fn keep(reading: &Reading<'_>, counts: &mut Counts, out: Option<&mut Vec<u8>>) {
    if !RANGE.contains(&reading.value) {
        return;
    }
    counts.output += 1;
    let (value, unit): (f64, &[u8]) = match reading.unit {
        b"degC" => (reading.value * 1.8 + 32.0, b"degF"),
        other => (reading.value, other),
    };
    let Some(out) = out else {
        counts.checksum ^= reading.timestamp_ns ^ value.to_bits() ^ reading.sensor.len() as u64;
        return;
    };
    out.reserve(LINE_BYTES + reading.sensor.len());
    out.extend_from_slice(b"{\"timestamp\":");
    out.extend_from_slice(itoa::Buffer::new().format(reading.timestamp_ns).as_bytes());
    out.extend_from_slice(b",\"sensor\":\"");
    out.extend_from_slice(reading.sensor);
    out.extend_from_slice(b"\",\"value\":");
    out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    out.extend_from_slice(b",\"unit\":\"");
    out.extend_from_slice(unit);
    out.extend_from_slice(b"\"}\n");
}
