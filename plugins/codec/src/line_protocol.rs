//! InfluxDB line protocol, version 2: `weather,site=graz temperature=21.5,rain=false 1700000000000000000`.
//!
//! Each field is a reading of the sensor `measurement.field` with the line's tags; a boolean is 1 or 0. The tag that
//! `fields.unit` names is the unit, and a text field that `fields.quality` names the quality of the line's readings;
//! other text fields are rejected, each on its own. What is written follows the same rules: a sensor's name is split at
//! its last point, and a name without one is a measurement with the field `value`.

mod reader;
mod series;
mod syntax;
mod writer;

pub(crate) use reader::Reader;
pub(crate) use writer::Writer;
