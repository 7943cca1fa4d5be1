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
/// Readable behind the last line, so that comparisons may take whole words.
const SLACK_BYTES: usize = 64;
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
            match layout.parse(rest).or_else(|| layout.learn(rest)) {
                Some(reading) => {
                    keep(&reading, &mut counts, output.is_some().then_some(&mut out));
                    at += reading.length;
                }
                None => {
                    counts.rejected += 1;
                    at += memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                }
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

/// One parsed line.
struct Reading<'a> {
    timestamp_ns: u64,
    value: f64,
    sensor: &'a [u8],
    unit: &'a [u8],
    /// Of the line, with its newline.
    length: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Timestamp,
    Sensor,
    Value,
    Unit,
}

/// The order of the keys and the bytes around the values, learned from a line.
#[derive(Default)]
struct Layout {
    parts: Vec<(Literal, Part)>,
    end: Literal,
}

impl Layout {
    /// A line of the learned layout, at the beginning of `rest`; `None` for any other.
    #[inline]
    fn parse<'a>(&self, rest: &'a [u8]) -> Option<Reading<'a>> {
        let mut reading = Reading {
            timestamp_ns: 0,
            value: 0.0,
            sensor: b"",
            unit: b"",
            length: 0,
        };
        let [first, second, third, fourth] = self.parts.as_slice() else {
            return None;
        };
        let mut at = 0;
        for (before, part) in [first, second, third, fourth] {
            at += before.at_start_of(&rest[at..])?;
            let value = &rest[at..];
            at += match part {
                Part::Timestamp => {
                    let (timestamp_ns, length) = integer(value)?;
                    reading.timestamp_ns = timestamp_ns;
                    length
                }
                Part::Value => {
                    let (number, length) = fast_float2::parse_partial::<f64, _>(value).ok()?;
                    reading.value = number;
                    length
                }
                Part::Sensor => {
                    reading.sensor = text(value)?;
                    reading.sensor.len()
                }
                Part::Unit => {
                    reading.unit = text(value)?;
                    reading.unit.len()
                }
            };
        }
        reading.length = at + self.end.at_start_of(&rest[at..])?;
        Some(reading)
    }

    /// Learns the layout of the line at the beginning of `rest` and parses it. `None` if it is not a flat object with
    /// the four keys.
    #[cold]
    fn learn<'a>(&mut self, rest: &'a [u8]) -> Option<Reading<'a>> {
        let line = &rest[..=memchr(b'\n', rest)?];
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
            parts.push((Literal::new(&line[from..value]), part));
            from = value
                + if is_text {
                    text(&line[value..])?.len()
                } else {
                    line[value..].iter().position(|byte| b",} \t".contains(byte))?
                };
            at = from + usize::from(is_text);
        }
        let end = &line[from..];
        let closed = matches!(end.trim_ascii(), b"}" | b"\"}");
        *self = Self {
            parts,
            end: Literal::new(end),
        };
        if closed { self.parse(rest) } else { None }
    }
}

/// Bytes that must stand somewhere. The first 16 are compared as one word: calling `memcmp` for each would take an eighth
/// of the parsing time.
#[derive(Default)]
struct Literal {
    bytes: Vec<u8>,
    first: u128,
    mask: u128,
}

impl Literal {
    fn new(bytes: &[u8]) -> Self {
        let mut first = [0; 16];
        let short = bytes.len().min(16);
        first[..short].copy_from_slice(&bytes[..short]);
        let mask = u128::MAX
            .checked_shr(128 - 8 * u32::try_from(short).unwrap_or(16))
            .unwrap_or(0);
        Self {
            bytes: bytes.to_vec(),
            first: u128::from_le_bytes(first),
            mask,
        }
    }

    /// Its length, if `rest` begins with it.
    #[inline]
    fn at_start_of(&self, rest: &[u8]) -> Option<usize> {
        let first = u128::from_le_bytes(*rest.first_chunk()?);
        let length = self.bytes.len();
        let same = first & self.mask == self.first && (length <= 16 || rest.starts_with(&self.bytes));
        same.then_some(length)
    }
}

/// Up to the closing quote, eight bytes at a time; `None` where an escape would have to be undone, and at a control
/// character, which JSON forbids in texts.
#[inline]
fn text(rest: &[u8]) -> Option<&[u8]> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The lowest bit set is at the first byte that is `than` less one at most; those behind it may be wrong.
    let below = |word: u64, than: u8| word.wrapping_sub(ONES * u64::from(than)) & !word & HIGH;
    let mut at = 0;
    loop {
        let word = u64::from_le_bytes(*rest.get(at..)?.first_chunk()?);
        let quote = below(word ^ ONES * u64::from(b'"'), 1);
        let escape = below(word ^ ONES * u64::from(b'\\'), 1);
        let ends = quote | escape | below(word, b' ');
        if ends != 0 {
            at += ends.trailing_zeros() as usize / 8;
            return (rest[at] == b'"').then(|| &rest[..at]);
        }
        at += 8;
    }
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

    /// As it stands in the buffer: more behind it.
    fn line(text: &str) -> Vec<u8> {
        [text.as_bytes(), b"\n", &[0; super::SLACK_BYTES]].concat()
    }

    #[test]
    fn another_key_order_is_learned() {
        let mut layout = Layout::default();
        let line = line(r#"{"sensor": "a", "value": -1.5e2, "unit": "degC", "timestamp": 17}"#);
        assert!(layout.parse(&line).is_none());
        let reading = layout.learn(&line).unwrap();
        assert_eq!(
            (reading.sensor, reading.value, reading.timestamp_ns),
            (&b"a"[..], -150.0, 17)
        );
        assert_eq!(reading.length, line.len() - super::SLACK_BYTES);
        assert!(layout.parse(&line).is_some());
    }

    #[test]
    fn what_it_cannot_read_rightly_is_refused() {
        for text in [
            r#"{"sensor":"a\"b","value":1,"unit":"K","timestamp":1}"#,
            "{\"sensor\":\"a\tb\",\"value\":1,\"unit\":\"K\",\"timestamp\":1}",
            r#"{"sensor":"a","value":1,"unit":"K"}"#,
            r#"{"sensor":"a","value":1,"unit":"K","timestamp":1} x"#,
            r#"{"sensor":"a","value":"1","unit":"K","timestamp":1}"#,
            r#"{"sensor":"a","value":1,"unit":"K","timestamp":1"#,
            "",
        ] {
            assert!(Layout::default().learn(&line(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn a_text_of_every_length_ends_at_its_quote() {
        for length in 0..40 {
            let name = "é~ x".repeat(10).into_bytes()[..length].to_vec();
            let rest = [&name[..], b"\",\"more\"", &[0; super::SLACK_BYTES]].concat();
            assert_eq!(super::text(&rest), Some(&name[..]));
        }
    }
}
