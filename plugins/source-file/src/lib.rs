//! Reads readings from files, from their beginning to their end.

#![forbid(unsafe_code)]

mod progress;

use cardcage_codec::lines::{Filled, Window};
use cardcage_codec::rejects::{Place, Rejections};
use cardcage_codec::{Format, Reader};
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::tracing;
use progress::{FileProgress, Progress};
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// How much one call reads at most, so that a file full of lines that are no readings cannot keep the lane from
/// draining: some milliseconds' worth.
const BYTES_PER_FILL_MAX: u64 = 4 << 20;

/// One path or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Paths {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

cardcage_codec::input_settings! {
    /// Settings of the source.
    #[derive(Clone, Debug)]
    pub struct FileSettings {
        /// The file to read, or a list of files, read one after the other.
        #[schemars(extend("examples" = ["readings.ndjson", ["monday.ndjson", "tuesday.ndjson"]]))]
        path: Paths,
    }
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
        let told = |path: &PathBuf| self.format.or_else(|| Format::of_path(path));
        let formats: Vec<Format> = self.paths().iter().filter_map(told).collect();
        self.input().problems(description, &formats)
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
    buffer: Window,
    progress: Progress,
    file: Option<File>,
    rejections: Rejections,
}

impl Source for FileSource {
    type Settings = FileSettings;

    fn describe(settings: &FileSettings) -> Description {
        let description = Description::source()
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
        let input = settings.input();
        let (format, read) = input.read_settings(settings.paths().first().map(PathBuf::as_path))?;
        Ok(Self {
            host: host.clone(),
            progress: Progress::new(settings.paths()),
            reader: Reader::new(format, &read),
            buffer: Window::new(read.max_line),
            file: None,
            rejections: Rejections::new(input.rejects.as_deref())?,
        })
    }

    fn fill(&mut self, out: &mut Batch<'_>, _wait_until_ns: i64) -> Result<Fill, PluginError> {
        let Some(stream) = self.progress.current() else {
            return Ok(Fill::Finished);
        };
        let fill = self.fill_from(stream, out)?;
        self.rejections.report(out);
        if fill == Fill::Finished {
            self.rejections.summarize();
        }
        Ok(fill)
    }
}

impl FileSource {
    /// Fills from one file: a batch has one stream, so the next file starts with the next batch.
    fn fill_from(&mut self, stream: usize, out: &mut Batch<'_>) -> Result<Fill, PluginError> {
        let mut read_bytes = 0;
        let ended = loop {
            self.take_lines(out, false);
            if out.remaining() == 0 || read_bytes >= BYTES_PER_FILL_MAX {
                break false;
            }
            match self.refill(stream) {
                Ok(Filled::More(bytes)) => read_bytes += bytes,
                Ok(Filled::End) => {
                    self.take_lines(out, true);
                    self.buffer.clear();
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

    /// Turns the whole lines in the buffer into records, as far as `out` has room; at the end the last one, too.
    fn take_lines(&mut self, out: &mut Batch<'_>, end: bool) {
        let Self { host, reader, buffer, progress, rejections, .. } = self;
        let file = progress.file();
        let place = Place { stream: &file.path.display(), line: file.line, position: file.position };
        let taken = reader.fill(buffer.unread(), end, out, host, &mut |rejected| {
            rejections.add(place, rejected);
        });
        buffer.consume(taken.bytes);
        file.position += taken.bytes as u64;
        file.line += taken.lines;
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
        if let Some(skipped) = self.buffer.skip_long_line() {
            let place = Place { stream: &file.path.display(), line: file.line, position: file.position };
            self.rejections.add_skipped(place, &skipped);
            file.position += skipped.bytes;
            file.line += u64::from(skipped.ended);
        }
        Ok(filled)
    }
}

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
