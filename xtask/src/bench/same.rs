//! Whether two programs did the same work: a figure for wrong output is worth nothing.

use crate::Failure;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Two ways to round one conversion differ by this much of the value at most.
const ROUNDING: f64 = 1e-14;

/// How two outputs of the same records differ, where they may.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    lines: u64,
    rounded: u64,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rounded {
            0 => write!(f, "{} lines, the same byte by byte", self.lines),
            rounded => {
                write!(f, "{} lines, {rounded} of them rounded otherwise in the last place", self.lines)
            }
        }
    }
}

/// Compares line by line. A difference beyond rounding is an error.
pub(super) fn compare(left: &Path, right: &Path) -> Result<Compared, Failure> {
    let open = |path: &Path| {
        let file = File::open(path).map_err(Failure::io(format!("open {}", path.display())))?;
        Ok::<_, Failure>(BufReader::with_capacity(1 << 20, file))
    };
    lines(open(left)?, open(right)?).map_err(|difference| {
        Failure::Program(format!("{} and {} differ: {difference}", left.display(), right.display()))
    })
}

fn lines(mut left: impl BufRead, mut right: impl BufRead) -> Result<Compared, String> {
    let mut compared = Compared::default();
    let (mut one, mut other) = (String::new(), String::new());
    loop {
        one.clear();
        other.clear();
        let read = left.read_line(&mut one).and_then(|a| Ok(a + right.read_line(&mut other)?));
        if read.map_err(|error| error.to_string())? == 0 {
            return Ok(compared);
        }
        compared.lines += 1;
        if one != other {
            if !rounded(&one, &other) {
                return Err(format!(
                    "line {} is `{}` and `{}`",
                    compared.lines,
                    one.trim_end(),
                    other.trim_end()
                ));
            }
            compared.rounded += 1;
        }
    }
}

/// Whether only the value differs, and that by rounding.
fn rounded(one: &str, other: &str) -> bool {
    let (Some((head, value, tail)), Some((same_head, near, same_tail))) = (split(one), split(other)) else {
        return false;
    };
    (head, tail) == (same_head, same_tail) && (value - near).abs() <= ROUNDING * value.abs().max(1.0)
}

/// What is before the value, the value, and what is behind it.
fn split(line: &str) -> Option<(&str, f64, &str)> {
    let (head, rest) = line.split_once("\"value\":")?;
    let (value, tail) = rest.split_once(',')?;
    Some((head, value.parse().ok()?, tail))
}

/// What the hand-fused program says of the records that it read, worked out from NDJSON that the daemon wrote: how
/// many, none rejected, the sums of their timestamps and values, how many sensors, and in which order these came.
pub(super) fn sum(path: &Path) -> Result<String, Failure> {
    let file = File::open(path).map_err(Failure::io(format!("open {}", path.display())))?;
    sum_lines(BufReader::with_capacity(1 << 20, file))
        .map_err(|wrong| Failure::Program(format!("{}: {wrong}", path.display())))
}

fn sum_lines(text: impl BufRead) -> Result<String, String> {
    let (mut records, mut timestamps, mut values, mut order) = (0_u64, 0_u64, 0.0_f64, 0_u64);
    let mut sensors = HashMap::new();
    for line in text.lines() {
        let line = line.map_err(|error| error.to_string())?;
        let (timestamp, sensor, value) = parts(&line).ok_or_else(|| format!("`{line}` is no record"))?;
        records += 1;
        timestamps = timestamps.wrapping_add(timestamp);
        values += value;
        let next = sensors.len() as u64;
        let number = *sensors.entry(sensor).or_insert(next);
        order = order.wrapping_mul(31).wrapping_add(number);
    }
    Ok(format!("{records} 0 {timestamps} {:016x} {} {order}", values.to_bits(), sensors.len()))
}

/// Timestamp, all that tells the sensor (name, tags, unit), and value.
fn parts(line: &str) -> Option<(u64, String, f64)> {
    let (head, value, tail) = split(line)?;
    let (timestamp, sensor) = head.strip_prefix("{\"timestamp\":")?.split_once(',')?;
    Some((timestamp.parse().ok()?, format!("{sensor}{tail}"), value))
}

#[cfg(test)]
mod tests {
    use super::{Compared, lines, sum_lines};

    #[test]
    fn a_sum_tells_records_apart_that_differ_in_anything() {
        let line = |timestamp: u32, sensor: &str, value: &str| {
            format!("{{\"timestamp\":{timestamp},\"sensor\":\"{sensor}\",\"value\":{value},\"unit\":\"\"}}\n")
        };
        let sum = |text: String| sum_lines(text.as_bytes());
        let both = line(1, "a", "0.5") + &line(2, "b", "1.5");
        let expected = format!("2 0 3 {:016x} 2 1", 2.0_f64.to_bits());
        assert_eq!(sum(both.clone()), Ok(expected));
        for other in [
            line(1, "a", "0.5") + &line(3, "b", "1.5"),
            line(1, "a", "0.5") + &line(2, "a", "1.5"),
            line(1, "a", "0.5") + &line(2, "b", "1.25"),
            line(1, "a", "0.5"),
        ] {
            assert_ne!(sum(other), sum(both.clone()));
        }
        assert!(sum("{}\n".to_owned()).is_err());
    }

    #[test]
    fn only_rounding_may_differ() {
        let line = |value: &str| format!("{{\"sensor\":\"a\",\"value\":{value},\"unit\":\"degF\"}}\n");
        let both = |one: &str, other: &str| lines(line(one).as_bytes(), line(other).as_bytes());
        assert_eq!(both("74.22206", "74.22206"), Ok(Compared { lines: 1, rounded: 0 }));
        assert_eq!(both("74.22206", "74.22206000000001"), Ok(Compared { lines: 1, rounded: 1 }));
        assert!(both("74.22206", "74.2221").is_err());
        assert!(lines(line("1").as_bytes(), &b""[..]).is_err());
        assert!(lines(line("1").as_bytes(), line("1").replace('a', "b").as_bytes()).is_err());
    }
}
