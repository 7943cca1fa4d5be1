//! Account of the lines that are no readings: counted all, logged in samples, kept as they came if asked to.

use crate::lines::Skipped;
use crate::reject::{About, Reason, Rejected, Rejection};
use cardcage_plugin_api::{Batch, tracing};
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// So many rejections for one reason are logged one by one; from then on the 10th, 100th, 1000th, …
const LOGGED_FIRST: u64 = 5;
/// Raw lines handed to the kernel at a time.
const WRITE_BYTES: usize = 64 * 1024;
/// The longest that a file of rejected lines gets: what is wrong shows long before, and a disk is not filled with it.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Why rejected lines cannot be kept.
#[derive(Debug, Error)]
pub enum RejectsError {
    /// The file cannot be opened.
    #[error("cannot open `{path}` for rejected lines (`rejects`)")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something that a line cannot be appended to, or that would wait for a reader.
    #[error("`{path}` is a FIFO, socket or folder; give the path of a file for rejected lines (`rejects`)")]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
}

/// Where a call's text stands in its stream.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// What the stream is called in messages: a file's path, a peer's address.
    pub stream: &'a dyn Display,
    /// Lines in front of the text.
    pub line: u64,
    /// Bytes in front of the text.
    pub position: u64,
}

/// Account of the lines that are no readings.
#[derive(Default)]
pub struct Rejections {
    /// Since the counts were last taken, by the number of the reason.
    fresh: [u64; Reason::ALL.len()],
    /// In all.
    totals: [u64; Reason::ALL.len()],
    /// Of those in all, how many were logged.
    logged: u64,
    kept: Option<Kept>,
}

impl Rejections {
    /// No rejections yet. With a path, raw lines are appended to that file.
    pub fn new(rejects: Option<&Path>) -> Result<Self, RejectsError> {
        let kept = rejects.map(Kept::open).transpose()?;
        Ok(Self { kept, ..Self::default() })
    }

    /// Counts a line that a reader rejected in a text that stands at `place`.
    #[cold]
    pub fn add(&mut self, place: Place<'_>, rejected: &Rejected<'_>) {
        let reason = rejected.rejection.reason;
        let number = reason as usize;
        self.fresh[number] += 1;
        self.totals[number] += 1;
        let total = self.totals[number];
        if total <= LOGGED_FIRST || is_power_of_ten(total) {
            self.logged += 1;
            tracing::warn!(
                file = %place.stream,
                line = place.line + rejected.line + 1,
                byte = place.position + (rejected.at + rejected.rejection.offset) as u64,
                rejected = total,
                "line rejected ({}): {rejected}, at byte {} of the line",
                reason.name(),
                rejected.rejection.offset,
            );
        }
        // A line of several readings comes once for each, and as text with the first.
        if let Some(kept) = self.kept.as_mut().filter(|_| !rejected.raw.is_empty()) {
            kept.add(rejected.raw);
        }
    }

    /// Counts a line that a window threw away, if it began there. `place` is where the window then stood.
    pub fn add_skipped(&mut self, place: Place<'_>, skipped: &Skipped) {
        if let Some(raw) = &skipped.begun {
            let rejection = Rejection { reason: Reason::TooLong, offset: 0 };
            self.add(place, &Rejected { rejection, line: 0, at: 0, raw, about: About::Nothing });
        }
    }

    /// Whether there are counts to take.
    pub fn any(&self) -> bool {
        self.fresh.iter().any(|count| *count > 0)
    }

    /// Gives what was counted since the last time to the ledger, and kept lines to their file. Once for each batch.
    pub fn report(&mut self, out: &mut Batch<'_>) {
        for (reason, count) in self.take_counts() {
            out.reject(reason.name(), count);
        }
    }

    /// What was counted since the last time and is not 0; kept lines go to their file.
    pub fn take_counts(&mut self) -> impl Iterator<Item = (Reason, u64)> + use<> {
        if let Some(kept) = &mut self.kept {
            kept.flush();
        }
        let counts = std::mem::take(&mut self.fresh);
        Reason::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }

    /// Says, at the end of a stream, how many there were, if not all were logged; once for the same number.
    pub fn summarize(&mut self) {
        let total: u64 = self.totals.iter().sum();
        if total > self.logged {
            tracing::warn!(
                rejected = total,
                held_back = total - self.logged,
                "lines rejected in all; the summary has them by reason"
            );
            self.logged = total;
        }
    }
}

/// The file of raw lines.
struct Kept {
    path: PathBuf,
    file: File,
    text: Vec<u8>,
    len: u64,
    /// Lines that did not get there, and whether that was said.
    lost: u64,
    complained: bool,
}

impl Kept {
    fn open(path: &Path) -> Result<Self, RejectsError> {
        let failed = |source| RejectsError::Open { path: path.to_owned(), source };
        // Looked at before it is opened: opening a FIFO would wait for a reader.
        if let Ok(metadata) = path.metadata() {
            let kind = metadata.file_type();
            if kind.is_fifo() || kind.is_socket() || kind.is_dir() {
                return Err(RejectsError::NotAFile { path: path.to_owned() });
            }
        }
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.size();
        Ok(Self { path: path.to_owned(), file, text: Vec::new(), len, lost: 0, complained: false })
    }

    fn add(&mut self, raw: &[u8]) {
        if self.len + self.text.len() as u64 + raw.len() as u64 >= FILE_BYTES_MAX {
            self.lose("it is as long as it gets (1 GiB); move it away");
            return;
        }
        self.text.extend_from_slice(raw);
        self.text.push(b'\n');
        if self.text.len() >= WRITE_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.text.is_empty() {
            return;
        }
        match self.file.write_all(&self.text) {
            Ok(()) => self.len += self.text.len() as u64,
            Err(error) => {
                // `lose` counts one of them.
                self.lost += memchr::memchr_iter(b'\n', &self.text).count().saturating_sub(1) as u64;
                self.lose(&error.to_string());
            }
        }
        self.text.clear();
    }

    /// Never fatal: readings go on. Said once.
    fn lose(&mut self, why: &str) {
        self.lost += 1;
        if !self.complained {
            self.complained = true;
            tracing::warn!(file = %self.path.display(), "rejected lines are no longer kept: {why}");
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.flush();
        if self.lost > 0 {
            tracing::warn!(file = %self.path.display(), lost = self.lost, "rejected lines could not be kept");
        }
    }
}

fn is_power_of_ten(number: u64) -> bool {
    number.checked_ilog10().is_some_and(|digits| 10_u64.pow(digits) == number)
}
