//! NDJSON, read and summed.

use crate::layout::Layout;
use crate::sensors::Sensors;
use crate::sum::Sum;
use crate::window::each_line;
use std::fs::File;
use std::io;

/// Reads all of it.
pub(crate) fn run(input: File) -> io::Result<Sum> {
    let (mut layout, mut sensors, mut units) = (Layout::default(), Sensors::new(), Sensors::new());
    let mut sum = Sum::default();
    let lines = each_line(input, |rest| {
        let Some(reading) = layout.parse(rest).or_else(|| layout.learn(rest)) else {
            return Ok(None);
        };
        units.number(reading.unit);
        sum.add(reading.timestamp_ns, reading.value, sensors.number(reading.sensor));
        Ok(Some(reading.length))
    })?;
    Ok(sum.end(lines, sensors.len()))
}
