//! Reads readings from files, from their beginning to their end.

#![forbid(unsafe_code)]

mod buffer;
mod progress;
mod rejections;

use buffer::{Buffer, Filled};
use cardcage_codec::ndjson::{Reader, Step};
use cardcage_codec::{Defaults, FieldNames, Format, ReadSettings, Reason, Rejection, TimestampForm};
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::tracing;
use progress::{FileProgress, Progress};
use rejections::Rejections;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// How much one call reads at most, so that a file full of lines that are no readings cannot keep the lane from
/// draining: some milliseconds' worth.
const BYTES_PER_FILL_MAX: u64 = 4 << 20;
/// Bounds of `max_line`: shorter lines hold no reading, longer ones are no lines.
const LINE_MAX_BYTES: std::ops::RangeInclusive<u64> = 64..=(64 << 20);

/// One path or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Paths {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

/// Settings of the source.
#[settings]
#[derive(Clone, Debug)]
pub struct FileSettings {
    /// The file to read, or a list of files, read one after the other.
    #[schemars(extend("examples" = ["readings.ndjson", ["monday.ndjson", "tuesday.ndjson"]]))]
    path: Paths,
    /// How readings are written; absent: told by the file's ending (`.ndjson`, `.jsonl`, `.json`).
    #[serde(default)]
    format: Option<Format>,
    /// Which key of the data holds which part of a reading; name only what differs.
    #[serde(default)]
    fields: FieldNames,
    /// For parts that the data lacks.
    #[serde(default)]
    defaults: Defaults,
    /// How timestamps are written: `auto` (RFC 3339, decimal seconds, or an integer whose size tells its unit: 10
    /// digits are s, 13 ms, 16 us, 19 ns), `rfc3339`, `s`, `ms`, `us` or `ns`.
    #[serde(default = "default_timestamp")]
    #[schemars(extend("enum" = ["auto", "rfc3339", "s", "ms", "us", "ns"]))]
    timestamp: String,
    /// Longer lines are rejected; 64B to 64MiB.
    #[serde(default = "default_max_line")]
    max_line: ByteSize,
}

fn default_timestamp() -> String {
    "auto".to_owned()
}

fn default_max_line() -> ByteSize {
    ByteSize(1 << 20)
}

impl FileSettings {
    fn paths(&self) -> &[PathBuf] {
        match &self.path {
            Paths::One(path) => std::slice::from_ref(path),
            Paths::Several(paths) => paths,
        }
    }

    fn problems(&self, mut description: Description) -> Description {
        if self.paths().is_empty() {
            description = description.problem("path", "no file is named");
        }
        let unclear = self.paths().iter().find(|path| Format::of_path(path).is_none());
        if let (None, Some(path)) = (self.format, unclear) {
            let message = format!("the ending of `{}` tells no format; set `format: ndjson`", path.display());
            description = description.problem("format", message);
        }
        if let Some((part, message)) = self.fields.problem() {
            description = description.problem(&format!("fields.{part}"), message);
        }
        if self.defaults.sensor.as_deref() == Some("") {
            description = description.problem("defaults.sensor", "a sensor's name cannot be empty");
        }
        if let Err(error) = self.timestamp.parse::<TimestampForm>() {
            description = description.problem("timestamp", error.to_string());
        }
        if !LINE_MAX_BYTES.contains(&self.max_line.0) {
            let message = format!("{} is not between 64B and 64MiB", self.max_line);
            description = description.problem("max_line", message);
        }
        description
    }
}

/// Why a file cannot be read.
#[derive(Debug, Error)]
enum FileError {
    #[error("cannot open `{path}`")]
    Open { path: PathBuf, source: io::Error },
    #[error("`{path}` is no regular file; give the path of one")]
    NotRegular { path: PathBuf },
    #[error("cannot read `{path}` at byte {position}")]
    Read { path: PathBuf, position: u64, source: io::Error },
}

/// The source.
pub struct FileSource {
    host: Host,
    reader: Reader,
    buffer: Buffer,
    line_max: usize,
    progress: Progress,
    file: Option<File>,
    rejections: Rejections,
}

impl Source for FileSource {
    type Settings = FileSettings;

    fn describe(settings: &FileSettings) -> Description {
        let description = Reason::ALL
            .iter()
            .fold(Description::source(), |description, reason| description.rejects(reason.name()))
            .does(Capability::Finite)
            .does(Capability::Replayable)
            .does(Capability::State);
        settings.problems(description)
    }

    fn open(settings: FileSettings, host: &Host) -> Result<Self, PluginError> {
        // All of them now: a missing file is to show at the start, not an hour later.
        for path in settings.paths() {
            open_regular(path)?;
        }
        let line_max = usize::try_from(settings.max_line.0)?;
        Ok(Self {
            host: host.clone(),
            progress: Progress::new(settings.paths()),
            reader: Reader::new(ReadSettings {
                timestamp: settings.timestamp.parse()?,
                fields: settings.fields,
                defaults: settings.defaults,
            }),
            buffer: Buffer::new(line_max),
            line_max,
            file: None,
            rejections: Rejections::default(),
        })
    }

    fn fill(&mut self, out: &mut Batch<'_>, _wait_until_ns: i64) -> Result<Fill, PluginError> {
        let Some(stream) = self.progress.current() else {
            return Ok(Fill::Finished);
        };
        let fill = self.fill_from(stream, out)?;
        for (reason, count) in self.rejections.take_counts() {
            out.reject(reason.name(), count);
        }
        if fill == Fill::Finished {
            self.rejections.summarize();
        }
        Ok(fill)
    }
}

impl FileSource {
    /// Fills from one file: a batch has one stream, so the next file starts with the next batch.
    fn fill_from(&mut self, stream: usize, out: &mut Batch<'_>) -> Result<Fill, PluginError> {
        let now_ns = out.now_ns();
        let mut read_bytes = 0;
        let ended = loop {
            self.take_lines(out, now_ns);
            if out.remaining() == 0 || read_bytes >= BYTES_PER_FILL_MAX {
                break false;
            }
            match self.refill(stream) {
                Ok(Filled::More(bytes)) => read_bytes += bytes,
                Ok(Filled::End) => {
                    self.take_last_line(out, now_ns);
                    break true;
                }
                // What came before the error goes on first; the next call meets it again, or it is over by then.
                Err(_) if !out.is_empty() || self.rejections.any() => break false,
                Err(error) => return Err(error),
            }
        };
        out.set_position(u32::try_from(stream)?, self.progress.file().position);
        if ended {
            self.progress.finish();
            self.file = None;
        }
        Ok(if self.progress.current().is_none() { Fill::Finished } else { Fill::Produced })
    }

    /// Turns the whole lines in the buffer into records, as far as `out` has room.
    fn take_lines(&mut self, out: &mut Batch<'_>, now_ns: i64) {
        let Self { host, reader, buffer, line_max, progress, rejections, .. } = self;
        let file = progress.file();
        out.fill_with(|room| {
            let mut written = 0;
            let (text, mut at) = (buffer.unread(), 0);
            while let Some(slot) = room.get_mut(written) {
                let (rejection, len) = match reader.step(&text[at..], host, now_ns) {
                    Step::Record(record, len) if len <= *line_max => {
                        *slot = record;
                        written += 1;
                        at += len;
                        file.line += 1;
                        continue;
                    }
                    Step::Record(_, len) => (Some(TOO_LONG), len),
                    Step::Rejected(rejection, len) => {
                        (Some(if len > *line_max { TOO_LONG } else { rejection }), len)
                    }
                    Step::Blank(len) => (None, len),
                    Step::Incomplete => break,
                };
                if let Some(rejection) = rejection {
                    rejections.add(rejection, &file.path, file.line + 1, file.position + at as u64);
                }
                at += len;
                file.line += 1;
            }
            buffer.consume(at);
            file.position += at as u64;
            written
        });
    }

    /// Reads on. A line that outgrows `max_line` is rejected here and its rest skipped as it comes.
    fn refill(&mut self, stream: usize) -> Result<Filled, PluginError> {
        let file = self.progress.file();
        let reading = match &mut self.file {
            Some(open) => open,
            None => self.file.insert(open_at(stream, file)?),
        };
        let filled = self.buffer.refill(reading).map_err(|source| FileError::Read {
            path: file.path.clone(),
            position: file.position,
            source,
        })?;
        if let Some(line) = self.buffer.skip_long_line() {
            if line.is_start {
                self.rejections.add(TOO_LONG, &file.path, file.line + 1, file.position);
            }
            file.position += line.bytes;
            file.line += u64::from(line.ended);
        }
        Ok(filled)
    }

    /// What follows the last line end is a line, too.
    fn take_last_line(&mut self, out: &mut Batch<'_>, now_ns: i64) {
        let file = self.progress.file();
        let line = self.buffer.unread();
        match self.reader.line(line, &self.host, now_ns) {
            Ok(Some(record)) => {
                out.push(record);
            }
            Ok(None) => {}
            Err(rejection) => self.rejections.add(rejection, &file.path, file.line + 1, file.position),
        }
        let len = line.len();
        file.position += len as u64;
        file.line += u64::from(len > 0);
        self.buffer.clear();
    }
}

const TOO_LONG: Rejection = Rejection { reason: Reason::TooLong, offset: 0 };

fn open_regular(path: &Path) -> Result<File, FileError> {
    let failed = |source| FileError::Open { path: path.to_owned(), source };
    // Looked at before it is opened: opening a FIFO would wait for a writer.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(FileError::NotRegular { path: path.to_owned() });
    }
    File::open(path).map_err(failed)
}

/// Opens a file where the source left off. A file that is shorter than that was replaced: it is read from its start.
fn open_at(stream: usize, progress: &mut FileProgress) -> Result<File, FileError> {
    let failed = |path: &Path, source| FileError::Open { path: path.to_owned(), source };
    let mut file = open_regular(&progress.path)?;
    let len = file.metadata().map_err(|error| failed(&progress.path, error))?.len();
    if progress.position > len {
        tracing::warn!(
            file = %progress.path.display(), stream, position = progress.position, len,
            "the file is shorter than what was read of it; it is read from its start"
        );
        (progress.position, progress.line) = (0, 0);
    }
    file.seek(SeekFrom::Start(progress.position)).map_err(|error| failed(&progress.path, error))?;
    Ok(file)
}

impl State for FileSource {
    const VERSION: u32 = progress::VERSION;

    fn snapshot(&mut self, version: u32) -> Result<Vec<u8>, PluginError> {
        self.progress.snapshot(version)
    }

    fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), PluginError> {
        self.progress.restore(version, state)?;
        self.buffer.clear();
        self.file = None;
        Ok(())
    }
}

export_plugin! {
    name: "file",
    description: "reads readings from files",
    components: [source FileSource as "file" { drops, finite, replayable, state, read: [settings.path] }],
    probe: none("needs a file"),
}

#[cfg(test)]
mod tests;
