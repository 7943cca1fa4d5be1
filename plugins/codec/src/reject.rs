//! Why input became no record.

use crate::assemble::Part;
use crate::format::Format;
use std::fmt;
use thiserror::Error;

/// Why a line is no reading. Each has the name under which the ledger counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The text is no JSON object, or not UTF-8.
    BadJson,
    /// The text is no row of CSV: a quote in the middle of a value or without its end, or not UTF-8.
    BadCsv,
    /// The row has more or fewer values than there are columns.
    ColumnCount,
    /// The text is no line protocol, or not UTF-8.
    BadLine,
    /// The line has more fields than a batch holds.
    TooManyFields,
    /// A field of line protocol is a text, and readings are numbers.
    TextField,
    /// There is no sensor's name, neither in the line nor in `defaults`.
    NoSensor,
    /// The sensor is neither text nor an integer.
    BadSensor,
    /// There is no value, or it is `null`.
    MissingValue,
    /// The value is no number, or too large for an `f64`.
    BadNumber,
    /// The timestamp is not of the form that was asked for.
    BadTimestamp,
    /// The timestamp is outside of what 64-bit nanoseconds hold: 1677 to 2262.
    TimestampRange,
    /// The timestamp is in a leap second, which UTC nanoseconds since 1970 cannot say.
    LeapSecond,
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
    pub const ALL: [Self; 19] = [
        Self::BadJson,
        Self::BadCsv,
        Self::ColumnCount,
        Self::BadLine,
        Self::TooManyFields,
        Self::TextField,
        Self::NoSensor,
        Self::BadSensor,
        Self::MissingValue,
        Self::BadNumber,
        Self::BadTimestamp,
        Self::TimestampRange,
        Self::LeapSecond,
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
            Self::BadCsv => "bad_csv",
            Self::ColumnCount => "column_count",
            Self::BadLine => "bad_line",
            Self::TooManyFields => "too_many_fields",
            Self::TextField => "text_field",
            Self::NoSensor => "no_sensor",
            Self::BadSensor => "bad_sensor",
            Self::MissingValue => "missing_value",
            Self::BadNumber => "bad_number",
            Self::BadTimestamp => "bad_timestamp",
            Self::TimestampRange => "timestamp_range",
            Self::LeapSecond => "leap_second",
            Self::BadUnit => "bad_unit",
            Self::BadQuality => "bad_quality",
            Self::BadTags => "bad_tags",
            Self::TooLong => "too_long",
            Self::SensorLimit => "sensor_limit",
            Self::UnitLimit => "unit_limit",
        }
    }

    /// Whether a line of this format can be rejected for it.
    pub(crate) fn occurs_in(self, format: Format) -> bool {
        let own: &[Format] = match self {
            Self::BadJson | Self::BadSensor | Self::BadUnit => &[Format::Ndjson],
            Self::BadCsv | Self::ColumnCount => &[Format::Csv],
            Self::BadLine | Self::TooManyFields | Self::TextField => &[Format::LineProtocol],
            Self::NoSensor | Self::MissingValue => &[Format::Ndjson, Format::Csv],
            _ => &Format::ALL,
        };
        own.contains(&format)
    }

    /// The part of a record that it is about; none if it is about the line.
    pub(crate) const fn part(self) -> Option<Part> {
        match self {
            Self::NoSensor | Self::BadSensor | Self::SensorLimit => Some(Part::Sensor),
            Self::MissingValue | Self::BadNumber => Some(Part::Value),
            Self::BadTimestamp | Self::TimestampRange | Self::LeapSecond => Some(Part::Timestamp),
            Self::BadUnit | Self::UnitLimit => Some(Part::Unit),
            Self::BadQuality => Some(Part::Quality),
            Self::BadTags => Some(Part::Tags),
            _ => None,
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::BadJson => "no JSON object",
            Self::BadCsv => "no row of CSV",
            Self::ColumnCount => "more or fewer values than there are columns",
            Self::BadLine => "no line protocol",
            Self::TooManyFields => "more fields than a batch holds; raise the component's `batch.records`",
            Self::TextField => "a field is a text, and readings are numbers or booleans",
            Self::NoSensor => "no sensor's name; give one in the data or in `defaults.sensor`",
            Self::BadSensor => "the sensor is neither text nor an integer",
            Self::MissingValue => "no value",
            Self::BadNumber => "the value is no number that fits",
            Self::BadTimestamp => "the timestamp is not of the form that `timestamp` asks for",
            Self::TimestampRange => "the timestamp is outside of 1677 to 2262",
            Self::LeapSecond => "the timestamp is in a leap second, which no nanoseconds since 1970 can say",
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

/// A line that became no record, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Rejected<'a> {
    /// Why, and where in the line.
    pub rejection: Rejection,
    /// Lines of the text in front of it.
    pub line: u64,
    /// Bytes of the text in front of it.
    pub at: usize,
    /// The line without its line end. Cut off if it is longer than allowed.
    pub raw: &'a [u8],
    pub(crate) about: About<'a>,
}

/// What a message can tell beyond the reason.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About<'a> {
    /// Nothing.
    Nothing,
    /// What stands where JSON or columns should have stood.
    Keys(&'a dyn Keys),
}

/// What is needed to name the keys of a line; asked only for lines that are logged.
pub(crate) trait Keys: fmt::Debug {
    /// The key whose absence is the reason.
    fn missing(&self, reason: Reason) -> Option<&str>;
    /// Calls `found` with each key of the line.
    fn each(&self, raw: &[u8], found: &mut dyn FnMut(&str));
}

/// The most keys that a message names, and the most characters of each.
const KEYS_SHOWN_MAX: usize = 12;
const KEY_CHARS_MAX: usize = 40;

impl fmt::Display for Rejected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rejection.reason)?;
        let About::Keys(keys) = self.about else {
            return Ok(());
        };
        let Some(missing) = keys.missing(self.rejection.reason) else {
            return Ok(());
        };
        let mut found = Vec::new();
        let (mut count, mut is_there) = (0, false);
        keys.each(self.raw, &mut |key| {
            count += 1;
            is_there |= key == missing;
            if found.len() < KEYS_SHOWN_MAX {
                found.push(format!("`{}`", shown(key)));
            }
        });
        if is_there {
            return write!(f, ": `{}` is empty", shown(missing));
        }
        write!(f, "; `{}` is missing, found: ", shown(missing))?;
        match (found.as_slice(), count - found.len()) {
            ([], _) => write!(f, "no keys"),
            (found, 0) => write!(f, "{}", found.join(", ")),
            (found, more) => write!(f, "{} and {more} more", found.join(", ")),
        }
    }
}

/// A key as a message can carry it: short, and nothing in it that steers a terminal.
fn shown(key: &str) -> String {
    key.chars().take(KEY_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
