//! Records to lines.

use crate::dictionary::Dictionary;
use crate::json::write_escaped;
use crate::quality::quality_text;
use cardcage_plugin_api::{Quality, Record, SensorId, UnitId};

/// Writes records as lines of JSON objects. The text of a sensor is rendered once and then copied.
pub struct Writer {
    sensors: Vec<Option<Box<SensorText>>>,
    units: Vec<Option<Box<[u8]>>>,
    start: LineStart,
}

/// What a sensor's lines have in common.
struct SensorText {
    /// `,"sensor":"x","value":`
    name: Box<[u8]>,
    /// Behind the value of a good reading in `unit`, to the line's end.
    good_end: Box<[u8]>,
    unit: UnitId,
    /// `,"tags":{"a":"b"}}` and the line end.
    tags: Box<[u8]>,
}

impl Writer {
    /// A writer that has rendered nothing yet.
    pub fn new() -> Self {
        Self { sensors: Vec::new(), units: Vec::new(), start: LineStart::default() }
    }

    /// Appends a line for each record. Returns how many had a sensor or unit that the dictionary does not know; they
    /// are left out.
    pub fn lines<D: Dictionary>(&mut self, records: &[Record], dictionary: &D, into: &mut Vec<u8>) -> u64 {
        let mut unknown = 0;
        for record in records {
            if self.line(record, dictionary, into).is_none() {
                unknown += 1;
            }
        }
        unknown
    }

    #[inline]
    fn line<D: Dictionary>(&mut self, record: &Record, dictionary: &D, into: &mut Vec<u8>) -> Option<()> {
        let sensor = match self.sensors.get(record.sensor.0 as usize) {
            Some(Some(text)) => text,
            _ => render_sensor(&mut self.sensors, &mut self.units, record, dictionary)?,
        };
        let plain = record.quality == Quality::GOOD && record.unit == sensor.unit;
        let unit = if plain { None } else { Some(unit_text(&mut self.units, record.unit, dictionary)?) };
        self.start.write(record.timestamp_ns, into);
        into.extend_from_slice(&sensor.name);
        write_value(record.value, into);
        match unit {
            None => into.extend_from_slice(&sensor.good_end),
            Some(unit) => {
                into.extend_from_slice(unit);
                write_quality(record.quality, into);
                into.extend_from_slice(&sensor.tags);
            }
        }
        Some(())
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

/// `{"timestamp":` and the timestamp. Readings come in order, mostly, so the second is printed once for many of them.
#[derive(Default)]
struct LineStart {
    second: i64,
    /// The line's start with `second`'s digits and room for those of the nanoseconds; empty before the first.
    text: Vec<u8>,
}

const NS_PER_SECOND: i64 = 1_000_000_000;

impl LineStart {
    #[inline]
    fn write(&mut self, timestamp_ns: i64, into: &mut Vec<u8>) {
        let second = timestamp_ns / NS_PER_SECOND;
        if second != self.second || self.text.is_empty() {
            self.print(timestamp_ns, second);
        }
        // Below a second there are no digits in front, and before 1970 the sign would be the second's: both are rare.
        if second >= 1 {
            let nanoseconds = (timestamp_ns % NS_PER_SECOND).unsigned_abs();
            if let Some(place) = self.text.last_chunk_mut::<9>() {
                let [first, rest @ ..] = place;
                #[expect(clippy::cast_possible_truncation, reason = "one digit")]
                let digit = (nanoseconds / 100_000_000) as u8;
                *first = b'0' + digit;
                *rest = eight_digits(nanoseconds % 100_000_000);
            }
            into.extend_from_slice(&self.text);
        } else {
            self.print(timestamp_ns, second);
            into.extend_from_slice(&self.text);
        }
    }

    #[cold]
    fn print(&mut self, timestamp_ns: i64, second: i64) {
        self.second = second;
        self.text.clear();
        self.text.extend_from_slice(b"{\"timestamp\":");
        self.text.extend_from_slice(itoa::Buffer::new().format(timestamp_ns).as_bytes());
    }
}

/// The eight digits of a number below 10^8, computed side by side: split into fours, pairs and single digits.
#[inline]
fn eight_digits(number: u64) -> [u8; 8] {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007F_0000_007F;
    let pairs = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000F_000F_000F_000F;
    let digits = tens | ((pairs - tens * 10) << 8);
    (digits | 0x3030_3030_3030_3030).to_le_bytes()
}

#[inline]
fn write_value(value: f64, into: &mut Vec<u8>) {
    if value.is_finite() {
        into.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        into.extend_from_slice(b"null");
    }
}

#[cold]
fn write_quality(quality: Quality, into: &mut Vec<u8>) {
    if quality != Quality::GOOD {
        into.extend_from_slice(b",\"quality\":\"");
        into.extend_from_slice(quality_text(quality).as_bytes());
        into.push(b'"');
    }
}

/// `,"unit":"Cel"`, or nothing for no unit.
fn unit_text<'a, D: Dictionary>(
    units: &'a mut Vec<Option<Box<[u8]>>>,
    unit: UnitId,
    dictionary: &D,
) -> Option<&'a [u8]> {
    let index = usize::from(unit.0);
    if units.get(index).is_none_or(Option::is_none) {
        let text = dictionary.with_unit(unit, |code| {
            let mut text = Vec::new();
            if !code.is_empty() {
                text.extend_from_slice(b",\"unit\":\"");
                write_escaped(code, &mut text);
                text.push(b'"');
            }
            text.into_boxed_slice()
        })?;
        // Ids are 16 bits, so this is bounded.
        if units.len() <= index {
            units.resize_with(index + 1, || None);
        }
        units[index] = Some(text);
    }
    units[index].as_deref()
}

#[cold]
fn render_sensor<'a, D: Dictionary>(
    sensors: &'a mut Vec<Option<Box<SensorText>>>,
    units: &mut Vec<Option<Box<[u8]>>>,
    record: &Record,
    dictionary: &D,
) -> Option<&'a SensorText> {
    let unit = unit_text(units, record.unit, dictionary)?;
    let (name, tags) = dictionary.with_sensor(record.sensor, |name, tags| {
        let mut start = b",\"sensor\":\"".to_vec();
        write_escaped(name, &mut start);
        start.extend_from_slice(b"\",\"value\":");
        (start, tags_text(tags))
    })?;
    let text = SensorText {
        name: name.into_boxed_slice(),
        good_end: [unit, &tags].concat().into_boxed_slice(),
        unit: record.unit,
        tags: tags.into_boxed_slice(),
    };
    // The dictionary knows the id, so `limits.sensors` bounds this.
    let SensorId(id) = record.sensor;
    let index = id as usize;
    if sensors.len() <= index {
        sensors.resize_with(index + 1, || None);
    }
    Some(sensors[index].insert(Box::new(text)))
}

fn tags_text(tags: &[(&str, &str)]) -> Vec<u8> {
    let mut text = Vec::new();
    for (key, value) in tags {
        text.extend_from_slice(if text.is_empty() { b",\"tags\":{\"" } else { b",\"" });
        write_escaped(key, &mut text);
        text.extend_from_slice(b"\":\"");
        write_escaped(value, &mut text);
        text.push(b'"');
    }
    if !text.is_empty() {
        text.push(b'}');
    }
    text.extend_from_slice(b"}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn timestamps_are_printed_as_the_standard_library_does(
            times in proptest::collection::vec(prop_oneof![any::<i64>(), -5_000_000_000_i64..5_000_000_000, 1_700_000_000_000_000_000_i64..1_700_000_002_000_000_000], 1..50),
        ) {
            let mut start = LineStart::default();
            for time in times {
                let mut text = Vec::new();
                start.write(time, &mut text);
                prop_assert_eq!(String::from_utf8(text).unwrap(), format!("{{\"timestamp\":{time}"));
            }
        }

        #[test]
        fn eight_digits_are_all_there(number in 0_u64..100_000_000) {
            prop_assert_eq!(eight_digits(number).to_vec(), format!("{number:08}").into_bytes());
        }
    }
}
