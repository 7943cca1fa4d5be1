//! Records to lines, one field each.
//!
//! A sensor's name is `measurement.field`, and one that tells no field has the field `value`. So two names can make one
//! series, and some cannot be said at all; the log tells of the first of them.

use crate::dictionary::Dictionary;
use crate::number::write_finite;
use crate::quality::quality_text;
use crate::settings::WriteSettings;
use crate::timestamp::TimestampPrinter;
use crate::writer::LeftOut;
use cardcage_plugin_api::{Quality, Record, SensorId, UnitId, tracing};
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;

/// Sensors that the log tells of; where all names are such, one more line about it helps nobody.
const TOLD_MAX: usize = 10;

/// Writes records as lines. The text in front of a sensor's value is rendered once and then copied.
pub(crate) struct Writer {
    unit_key: String,
    /// `,quality=` with the quote.
    quality: Box<[u8]>,
    timestamps: TimestampPrinter,
    sensors: Vec<Option<Box<Head>>>,
    left_out: LeftOut,
    /// By what stands in front of their values, hashed: the first sensors of those series that several may make. As many
    /// as the dictionary has, at most.
    series: HashMap<u64, SensorId>,
    hasher: RandomState,
    /// Sensors that the log told of.
    told: HashSet<SensorId>,
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
            left_out: LeftOut::default(),
            series: HashMap::new(),
            hasher: RandomState::new(),
            told: HashSet::new(),
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
                self.left_out.not_finite += 1;
                left_out += 1;
            } else if self.line(record, dictionary, into).is_none() {
                left_out += 1;
            }
        }
        left_out
    }

    /// See [`crate::Writer::take_left_out`].
    pub(crate) fn take_left_out(&mut self) -> LeftOut {
        std::mem::take(&mut self.left_out)
    }

    #[inline]
    fn line<D: Dictionary>(&mut self, record: &Record, dictionary: &D, into: &mut Vec<u8>) -> Option<()> {
        let index = record.sensor.0 as usize;
        if !matches!(self.sensors.get(index), Some(Some(head)) if head.unit == record.unit) {
            self.learn(record, dictionary)?;
        }
        let head = self.sensors.get(index)?.as_ref()?;
        if head.text.is_empty() {
            self.left_out.not_sayable += 1;
            return None;
        }
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
        let text = dictionary.with_sensor(record.sensor, |name, tags| {
            let head = head(name, tags, &self.unit_key, &unit);
            self.tell(record.sensor, name, tags, head.as_deref(), dictionary);
            head
        })?;
        // The dictionary knows the id, so `limits.sensors` bounds this.
        let index = record.sensor.0 as usize;
        if self.sensors.len() <= index {
            self.sensors.resize_with(index + 1, || None);
        }
        let text = text.unwrap_or_default().into_boxed_slice();
        self.sensors[index] = Some(Box::new(Head { unit: record.unit, text }));
        Some(())
    }

    /// Says once what line protocol does to a sensor.
    fn tell<D: Dictionary>(
        &mut self,
        sensor: SensorId,
        name: &str,
        tags: &[(&str, &str)],
        head: Option<&[u8]>,
        dictionary: &D,
    ) {
        let shown = name.escape_debug();
        let Some(head) = head else {
            self.warn(sensor, || {
                format!(
                    "line protocol cannot say sensor `{shown}`: a name or tag of it is empty, ends with a backslash or \
                     holds a line end, or it begins with `#`; its readings are rejected as `not_sayable`"
                )
            });
            return;
        };
        if tags.iter().any(|(key, _)| *key == self.unit_key) {
            let key = self.unit_key.clone();
            self.warn(sensor, || {
                format!("the tag `{key}` of sensor `{shown}` is left out: in line protocol it names the unit")
            });
        }
        // Only such series are made by two names: `temp` and `temp.value`.
        if !head.ends_with(format!(" {FIELD_DEFAULT}=").as_bytes()) {
            return;
        }
        let first = *self.series.entry(self.hasher.hash_one(head)).or_insert(sensor);
        let other = dictionary.with_sensor(first, |name, _| name.to_owned()).unwrap_or_default();
        if first != sensor && other != name {
            let other = other.escape_debug();
            self.warn(sensor, || {
                format!("sensors `{other}` and `{shown}` are one series in line protocol: their readings are mixed")
            });
        }
    }

    fn warn(&mut self, sensor: SensorId, message: impl FnOnce() -> String) {
        if self.told.len() > TOLD_MAX || !self.told.insert(sensor) {
            return;
        }
        if self.told.len() <= TOLD_MAX {
            tracing::warn!("{}", message());
        } else {
            tracing::warn!("line protocol changes or cannot say more sensors; they are not listed");
        }
    }
}

/// Measurement and field of a sensor.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.')
        .filter(|(measurement, field)| !measurement.is_empty() && !field.is_empty())
        .unwrap_or((name, FIELD_DEFAULT))
}

/// What stands in front of a value; `None` if line protocol has no way to say it.
fn head(name: &str, tags: &[(&str, &str)], unit_key: &str, unit: &str) -> Option<Vec<u8>> {
    let (measurement, field) = split(name);
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
