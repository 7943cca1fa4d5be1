//! Reads the file that is being read: its bytes, their lines, and what is no reading among them.

mod ahead;

use crate::archive::Archive;
use crate::error::FileError;
use crate::identity::Identity;
use crate::names::{Learning, Names};
use crate::tracked::{Seen, Tracked};
use ahead::Ahead;
use cardcage_codec::lines::{Filled, Window};
use cardcage_codec::rejects::{Place, Rejections};
use cardcage_codec::{Format, InputSettings, ReadSettings, Reader, Round, Taken};
use cardcage_plugin_api::{Batch, Host, PluginError, Record};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// How much one call reads at most, so that a file full of lines that are no readings cannot keep the lane from
/// draining: some milliseconds' worth.
const BYTES_PER_FILL_MAX: u64 = 4 << 20;
/// How much of a file must be left for other threads to help: below it, starting them costs more than they save.
/// Tests have small files.
const AHEAD_BYTES_MIN: u64 = if cfg!(test) { 64 << 10 } else { 8 << 20 };
/// How much of a file's start is looked at for the line of CSV that names its columns.
const HEADER_BYTES_MAX: usize = 1 << 20;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The batch is full, or the call took long enough.
    More,
    /// The end of the file.
    End,
}

/// The file that is being read.
pub(crate) struct Reading {
    dictionary: Learning,
    input: InputSettings,
    /// One for each way in which files are written; each remembers the sensors that it has seen.
    readers: Vec<(Format, ReadSettings, Reader)>,
    reader: usize,
    /// How many threads parse, this one included.
    threads: u32,
    /// How many records a whole batch holds: the most room that there ever was.
    batch_records: usize,
    /// So much of the file is left that others shall help.
    large: bool,
    ahead: Option<Box<Ahead>>,
    window: Window,
    /// Whose text the window holds.
    of: Option<(usize, Identity)>,
    text: Text,
    /// What went wrong behind the records of the last batch: decoders do not say it twice.
    failed: Option<FileError>,
    pub(crate) rejections: Rejections,
}

enum Text {
    None,
    Plain(Arc<File>),
    /// `skip` bytes of its text were taken before.
    Archive {
        archive: Box<Archive>,
        skip: u64,
        seen: Seen,
    },
}

impl Reading {
    pub(crate) fn new(host: &Host, input: InputSettings, threads: u32) -> Result<Self, PluginError> {
        let rejections = Rejections::new(input.rejects.as_deref())?;
        let line_max = usize::try_from(input.max_line.0)?;
        Ok(Self {
            dictionary: Learning { host: host.clone(), names: (threads > 1).then(Arc::<Names>::default) },
            input,
            readers: Vec::new(),
            reader: 0,
            threads,
            batch_records: 0,
            large: false,
            ahead: None,
            window: Window::new(line_max),
            of: None,
            text: Text::None,
            failed: None,
            rejections,
        })
    }

    /// Goes to a file, which is open, at its position. Nothing is lost if it is the one that was read last.
    pub(crate) fn enter(&mut self, number: usize, file: &Tracked, again: bool) -> Result<(), FileError> {
        if self.of == Some((number, file.identity)) && !again {
            return Ok(());
        }
        self.leave();
        let Some(open) = &file.file else {
            return Ok(());
        };
        self.text = match file.compression {
            None => Text::Plain(Arc::clone(open)),
            Some(compression) => {
                let archive = Archive::new(&file.path, Arc::clone(open), compression)?;
                let seen = Seen::of(&open.metadata().map_err(|source| at(file, source))?);
                Text::Archive { archive: Box::new(archive), skip: file.position, seen }
            }
        };
        let left = open.metadata().map_err(|source| at(file, source))?.len().saturating_sub(file.position);
        self.large = self.threads > 1 && left >= AHEAD_BYTES_MIN;
        if file.skipping {
            self.window.resume_skipping();
        }
        self.choose_reader(file)?;
        self.of = Some((number, file.identity));
        Ok(())
    }

    /// Forgets what was read ahead.
    pub(crate) fn leave(&mut self) {
        if let Some(ahead) = &mut self.ahead {
            ahead.recall();
        }
        self.window.clear();
        self.text = Text::None;
        self.failed = None;
        self.of = None;
    }

    /// Takes the reader for the file's format, and tells it where it stands.
    fn choose_reader(&mut self, file: &Tracked) -> Result<(), FileError> {
        let (format, settings) = self
            .input
            .read_settings(Some(&file.name))
            .map_err(|source| FileError::Settings { path: file.path.clone(), source })?;
        let known = self.readers.iter().position(|(f, known, _)| *f == format && known.csv == settings.csv);
        self.reader = known.unwrap_or(self.readers.len());
        if known.is_none() {
            let reader = Reader::new(format, &settings);
            self.readers.push((format, settings, reader));
        }
        let reader = &mut self.readers[self.reader].2;
        if file.position == 0 && !file.skipping {
            reader.begin(None);
            return Ok(());
        }
        if let Some(header) = &file.header {
            reader.begin(Some(header));
            return Ok(());
        }
        reader.begin(None);
        if format == Format::Csv && file.compression.is_none() {
            self.read_header(file)?;
        }
        let reader = &mut self.readers[self.reader].2;
        if reader.header().is_none() {
            reader.begin(Some(&[]));
        }
        Ok(())
    }

    /// Reads the line that names the columns, for a file that is read from somewhere else.
    fn read_header(&mut self, file: &Tracked) -> Result<(), FileError> {
        let Some(open) = &file.file else {
            return Ok(());
        };
        let mut start = vec![0; HEADER_BYTES_MAX];
        let len = open.read_at(&mut start, 0).map_err(|source| FileError::Read {
            path: file.path.clone(),
            position: 0,
            source,
        })?;
        let reader = &mut self.readers[self.reader].2;
        let round = Round { now_ns: 0, batch_records: 1 };
        reader.read(&start[..len], false, &mut [Record::default()], round, &self.dictionary, &mut |_| {});
        Ok(())
    }

    /// Fills a batch from the file. `last`: once its end is reached nothing follows, so that the last line may lack its
    /// line end.
    pub(crate) fn fill(
        &mut self,
        file: &mut Tracked,
        last: bool,
        out: &mut Batch<'_>,
    ) -> Result<Outcome, FileError> {
        let mut read_bytes = 0;
        if let Some(error) = self.failed.take() {
            self.leave();
            return Err(error);
        }
        self.batch_records = self.batch_records.max(out.capacity());
        loop {
            // A line with more readings than there is room for waits for the next batch; reading on would only pile up
            // text. One whose end has not come is read on, also where it has line ends in it.
            let mut waits = false;
            if self.is_ahead() {
                match self.give_ahead(file, out)? {
                    Some(bytes) => read_bytes += bytes,
                    None => return Ok(Outcome::More),
                }
            } else {
                waits = self.take_lines(file, out, false);
            }
            if out.remaining() == 0 || read_bytes >= BYTES_PER_FILL_MAX || waits {
                return Ok(Outcome::More);
            }
            if self.is_ahead() || self.begin_ahead(file) {
                continue;
            }
            match self.refill(file) {
                Ok(Filled::More(bytes)) => read_bytes += bytes,
                Ok(Filled::End) => {
                    if last || file.compression.is_some() {
                        let waits = self.take_lines(file, out, true);
                        if !self.window.unread().is_empty() && (waits || out.remaining() == 0) {
                            return Ok(Outcome::More);
                        }
                        self.leave();
                    }
                    return Ok(Outcome::End);
                }
                // What came before the error goes on first.
                Err(error) if !out.is_empty() || self.rejections.any() => {
                    self.failed = Some(error);
                    return Ok(Outcome::More);
                }
                Err(error) => {
                    self.leave();
                    return Err(error);
                }
            }
        }
    }

    /// Turns the whole lines in the window into records, as far as `out` has room; at the end the last one, too. Whether
    /// the next line waits for more room.
    fn take_lines(&mut self, file: &mut Tracked, out: &mut Batch<'_>, end: bool) -> bool {
        let Self { dictionary, readers, reader, window, rejections, batch_records, .. } = self;
        let Some((_, _, reader)) = readers.get_mut(*reader) else {
            return false;
        };
        let place = Place { stream: &file.path.display(), line: file.line, position: file.position };
        let lines = Lines { text: window.unread(), end, place };
        let taken = fill(reader, &lines, out, *batch_records, dictionary, rejections);
        window.consume(taken.bytes);
        file.position += taken.bytes as u64;
        file.line += taken.lines;
        if file.header.is_none() {
            file.header = reader.header().map(Into::into);
        }
        taken.no_room
    }

    /// Ends the threads.
    pub(crate) fn close(&mut self) -> Result<(), PluginError> {
        self.leave();
        self.ahead.as_mut().map_or(Ok(()), |ahead| ahead.stop())
    }

    /// Reads on. A line that outgrows `max_line` is rejected here and its rest skipped as it comes.
    fn refill(&mut self, file: &mut Tracked) -> Result<Filled, FileError> {
        // Met while reading ahead; everything in front of it is taken by now.
        if let Some(error) = self.ahead.as_mut().and_then(|ahead| ahead.failed.take()) {
            if let Text::Archive { seen, .. } = &self.text {
                file.at_end = Some(*seen);
            }
            return Err(error);
        }
        let filled = match &mut self.text {
            Text::None => return Ok(Filled::End),
            Text::Plain(open) => {
                let position = file.position + self.window.unread().len() as u64;
                let filled = self.window.refill(&mut At { file: open, position });
                match filled.map_err(|source| at(file, source))? {
                    Filled::End => {
                        let now = Seen::of(&open.metadata().map_err(|source| at(file, source))?);
                        if now.len > position {
                            return Ok(Filled::More(0));
                        }
                        // What is written from here on changes this.
                        file.at_end = Some(now);
                        Filled::End
                    }
                    more @ Filled::More(_) => more,
                }
            }
            Text::Archive { archive, skip, seen } => {
                let filled = self.window.refill(archive);
                if !matches!(filled, Ok(Filled::More(_))) {
                    file.at_end = Some(*seen);
                }
                let filled = match filled {
                    Ok(filled) => filled,
                    Err(error) => return Err(archive.explain(&error).into()),
                };
                let known = self.window.unread().len().min(usize::try_from(*skip).unwrap_or(usize::MAX));
                self.window.consume(known);
                *skip -= known as u64;
                filled
            }
        };
        if let Some(skipped) = self.window.skip_long_line() {
            let place = Place { stream: &file.path.display(), line: file.line, position: file.position };
            self.rejections.add_skipped(place, &skipped);
            if let Some((_, _, reader)) = self.readers.get_mut(self.reader) {
                reader.skip_line();
            }
            file.position += skipped.bytes;
            file.line += u64::from(skipped.ended);
        }
        file.skipping = self.window.is_skipping();
        Ok(filled)
    }
}

/// Whole lines, and where they stand.
struct Lines<'a> {
    text: &'a [u8],
    end: bool,
    place: Place<'a>,
}

/// Turns lines into records in the free room of a batch.
fn fill(
    reader: &mut Reader,
    lines: &Lines<'_>,
    out: &mut Batch<'_>,
    batch_records: usize,
    dictionary: &Learning,
    rejections: &mut Rejections,
) -> Taken {
    let round = Round { now_ns: out.now_ns(), batch_records };
    let mut taken = Taken::default();
    out.fill_with(|room| {
        taken = reader.read(lines.text, lines.end, room, round, dictionary, &mut |rejected| {
            rejections.add(lines.place, rejected);
        });
        taken.records
    });
    taken
}

fn at(file: &Tracked, source: io::Error) -> FileError {
    FileError::Read { path: file.path.clone(), position: file.position, source }
}

/// A file from some byte on.
struct At<'a> {
    file: &'a File,
    position: u64,
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}
