//! Line protocol without escapes, read and summed: each number is a record of the sensor `measurement.field` with the
//! line's tags.

use crate::scan::{integer, until};
use crate::sensors::Sensors;
use crate::sum::Sum;
use crate::window::each_line;
use std::fs::File;
use std::io;

/// Reads all of it.
pub(crate) fn run(input: File) -> io::Result<Sum> {
    let mut job = Job::default();
    let lines = each_line(input, |rest| Ok(job.line(rest)))?;
    Ok(job.sum.end(lines, job.sensors.len()))
}

struct Job {
    sum: Sum,
    /// By measurement, tags and field as they stand in the line: `bearing,plant=6 temperature`.
    sensors: Sensors,
    /// Of the line: the timestamp stands behind them.
    values: Vec<(u32, f64)>,
    /// Where the name of a further field is put together.
    name: Vec<u8>,
}

impl Default for Job {
    fn default() -> Self {
        Self { sum: Sum::default(), sensors: Sensors::new(), values: Vec::new(), name: Vec::new() }
    }
}

impl Job {
    /// One line; its length with its newline. `None` for one with an escape, a text or no timestamp.
    #[inline]
    fn line(&mut self, rest: &[u8]) -> Option<usize> {
        self.values.clear();
        let series = until(rest, *b" \n\\")?;
        if rest[series] != b' ' || series == 0 {
            return None;
        }
        let mut at = series + 1;
        loop {
            let field = until(&rest[at..], *b"= \n\\")?;
            if rest[at + field] != b'=' || field == 0 {
                return None;
            }
            // The first field stands right behind the tags, so that both are one text already.
            let number = if at == series + 1 {
                self.sensors.number(&rest[..at + field])
            } else {
                self.name.clear();
                self.name.extend_from_slice(&rest[..=series]);
                self.name.extend_from_slice(&rest[at..at + field]);
                self.sensors.number(&self.name)
            };
            at += field + 1;
            let (value, length) = fast_float2::parse_partial::<f64, _>(&rest[at..]).ok()?;
            self.values.push((number, value));
            at += length + 1;
            match rest.get(at - 1)? {
                b' ' => break,
                b',' => {}
                _ => return None,
            }
        }
        let (timestamp_ns, length) = integer(&rest[at..])?;
        at += length;
        if rest.get(at) != Some(&b'\n') {
            return None;
        }
        for (number, value) in &self.values {
            self.sum.add(timestamp_ns, *value, *number);
        }
        Some(at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::SLACK_BYTES;

    fn line(text: &str) -> Vec<u8> {
        [text.as_bytes(), b"\n", &[0; SLACK_BYTES]].concat()
    }

    #[test]
    fn each_field_is_a_record_of_its_own_sensor() {
        let mut job = Job::default();
        for (text, sensors) in [("m,t=1 a=1.5,b=-2 17", 2), ("m,t=1 b=3 18", 2), ("m,t=2 b=3 18", 3)] {
            assert_eq!(job.line(&line(text)), Some(text.len() + 1), "{text}");
            assert_eq!(job.sensors.len(), sensors, "{text}");
        }
        let mut expected = Sum::default();
        for (timestamp_ns, value, sensor) in [(17, 1.5, 0), (17, -2.0, 1), (18, 3.0, 1), (18, 3.0, 2)] {
            expected.add(timestamp_ns, value, sensor);
        }
        assert_eq!(job.sum, expected);
    }

    #[test]
    fn what_it_cannot_read_rightly_is_refused() {
        for text in [
            "m\\ x a=1 1",
            "m a=\"x\" 1",
            "m a=1",
            "m a=1 ",
            "m a=1 x",
            "m 1",
            " a=1 1",
            "m =1 1",
            "m a=1t 1",
            "",
        ] {
            let mut job = Job::default();
            assert_eq!(job.line(&line(text)), None, "{text}");
            assert_eq!(job.sum, Sum::default(), "{text}");
        }
    }
}
