//! The settings of everything that reads lines: sources of files, streams, sockets and programs.

use super::{CsvSettings, Defaults, FieldNames, MAX_LINE_BYTES_DEFAULT, ReadSettings};
use crate::format::{Format, delimiter_of_path};
use crate::reject::Reason;
use crate::timestamp::{TimestampForm, UnknownTimestampForm, UnknownZone, Zone};
use cardcage_plugin_api::{ByteSize, Description};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Bounds of `max_line`: shorter lines hold no reading, longer ones are no lines.
const LINE_MAX_BYTES: std::ops::RangeInclusive<u64> = 64..=(64 << 20);

/// Why settings make no reader or writer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// Neither `format` nor a file's ending tells the format.
    #[error("the format is not told; set `format` to ndjson, csv or line_protocol")]
    NoFormat,
    /// `timestamp`.
    #[error(transparent)]
    Timestamp(#[from] UnknownTimestampForm),
    /// `timezone`.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
    /// A setting that describing them would have named as a problem.
    #[error("`{setting}`: {message}")]
    Unfit {
        /// The setting.
        setting: String,
        /// What is wrong with it.
        message: String,
    },
}

/// The settings that all readers of lines share, as they were written. [`crate::input_settings!`] puts them among a
/// plugin's own.
#[derive(Clone, Debug)]
pub struct InputSettings {
    /// How readings are written; absent: told by the file's ending.
    pub format: Option<Format>,
    /// Which key of the data holds which part of a reading.
    pub fields: FieldNames,
    /// For parts that the data lacks.
    pub defaults: Defaults,
    /// How timestamps are written; absent: `auto`, or `ns` for line protocol.
    pub timestamp: Option<String>,
    /// The zone of timestamps that name none, which only patterns do.
    pub timezone: String,
    /// Longer lines are rejected.
    pub max_line: ByteSize,
    /// CSV: the columns from left to right.
    pub columns: Option<Vec<String>>,
    /// CSV: what stands between two values.
    pub delimiter: Option<String>,
    /// CSV: what stands around values.
    pub quote: Option<String>,
    /// CSV: what begins a line that is skipped.
    pub comment: Option<String>,
    /// Where rejected lines are kept.
    pub rejects: Option<PathBuf>,
}

impl Default for InputSettings {
    fn default() -> Self {
        Self {
            format: None,
            fields: FieldNames::default(),
            defaults: Defaults::default(),
            timestamp: None,
            timezone: default_timezone(),
            max_line: default_max_line(),
            columns: None,
            delimiter: None,
            quote: None,
            comment: None,
            rejects: None,
        }
    }
}

/// `max_line` where it is not set.
pub fn default_max_line() -> ByteSize {
    ByteSize(MAX_LINE_BYTES_DEFAULT as u64)
}

/// `timezone` where it is not set.
pub fn default_timezone() -> String {
    "UTC".to_owned()
}

impl InputSettings {
    /// Adds to a description the reasons for which lines of these formats are rejected, and what is wrong with the
    /// settings. `formats` are those that will be read: [`Self::format`], or what the files' endings say; empty if
    /// nothing tells, which is a problem that the plugin describes better.
    pub fn problems(&self, mut description: Description, formats: &[Format]) -> Description {
        for reason in Reason::ALL {
            let occurs = formats.is_empty() || formats.iter().any(|format| reason.occurs_in(*format));
            if occurs {
                description = description.rejects(reason.name());
            }
        }
        for (setting, message) in self.faults(formats) {
            description = description.problem(&setting, message);
        }
        description
    }

    /// The reader's settings for a file or, without a path, a stream.
    pub fn read_settings(&self, path: Option<&Path>) -> Result<(Format, ReadSettings), SettingsError> {
        let format = self.format.or_else(|| path.and_then(Format::of_path)).ok_or(SettingsError::NoFormat)?;
        if let Some((setting, message)) = self.faults(&[format]).into_iter().next() {
            return Err(SettingsError::Unfit { setting, message });
        }
        let settings = ReadSettings {
            fields: self.fields.clone(),
            defaults: self.defaults.clone(),
            timestamp: self.timestamp_in(format).parse()?,
            zone: Zone::named(&self.timezone)?,
            csv: CsvSettings {
                columns: self.columns.clone(),
                delimiter: match &self.delimiter {
                    Some(text) => single(text).unwrap_or(b','),
                    None => path.map_or(b',', delimiter_of_path),
                },
                quote: self.quote.as_deref().and_then(single).unwrap_or(b'"'),
                comment: self.comment.as_deref().and_then(single),
            },
            max_line: usize::try_from(self.max_line.0).unwrap_or(MAX_LINE_BYTES_DEFAULT),
        };
        Ok((format, settings))
    }

    /// What `timestamp` means for a format: line protocol has nanoseconds unless its sender says otherwise.
    fn timestamp_in(&self, format: Format) -> &str {
        match (&self.timestamp, format) {
            (Some(name), _) => name,
            (None, Format::LineProtocol) => "ns",
            (None, _) => "auto",
        }
    }

    fn faults(&self, formats: &[Format]) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |setting: &str, message: String| faults.push((setting.to_owned(), message));
        if let Some((part, message)) = self.fields.problem() {
            fault(&format!("fields.{part}"), message);
        }
        if self.defaults.sensor.as_deref() == Some("") {
            fault("defaults.sensor", "a sensor's name cannot be empty".to_owned());
        }
        for (setting, message) in time_faults(self.timestamp.as_deref(), &self.timezone) {
            fault(setting, message);
        }
        let is_text = |name: &String| !matches!(name.as_str(), "auto" | "s" | "ms" | "us" | "ns");
        if formats.contains(&Format::LineProtocol) && self.timestamp.as_ref().is_some_and(is_text) {
            fault("timestamp", "line protocol has integers only; use ns, us, ms, s or auto".to_owned());
        }
        if let Some((setting, message)) = self.marks_fault() {
            fault(setting, message);
        }
        if !LINE_MAX_BYTES.contains(&self.max_line.0) {
            fault("max_line", format!("{} is not between 64B and 64MiB", self.max_line));
        }
        if !formats.is_empty() && !formats.contains(&Format::Csv) {
            let given = [
                ("columns", self.columns.is_some()),
                ("delimiter", self.delimiter.is_some()),
                ("quote", self.quote.is_some()),
                ("comment", self.comment.is_some()),
            ];
            for (setting, _) in given.into_iter().filter(|(_, given)| *given) {
                fault(setting, format!("only csv has it, and the format is {}", formats[0].name()));
            }
        }
        faults
    }

    /// What is wrong with the marks of CSV and its columns.
    fn marks_fault(&self) -> Option<(&'static str, String)> {
        let marks = [
            ("delimiter", self.delimiter.as_deref().unwrap_or(",")),
            ("quote", self.quote.as_deref().unwrap_or("\"")),
            ("comment", self.comment.as_deref().unwrap_or("#")),
        ];
        for (index, (setting, mark)) in marks.iter().enumerate() {
            if let Some(message) = mark_fault(mark) {
                return Some((setting, message));
            }
            let is_given = *setting != "comment" || self.comment.is_some();
            if let Some((other, _)) = marks[..index].iter().find(|(_, earlier)| earlier == mark && is_given) {
                return Some((setting, format!("`{mark}` is the {other} already; take another character")));
            }
        }
        match self.columns.as_deref() {
            Some([]) => Some(("columns", "no column is named".to_owned())),
            _ => None,
        }
    }
}

/// What is wrong with `timestamp` and `timezone`. Reads no file: describing must not.
pub(super) fn time_faults(timestamp: Option<&str>, timezone: &str) -> Vec<(&'static str, String)> {
    let form = timestamp.unwrap_or("auto").parse::<TimestampForm>().err();
    let zone = Zone::built_in(timezone).err();
    let faults = [("timestamp", form.map(|e| e.to_string())), ("timezone", zone.map(|e| e.to_string()))];
    faults.into_iter().filter_map(|(setting, message)| Some((setting, message?))).collect()
}

/// Why a character cannot separate or quote: it stands in numbers and names, or ends lines.
pub(super) fn mark_fault(mark: &str) -> Option<String> {
    match single(mark) {
        None => Some(format!("`{}` is not one ASCII character", mark.escape_debug())),
        Some(byte)
            if byte.is_ascii_alphanumeric() || matches!(byte, b'\n' | b'\r' | b'.' | b'-' | b'+' | b'_') =>
        {
            Some(format!("`{}` stands in values; take a character that does not", mark.escape_debug()))
        }
        Some(_) => None,
    }
}

/// The one ASCII character of a text.
pub(super) fn single(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Some(*byte),
        _ => None,
    }
}

/// Defines a plugin's settings: its own fields, then those of every reader of lines, and a method `input` that gives
/// the latter as [`InputSettings`]. `#[serde(flatten)]` would do it too, but then an error no longer names its setting.
///
/// ```
/// # use cardcage_plugin_api::prelude::*;
/// cardcage_codec::input_settings! {
///     /// Settings of the source.
///     #[derive(Clone, Debug)]
///     pub struct StdinSettings {
///         /// How many lines are skipped at the start.
///         #[serde(default)]
///         skip: u32,
///     }
/// }
/// ```
#[macro_export]
macro_rules! input_settings {
    ($(#[$meta:meta])* $visibility:vis struct $name:ident { $($own:tt)* }) => {
        #[::cardcage_plugin_api::settings]
        $(#[$meta])*
        $visibility struct $name {
            $($own)*
            /// How readings are written; absent: told by the file's ending (`.ndjson`, `.jsonl`, `.json`; `.csv`,
            /// `.tsv`; `.lp`, `.line`, `.influx`; `.gz` or `.zst` may follow).
            #[serde(default)]
            format: Option<$crate::Format>,
            /// Which key of the data holds which part of a reading; name only what differs.
            #[serde(default)]
            fields: $crate::FieldNames,
            /// For parts that the data lacks.
            #[serde(default)]
            defaults: $crate::Defaults,
            /// How timestamps are written: `auto` (RFC 3339, decimal seconds, or an integer whose size tells its unit:
            /// 10 digits are s, 13 ms, 16 us, 19 ns), `rfc3339`, `s`, `ms`, `us`, `ns`, or a pattern such as
            /// `%Y-%m-%d %H:%M:%S`. Absent: `auto`; for line protocol `ns`.
            #[serde(default)]
            timestamp: Option<String>,
            /// The zone of timestamps that name none, as in the IANA database: `Europe/Vienna`. Only patterns leave it out.
            #[serde(default = "::cardcage_codec::default_timezone")]
            timezone: String,
            /// Longer lines are rejected; 64B to 64MiB.
            #[serde(default = "::cardcage_codec::default_max_line")]
            max_line: ::cardcage_plugin_api::ByteSize,
            /// CSV: the columns from left to right, for data without a line that names them.
            #[serde(default)]
            columns: Option<Vec<String>>,
            /// CSV: the character between two values; absent: a comma, or a tab for `.tsv`.
            #[serde(default)]
            delimiter: Option<String>,
            /// CSV: the character around values that hold a delimiter or a line end; absent: `"`.
            #[serde(default)]
            quote: Option<String>,
            /// CSV: lines that begin with this character are skipped; absent: none are.
            #[serde(default)]
            comment: Option<String>,
            /// A file to which rejected lines are appended as they came.
            #[serde(default)]
            rejects: Option<::std::path::PathBuf>,
        }

        impl $name {
            /// What it has in common with every reader of lines.
            fn input(&self) -> $crate::InputSettings {
                $crate::InputSettings {
                    format: self.format,
                    fields: self.fields.clone(),
                    defaults: self.defaults.clone(),
                    timestamp: self.timestamp.clone(),
                    timezone: self.timezone.clone(),
                    max_line: self.max_line,
                    columns: self.columns.clone(),
                    delimiter: self.delimiter.clone(),
                    quote: self.quote.clone(),
                    comment: self.comment.clone(),
                    rejects: self.rejects.clone(),
                }
            }
        }
    };
}
