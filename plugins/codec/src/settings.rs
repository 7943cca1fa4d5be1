//! Settings that sources and sinks share: as people write them ([`InputSettings`], [`OutputSettings`]), and checked, as
//! readers and writers take them ([`ReadSettings`], [`WriteSettings`]).

mod input;
mod output;

pub use input::{InputSettings, SettingsError, default_max_line, default_timezone};
pub use output::OutputSettings;

use crate::timestamp::{TimestampForm, Zone};
use cardcage_plugin_api::schemars::{self, JsonSchema};
use serde::Deserialize;

/// Which key of the data holds which part of a record: keys at the top of each JSON object, columns of CSV. Name only
/// what differs; other keys are ignored. In line protocol `unit` is a tag, `quality` a field; the rest is given.
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
#[derive(Clone, Debug)]
pub struct ReadSettings {
    /// Which key holds what; without a [`FieldNames::problem`].
    pub fields: FieldNames,
    /// For parts that a line lacks.
    pub defaults: Defaults,
    /// How timestamps are written.
    pub timestamp: TimestampForm,
    /// The zone of timestamps that name none.
    pub zone: Zone,
    /// What only CSV has.
    pub csv: CsvSettings,
    /// The most bytes of a line, its line end included.
    pub max_line: usize,
}

impl Default for ReadSettings {
    fn default() -> Self {
        Self {
            fields: FieldNames::default(),
            defaults: Defaults::default(),
            timestamp: TimestampForm::default(),
            zone: Zone::default(),
            csv: CsvSettings::default(),
            max_line: MAX_LINE_BYTES_DEFAULT,
        }
    }
}

/// `max_line` where it is not set: far longer than any reading, far smaller than memory.
pub(crate) const MAX_LINE_BYTES_DEFAULT: usize = 1 << 20;

/// How CSV is laid out, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvSettings {
    /// The columns from left to right; absent: the first line names them.
    pub columns: Option<Vec<String>>,
    /// Stands between two values: an ASCII character that is no quote, no line end.
    pub delimiter: u8,
    /// Stands around values that hold a delimiter or a line end.
    pub quote: u8,
    /// Lines that begin with it are skipped.
    pub comment: Option<u8>,
}

impl Default for CsvSettings {
    fn default() -> Self {
        Self { columns: None, delimiter: b',', quote: b'"', comment: None }
    }
}

/// Everything that a writer needs to know, checked.
#[derive(Clone, Debug)]
pub struct WriteSettings {
    /// Which key or column takes what; without a [`FieldNames::problem`].
    pub fields: FieldNames,
    /// How timestamps are written; `auto` is nanoseconds.
    pub timestamp: TimestampForm,
    /// The zone in which RFC 3339 and patterns are written.
    pub zone: Zone,
    /// The columns of CSV from left to right, each the name of a field; absent: all of them.
    pub columns: Option<Vec<String>>,
    /// What stands between two values of CSV.
    pub delimiter: u8,
}

impl Default for WriteSettings {
    fn default() -> Self {
        Self {
            fields: FieldNames::default(),
            timestamp: TimestampForm::Nanoseconds,
            zone: Zone::default(),
            columns: None,
            delimiter: b',',
        }
    }
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
}
