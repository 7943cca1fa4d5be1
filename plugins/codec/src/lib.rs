//! Formats that several plugins share: readings as text.
//!
//! Nothing here opens a file or asks the clock. A plugin brings bytes and a [`Dictionary`] and gets records, or the
//! other way round:
//!
//! - [`ndjson::Reader`] turns lines into records, [`ndjson::Writer`] records into lines.
//! - [`FieldNames`], [`Defaults`], [`Format`] and [`TimestampForm`] are the settings that sources and sinks share.
#![forbid(unsafe_code)]

mod dictionary;
mod intern;
mod json;
pub mod ndjson;
mod number;
mod quality;
mod reject;
mod settings;
mod timestamp;

pub use dictionary::Dictionary;
pub use quality::quality_text;
pub use reject::{Reason, Rejection};
pub use settings::{Defaults, FieldNames, Format, ReadSettings};
pub use timestamp::{TimestampForm, UnknownTimestampForm};
