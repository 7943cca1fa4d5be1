//! Readings as lines, for a pipe or a file. Each batch is handed on before it counts as taken: whoever reads the other end
//! sees it at once.

use crate::output::{Output, OutputError};
use cardcage_codec::Writer;
use cardcage_plugin_api::{Host, Record};

/// Text handed to the kernel at a time: what a pipe holds.
const WRITE_BYTES: usize = 64 * 1024;
/// Records rendered before the buffer is looked at.
const RECORDS_PER_RENDER: usize = 256;

/// Turns records into lines on an output.
pub(crate) struct Lines {
    writer: Writer,
    text: Vec<u8>,
    /// Whether the line that names the columns is out, or there is none.
    headed: bool,
}

/// Records that were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) unknown: u64,
    /// Because the format cannot say them.
    pub(crate) by_format: cardcage_codec::LeftOut,
}

impl Lines {
    pub(crate) fn new(writer: Writer) -> Self {
        let headed = writer.header().is_none();
        Self { writer, text: Vec::with_capacity(WRITE_BYTES * 2), headed }
    }

    /// Writes the lines of all records, below the columns' names if they are the first.
    pub(crate) fn write(
        &mut self,
        records: &[Record],
        output: &mut Output,
        host: &Host,
    ) -> Result<LeftOut, OutputError> {
        // What a failed write left belongs to a batch that failed.
        self.text.clear();
        self.writer.take_left_out();
        if !self.headed {
            self.text.extend_from_slice(self.writer.header().unwrap_or_default());
        }
        let mut left_out = 0;
        for some in records.chunks(RECORDS_PER_RENDER) {
            left_out += self.writer.lines(some, host, &mut self.text);
            if self.text.len() >= WRITE_BYTES {
                self.hand_on(output)?;
            }
        }
        self.hand_on(output)?;
        let by_format = self.writer.take_left_out();
        Ok(LeftOut { unknown: left_out.saturating_sub(by_format.total()), by_format })
    }

    fn hand_on(&mut self, output: &mut Output) -> Result<(), OutputError> {
        output.write(&self.text)?;
        self.headed = true;
        self.text.clear();
        Ok(())
    }
}
