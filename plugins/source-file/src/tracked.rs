//! One file, and how far it was read.

use crate::archive::{Compression, compression};
use crate::error::FileError;
use crate::identity::{Fingerprint, Identity};
use crate::paths::FILES_MAX;
use cardcage_plugin_api::tracing;
use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many files a folder may hold for a lost one to be looked for in it.
const SEARCH_MAX: usize = FILES_MAX;

/// One file, and how far it was read.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; no two exclude each other")]
pub(crate) struct Tracked {
    /// The path by which it is meant, or was: its ending tells the format.
    pub(crate) name: PathBuf,
    /// Where it was found last.
    pub(crate) path: PathBuf,
    /// What it is really called, if `path` is a link.
    pub(crate) target: Option<PathBuf>,
    pub(crate) identity: Identity,
    pub(crate) fingerprint: Fingerprint,
    /// What it began with before it started again.
    pub(crate) before: Option<Fingerprint>,
    /// It came while others were followed already, and was not looked into yet.
    pub(crate) is_late: bool,
    /// The byte behind the last line taken; of a compressed file, the byte of its text.
    pub(crate) position: u64,
    /// Lines taken.
    pub(crate) line: u64,
    /// What a reader needs to go on in the middle.
    pub(crate) header: Option<Box<[u8]>>,
    /// `position` is inside of a line that is thrown away.
    pub(crate) skipping: bool,
    /// Kept open so that it can be read to its end whatever becomes of its name.
    pub(crate) file: Option<Arc<File>>,
    pub(crate) compression: Option<Compression>,
    /// What the system said of it when its end was reached; it has changed if this has.
    pub(crate) at_end: Option<Seen>,
    /// Since when no path leads to it, by the host's clock: it was renamed or deleted.
    pub(crate) gone_since_ns: Option<i64>,
    /// Nothing more is expected: once its end is reached it is let go.
    pub(crate) last_visit: bool,
    /// It waits in the queue.
    pub(crate) queued: bool,
    /// The error for which it is left alone until it changes, so that it is said once.
    pub(crate) failed: bool,
    /// The roster's round in which it was seen last.
    pub(crate) round: u64,
    /// When it was read last, in fills: whose file is closed first.
    pub(crate) used: u64,
}

/// How large a file was, and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) len: u64,
    written_ns: i128,
}

impl Seen {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let written_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Self { len: metadata.len(), written_ns }
    }

    pub(crate) fn written_ns(self) -> i128 {
        self.written_ns
    }

    pub(crate) fn new(len: u64, written_ns: i128) -> Self {
        Self { len, written_ns }
    }
}

/// What was found when a file was opened to go on in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// What was read before is still there.
    Same,
    /// It is shorter, or begins otherwise: it starts again.
    Replaced,
    /// The path leads to another file by now.
    Another,
}

impl Tracked {
    /// A file of which nothing was read.
    pub(crate) fn new(path: PathBuf, identity: Identity) -> Self {
        Self {
            name: path.clone(),
            path,
            target: None,
            identity,
            fingerprint: Fingerprint::default(),
            before: None,
            is_late: false,
            position: 0,
            line: 0,
            header: None,
            skipping: false,
            file: None,
            compression: None,
            at_end: None,
            gone_since_ns: None,
            last_visit: false,
            queued: false,
            failed: false,
            round: 0,
            used: 0,
        }
    }

    /// Whether what the system says of it promises something to read.
    pub(crate) fn has_news(&self, now: Seen) -> bool {
        self.at_end != Some(now)
    }

    /// Opens it if it is not open, and makes sure that it is what was read before.
    pub(crate) fn open(&mut self) -> Result<Found, FileError> {
        let failed = |source| FileError::Open { path: self.path.clone(), source };
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::new(open_regular(&self.path)?),
        };
        let metadata = file.metadata().map_err(failed)?;
        if Identity::of(&metadata) != self.identity {
            return Ok(Found::Another);
        }
        let kind = compression(&self.path, &file)?;
        // The position in a compressed file says nothing about its length.
        let shorter = kind.is_none() && metadata.len() < self.position;
        let same = !shorter && self.fingerprint.fits(&file).map_err(failed)?;
        self.compression = kind;
        self.file = Some(file);
        if same {
            return Ok(Found::Same);
        }
        tracing::warn!(
            file = %self.path.display(), position = self.position, len = metadata.len(),
            "the file {}; it is read from its start",
            if shorter { "is shorter than what was read of it" } else { "begins otherwise than when it was read" },
        );
        self.start_again();
        Ok(Found::Replaced)
    }

    /// Whether nothing was taken of it since its start.
    pub(crate) fn is_unread(&self) -> bool {
        self.position == 0 && !self.fingerprint.is_some()
    }

    /// Back to the first byte.
    pub(crate) fn start_again(&mut self) {
        if self.fingerprint.is_some() {
            self.before = Some(self.fingerprint);
        }
        (self.position, self.line, self.skipping) = (0, 0, false);
        (self.header, self.at_end, self.fingerprint) = (None, None, Fingerprint::default());
    }

    /// To the end as it is now: what stands there was read, or is not wanted.
    pub(crate) fn go_to_end(&mut self) -> Result<(), FileError> {
        self.open()?;
        let failed = |source| FileError::Open { path: self.path.clone(), source };
        let Some(file) = &self.file else {
            return Ok(());
        };
        let metadata = file.metadata().map_err(failed)?;
        let len = metadata.len();
        self.at_end = Some(Seen::of(&metadata));
        self.fingerprint = Fingerprint::take(file, len).map_err(failed)?;
        self.position = len;
        let mut last = [b'\n'];
        if self.compression.is_none() && len > 0 {
            file.read_exact_at(&mut last, len - 1).map_err(failed)?;
        }
        // The rest of a line whose start was not wanted is no line.
        self.skipping = last != *b"\n";
        Ok(())
    }

    /// Remembers its first bytes, as far as they were read.
    pub(crate) fn remember(&mut self) -> Result<(), FileError> {
        let Some(file) = self.file.as_ref().filter(|_| self.fingerprint.grows(self.position)) else {
            return Ok(());
        };
        // All of a compressed file's start was read as soon as any of its text was.
        let read = if self.compression.is_some() { u64::MAX } else { self.position };
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        self.fingerprint = Fingerprint::take(file, read.min(len))
            .map_err(|source| FileError::Open { path: self.path.clone(), source })?;
        Ok(())
    }
}

/// Opens a file, unless opening it would wait, as for a FIFO, or read a folder.
pub(crate) fn open_regular(path: &Path) -> Result<File, FileError> {
    let failed = |source| FileError::Open { path: path.to_owned(), source };
    // Looked at before it is opened: opening a FIFO would wait for a writer.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(FileError::NotRegular { path: path.to_owned() });
    }
    File::open(path).map_err(failed)
}

/// What the system says of a regular file.
pub(crate) fn regular(path: &Path) -> Result<Metadata, FileError> {
    let metadata = path.metadata().map_err(|source| FileError::Open { path: path.to_owned(), source })?;
    if metadata.is_file() { Ok(metadata) } else { Err(FileError::NotRegular { path: path.to_owned() }) }
}

/// The path in a folder that leads to this file.
pub(crate) fn find(folder: &Path, identity: Identity) -> Option<PathBuf> {
    use std::os::unix::fs::DirEntryExt as _;
    let entries = folder.read_dir().ok()?.flatten().take(SEARCH_MAX);
    let mut likely = entries.filter(|entry| entry.ino() == identity.inode);
    let is_it = |path: &PathBuf| regular(path).is_ok_and(|metadata| Identity::of(&metadata) == identity);
    likely.find_map(|entry| Some(entry.path()).filter(is_it))
}
