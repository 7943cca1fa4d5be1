//! The limit that the daemon is measured against: NDJSON file -> range -> convert -> NDJSON file, written by hand as one
//! loop on one thread, with nothing around it: no plugins, no ledger, no batches, no dictionary. It knows this one job
//! and these four keys. `cargo xtask bench` runs it beside the daemon on the same input.
//!
//! What makes it fast: it learns the order of the keys and the bytes between the values from one line and then only
//! compares; a line that differs is learned anew. What it must not do is less work than the job: every value is parsed,
//! checked and printed again.

#![forbid(unsafe_code)]

mod layout;
mod scan;

use layout::{Layout, Reading};
use memchr::{memchr, memrchr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;

/// Readings outside are dropped; a tenth of the bench's input is. The daemon's bench pipeline has the same numbers.
const RANGE: std::ops::RangeInclusive<f64> = -20.0..=124.0;
/// Stays in the second-level cache together with the output, and makes system calls rare.
const BUFFER_BYTES: usize = 256 * 1024;
/// Readable behind the last line, so that comparisons may take whole words.
const SLACK_BYTES: usize = 64;
/// More than any line that one record can become, without its sensor's name.
const LINE_BYTES: usize = 128;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [input] => File::open(input).and_then(|input| run(input, None)),
        [input, output] => File::open(input).and_then(|input| run(input, Some(File::create(output)?))),
        _ => Err(io::Error::other("usage: fused INPUT [OUTPUT]; without OUTPUT it only reads and parses")),
    };
    match done {
        Ok(counts) => {
            println!("{} {} {}", counts.input, counts.output, counts.rejected);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("fused: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Counts {
    input: u64,
    output: u64,
    rejected: u64,
    /// So that a run without output cannot be optimised into not parsing.
    checksum: u64,
}

fn run(mut input: File, mut output: Option<File>) -> io::Result<Counts> {
    let mut counts = Counts::default();
    let mut layout = Layout::default();
    let mut buffer = vec![0; BUFFER_BYTES + SLACK_BYTES];
    let mut out = Vec::with_capacity(BUFFER_BYTES + LINE_BYTES);
    let mut filled = 0;
    loop {
        let read = input.read(&mut buffer[filled..BUFFER_BYTES])?;
        filled += read;
        if read == 0 && filled > 0 && filled < BUFFER_BYTES && buffer[filled - 1] != b'\n' {
            buffer[filled] = b'\n';
            filled += 1;
        }
        let whole = match memrchr(b'\n', &buffer[..filled]) {
            Some(at) => at + 1,
            None if filled == 0 => break,
            None => return Err(io::Error::other("a line is longer than the buffer")),
        };
        let mut at = 0;
        while at < whole {
            counts.input += 1;
            let rest = &buffer[at..];
            // The learned layout ends with the newline, so the line's end needs no search of its own.
            if let Some(reading) = layout.parse(rest).or_else(|| layout.learn(rest)) {
                keep(&reading, &mut counts, output.is_some().then_some(&mut out));
                at += reading.length;
            } else {
                counts.rejected += 1;
                at += memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            }
            if out.len() >= BUFFER_BYTES {
                write(&mut output, &mut out)?;
            }
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
    write(&mut output, &mut out)?;
    std::hint::black_box(counts.checksum);
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
