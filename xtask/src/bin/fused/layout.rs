//! Lines of one layout, read by comparing with what was learned from the first of them.

use crate::scan::{integer, text};
use memchr::{memchr, memrchr};

/// One parsed line.
pub(crate) struct Reading<'a> {
    pub(crate) timestamp_ns: u64,
    pub(crate) value: f64,
    pub(crate) sensor: &'a [u8],
    pub(crate) unit: &'a [u8],
    /// Of the line, with its newline.
    pub(crate) length: usize,
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
pub(crate) struct Layout {
    parts: Vec<(Literal, Part)>,
    end: Literal,
}

impl Layout {
    /// A line of the learned layout, at the beginning of `rest`; `None` for any other.
    #[inline]
    pub(crate) fn parse<'a>(&self, rest: &'a [u8]) -> Option<Reading<'a>> {
        let mut reading = Reading { timestamp_ns: 0, value: 0.0, sensor: b"", unit: b"", length: 0 };
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
    pub(crate) fn learn<'a>(&mut self, rest: &'a [u8]) -> Option<Reading<'a>> {
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
                    text(&rest[value..])?.len()
                } else {
                    line[value..].iter().position(|byte| b",} \t".contains(byte))?
                };
            at = from + usize::from(is_text);
        }
        let end = &line[from..];
        let closed = matches!(end.trim_ascii(), b"}" | b"\"}");
        *self = Self { parts, end: Literal::new(end) };
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
        let mask = u128::MAX.checked_shr(128 - 8 * u32::try_from(short).unwrap_or(16)).unwrap_or(0);
        Self { bytes: bytes.to_vec(), first: u128::from_le_bytes(first), mask }
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

#[cfg(test)]
mod tests {
    use super::Layout;
    use crate::window::SLACK_BYTES;

    /// As it stands in the buffer: more behind it.
    fn line(text: &str) -> Vec<u8> {
        [text.as_bytes(), b"\n", &[0; SLACK_BYTES]].concat()
    }

    #[test]
    fn another_key_order_is_learned() {
        let mut layout = Layout::default();
        let line = line(r#"{"sensor": "a", "value": -1.5e2, "unit": "degC", "timestamp": 17}"#);
        assert!(layout.parse(&line).is_none());
        let reading = layout.learn(&line).unwrap();
        assert_eq!((reading.sensor, reading.value, reading.timestamp_ns), (&b"a"[..], -150.0, 17));
        assert_eq!(reading.length, line.len() - SLACK_BYTES);
        assert!(layout.parse(&line).is_some());
    }

    #[test]
    fn the_benchs_own_lines_are_read() {
        let text = r#"{"timestamp":1700000000001349410,"sensor":"plant-6/press-74/bearing","value":31.8026,"unit":"degC"}"#;
        let line = line(text);
        let mut layout = Layout::default();
        for reading in [layout.learn(&line).unwrap(), layout.parse(&line).unwrap()] {
            assert_eq!(reading.timestamp_ns, 1_700_000_000_001_349_410);
            assert_eq!((reading.sensor, reading.unit), (&b"plant-6/press-74/bearing"[..], &b"degC"[..]));
            assert!((reading.value - 31.8026).abs() < f64::EPSILON);
            assert_eq!(reading.length, text.len() + 1);
        }
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
}
