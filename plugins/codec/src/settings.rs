//! Settings that sources and sinks share: `format`, `fields`, `defaults`, `timestamp`.

use crate::timestamp::TimestampForm;
use cardcage_plugin_api::schemars::{self, JsonSchema};
use cardcage_plugin_api::settings;
use serde::Deserialize;
use std::path::Path;

/// How readings are written.
#[settings]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
}

impl Format {
    /// The format that a file's ending stands for.
    pub fn of_path(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        matches!(ending.as_str(), "ndjson" | "jsonl" | "json").then_some(Self::Ndjson)
    }
}

/// Which key of the data holds which part of a record: keys at the top of each object. Name only what differs; other
/// keys are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FieldNames {
    /// The key of the sensor's name.
    pub sensor: String,
    /// The key of the timestamp. A line without one gets the time at which it was read, and a quality flag.
    pub timestamp: String,
    /// The key of the value.
    pub value: String,
    /// The key of the unit. A line without one has no unit, unless `defaults` gives one.
    pub unit: String,
    /// The key of the quality.
    pub quality: String,
    /// The key of the tags.
    pub tags: String,
}

impl Default for FieldNames {
    fn default() -> Self {
        Self {
            sensor: "sensor".to_owned(),
            timestamp: "timestamp".to_owned(),
            value: "value".to_owned(),
            unit: "unit".to_owned(),
            quality: "quality".to_owned(),
            tags: "tags".to_owned(),
        }
    }
}

impl FieldNames {
    /// Each part of a record with its key.
    pub fn parts(&self) -> [(&'static str, &str); 6] {
        [
            ("sensor", &self.sensor),
            ("timestamp", &self.timestamp),
            ("value", &self.value),
            ("unit", &self.unit),
            ("quality", &self.quality),
            ("tags", &self.tags),
        ]
    }

    /// What is wrong with the mapping: the setting under `fields`, and a sentence.
    pub fn problem(&self) -> Option<(&'static str, String)> {
        let parts = self.parts();
        for (index, (part, key)) in parts.iter().enumerate() {
            if let Some((other, _)) = parts[..index].iter().find(|(_, earlier)| earlier == key) {
                return Some((
                    part,
                    format!("`{key}` is already the key of `{other}`; give each part its own"),
                ));
            }
        }
        None
    }
}

/// Parts of a record for data that lacks them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// The sensor's name where a line has none.
    #[schemars(extend("examples" = ["press-7"]))]
    pub sensor: Option<String>,
    /// The unit's code where a line has none.
    #[schemars(extend("examples" = ["degF"]))]
    pub unit: Option<String>,
}

/// Everything that a reader needs to know, checked.
#[derive(Clone, Debug, Default)]
pub struct ReadSettings {
    /// Which key holds what; without a [`FieldNames::problem`].
    pub fields: FieldNames,
    /// For parts that a line lacks.
    pub defaults: Defaults,
    /// How timestamps are written.
    pub timestamp: TimestampForm,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parts_cannot_share_a_key() {
        let names = FieldNames { sensor: "value".to_owned(), ..FieldNames::default() };
        let (part, message) = names.problem().unwrap();
        assert_eq!(part, "value");
        assert!(message.contains("`sensor`"), "{message}");
        assert_eq!(FieldNames::default().problem(), None);
    }

    #[test]
    fn the_ending_tells_the_format() {
        assert_eq!(Format::of_path(Path::new("a/b.NDJSON")), Some(Format::Ndjson));
        assert_eq!(Format::of_path(Path::new("a.jsonl")), Some(Format::Ndjson));
        assert_eq!(Format::of_path(Path::new("a.csv")), None);
        assert_eq!(Format::of_path(Path::new("a")), None);
    }
}
