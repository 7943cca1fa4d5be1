//! Shows readings: lines into a pipe or a file, on a terminal a table that updates in place.

#![forbid(unsafe_code)]

mod cells;
mod output;
mod table;

use cardcage_codec::{Format, WriteSettings, Writer};
use cardcage_plugin_api::prelude::*;
use output::{Output, OutputError};
use table::Table;

/// The table is drawn at most this often: people read no faster.
const DRAW_INTERVAL_NS: i64 = 200_000_000;
/// Text handed to the kernel at a time.
const WRITE_BYTES: usize = 64 * 1024;
/// Records rendered before the buffer is looked at.
const RECORDS_PER_RENDER: usize = 256;

/// What is written.
#[settings]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// A table on a terminal, else lines.
    #[default]
    Auto,
    /// One JSON object a line.
    Ndjson,
    /// A row for each sensor, updated in place; needs a terminal.
    Table,
}

/// Settings of the sink.
#[settings]
#[derive(Clone, Debug)]
pub struct StdoutSettings {
    /// What is written: a table on a terminal and lines elsewhere, unless told.
    #[serde(default)]
    format: Shape,
}

/// The sink.
pub struct StdoutSink {
    host: Host,
    output: Output,
    view: View,
}

enum View {
    Lines { writer: Box<Writer>, text: Vec<u8> },
    Table(Box<Table>),
}

impl Sink for StdoutSink {
    type Settings = StdoutSettings;

    fn describe(_: &StdoutSettings) -> Description {
        Description::sink().rejects("unknown_id")
    }

    fn open(settings: StdoutSettings, host: &Host) -> Result<Self, PluginError> {
        let output = Output::standard()?;
        let table = match settings.format {
            Shape::Auto => output.can_show_table(),
            Shape::Ndjson => false,
            Shape::Table if output.is_terminal() => true,
            Shape::Table => return Err(OutputError::NoTerminal.into()),
        };
        let view = if table {
            View::Table(Box::new(Table::new(Output::style(), host.now_ns())))
        } else {
            View::Lines {
                writer: Box::new(Writer::new(Format::Ndjson, &WriteSettings::default())),
                text: Vec::with_capacity(WRITE_BYTES * 2),
            }
        };
        Ok(Self { host: host.clone(), output, view })
    }

    fn write(&mut self, batch: &Delivery<'_>) -> Result<(), PluginError> {
        let unknown = match &mut self.view {
            View::Lines { writer, text } => write_lines(writer, text, &mut self.output, &self.host, batch)?,
            View::Table(table) => {
                let unknown = table.update(batch.records(), &self.host);
                if batch.now_ns() - table.drawn_ns() >= DRAW_INTERVAL_NS {
                    self.output.write(table.draw(batch.now_ns(), self.output.size()))?;
                }
                unknown
            }
        };
        batch.reject("unknown_id", unknown);
        Ok(())
    }

    /// Lines are with the kernel already; the table shows the last state, and how old it is.
    fn commit(&mut self, _epoch: u64) -> Result<Commit, PluginError> {
        if let View::Table(table) = &mut self.view {
            self.output.write(table.draw(self.host.now_ns(), self.output.size()))?;
        }
        Ok(Commit::Committed)
    }

    /// Leaves the last table where it is, with the cursor behind it.
    fn close(mut self) -> Result<(), PluginError> {
        if let View::Table(table) = &mut self.view {
            self.output.write(table.draw_last(self.host.now_ns(), self.output.size()))?;
        }
        Ok(())
    }
}

fn write_lines(
    writer: &mut Writer,
    text: &mut Vec<u8>,
    output: &mut Output,
    host: &Host,
    batch: &Delivery<'_>,
) -> Result<u64, OutputError> {
    let mut unknown = 0;
    // What a failed write left belongs to a batch that failed.
    text.clear();
    for some in batch.records().chunks(RECORDS_PER_RENDER) {
        unknown += writer.lines(some, host, text);
        if text.len() >= WRITE_BYTES {
            output.write(text)?;
            text.clear();
        }
    }
    output.write(text)?;
    Ok(unknown)
}

export_plugin! {
    name: "stdout",
    description: "shows readings on the terminal, or writes them as lines",
    components: [sink StdoutSink as "stdout" { drops }],
    probe: none("writes to standard output"),
}

#[cfg(test)]
mod tests;
