//! Records to lines.

use crate::dictionary::Dictionary;
use crate::json::write_escaped;
use crate::number::write_finite;
use crate::quality::quality_text;
use crate::settings::{FieldNames, WriteSettings};
use crate::timestamp::TimestampPrinter;
use cardcage_plugin_api::{Quality, Record, SensorId, UnitId};

/// Writes records as lines of JSON objects. The text of a sensor is rendered once and then copied.
pub struct Writer {
    sensors: Vec<Option<Box<SensorText>>>,
    units: Vec<Option<Box<[u8]>>>,
    start: TimestampPrinter,
    keys: Keys,
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
    pub fn new(settings: &WriteSettings) -> Self {
        let keys = Keys::new(&settings.fields);
        let start = [b"{", &keys.timestamp[..]].concat();
        let escape = |text: &str, into: &mut Vec<u8>| write_escaped(text, into);
        let start = TimestampPrinter::new(&settings.timestamp, &settings.zone, &start, b"", b"\"", escape);
        Self { sensors: Vec::new(), units: Vec::new(), start, keys }
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
            _ => render_sensor(&mut self.sensors, &mut self.units, &self.keys, record, dictionary)?,
        };
        let plain = record.quality == Quality::GOOD && record.unit == sensor.unit;
        let unit =
            if plain { None } else { Some(unit_text(&mut self.units, &self.keys, record.unit, dictionary)?) };
        self.start.write(record.timestamp_ns, into);
        into.extend_from_slice(&sensor.name);
        write_value(record.value, into);
        match unit {
            None => into.extend_from_slice(&sensor.good_end),
            Some(unit) => {
                into.extend_from_slice(unit);
                write_quality(&self.keys, record.quality, into);
                into.extend_from_slice(&sensor.tags);
            }
        }
        Some(())
    }
}

/// The keys as they stand in a line, with the colon: `"sensor":`.
struct Keys {
    timestamp: Box<[u8]>,
    sensor: Box<[u8]>,
    value: Box<[u8]>,
    unit: Box<[u8]>,
    quality: Box<[u8]>,
    tags: Box<[u8]>,
}

impl Keys {
    fn new(names: &FieldNames) -> Self {
        let key = |name: &str| {
            let mut text = b"\"".to_vec();
            write_escaped(name, &mut text);
            text.extend_from_slice(b"\":");
            text.into_boxed_slice()
        };
        Self {
            timestamp: key(&names.timestamp),
            sensor: key(&names.sensor),
            value: key(&names.value),
            unit: key(&names.unit),
            quality: key(&names.quality),
            tags: key(&names.tags),
        }
    }
}

#[inline]
fn write_value(value: f64, into: &mut Vec<u8>) {
    if value.is_finite() {
        write_finite(value, into);
    } else {
        into.extend_from_slice(b"null");
    }
}

#[cold]
fn write_quality(keys: &Keys, quality: Quality, into: &mut Vec<u8>) {
    if quality != Quality::GOOD {
        into.push(b',');
        into.extend_from_slice(&keys.quality);
        into.push(b'"');
        into.extend_from_slice(quality_text(quality).as_bytes());
        into.push(b'"');
    }
}

/// `,"unit":"Cel"`, or nothing for no unit.
fn unit_text<'a, D: Dictionary>(
    units: &'a mut Vec<Option<Box<[u8]>>>,
    keys: &Keys,
    unit: UnitId,
    dictionary: &D,
) -> Option<&'a [u8]> {
    let index = usize::from(unit.0);
    if units.get(index).is_none_or(Option::is_none) {
        let text = dictionary.with_unit(unit, |code| {
            let mut text = Vec::new();
            if !code.is_empty() {
                text.push(b',');
                text.extend_from_slice(&keys.unit);
                text.push(b'"');
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
    keys: &Keys,
    record: &Record,
    dictionary: &D,
) -> Option<&'a SensorText> {
    let unit = unit_text(units, keys, record.unit, dictionary)?;
    let (name, tags) = dictionary.with_sensor(record.sensor, |name, tags| {
        let mut start = [b",", &keys.sensor[..], b"\""].concat();
        write_escaped(name, &mut start);
        start.extend_from_slice(b"\",");
        start.extend_from_slice(&keys.value);
        (start, tags_text(keys, tags))
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

fn tags_text(keys: &Keys, tags: &[(&str, &str)]) -> Vec<u8> {
    let mut text = Vec::new();
    for (key, value) in tags {
        if text.is_empty() {
            text.push(b',');
            text.extend_from_slice(&keys.tags);
            text.extend_from_slice(b"{\"");
        } else {
            text.extend_from_slice(b",\"");
        }
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
