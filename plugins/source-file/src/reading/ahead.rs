//! Reads a large file ahead of the batches, in chunks of whole lines that a team parses.

use super::{Lines, Reading, Text, at, fill};
use crate::error::FileError;
use crate::team::{CHUNK_BYTES, Chunk, Job, Mark, Team};
use crate::tracked::Tracked;
use cardcage_codec::Format;
use cardcage_codec::lines::Window;
use cardcage_codec::rejects::Place;
use cardcage_plugin_api::{Batch, PluginError, tracing};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// Chunks for each thread: one that is parsed, one that waits.
const CHUNKS_PER_THREAD: usize = 2;

/// The team, and what was read ahead of the file.
pub(super) struct Ahead {
    team: Team,
    chunks_max: usize,
    free: Vec<Chunk>,
    /// How lines of the file are read; absent while nothing is read ahead.
    job: Option<Arc<Job>>,
    /// What stands behind the last whole line that went out.
    rest: Vec<u8>,
    /// The byte behind it.
    position: u64,
    /// Nothing more is read ahead: the end, an error, or text that cannot be cut.
    stopped: bool,
    /// What went wrong in reading, said once everything in front of it is given.
    pub(super) failed: Option<FileError>,
    /// The chunk that is being given, and how far.
    given: Option<(Chunk, Mark)>,
}

impl Ahead {
    fn chunks(&self) -> usize {
        self.team.out() + usize::from(self.given.is_some())
    }

    /// Forgets what was read ahead.
    pub(super) fn recall(&mut self) {
        self.free.extend(self.given.take().map(|(chunk, _)| chunk));
        // A thread that failed is found out by the next file.
        while let Ok(Some(chunk)) = self.team.take() {
            self.free.push(chunk);
        }
        (self.job, self.failed) = (None, None);
        self.rest.clear();
    }

    /// Ends the reading ahead: what was not given goes back into the window, to be read as it comes.
    fn give_back(&mut self, window: &mut Window) -> Result<(), FileError> {
        if let Some((chunk, given)) = self.given.take() {
            window.append(&chunk.text[given.bytes..chunk.len]);
            self.free.push(chunk);
        }
        while let Some(chunk) = self.team.take()? {
            window.append(&chunk.text[..chunk.len]);
            self.free.push(chunk);
        }
        window.append(&self.rest);
        self.rest.clear();
        self.job = None;
        Ok(())
    }

    pub(super) fn stop(&mut self) -> Result<(), PluginError> {
        self.team.stop()
    }

    /// Fills a chunk with what stands behind the last one; `false` if no more whole lines can be told.
    fn read(&mut self, text: &mut Text, chunk: &mut Chunk, file: &Tracked, quote: Option<u8>) -> bool {
        let mut len = self.rest.len();
        chunk.text[..len].copy_from_slice(&self.rest);
        // Archives give little at a time; three quarters are as good as all.
        while len < CHUNK_BYTES / 4 * 3 {
            match text.read_at(&mut chunk.text[len..], self.position) {
                Ok(0) => {
                    self.stopped = true;
                    break;
                }
                Ok(read) => {
                    len += read;
                    self.position += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = Some(match text {
                        Text::Archive { archive, .. } => archive.explain(&error).into(),
                        _ => at(file, error),
                    });
                    self.stopped = true;
                    break;
                }
            }
        }
        let whole = &chunk.text[..len];
        // Between quotes a line end may be part of a value: whoever cuts must have read all before it.
        let quoted = quote.is_some_and(|quote| memchr::memchr(quote, whole).is_some());
        let cut = memchr::memrchr(b'\n', whole).filter(|_| !quoted).map_or(0, |end| end + 1);
        self.rest.clear();
        self.rest.extend_from_slice(&whole[cut..]);
        chunk.len = cut;
        self.stopped |= cut == 0;
        cut > 0
    }
}

impl Text {
    fn read_at(&mut self, into: &mut [u8], position: u64) -> io::Result<usize> {
        match self {
            Self::None => Ok(0),
            Self::Plain(file) => file.read_at(into, position),
            Self::Archive { archive, .. } => archive.read(into),
        }
    }
}

impl Reading {
    /// Whether what comes next was read ahead.
    pub(super) fn is_ahead(&self) -> bool {
        self.ahead.as_ref().is_some_and(|ahead| ahead.job.is_some())
    }

    /// Begins to read ahead if so much is left that it is worth it. The window holds no whole line.
    pub(super) fn begin_ahead(&mut self, file: &Tracked) -> bool {
        let Some(header) = file.header.as_ref().filter(|_| self.large && !file.skipping) else {
            return false;
        };
        let skips = matches!(self.text, Text::Archive { skip, .. } if skip > 0);
        if skips || self.window.unread().len() > CHUNK_BYTES / 2 || !self.have_team() {
            return false;
        }
        let (format, settings, _) = &self.readers[self.reader];
        let job =
            Job { format: *format, settings: settings.clone(), reader: self.reader, header: header.clone() };
        let Some(ahead) = &mut self.ahead else {
            return false;
        };
        ahead.job = Some(Arc::new(job));
        ahead.stopped = false;
        ahead.rest.extend_from_slice(self.window.unread());
        ahead.position = file.position + ahead.rest.len() as u64;
        self.window.clear();
        true
    }

    /// Starts the threads with the first file that is worth it.
    fn have_team(&mut self) -> bool {
        let (None, Some(names)) = (&self.ahead, &self.dictionary.names) else {
            return self.ahead.is_some();
        };
        match Team::start(&self.dictionary.host, self.threads - 1, names) {
            Ok(team) => {
                self.ahead = Some(Box::new(Ahead {
                    team,
                    chunks_max: CHUNKS_PER_THREAD * self.threads as usize,
                    free: Vec::new(),
                    job: None,
                    rest: Vec::new(),
                    position: 0,
                    stopped: false,
                    failed: None,
                    given: None,
                }));
                true
            }
            Err(error) => {
                tracing::warn!("{error}; one thread parses");
                (self.threads, self.large) = (1, false);
                false
            }
        }
    }

    /// Gives what was read ahead, and reads on. Returns the bytes given; `None` if the batch cannot take more.
    pub(super) fn give_ahead(
        &mut self,
        file: &mut Tracked,
        out: &mut Batch<'_>,
    ) -> Result<Option<u64>, FileError> {
        self.read_ahead(file);
        let Some(ahead) = &mut self.ahead else {
            return Ok(Some(0));
        };
        if ahead.given.is_none() {
            ahead.given = ahead.team.take()?.map(|chunk| (chunk, Mark::default()));
        }
        let Some((chunk, given)) = &mut ahead.given else {
            // Everything is given.
            self.large = false;
            ahead.give_back(&mut self.window)?;
            return Ok(Some(0));
        };
        let before = file.position;
        while let Some(mark) =
            chunk.marks.front().filter(|mark| mark.records - given.records <= out.remaining())
        {
            let records = &chunk.records[given.records..mark.records];
            out.fill_with(|room| {
                room[..records.len()].copy_from_slice(records);
                records.len()
            });
            file.position += (mark.bytes - given.bytes) as u64;
            file.line += mark.lines - given.lines;
            *given = *mark;
            chunk.marks.pop_front();
        }
        let (mut waits, mut open) = (false, false);
        if given.bytes < chunk.len && out.remaining() > 0 {
            // Not parsed, or more records than there is room for: what fits, in the order of the file.
            let place = Place { stream: &file.path.display(), line: file.line, position: file.position };
            let reader = &mut self.readers[self.reader].2;
            let lines = Lines { text: &chunk.text[given.bytes..chunk.len], end: false, place };
            let taken = fill(reader, &lines, out, self.batch_records, &self.dictionary, &mut self.rejections);
            file.position += taken.bytes as u64;
            file.line += taken.lines;
            given.bytes += taken.bytes;
            given.lines += taken.lines;
            given.records += taken.records;
            waits = taken.no_room;
            open = taken.bytes == 0 && !waits;
        }
        if given.bytes == chunk.len {
            ahead.free.extend(ahead.given.take().map(|(chunk, _)| chunk));
        } else if open {
            // The chunk was cut at a line end that is part of a text. Where lines end behind it cannot be told from here,
            // so this file is read by one thread from here on.
            self.large = false;
            ahead.give_back(&mut self.window)?;
        }
        Ok(if waits { None } else { Some(file.position - before) })
    }

    /// Gives the team as much as it can have.
    fn read_ahead(&mut self, file: &Tracked) {
        let Some(ahead) = &mut self.ahead else {
            return;
        };
        let (format, settings, _) = &self.readers[self.reader];
        let quote = (*format == Format::Csv).then_some(settings.csv.quote);
        while !ahead.stopped && ahead.chunks() < ahead.chunks_max {
            let mut chunk = ahead.free.pop().unwrap_or_else(Chunk::new);
            if !ahead.read(&mut self.text, &mut chunk, file, quote) {
                ahead.free.push(chunk);
                return;
            }
            chunk.job.clone_from(&ahead.job);
            chunk.batch_records = self.batch_records;
            ahead.team.give(chunk);
        }
    }
}
