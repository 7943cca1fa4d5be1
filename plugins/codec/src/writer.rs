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

/// Records that line protocol has no way to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Their value is NaN or infinite; JSON has `null` for them, and CSV an empty value.
    pub not_finite: u64,
    /// Their name or a tag of theirs is empty, ends with a backslash or holds a line end, or the name begins with `#`.
    pub not_sayable: u64,
}

impl LeftOut {
    /// All of them.
    pub fn total(self) -> u64 {
        self.not_finite + self.not_sayable
    }
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

    /// How many of the records that [`Writer::lines`] counted since the last call were left out because the format cannot
    /// say them.
    pub fn take_left_out(&mut self) -> LeftOut {
        match &mut self.form {
            Form::LineProtocol(writer) => writer.take_left_out(),
            Form::Ndjson(_) | Form::Csv(_) => LeftOut::default(),
        }
    }

    /// Appends a line for each record. Returns how many were left out: those whose sensor or unit the dictionary does
    /// not know, and in line protocol those of [`LeftOut`].
    pub fn lines<D: Dictionary>(&mut self, records: &[Record], dictionary: &D, into: &mut Vec<u8>) -> u64 {
        match &mut self.form {
            Form::Ndjson(writer) => writer.lines(records, dictionary, into),
            Form::Csv(writer) => writer.lines(records, dictionary, into),
            Form::LineProtocol(writer) => writer.lines(records, dictionary, into),
        }
    }
}
