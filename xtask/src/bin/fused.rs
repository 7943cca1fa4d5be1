//! The limit that the daemon is measured against: NDJSON file -> range -> convert -> NDJSON file, written by hand as one
//! loop on one thread, with nothing around it: no plugins, no ledger, no batches, no dictionary. It knows this one job
//! and these four keys. `cargo xtask bench` runs it beside the daemon on the same input.
//!
//! What makes it fast: it learns the order of the keys and the bytes between the values from one line and then only
//! compares; a line that differs is learned anew. What it must not do is less work than the job: every value is parsed,
//! checked and printed again.

#![forbid(unsafe_code)]

use memchr::{memchr, memrchr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;

/// Readings outside are dropped; a tenth of the bench's input is. The daemon's bench pipeline has the same numbers.
const RANGE: std::ops::RangeInclusive<f64> = -20.0..=124.0;
/// Stays in the second-level cache together with the output, and makes system calls rare.
const BUFFER_BYTES: usize = 256 * 1024;
/// More than any line that one record can become, without its sensor's name.
const LINE_BYTES: usize = 128;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [input] => File::open(input).and_then(|input| run(input, None)),
        [input, output] => File::open(input).and_then(|input| run(input, Some(File::create(output)?))),
        _ => Err(io::Error::other(
            "usage: fused INPUT [OUTPUT]; without OUTPUT it only reads and parses",
        )),
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
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut out = Vec::with_capacity(BUFFER_BYTES + LINE_BYTES);
    let mut filled = 0;
    loop {
        let read = input.read(&mut buffer[filled..])?;
        filled += read;
        let whole = match memrchr(b'\n', &buffer[..filled]) {
            Some(at) => at + 1,
            None if read == 0 && filled > 0 => filled,
            None if read == 0 => break,
            None => return Err(io::Error::other("a line is longer than the buffer")),
        };
        let mut rest = &buffer[..whole];
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            counts.input += 1;
            match layout.parse(&rest[..end]).or_else(|| layout.learn(&rest[..end])) {
                Some(reading) => keep(&reading, &mut counts, output.is_some().then_some(&mut out)),
                None => counts.rejected += 1,
            }
            rest = &rest[(end + 1).min(rest.len())..];
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

/// One parsed line.
struct Reading<'a> {
    timestamp_ns: u64,
    value: f64,
    sensor: &'a [u8],
    unit: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Timestamp,
    Sensor,
    Value,
    Unit,
}

/// The order of the keys and the bytes in front of each value, learned from a line.
#[derive(Default)]
struct Layout {
    parts: Vec<(Vec<u8>, Part)>,
    end: Vec<u8>,
}

impl Layout {
    /// A line of the learned layout; `None` for any other.
    #[inline]
    fn parse<'a>(&self, line: &'a [u8]) -> Option<Reading<'a>> {
        let mut reading = Reading {
            timestamp_ns: 0,
            value: 0.0,
            sensor: b"",
            unit: b"",
        };
        let [first, second, third, fourth] = self.parts.as_slice() else {
            return None;
        };
        let mut rest = line;
        for (before, part) in [first, second, third, fourth] {
            rest = rest.strip_prefix(before.as_slice())?;
            let length = match part {
                Part::Timestamp => {
                    let (value, length) = integer(rest)?;
                    reading.timestamp_ns = value;
                    length
                }
                Part::Value => {
                    let (value, length) = fast_float2::parse_partial::<f64, _>(rest).ok()?;
                    reading.value = value;
                    length
                }
                Part::Sensor => {
                    reading.sensor = text(rest)?;
                    reading.sensor.len()
                }
                Part::Unit => {
                    reading.unit = text(rest)?;
                    reading.unit.len()
                }
            };
            rest = &rest[length..];
        }
        (rest == self.end.as_slice()).then_some(reading)
    }

    /// Learns the layout of this line and parses it. `None` if it is not a flat object with the four keys.
    #[cold]
    fn learn<'a>(&mut self, line: &'a [u8]) -> Option<Reading<'a>> {
        let (mut parts, mut from, mut at) = (Vec::new(), 0, 0);
        while let Some(colon) = memchr(b':', &line[at..]).map(|colon| at + colon) {
            let key = line[at..colon].trim_ascii_end().strip_suffix(b"\"")?;
            let key = &key[memrchr(b'"', key)? + 1..];
            let mut value = colon + 1;
            while line.get(value).is_some_and(u8::is_ascii_whitespace) {
                value += 1;
            }
            let part = match key {
                b"timestamp" => Part::Timestamp,
                b"sensor" => Part::Sensor,
                b"value" => Part::Value,
                b"unit" => Part::Unit,
                _ => return None,
            };
            if parts.iter().any(|(_, known)| *known == part) {
                return None;
            }
            let is_text = line.get(value) == Some(&b'"');
            if is_text != matches!(part, Part::Sensor | Part::Unit) {
                return None;
            }
            value += usize::from(is_text);
            parts.push((line[from..value].to_vec(), part));
            from = value
                + match is_text {
                    true => text(&line[value..])?.len(),
                    false => line[value..].iter().position(|byte| b",} \t".contains(byte))?,
                };
            at = from + usize::from(is_text);
        }
        *self = Self {
            parts,
            end: line[from..].to_vec(),
        };
        let tail = self.end.trim_ascii();
        let closed = tail == b"}" || tail == b"\"}";
        if closed { self.parse(line) } else { None }
    }
}

/// Up to the closing quote; `None` where an escape would have to be undone.
#[inline]
fn text(rest: &[u8]) -> Option<&[u8]> {
    let text = &rest[..memchr(b'"', rest)?];
    (!text.contains(&b'\\')).then_some(text)
}

/// A whole number, eight digits at a time, and how many digits it has. `None` without digits and past 19 of them.
#[inline]
fn integer(rest: &[u8]) -> Option<(u64, usize)> {
    let (mut value, mut length) = (0_u64, 0);
    while let Some(eight) = rest.get(length..length + 8).and_then(eight_digits) {
        value = value.wrapping_mul(100_000_000).wrapping_add(eight);
        length += 8;
    }
    while let Some(digit) = rest.get(length).filter(|byte| byte.is_ascii_digit()) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        length += 1;
    }
    (1..=19).contains(&length).then_some((value, length))
}

/// The number that eight bytes write, if all are digits: pairs, then fours, then all in three multiplications.
#[inline]
fn eight_digits(bytes: &[u8]) -> Option<u64> {
    let raw = u64::from_le_bytes(bytes.try_into().ok()?);
    let digits = raw.wrapping_sub(0x3030_3030_3030_3030);
    let past_nine = raw.wrapping_add(0x4646_4646_4646_4646);
    if (digits | past_nine) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = (digits.wrapping_mul(10)).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let high = (pairs >> 16 & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    Some(low.wrapping_add(high) >> 32)
}

#[cfg(test)]
mod tests {
    use super::{Layout, eight_digits, integer};

    #[test]
    fn whole_numbers_of_every_length_are_read() {
        for length in 1..=19 {
            let text: String = "1234567890123456789".chars().take(length).collect();
            assert_eq!(
                integer(format!("{text},").as_bytes()),
                Some((text.parse().unwrap(), length))
            );
        }
        assert_eq!(integer(b"12345678901234567890,"), None);
        assert_eq!(integer(b"x"), None);
        assert_eq!(eight_digits(b"1234567/"), None);
        assert_eq!(eight_digits(b"12:45678"), None);
    }

    #[test]
    fn another_key_order_is_learned_and_escapes_are_refused() {
        let mut layout = Layout::default();
        let line = br#"{"sensor": "a", "value": -1.5e2, "unit": "degC", "timestamp": 17}"#;
        assert!(layout.parse(line).is_none());
        let reading = layout.learn(line).unwrap();
        assert_eq!(
            (reading.sensor, reading.value, reading.timestamp_ns),
            (&b"a"[..], -150.0, 17)
        );
        assert!(layout.parse(line).is_some());
        assert!(
            layout
                .learn(br#"{"sensor":"a\"b","value":1,"unit":"K","timestamp":1}"#)
                .is_none()
        );
        assert!(layout.learn(br#"{"sensor":"a","value":1,"unit":"K"}"#).is_none());
        assert!(
            layout
                .learn(br#"{"sensor":"a","value":1,"unit":"K","timestamp":1} x"#)
                .is_none()
        );
    }
}
