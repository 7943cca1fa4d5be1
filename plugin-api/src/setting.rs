//! Types for fields of settings: durations and sizes, written as in `pipeline.yaml`.

use crate::quantity::{self, QuantityError, clipped};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration in settings: `250ms`, `1.5s`, `10m`, `2h`; the units are ns, us, ms, s, m, h and d.
///
/// Take this for what a person writes (the [`std::time::Duration`] is in it), since serde reads a plain `Duration` from a
/// mapping `{secs, nanos}` only.
#[doc(alias = "Duration")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(pub Duration);

/// A size in settings: `64MiB`, `500kB`; a plain integer means bytes. The units are those of 1000 (kB, MB, GB, TB) and
/// of 1024 (KiB, MiB, GiB, TiB).
#[doc(alias = "Size")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const INTERVAL_EXAMPLE: &str = "250ms";
const SIZE_EXAMPLE: &str = "64MiB";

impl Interval {
    /// In whole nanoseconds, as timestamps are; at most `i64::MAX`, which is 292 years.
    pub fn as_nanos(self) -> i64 {
        i64::try_from(self.0.as_nanos()).unwrap_or(i64::MAX)
    }
}

impl FromStr for Interval {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        quantity::duration(text).map(Self)
    }
}

impl FromStr for ByteSize {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        quantity::size(text).map(Self)
    }
}

/// In the largest unit that gives a whole number: what `from_str` reads back.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quantity::show_duration(self.0))
    }
}

/// In the largest unit of 1024 that gives a whole number: what `from_str` reads back.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quantity::show_size(self.0))
    }
}

/// As it is shown, so that a default stands in the schema as a person would write it.
impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// As it is shown, so that a default stands in the schema as a person would write it.
impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Interval;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a duration with its unit, like `{INTERVAL_EXAMPLE}`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Interval, E> {
                read(text)
            }
            // A number without its unit, which YAML does not take for a text.
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Interval, E> {
                read(&number.to_string())
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Interval, E> {
                read(&number.to_string())
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Interval, E> {
                read(&number.to_string())
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrBytes;
        impl Visitor<'_> for TextOrBytes {
            type Value = ByteSize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a size, like `{SIZE_EXAMPLE}`, or a number of bytes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                read(text)
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }
        }
        deserializer.deserialize_any(TextOrBytes)
    }
}

fn read<Q: FromStr<Err = QuantityError>, E: de::Error>(text: &str) -> Result<Q, E> {
    text.parse().map_err(|error| E::custom(format_args!("`{}` {error}", clipped(text))))
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
            "pattern": pattern(&quantity::duration_units()),
            "examples": [INTERVAL_EXAMPLE, "1.5s", "10m"]
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
            "pattern": pattern(&quantity::size_units()),
            "minimum": 0,
            "examples": [SIZE_EXAMPLE, "500kB"]
        })
    }
}

/// What the parser takes, for editors.
fn pattern(units: &[&str]) -> String {
    format!(r"^\s*[0-9][0-9_]*(\.[0-9_]+)?\s*({})\s*$", units.join("|"))
}

#[cfg(test)]
mod tests {
    use super::{ByteSize, Interval};
    use serde_json::{Value, json};
    use std::time::Duration;

    fn refused<T: serde::de::DeserializeOwned + std::fmt::Debug>(value: Value) -> String {
        serde_json::from_value::<T>(value).expect_err("it is refused").to_string()
    }

    #[test]
    fn settings_read_as_pipeline_yaml_does() {
        let read = |text: &str| serde_json::from_value::<Interval>(json!(text)).expect("a duration");
        assert_eq!(read("1.5s"), Interval(Duration::from_millis(1500)));
        assert_eq!(read(" 10 m "), Interval(Duration::from_mins(10)));
        assert_eq!(read("2h").as_nanos(), 7_200_000_000_000);
        assert_eq!(serde_json::from_value::<ByteSize>(json!("64MiB")).ok(), Some(ByteSize(64 << 20)));
        assert_eq!(serde_json::from_value::<ByteSize>(json!(512)).ok(), Some(ByteSize(512)));
    }

    #[test]
    fn what_is_refused_says_what_was_probably_meant() {
        assert_eq!(refused::<Interval>(json!(10)), "`10` has no unit; write `10s`, for example");
        assert!(refused::<Interval>(json!("10min")).ends_with("did you mean `10m`?"));
        assert!(refused::<ByteSize>(json!("64mb")).ends_with("did you mean `64MB`?"));
        assert!(refused::<Interval>(json!(true)).contains("a duration with its unit, like `250ms`"));
        let long = refused::<Interval>(json!("x".repeat(10_000)));
        assert!(long.len() < 300, "{long}");
    }

    #[test]
    fn a_default_is_written_as_a_person_would() {
        let interval = Interval(Duration::from_millis(1500));
        assert_eq!(serde_json::to_value(interval).ok(), Some(json!("1500ms")));
        assert_eq!(serde_json::to_value(ByteSize(1 << 20)).ok(), Some(json!("1MiB")));
        for text in ["250ms", "90s", "2h", "0s"] {
            let interval: Interval = text.parse().expect("a duration");
            assert_eq!(interval.to_string().parse(), Ok(interval), "{text}");
        }
    }
}
