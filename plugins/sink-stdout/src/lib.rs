//! Shows readings: lines in any of the three formats into a pipe or a file, on a terminal a table that updates in place.

#![forbid(unsafe_code)]

mod cells;
mod lines;
mod output;
mod table;

use cardcage_codec::{Format, Writer};
use cardcage_plugin_api::prelude::*;
use lines::Lines;
use output::{Output, OutputError};
use table::Table;

/// The table is drawn at most this often: people read no faster.
const DRAW_INTERVAL_NS: i64 = 200_000_000;
/// Why records are left out: ids that the host does not know.
const UNKNOWN_ID: &str = "unknown_id";
/// Why records are left out of line protocol: it has no NaN and no infinity.
const NOT_FINITE: &str = "not_finite";
/// Why records are left out of line protocol: names and tags that it has no way to say.
const NOT_SAYABLE: &str = "not_sayable";

/// What is written.
#[settings]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// A table on a terminal, else one JSON object a line.
    #[default]
    Auto,
    /// One JSON object a line.
    Ndjson,
    /// Rows of columns, by RFC 4180, below a line that names them.
    Csv,
    /// `InfluxDB` line protocol, version 2. A sensor is `measurement.field`, split at the last dot; one without a dot has
    /// the field `value`.
    LineProtocol,
    /// A row for each sensor, updated in place; needs a terminal.
    Table,
}

impl Shape {
    /// The format of lines, if lines can come of it.
    const fn lines(self) -> Option<Format> {
        match self {
            Self::Auto | Self::Ndjson => Some(Format::Ndjson),
            Self::Csv => Some(Format::Csv),
            Self::LineProtocol => Some(Format::LineProtocol),
            Self::Table => None,
        }
    }
}

cardcage_codec::output_settings! {
    /// Settings of the sink. All but `format` are about lines; the table has a form of its own.
    #[derive(Clone, Debug)]
    pub struct StdoutSettings {
        /// What is written: a table on a terminal and lines elsewhere, unless told.
        #[serde(default)]
        format: Shape,
    }
}

/// The sink.
pub struct StdoutSink {
    host: Host,
    output: Output,
    view: View,
}

enum View {
    Lines(Box<Lines>),
    Table(Box<Table>),
}

impl Sink for StdoutSink {
    type Settings = StdoutSettings;

    fn describe(settings: &StdoutSettings) -> Description {
        let lines = settings.format.lines();
        let description = Description::sink().rejects(UNKNOWN_ID);
        let description = match lines {
            Some(Format::LineProtocol) => description.rejects(NOT_FINITE).rejects(NOT_SAYABLE),
            _ => description,
        };
        settings.output().problems(description, lines)
    }

    fn open(settings: StdoutSettings, host: &Host) -> Result<Self, PluginError> {
        let output = Output::standard()?;
        let table = match settings.format {
            Shape::Auto => output.can_show_table(),
            Shape::Ndjson | Shape::Csv | Shape::LineProtocol => false,
            Shape::Table if output.is_terminal() => true,
            Shape::Table => return Err(OutputError::NoTerminal.into()),
        };
        let view = match settings.format.lines() {
            Some(format) if !table => {
                let write = settings.output().write_settings(format, None)?;
                View::Lines(Box::new(Lines::new(Writer::new(format, &write))))
            }
            _ => View::Table(Box::new(Table::new(Output::style(), host.now_ns()))),
        };
        Ok(Self { host: host.clone(), output, view })
    }

    fn write(&mut self, batch: &Delivery<'_>) -> Result<(), PluginError> {
        match &mut self.view {
            View::Lines(lines) => {
                let left_out = lines.write(batch.records(), &mut self.output, &self.host)?;
                batch.reject(NOT_FINITE, left_out.by_format.not_finite);
                batch.reject(NOT_SAYABLE, left_out.by_format.not_sayable);
                batch.reject(UNKNOWN_ID, left_out.unknown);
            }
            View::Table(table) => {
                let unknown = table.update(batch.records(), &self.host);
                if batch.now_ns() - table.drawn_ns() >= DRAW_INTERVAL_NS {
                    self.output.write(table.draw(batch.now_ns(), self.output.size()))?;
                }
                batch.reject(UNKNOWN_ID, unknown);
            }
        }
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

export_plugin! {
    name: "stdout",
    description: "shows readings on the terminal, or writes them as lines",
    components: [sink StdoutSink as "stdout" { drops }],
    probe: none("writes to standard output"),
}

#[cfg(test)]
mod tests;
