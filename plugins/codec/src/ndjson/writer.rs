//! Records to lines.

use crate::dictionary::Dictionary;
use crate::json::write_escaped;
use crate::quality::quality_text;
use cardcage_plugin_api::{Quality, Record, SensorId, UnitId};

/// The longest part of a line whose length does not depend on names: keys, timestamp, value, quality.
pub const LINE_START_MAX: usize = 256;

/// Writes records as lines of JSON objects. The text of a sensor is rendered once and then copied.
pub struct Writer {
    sensors: Vec<Option<Box<SensorText>>>,
    units: Vec<Option<Box<[u8]>>>,
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
        Self {
            sensors: Vec::new(),
            units: Vec::new(),
        }
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
        let unit = if plain {
            None
        } else {
            Some(unit_text(&mut self.units, record.unit, dictionary)?)
        };
        into.extend_from_slice(b"{\"timestamp\":");
        into.extend_from_slice(itoa::Buffer::new().format(record.timestamp_ns).as_bytes());
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
