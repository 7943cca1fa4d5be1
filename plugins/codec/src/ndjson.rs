//! One JSON object a line.
//!
//! Reading: [`Reader`]. Writing: [`Writer`], as
//! `{"timestamp":1700000000000000000,"sensor":"x","value":1.5,"unit":"Cel","tags":{"a":"b"}}`, where `unit` and `tags`
//! are left out if there are none, and `"quality":"bad|clamped"` stands behind the unit if it is not plain good. JSON
//! has no NaN and no infinities: they are written as `null`, which reads back as a missing value.

mod layout;
mod reader;
mod tokens;
mod walk;
mod writer;

pub use reader::{Reader, Step};
pub use writer::Writer;
