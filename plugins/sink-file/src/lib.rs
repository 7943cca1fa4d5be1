//! Writes readings to a file, one JSON object a line.
//!
//! Each batch is handed to the kernel whole before it counts as taken, in writes of up to 256 KiB. So a batch that
//! failed is exactly a batch that is not in the file, and one that was taken survives the end of the process; `sync`
//! says when it survives a power cut, too.

#![forbid(unsafe_code)]

mod target;

use cardcage_codec::{Format, OutputSettings, WriteSettings, Writer};
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::{Counter, tracing};
use std::fs::File;
use std::path::PathBuf;
use target::{Target, TargetError};

/// Text handed to the kernel at a time: a system call costs nothing a record, and the text stays in the L2 cache.
const WRITE_BYTES: usize = 256 * 1024;
/// Records rendered before the buffer is looked at: their text fits the rest of the buffer nearly always.
const RECORDS_PER_RENDER: usize = 512;
/// How often `sync: interval` waits for the disk.
const SYNC_INTERVAL_NS: i64 = 5_000_000_000;

/// When what is written is made safe against a power cut.
#[settings]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// At each checkpoint, before it is acknowledged.
    #[default]
    Commit,
    /// At a checkpoint if the last time was 5 s ago or longer, and at the end.
    Interval,
    /// Never by this sink: what is written survives the end of the process, not that of the machine.
    Never,
}

/// Settings of the sink.
#[settings]
#[derive(Clone, Debug)]
pub struct FileSettings {
    /// The file to write; what is in it is kept, and readings are appended. Folders on the way are made.
    #[schemars(extend("examples" = ["out/readings.ndjson"]))]
    path: PathBuf,
    /// How readings are written; absent: told by the file's ending (`.ndjson`, `.jsonl`, `.json`).
    #[serde(default)]
    format: Option<Format>,
    /// When what is written is made safe against a power cut.
    #[serde(default)]
    sync: Sync,
}

/// The sink.
pub struct FileSink {
    host: Host,
    target: Target<File>,
    writer: Writer,
    text: Vec<u8>,
    sync: Sync,
    synced_ns: i64,
    written_bytes: Option<Counter>,
}

impl Sink for FileSink {
    type Settings = FileSettings;

    fn describe(settings: &FileSettings) -> Description {
        let description = Description::sink().rejects("unknown_id");
        if settings.path.as_os_str().is_empty() {
            return description.problem("path", "the path is empty; name the file to write");
        }
        match (settings.format, Format::of_path(&settings.path)) {
            (None, None) => description.problem(
                "format",
                format!("the ending of `{}` tells no format; set `format: ndjson`", settings.path.display()),
            ),
            (format, of_path) => OutputSettings::default().problems(description, format.or(of_path)),
        }
    }

    fn open(settings: FileSettings, host: &Host) -> Result<Self, PluginError> {
        let target = Target::open(&settings.path, settings.sync != Sync::Never)?;
        Ok(Self {
            host: host.clone(),
            target,
            writer: Writer::new(Format::Ndjson, &WriteSettings::default()),
            text: Vec::with_capacity(WRITE_BYTES * 2),
            sync: settings.sync,
            synced_ns: host.now_ns(),
            written_bytes: host.counter("bytes_written"),
        })
    }

    fn write(&mut self, batch: &Delivery<'_>) -> Result<(), PluginError> {
        let before = self.target.look()?;
        let unknown = match self.write_all(batch.records()) {
            Ok(unknown) => unknown,
            Err(error) => {
                // The whole batch counts as failed, so none of it may stay.
                self.text.clear();
                if let Err(cut) = self.target.cut_to(before) {
                    tracing::error!("{}", PluginError::from(cut));
                }
                return Err(error.into());
            }
        };
        batch.reject("unknown_id", unknown);
        if let Some(counter) = &self.written_bytes {
            // Far below 2^53 bytes a batch.
            #[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^53 bytes")]
            counter.add((self.target.len() - before) as f64);
        }
        Ok(())
    }

    fn commit(&mut self, _epoch: u64) -> Result<Commit, PluginError> {
        let now_ns = self.host.now_ns();
        let due = match self.sync {
            Sync::Commit => true,
            Sync::Interval => now_ns - self.synced_ns >= SYNC_INTERVAL_NS,
            Sync::Never => false,
        };
        if due {
            // The kernel drops what it could not write, so asking again would only look like success.
            if let Err(error) = self.target.sync() {
                return Ok(Commit::Permanent { why: PluginError::from(error).to_string() });
            }
            self.synced_ns = now_ns;
        }
        Ok(Commit::Committed)
    }

    fn close(mut self) -> Result<(), PluginError> {
        if self.sync == Sync::Interval {
            self.target.sync()?;
        }
        Ok(())
    }
}

impl FileSink {
    /// Hands all records' lines to the kernel; returns how many records have an unknown sensor or unit.
    fn write_all(&mut self, records: &[Record]) -> Result<u64, TargetError> {
        let mut unknown = 0;
        for some in records.chunks(RECORDS_PER_RENDER) {
            unknown += self.writer.lines(some, &self.host, &mut self.text);
            if self.text.len() >= WRITE_BYTES {
                self.flush()?;
            }
        }
        self.flush()?;
        Ok(unknown)
    }

    fn flush(&mut self) -> Result<(), TargetError> {
        if !self.text.is_empty() {
            self.target.append(&self.text)?;
            self.text.clear();
        }
        Ok(())
    }
}

export_plugin! {
    name: "file",
    description: "writes readings to a file",
    components: [sink FileSink as "file" {
        drops,
        write: [settings.path],
        read: [settings.path],
        metrics: [counter "bytes_written" { unit: "By", help: "bytes handed to the file" }],
    }],
    probe: none("needs a file"),
}

#[cfg(test)]
mod tests;
