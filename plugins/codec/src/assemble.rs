//! The parts of a record, and how they become one, whichever format they came in.

use crate::dictionary::Dictionary;
use crate::intern::{Interned, Spelling};
use crate::quality::parse_quality;
use crate::reject::Reason;
use crate::settings::ReadSettings;
use crate::timestamp::TimestampReader;
use cardcage_plugin_api::{Quality, Record};

/// A part of a record, as a line holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Sensor,
    Timestamp,
    Value,
    Unit,
    Quality,
    Tags,
}

/// The parts of a record as they stand in a line: names, units and tags in the format's spelling.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts<'a> {
    pub(crate) timestamp: Stamp<'a>,
    pub(crate) value: Option<f64>,
    pub(crate) sensor: Option<&'a [u8]>,
    pub(crate) tags: Option<&'a [u8]>,
    pub(crate) unit: Option<&'a [u8]>,
    pub(crate) quality: Option<&'a [u8]>,
}

/// A timestamp as it stands in a line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Stamp<'a> {
    #[default]
    Absent,
    /// An integer that is not negative.
    Integer(u64),
    /// A number of JSON's grammar.
    Number(&'a [u8]),
    Text(&'a [u8]),
}

/// What turns the parts of a line into a record.
pub(crate) struct Assembler {
    timestamps: TimestampReader,
    /// The defaults as they would stand in a line.
    default_sensor: Option<Box<[u8]>>,
    default_unit: Box<[u8]>,
    interned: Interned,
}

impl Assembler {
    /// `spell` writes a text as it would stand in a line.
    pub(crate) fn new(
        settings: &ReadSettings,
        spelling: Spelling,
        spell: impl Fn(&str) -> Box<[u8]>,
    ) -> Self {
        let defaults = &settings.defaults;
        Self {
            timestamps: TimestampReader::new(settings.timestamp.clone(), settings.zone.clone()),
            default_sensor: defaults.sensor.as_deref().map(&spell),
            default_unit: defaults.unit.as_deref().map(&spell).unwrap_or_default(),
            interned: Interned::new(spelling),
        }
    }

    /// The record, or why there is none. Without a timestamp it is from `now_ns` and says so in its quality.
    #[inline]
    pub(crate) fn record<D: Dictionary>(
        &mut self,
        parts: &Parts<'_>,
        dictionary: &D,
        now_ns: i64,
    ) -> Result<Record, Reason> {
        let value = parts.value.ok_or(Reason::MissingValue)?;
        if value.is_infinite() {
            return Err(Reason::BadNumber);
        }
        let mut quality = match parts.quality {
            None => Quality::GOOD,
            Some(text) => parse_quality(text).ok_or(Reason::BadQuality)?,
        };
        let timestamp_ns = match parts.timestamp {
            Stamp::Integer(integer) => self.timestamps.integer(integer)?,
            Stamp::Number(text) => self.timestamps.number(text)?,
            Stamp::Text(text) => self.timestamps.text(text)?,
            Stamp::Absent => {
                quality = quality.with(Quality::TIME_SUBSTITUTED);
                now_ns
            }
        };
        let name = parts.sensor.or(self.default_sensor.as_deref()).ok_or(Reason::NoSensor)?;
        let unit = parts.unit.unwrap_or(&self.default_unit);
        let (sensor, unit) = self.interned.ids(dictionary, name, parts.tags, unit)?;
        Ok(Record { timestamp_ns, value, sensor, unit, quality })
    }
}
