//! CSV with a header and without quotes, read and summed.

use crate::scan::{integer, until};
use crate::sensors::Sensors;
use crate::sum::Sum;
use crate::window::each_line;
use std::fs::File;
use std::io;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Timestamp,
    Sensor,
    Value,
    Unit,
}

/// Reads all of it.
pub(crate) fn run(input: File) -> io::Result<Sum> {
    let (mut sensors, mut units, mut sum) = (Sensors::new(), Sensors::new(), Sum::default());
    let mut columns = None;
    let lines = each_line(input, |rest| {
        let Some(columns) = columns else {
            let (learned, length) = header(rest).ok_or_else(|| {
                io::Error::other("the first line does not name timestamp, sensor, value and unit")
            })?;
            columns = Some(learned);
            return Ok(Some(length));
        };
        Ok(row(columns, rest, &mut sum, &mut sensors, &mut units))
    })?;
    Ok(sum.end(lines, sensors.len()))
}

/// The four columns, and the length of the line.
fn header(rest: &[u8]) -> Option<([Column; 4], usize)> {
    let length = memchr::memchr(b'\n', rest)? + 1;
    let mut columns = [Column::Timestamp; 4];
    let mut names = rest[..length - 1].split(|byte| *byte == b',');
    for at in 0..columns.len() {
        let column = match names.next()? {
            b"timestamp" => Column::Timestamp,
            b"sensor" => Column::Sensor,
            b"value" => Column::Value,
            b"unit" => Column::Unit,
            _ => return None,
        };
        if columns[..at].contains(&column) {
            return None;
        }
        columns[at] = column;
    }
    names.next().is_none().then_some((columns, length))
}

/// One row; its length with its newline. `None` for a row with a quote, which this file has none of.
#[inline]
fn row(
    columns: [Column; 4],
    rest: &[u8],
    sum: &mut Sum,
    sensors: &mut Sensors,
    units: &mut Sensors,
) -> Option<usize> {
    let (mut timestamp_ns, mut value, mut sensor) = (0, 0.0, &b""[..]);
    let mut at = 0;
    for (place, column) in columns.iter().enumerate() {
        let field = &rest[at..];
        let length = match column {
            Column::Timestamp => {
                let (number, length) = integer(field)?;
                timestamp_ns = number;
                length
            }
            Column::Value => {
                let (number, length) = fast_float2::parse_partial::<f64, _>(field).ok()?;
                value = number;
                length
            }
            Column::Sensor => {
                sensor = &field[..until(field, *b",\n\"")?];
                sensor.len()
            }
            Column::Unit => {
                let unit = &field[..until(field, *b",\n\"")?];
                units.number(unit);
                unit.len()
            }
        };
        let end = if place + 1 == columns.len() { b'\n' } else { b',' };
        if rest.get(at + length) != Some(&end) {
            return None;
        }
        at += length + 1;
    }
    if sensor.is_empty() {
        return None;
    }
    sum.add(timestamp_ns, value, sensors.number(sensor));
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::SLACK_BYTES;

    fn line(text: &str) -> Vec<u8> {
        [text.as_bytes(), b"\n", &[0; SLACK_BYTES]].concat()
    }

    #[test]
    fn columns_may_be_in_any_order() {
        let (columns, length) = header(&line("value,sensor,unit,timestamp")).unwrap();
        assert_eq!(length, 28);
        let (mut sum, mut sensors, mut units) = (Sum::default(), Sensors::new(), Sensors::new());
        let text = "-1.5e2,a b,degC,17";
        let taken = row(columns, &line(text), &mut sum, &mut sensors, &mut units);
        assert_eq!(taken, Some(text.len() + 1));
        let mut expected = Sum::default();
        expected.add(17, -150.0, 0);
        assert_eq!(sum, expected);
    }

    #[test]
    fn what_it_cannot_read_rightly_is_refused() {
        let (columns, _) = header(&line("timestamp,sensor,value,unit")).unwrap();
        for text in ["1,\"a\",1,K", "1,a,1", "1,a,1,K,2", "1,a,x,K", "x,a,1,K", "1,,1,K", "1,a\"b,1,K", ""] {
            let (mut sum, mut sensors, mut units) = (Sum::default(), Sensors::new(), Sensors::new());
            let taken = row(columns, &line(text), &mut sum, &mut sensors, &mut units);
            assert_eq!(taken, None, "{text}");
        }
        for text in ["timestamp,sensor,value", "timestamp,sensor,value,value", "a,b,c,d"] {
            assert!(header(&line(text)).is_none(), "{text}");
        }
    }
}
