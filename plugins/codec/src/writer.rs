//! One writer for every format.

use crate::dictionary::Dictionary;
use crate::format::Format;
use crate::settings::WriteSettings;
use crate::{csv, line_protocol, ndjson};
use cardcage_plugin_api::Record;

/// Turns records into lines.
pub struct Writer {
    form: Form,
}

enum Form {
    Ndjson(Box<ndjson::Writer>),
    Csv(Box<csv::Writer>),
    LineProtocol(Box<line_protocol::Writer>),
}

impl Writer {
    /// A writer that has rendered nothing yet.
    pub fn new(format: Format, settings: &WriteSettings) -> Self {
        let form = match format {
            Format::Csv => Form::Csv(Box::new(csv::Writer::new(settings))),
            Format::Ndjson => Form::Ndjson(Box::new(ndjson::Writer::new(settings))),
            Format::LineProtocol => Form::LineProtocol(Box::new(line_protocol::Writer::new(settings))),
        };
        Self { form }
    }

    /// What stands at the start of each file, line end included: the columns' names in CSV.
    pub fn header(&self) -> Option<&[u8]> {
        match &self.form {
            Form::Csv(writer) => Some(writer.header()),
            Form::Ndjson(_) | Form::LineProtocol(_) => None,
        }
    }

    /// How many records were left out since the last call because their value is NaN or infinite, which line protocol
    /// cannot say (JSON's `null` and CSV's empty value can); they are among those that [`Writer::lines`] counts.
    pub fn take_not_finite(&mut self) -> u64 {
        match &mut self.form {
            Form::LineProtocol(writer) => writer.take_not_finite(),
            Form::Ndjson(_) | Form::Csv(_) => 0,
        }
    }

    /// Appends a line for each record. Returns how many were left out: those whose sensor or unit the dictionary does
    /// not know, and in line protocol names that end with a backslash or hold a line end, and values that are not
    /// finite.
    pub fn lines<D: Dictionary>(&mut self, records: &[Record], dictionary: &D, into: &mut Vec<u8>) -> u64 {
        match &mut self.form {
            Form::Ndjson(writer) => writer.lines(records, dictionary, into),
            Form::Csv(writer) => writer.lines(records, dictionary, into),
            Form::LineProtocol(writer) => writer.lines(records, dictionary, into),
        }
    }
}
