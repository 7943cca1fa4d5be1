//! Records to lines, one field each.

use crate::dictionary::Dictionary;
use crate::number::write_finite;
use crate::quality::quality_text;
use crate::settings::WriteSettings;
use crate::timestamp::TimestampPrinter;
use cardcage_plugin_api::{Quality, Record, UnitId};

/// Writes records as lines. The text in front of a sensor's value is rendered once and then copied.
pub(crate) struct Writer {
    unit_key: String,
    /// `,quality=` with the quote.
    quality: Box<[u8]>,
    timestamps: TimestampPrinter,
    sensors: Vec<Option<Box<Head>>>,
    not_finite: u64,
}

/// Everything in front of a value.
struct Head {
    unit: UnitId,
    /// `weather,site=graz temperature=`; empty if line protocol cannot say it.
    text: Box<[u8]>,
}

/// The field of a sensor whose name tells none.
const FIELD_DEFAULT: &str = "value";

impl Writer {
    pub(crate) fn new(settings: &WriteSettings) -> Self {
        let mut quality = b",".to_vec();
        escape(&settings.fields.quality, &mut quality);
        quality.extend_from_slice(b"=\"");
        let escape_text = |text: &str, into: &mut Vec<u8>| into.extend_from_slice(text.as_bytes());
        Self {
            unit_key: settings.fields.unit.clone(),
            quality: quality.into(),
            timestamps: TimestampPrinter::new(
                &settings.timestamp,
                &settings.zone,
                b" ",
                b"\n",
                b"",
                escape_text,
            ),
            sensors: Vec::new(),
            not_finite: 0,
        }
    }

    /// [`crate::Writer::lines`] for this format.
    pub(crate) fn lines<D: Dictionary>(
        &mut self,
        records: &[Record],
        dictionary: &D,
        into: &mut Vec<u8>,
    ) -> u64 {
        let mut left_out = 0;
        for record in records {
            if !record.value.is_finite() {
                self.not_finite += 1;
                left_out += 1;
            } else if self.line(record, dictionary, into).is_none() {
                left_out += 1;
            }
        }
        left_out
    }

    /// See [`crate::Writer::take_not_finite`].
    pub(crate) fn take_not_finite(&mut self) -> u64 {
        std::mem::take(&mut self.not_finite)
    }

    #[inline]
    fn line<D: Dictionary>(&mut self, record: &Record, dictionary: &D, into: &mut Vec<u8>) -> Option<()> {
        let index = record.sensor.0 as usize;
        if !matches!(self.sensors.get(index), Some(Some(head)) if head.unit == record.unit) {
            self.learn(record, dictionary)?;
        }
        let head = self.sensors.get(index)?.as_ref().filter(|head| !head.text.is_empty())?;
        into.extend_from_slice(&head.text);
        write_finite(record.value, into);
        if record.quality != Quality::GOOD {
            into.extend_from_slice(&self.quality);
            into.extend_from_slice(quality_text(record.quality).as_bytes());
            into.push(b'"');
        }
        self.timestamps.write(record.timestamp_ns, into);
        Some(())
    }

    #[cold]
    fn learn<D: Dictionary>(&mut self, record: &Record, dictionary: &D) -> Option<()> {
        let unit = dictionary.with_unit(record.unit, str::to_owned)?;
        let text =
            dictionary.with_sensor(record.sensor, |name, tags| head(name, tags, &self.unit_key, &unit))?;
        // The dictionary knows the id, so `limits.sensors` bounds this.
        let index = record.sensor.0 as usize;
        if self.sensors.len() <= index {
            self.sensors.resize_with(index + 1, || None);
        }
        let text = text.unwrap_or_default().into_boxed_slice();
        self.sensors[index] = Some(Box::new(Head { unit: record.unit, text }));
        Some(())
    }
}

/// What stands in front of a value; `None` if line protocol has no way to say it.
fn head(name: &str, tags: &[(&str, &str)], unit_key: &str, unit: &str) -> Option<Vec<u8>> {
    let split =
        name.rsplit_once('.').filter(|(measurement, field)| !measurement.is_empty() && !field.is_empty());
    let (measurement, field) = split.unwrap_or((name, FIELD_DEFAULT));
    // The tag that names the unit is not among the others.
    let unit_tag = (!unit.is_empty()).then_some((unit_key, unit));
    let mut tags: Vec<(&str, &str)> =
        tags.iter().copied().filter(|(key, _)| *key != unit_key).chain(unit_tag).collect();
    // Sorted, as InfluxDB asks for the sake of speed.
    tags.sort_unstable();
    let names = [measurement, field].into_iter().chain(tags.iter().flat_map(|(key, value)| [*key, *value]));
    if measurement.starts_with('#') || !names.into_iter().all(can_be_said) {
        return None;
    }
    let mut text = Vec::new();
    escape(measurement, &mut text);
    for (key, value) in tags {
        text.push(b',');
        escape(key, &mut text);
        text.push(b'=');
        escape(value, &mut text);
    }
    text.push(b' ');
    escape(field, &mut text);
    text.push(b'=');
    Some(text)
}

/// There is no escape for a line end, and none for a backslash, which would take the meaning from what follows.
fn can_be_said(name: &str) -> bool {
    !name.is_empty() && !name.ends_with('\\') && !name.contains(['\n', '\r'])
}

fn escape(name: &str, into: &mut Vec<u8>) {
    for byte in name.bytes() {
        if matches!(byte, b',' | b'=' | b' ') {
            into.push(b'\\');
        }
        into.push(byte);
    }
}
