//! Why input became no record.

use std::fmt;
use thiserror::Error;

/// Why a line is no reading. Each has the name under which the ledger counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The text is no JSON object, or not UTF-8.
    BadJson,
    /// There is no sensor's name, neither in the line nor in `defaults`.
    NoSensor,
    /// The sensor is neither text nor an integer.
    BadSensor,
    /// There is no value, or it is `null`.
    MissingValue,
    /// The value is no number, or too large for an `f64`.
    BadNumber,
    /// The timestamp is not of the form that was asked for, or outside of 1677 to 2262.
    BadTimestamp,
    /// The unit is not text.
    BadUnit,
    /// The quality names a status or flag that does not exist.
    BadQuality,
    /// The tags are no object of texts, numbers and booleans.
    BadTags,
    /// The line, or the text that names its sensor, is longer than allowed.
    TooLong,
    /// The host's dictionary has no room for another sensor.
    SensorLimit,
    /// The host's dictionary has no room for another unit.
    UnitLimit,
}

impl Reason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::BadJson,
        Self::NoSensor,
        Self::BadSensor,
        Self::MissingValue,
        Self::BadNumber,
        Self::BadTimestamp,
        Self::BadUnit,
        Self::BadQuality,
        Self::BadTags,
        Self::TooLong,
        Self::SensorLimit,
        Self::UnitLimit,
    ];

    /// The name in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::NoSensor => "no_sensor",
            Self::BadSensor => "bad_sensor",
            Self::MissingValue => "missing_value",
            Self::BadNumber => "bad_number",
            Self::BadTimestamp => "bad_timestamp",
            Self::BadUnit => "bad_unit",
            Self::BadQuality => "bad_quality",
            Self::BadTags => "bad_tags",
            Self::TooLong => "too_long",
            Self::SensorLimit => "sensor_limit",
            Self::UnitLimit => "unit_limit",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::BadJson => "no JSON object",
            Self::NoSensor => "no sensor's name; give one in the data or in `defaults.sensor`",
            Self::BadSensor => "the sensor is neither text nor an integer",
            Self::MissingValue => "no value",
            Self::BadNumber => "the value is no number that fits",
            Self::BadTimestamp => "the timestamp is not of the form that `timestamp` asks for",
            Self::BadUnit => "the unit is not text",
            Self::BadQuality => "the quality is no `good`, `uncertain` or `bad` with known flags",
            Self::BadTags => "the tags are no object of texts, numbers and booleans",
            Self::TooLong => "longer than allowed",
            Self::SensorLimit => "one sensor more than `limits.sensors` allows",
            Self::UnitLimit => "one unit more than `limits.units` allows",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// A line that became no record, and where in it the trouble is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{reason}, at byte {offset} of the line")]
pub struct Rejection {
    /// Why.
    pub reason: Reason,
    /// Bytes from the start of the line.
    pub offset: usize,
}

impl Rejection {
    pub(crate) const fn new(reason: Reason, offset: usize) -> Self {
        Self { reason, offset }
    }
}
