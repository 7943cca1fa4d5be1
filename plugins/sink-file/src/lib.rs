//! Writes readings to files, in any of the three formats.
//!
//! Text is gathered and handed to the kernel in large pieces, at the latest at a checkpoint. A batch that failed is exactly
//! a batch that is in no file, and what a failed commit could not make safe is cut off again. `sync` says what survives a
//! power cut.
//!
//! `settings` reads and checks, `template` and `router` find a reading's file, `files` keeps the open ones, `target` is
//! one of them, `packing` compresses, `finished` names what was rotated out, `disk` and `lock` are the system.

#![forbid(unsafe_code)]

mod disk;
mod files;
mod finished;
mod hours;
mod lock;
mod packing;
mod router;
mod settings;
mod target;
mod template;

pub use packing::Compression;
pub use settings::{FileSettings, Rotate, Sync};

use cardcage_codec::Writer;
use cardcage_plugin_api::Counter;
use cardcage_plugin_api::prelude::*;
use disk::{FileError, System};
use files::{Files, Handle, Lost};
use hours::Hours;
use router::Router;
use settings::{NOT_FINITE, NOT_SAYABLE, UNKNOWN_ID};
use std::path::PathBuf;
use target::Form;

/// Records rendered before the text is looked at: far fewer bytes than are gathered.
const RECORDS_PER_RENDER: usize = 512;
/// How often `sync: interval` waits for the disk.
const SYNC_INTERVAL_NS: i64 = 5_000_000_000;

/// The sink.
pub struct FileSink {
    host: Host,
    files: Files<System>,
    place: Place,
    writer: Writer,
    sync: Sync,
    synced_ns: i64,
    written_bytes: Option<Counter>,
    /// How many of them the counter has.
    counted_bytes: u64,
}

/// Where readings go.
enum Place {
    One(PathBuf),
    Many(Box<Router>),
}

impl Sink for FileSink {
    type Settings = FileSettings;

    fn describe(settings: &FileSettings) -> Description {
        settings.problems(Description::sink())
    }

    fn open(settings: FileSettings, host: &Host) -> Result<Self, PluginError> {
        let plan = settings.plan()?;
        let writer = Writer::new(plan.format, &plan.write);
        let form = Form::new(plan.compression, plan.level, writer.header())?;
        // The host gives each component a folder called like it.
        let folder = host.state_directory();
        let owner = folder.and_then(|folder| Some(folder.file_name()?.to_str()?.to_owned()));
        let mut files = Files::new(System { owner }, plan.rules, form);
        let place = match plan.template.plain() {
            Some(path) => {
                // Now, and not with the first reading: what is wrong with it is to show at the start.
                files.file(path, host.now_ns())?;
                Place::One(path.to_owned())
            }
            None => Place::Many(Box::new(Router::new(plan.template, Hours::new(plan.zone)))),
        };
        Ok(Self {
            host: host.clone(),
            files,
            place,
            writer,
            sync: plan.sync,
            synced_ns: host.now_ns(),
            written_bytes: host.counter("bytes_written"),
            counted_bytes: 0,
        })
    }

    fn write(&mut self, batch: &Delivery<'_>) -> Result<(), PluginError> {
        self.files.begin_batch();
        match self.take(batch) {
            Ok((left_out, one)) => {
                if let Some(file) = one {
                    self.files.count_batch(file, (batch.records().len() as u64).saturating_sub(left_out));
                }
                let why = self.writer.take_left_out();
                batch.reject(NOT_FINITE, why.not_finite);
                batch.reject(NOT_SAYABLE, why.not_sayable);
                batch.reject(UNKNOWN_ID, left_out.saturating_sub(why.total()));
            }
            Err(error) => {
                // The whole batch counts as failed, so none of it may stay.
                self.writer.take_left_out();
                self.files.undo_batch();
                return Err(error.into());
            }
        }
        self.count_bytes();
        Ok(())
    }

    fn commit(&mut self, _epoch: u64) -> Result<Commit, PluginError> {
        let now_ns = self.host.now_ns();
        let due = match self.sync {
            Sync::Commit => true,
            Sync::Interval => now_ns - self.synced_ns >= SYNC_INTERVAL_NS,
            Sync::Never => false,
        };
        let committed = self.files.commit(now_ns, due);
        self.count_bytes();
        match committed {
            Ok(lost) => {
                if due {
                    self.synced_ns = now_ns;
                }
                Ok(match lost {
                    None => Commit::Committed,
                    Some(Lost { records, why }) => {
                        Commit::Partly { lost: records, why: PluginError::from(why).to_string() }
                    }
                })
            }
            // The kernel drops what it could not write, so asking again would only look like success.
            Err(error @ FileError::Sync { .. }) => {
                Ok(Commit::Permanent { why: PluginError::from(error).to_string() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What was not committed is lost by the host's count, so it does not stay.
    fn close(mut self) -> Result<(), PluginError> {
        self.files.discard();
        if self.sync == Sync::Interval {
            self.files.sync()?;
        }
        Ok(())
    }
}

impl FileSink {
    /// Takes all records' lines; returns how many records were left out, and the file if all go to one.
    fn take(&mut self, batch: &Delivery<'_>) -> Result<(u64, Option<Handle>), FileError> {
        let Self { host, files, place, writer, .. } = self;
        let (records, now_ns) = (batch.records(), batch.now_ns());
        let (mut left_out, mut one) = (0, None);
        match place {
            Place::One(path) => {
                let file = files.file(path, now_ns)?;
                for some in records.chunks(RECORDS_PER_RENDER) {
                    left_out += writer.lines(some, host, files.text(file));
                    files.relieve(file)?;
                }
                one = Some(file);
            }
            Place::Many(router) => {
                for record in records {
                    let Some(file) = router.file(record, files, host, now_ns)? else {
                        left_out += 1;
                        continue;
                    };
                    left_out += writer.lines(std::slice::from_ref(record), host, files.text(file));
                    files.relieve(file)?;
                }
            }
        }
        files.end_batch(now_ns)?;
        Ok((left_out, one))
    }

    fn count_bytes(&mut self) {
        let written = self.files.form.written_bytes;
        // A write to a metric that changes nothing would be an entry of the audit trail, too.
        if let Some(counter) = self.written_bytes.as_ref().filter(|_| written > self.counted_bytes) {
            #[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^53 bytes")]
            counter.add((written - self.counted_bytes) as f64);
        }
        self.counted_bytes = written;
    }
}

export_plugin! {
    name: "file",
    description: "writes readings to files",
    components: [sink FileSink as "file" {
        drops,
        write: [settings.path],
        read: [settings.path],
        metrics: [counter "bytes_written" { unit: "By", help: "bytes handed to the files" }],
    }],
    probe: none("needs a file"),
}

#[cfg(test)]
mod tests;
