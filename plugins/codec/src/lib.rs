//! Formats that several plugins share: readings as text.
//!
//! Nothing here opens a file (but the one for rejected lines) or asks the clock. A plugin brings bytes and a
//! [`Dictionary`] and gets records, or the other way round:
//!
//! - [`input_settings!`] and [`output_settings!`] put the settings that all have in common among a plugin's own;
//!   [`InputSettings::problems`] describes, [`InputSettings::read_settings`] checks.
//! - [`lines::Window`] holds what was read of a stream, [`Reader`] turns its lines into records,
//!   [`rejects::Rejections`] keeps account of those that are no readings.
//! - [`Writer`] turns records into lines.
#![forbid(unsafe_code)]

mod assemble;
mod csv;
mod dictionary;
mod format;
mod intern;
mod json;
mod line_protocol;
pub mod lines;
pub mod ndjson;
mod number;
mod pairs;
mod quality;
mod reader;
mod reject;
pub mod rejects;
mod settings;
mod swar;
mod timestamp;
mod writer;

pub use dictionary::Dictionary;
pub use format::Format;
pub use quality::quality_text;
pub use reader::{Reader, Round, Taken};
pub use reject::{Reason, Rejected, Rejection};
pub use settings::{
    CsvSettings, Defaults, FieldNames, InputSettings, OutputSettings, ReadSettings, SettingsError,
    WriteSettings, default_max_line, default_timezone,
};
pub use timestamp::{Pattern, TimestampForm, UnknownTimestampForm, UnknownZone, Zone};
pub use writer::{LeftOut, Writer};
