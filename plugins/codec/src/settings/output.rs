//! The settings of everything that writes lines.

use super::input::{SettingsError, default_timezone, mark_fault, single, time_faults};
use super::{FieldNames, WriteSettings};
use crate::format::{Format, delimiter_of_path};
use crate::timestamp::Zone;
use cardcage_plugin_api::Description;
use std::path::Path;

/// The settings that all writers of lines share but for `format`, as they were written. [`crate::output_settings!`]
/// puts them among a plugin's own.
#[derive(Clone, Debug)]
pub struct OutputSettings {
    /// Which key or column takes which part of a reading.
    pub fields: FieldNames,
    /// How timestamps are written; absent: `ns`.
    pub timestamp: Option<String>,
    /// The zone in which patterns write.
    pub timezone: String,
    /// CSV: the columns from left to right.
    pub columns: Option<Vec<String>>,
    /// CSV: what stands between two values.
    pub delimiter: Option<String>,
}

impl Default for OutputSettings {
    fn default() -> Self {
        Self {
            fields: FieldNames::default(),
            timestamp: None,
            timezone: default_timezone(),
            columns: None,
            delimiter: None,
        }
    }
}

impl OutputSettings {
    /// Adds to a description what is wrong with the settings. `format` is the one that will be written; `None` if
    /// nothing tells, which is a problem that the plugin describes better.
    pub fn problems(&self, mut description: Description, format: Option<Format>) -> Description {
        for (setting, message) in self.faults(format) {
            description = description.problem(&setting, message);
        }
        description
    }

    /// The writer's settings for a file or, without a path, a stream.
    pub fn write_settings(
        &self,
        format: Format,
        path: Option<&Path>,
    ) -> Result<WriteSettings, SettingsError> {
        if let Some((setting, message)) = self.faults(Some(format)).into_iter().next() {
            return Err(SettingsError::Unfit { setting, message });
        }
        Ok(WriteSettings {
            fields: self.fields.clone(),
            timestamp: self.timestamp.as_deref().unwrap_or("ns").parse()?,
            zone: Zone::named(&self.timezone)?,
            columns: self.columns.clone(),
            delimiter: match &self.delimiter {
                Some(text) => single(text).unwrap_or(b','),
                None => path.map_or(b',', delimiter_of_path),
            },
        })
    }

    fn faults(&self, format: Option<Format>) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |setting: &str, message: String| faults.push((setting.to_owned(), message));
        if let Some((part, message)) = self.fields.problem() {
            fault(&format!("fields.{part}"), message);
        }
        for (setting, message) in time_faults(self.timestamp.as_deref(), &self.timezone) {
            fault(setting, message);
        }
        let is_text = |name: &String| !matches!(name.as_str(), "auto" | "s" | "ms" | "us" | "ns");
        if format == Some(Format::LineProtocol) && self.timestamp.as_ref().is_some_and(is_text) {
            fault("timestamp", "line protocol has integers only; use ns, us, ms or s".to_owned());
        }
        if let Some(message) = self.delimiter.as_deref().and_then(mark_fault) {
            fault("delimiter", message);
        } else if self.delimiter.as_deref() == Some("\"") {
            fault("delimiter", "`\"` is the quote already; take another character".to_owned());
        }
        if let Some(message) = self.columns.as_deref().and_then(|names| columns_fault(names, &self.fields)) {
            fault("columns", message);
        }
        if let Some(format) = format.filter(|format| *format != Format::Csv) {
            let given = [("columns", self.columns.is_some()), ("delimiter", self.delimiter.is_some())];
            for (setting, _) in given.into_iter().filter(|(_, given)| *given) {
                fault(setting, format!("only csv has it, and the format is {}", format.name()));
            }
        }
        faults
    }
}

/// What is wrong with a list of columns: one that no part of a reading has, or that comes twice.
fn columns_fault(columns: &[String], fields: &FieldNames) -> Option<String> {
    let known = fields.parts().map(|(_, name)| name);
    if columns.is_empty() {
        return Some("no column is named".to_owned());
    }
    columns.iter().enumerate().find_map(|(index, column)| {
        if !known.contains(&column.as_str()) {
            Some(format!("`{column}` is no part of a reading; there are {}", known.join(", ")))
        } else if columns[..index].contains(column) {
            Some(format!("`{column}` is named twice"))
        } else {
            None
        }
    })
}

/// Defines a plugin's settings: its own fields, `format` among them, then those of every writer of lines, and a method
/// `output` that gives the latter as [`OutputSettings`]; as [`crate::input_settings!`] does.
#[macro_export]
macro_rules! output_settings {
    ($(#[$meta:meta])* $visibility:vis struct $name:ident { $($own:tt)* }) => {
        #[::cardcage_plugin_api::settings]
        $(#[$meta])*
        $visibility struct $name {
            $($own)*
            /// Which key or column takes which part of a reading; name only what differs.
            #[serde(default)]
            fields: $crate::FieldNames,
            /// How timestamps are written: `ns`, `us`, `ms`, `s`, `rfc3339`, or a pattern such as
            /// `%Y-%m-%d %H:%M:%S%.f`. Absent: `ns`.
            #[serde(default)]
            timestamp: Option<String>,
            /// The zone in which `rfc3339` and patterns are written, as in the IANA database: `Europe/Vienna`.
            #[serde(default = "::cardcage_codec::default_timezone")]
            timezone: String,
            /// CSV: the columns from left to right; absent: all of timestamp, sensor, value, unit, quality and tags.
            #[serde(default)]
            columns: Option<Vec<String>>,
            /// CSV: the character between two values; absent: a comma, or a tab for `.tsv`.
            #[serde(default)]
            delimiter: Option<String>,
        }

        impl $name {
            /// What it has in common with every writer of lines.
            fn output(&self) -> $crate::OutputSettings {
                $crate::OutputSettings {
                    fields: self.fields.clone(),
                    timestamp: self.timestamp.clone(),
                    timezone: self.timezone.clone(),
                    columns: self.columns.clone(),
                    delimiter: self.delimiter.clone(),
                }
            }
        }
    };
}
