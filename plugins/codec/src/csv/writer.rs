//! Records to rows.

use crate::assemble::Part;
use crate::dictionary::Dictionary;
use crate::number::write_finite;
use crate::pairs;
use crate::quality::quality_text;
use crate::settings::{FieldNames, WriteSettings};
use crate::timestamp::{TimestampForm, TimestampPrinter};
use cardcage_plugin_api::{Quality, Record, UnitId};

/// Writes records as rows. What a sensor's rows have in common is rendered once and then copied.
pub(crate) struct Writer {
    header: Box<[u8]>,
    columns: Box<[Part]>,
    delimiter: u8,
    timestamps: TimestampPrinter,
    sensors: Vec<Option<Box<Rows>>>,
}

/// What the good readings of a sensor in one unit have in common.
struct Rows {
    unit: UnitId,
    /// Around timestamp and value, in the columns' order.
    pieces: Box<[Box<[u8]>]>,
}

/// The texts of a sensor's and unit's columns, quoted where they need it.
struct Texts {
    sensor: Vec<u8>,
    tags: Vec<u8>,
    unit: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(settings: &WriteSettings) -> Self {
        let all = column_names(&settings.fields);
        let part_of = |name: &String| all.iter().find(|(known, _)| known == name).map(|(_, part)| *part);
        let columns: Box<[Part]> = match &settings.columns {
            Some(names) => names.iter().filter_map(part_of).collect(),
            None => all.iter().map(|(_, part)| *part).collect(),
        };
        let mut header = Vec::new();
        for (index, part) in columns.iter().enumerate() {
            if index > 0 {
                header.push(settings.delimiter);
            }
            let name = all.iter().find(|(_, known)| known == part).map_or("", |(name, _)| name);
            write_text(name, settings.delimiter, &mut header);
        }
        header.push(b'\n');
        let quote: &[u8] = if needs_quotes(settings) { b"\"" } else { b"" };
        Self {
            header: header.into(),
            columns,
            delimiter: settings.delimiter,
            timestamps: TimestampPrinter::new(&settings.timestamp, &settings.zone, b"", b"", quote, escape),
            sensors: Vec::new(),
        }
    }

    pub(crate) fn header(&self) -> &[u8] {
        &self.header
    }

    /// [`crate::Writer::lines`] for this format.
    pub(crate) fn lines<D: Dictionary>(
        &mut self,
        records: &[Record],
        dictionary: &D,
        into: &mut Vec<u8>,
    ) -> u64 {
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
        let index = record.sensor.0 as usize;
        let is_known = matches!(self.sensors.get(index), Some(Some(rows)) if rows.unit == record.unit);
        if record.quality != Quality::GOOD {
            return self.pieces(record, dictionary, into);
        }
        if !is_known {
            self.learn(record, dictionary)?;
        }
        let rows = self.sensors.get(index)?.as_ref()?;
        let mut pieces = rows.pieces.iter();
        into.extend_from_slice(pieces.next()?);
        for part in &self.columns {
            match part {
                Part::Timestamp => self.timestamps.write(record.timestamp_ns, into),
                Part::Value => write_value(record.value, into),
                _ => continue,
            }
            into.extend_from_slice(pieces.next()?);
        }
        Some(())
    }

    /// A row, value by value.
    #[cold]
    fn pieces<D: Dictionary>(&mut self, record: &Record, dictionary: &D, into: &mut Vec<u8>) -> Option<()> {
        let texts = self.texts(record, dictionary)?;
        for (index, part) in self.columns.iter().enumerate() {
            if index > 0 {
                into.push(self.delimiter);
            }
            match part {
                Part::Timestamp => self.timestamps.write(record.timestamp_ns, into),
                Part::Value => write_value(record.value, into),
                Part::Sensor => into.extend_from_slice(&texts.sensor),
                Part::Tags => into.extend_from_slice(&texts.tags),
                Part::Unit => into.extend_from_slice(&texts.unit),
                Part::Quality => write_text(&quality_text(record.quality), self.delimiter, into),
            }
        }
        into.push(b'\n');
        Some(())
    }

    #[cold]
    fn learn<D: Dictionary>(&mut self, record: &Record, dictionary: &D) -> Option<()> {
        let texts = self.texts(record, dictionary)?;
        let (mut pieces, mut piece) = (Vec::new(), Vec::new());
        for (index, part) in self.columns.iter().enumerate() {
            if index > 0 {
                piece.push(self.delimiter);
            }
            match part {
                Part::Timestamp | Part::Value => pieces.push(std::mem::take(&mut piece).into_boxed_slice()),
                Part::Sensor => piece.extend_from_slice(&texts.sensor),
                Part::Tags => piece.extend_from_slice(&texts.tags),
                Part::Unit => piece.extend_from_slice(&texts.unit),
                Part::Quality => piece.extend_from_slice(b"good"),
            }
        }
        piece.push(b'\n');
        pieces.push(piece.into_boxed_slice());
        // The dictionary knows the id, so `limits.sensors` bounds this.
        let index = record.sensor.0 as usize;
        if self.sensors.len() <= index {
            self.sensors.resize_with(index + 1, || None);
        }
        self.sensors[index] = Some(Box::new(Rows { unit: record.unit, pieces: pieces.into() }));
        Some(())
    }

    fn texts<D: Dictionary>(&self, record: &Record, dictionary: &D) -> Option<Texts> {
        let text = |plain: &str| {
            let mut text = Vec::new();
            write_text(plain, self.delimiter, &mut text);
            text
        };
        let unit = dictionary.with_unit(record.unit, text)?;
        let (sensor, tags) = dictionary.with_sensor(record.sensor, |name, tags| {
            let mut joined = String::new();
            pairs::write(tags, &mut joined);
            (text(name), text(&joined))
        })?;
        Some(Texts { sensor, tags, unit })
    }
}

/// The columns that can be written and their names, in the order in which they are if not told otherwise.
pub(crate) fn column_names(fields: &FieldNames) -> [(&str, Part); 6] {
    [
        (&fields.timestamp, Part::Timestamp),
        (&fields.sensor, Part::Sensor),
        (&fields.value, Part::Value),
        (&fields.unit, Part::Unit),
        (&fields.quality, Part::Quality),
        (&fields.tags, Part::Tags),
    ]
}

/// CSV has no NaN and no infinities: the value is left empty, which reads back as a missing one.
#[inline]
fn write_value(value: f64, into: &mut Vec<u8>) {
    if value.is_finite() {
        write_finite(value, into);
    }
}

/// Whether timestamps hold something that is read as the end of a value.
fn needs_quotes(settings: &WriteSettings) -> bool {
    // A second that has a fraction, so that everything a pattern can print is there.
    const EXAMPLE_NS: i64 = 1_773_500_966_535_897_932;
    let mut text = Vec::new();
    TimestampPrinter::new(&settings.timestamp, &settings.zone, b"", b"", b"", escape)
        .write(EXAMPLE_NS, &mut text);
    let is_pattern = matches!(settings.timestamp, TimestampForm::Pattern(_));
    is_pattern && text.iter().any(|byte| *byte == settings.delimiter || matches!(byte, b'"' | b'\n' | b'\r'))
}

/// Appends a text, in quotes if it needs them.
fn write_text(text: &str, delimiter: u8, into: &mut Vec<u8>) {
    let special = |byte: u8| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    if text.bytes().any(special) {
        into.push(b'"');
        escape(text, into);
        into.push(b'"');
    } else {
        into.extend_from_slice(text.as_bytes());
    }
}

fn escape(text: &str, into: &mut Vec<u8>) {
    for byte in text.bytes() {
        if byte == b'"' {
            into.push(b'"');
        }
        into.push(byte);
    }
}
