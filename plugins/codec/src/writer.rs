//! One writer for every format.

use crate::dictionary::Dictionary;
use crate::format::Format;
use crate::ndjson;
use crate::settings::WriteSettings;
use cardcage_plugin_api::Record;

/// Turns records into lines.
pub struct Writer {
    form: Form,
}

enum Form {
    Ndjson(Box<ndjson::Writer>),
}

impl Writer {
    /// A writer that has rendered nothing yet.
    pub fn new(format: Format, settings: &WriteSettings) -> Self {
        let _ = settings;
        let form = match format {
            // The others are refused when settings are described.
            Format::Ndjson | Format::Csv | Format::LineProtocol => Form::Ndjson(Box::default()),
        };
        Self { form }
    }

    /// What stands at the start of each file, line end included: the columns' names in CSV.
    pub fn header(&self) -> Option<&[u8]> {
        match &self.form {
            Form::Ndjson(_) => None,
        }
    }

    /// Appends a line for each record. Returns how many had a sensor or unit that the dictionary does not know, or a
    /// value that the format cannot say; they are left out.
    pub fn lines<D: Dictionary>(&mut self, records: &[Record], dictionary: &D, into: &mut Vec<u8>) -> u64 {
        match &mut self.form {
            Form::Ndjson(writer) => writer.lines(records, dictionary, into),
        }
    }
}
