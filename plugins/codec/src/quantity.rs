//! Durations and sizes as people write them in settings: `250ms`, `64MiB`.

use cardcage_plugin_api::schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

const TIME_UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];
const SIZE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

/// A duration in settings: `250ms`, `1.5s`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(pub Duration);

/// A size in settings: `64MiB`, `500kB`; a plain integer means bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Why a text is no duration or size.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuantityError {
    /// No number in front.
    #[error("`{0}` does not start with a number; write it like {1}")]
    NoNumber(String, &'static str),
    /// No unit, or an unknown one.
    #[error("`{text}` has no known unit; use one of {units}, as in {example}")]
    Unit {
        /// What was found.
        text: String,
        /// What is known.
        units: String,
        /// A right one.
        example: &'static str,
    },
    /// Beyond 64 bits.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// Decimals that count: a day has fewer than 10^15 nanoseconds.
const FRACTION_DIGITS_MAX: usize = 18;
const INTERVAL_EXAMPLE: &str = "`250ms`";
const SIZE_EXAMPLE: &str = "`64MiB`";

impl FromStr for Interval {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse(text, &TIME_UNITS, INTERVAL_EXAMPLE).map(|ns| Self(Duration::from_nanos(ns)))
    }
}

impl FromStr for ByteSize {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse(text, &SIZE_UNITS, SIZE_EXAMPLE).map(Self)
    }
}

/// A decimal number, perhaps spaces, and a unit; the result in the smallest unit, cut to a whole.
fn parse(text: &str, units: &[(&str, u64)], example: &'static str) -> Result<u64, QuantityError> {
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = (&trimmed[..end], trimmed[end..].trim_start());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || (number.contains('.') && fraction.is_empty()) {
        return Err(QuantityError::NoNumber(text.to_owned(), example));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(QuantityError::Unit {
            text: text.to_owned(),
            units: units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
            example,
        });
    };
    let too_large = || QuantityError::TooLarge(text.to_owned());
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let mut total = whole.checked_mul(*factor).ok_or_else(too_large)?;
    if !fraction.is_empty() {
        // Cut to as many decimals as can count, so that numerator times factor fits 128 bits.
        let decimals = &fraction[..fraction.len().min(FRACTION_DIGITS_MAX)];
        let numerator: u128 = decimals.parse().map_err(|_| too_large())?;
        let part = numerator * u128::from(*factor) / 10_u128.pow(u32::try_from(decimals.len()).unwrap_or(0));
        total = u64::try_from(part).ok().and_then(|part| total.checked_add(part)).ok_or_else(too_large)?;
    }
    Ok(total)
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Interval;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a duration with its unit, like {INTERVAL_EXAMPLE}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Interval, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrBytes;
        impl Visitor<'_> for TextOrBytes {
            type Value = ByteSize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a size, like {SIZE_EXAMPLE}, or a number of bytes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }
        }
        deserializer.deserialize_any(TextOrBytes)
    }
}

impl JsonSchema for Interval {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Interval".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\s*\d+(\.\d+)?\s*(ns|us|ms|s|m|h|d)\s*$",
            "examples": ["250ms", "1s", "2h"]
        })
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": r"^\s*\d+(\.\d+)?\s*(B|kB|KiB|MB|MiB|GB|GiB)\s*$",
            "minimum": 0,
            "examples": ["1MiB", "64MiB"]
        })
    }
}

impl fmt::Display for Interval {
    /// In the largest unit that gives a whole number: what [`FromStr`] reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX);
        display(f, ns, &TIME_UNITS)
    }
}

impl fmt::Display for ByteSize {
    /// In the largest unit that gives a whole number: what [`FromStr`] reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(f, self.0, &SIZE_UNITS)
    }
}

fn display(f: &mut fmt::Formatter<'_>, amount: u64, units: &[(&str, u64)]) -> fmt::Result {
    let (name, factor) = units
        .iter()
        .rev()
        .find(|(_, factor)| amount >= *factor && amount.is_multiple_of(*factor))
        .unwrap_or(&units[0]);
    write!(f, "{}{name}", amount / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, ns) in [
            ("250ms", 250_000_000),
            ("1s", 1_000_000_000),
            ("1.5 s", 1_500_000_000),
            ("2h", 7_200_000_000_000),
            (" 10us ", 10_000),
        ] {
            assert_eq!(text.parse(), Ok(Interval(Duration::from_nanos(ns))), "{text}");
        }
    }

    #[test]
    fn sizes_tell_binary_from_decimal() {
        assert_eq!("1MiB".parse(), Ok(ByteSize(1_048_576)));
        assert_eq!("1MB".parse(), Ok(ByteSize(1_000_000)));
        assert_eq!("0.5KiB".parse(), Ok(ByteSize(512)));
    }

    #[test]
    fn a_missing_unit_is_named_with_a_way_out() {
        let error = "250".parse::<Interval>().unwrap_err().to_string();
        assert_eq!(error, "`250` has no known unit; use one of ns, us, ms, s, m, h, d, as in `250ms`");
        for text in ["", "s", ".5s", "1.s", "1.2.3s", "-1s", "1 sec"] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
        assert!("99999999999d".parse::<Interval>().is_err());
    }

    #[test]
    fn what_is_shown_reads_back() {
        for text in ["250ms", "1s", "90s", "2h", "0ns"] {
            let interval: Interval = text.parse().unwrap();
            assert_eq!(interval.to_string().parse(), Ok(interval), "{text}");
        }
        assert_eq!(ByteSize(1 << 20).to_string(), "1MiB");
    }
}
