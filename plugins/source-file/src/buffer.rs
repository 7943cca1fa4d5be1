//! The window of a file that is in memory: large reads, whole lines out, and lines that are too long skipped without
//! being held.

use std::io::{self, Read};

/// One read: large enough that a system call costs nothing a line, small enough to stay in the L2 cache.
const READ_BYTES: usize = 256 * 1024;

/// The bytes read and not yet taken.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    line_max: usize,
    /// Inside of a line that is too long.
    skipping: bool,
}

/// What a [`Buffer::refill`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// This many bytes more.
    More(u64),
    /// The file's end.
    End,
}

/// A piece of a line that is too long, thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// Whether the line began in this piece.
    pub(crate) is_start: bool,
    /// Whether it ended in this piece.
    pub(crate) ended: bool,
    pub(crate) bytes: u64,
}

impl Buffer {
    /// An empty buffer for lines of at most `line_max` bytes, line end included.
    pub(crate) fn new(line_max: usize) -> Self {
        Self { bytes: vec![0; READ_BYTES], start: 0, end: 0, line_max, skipping: false }
    }

    /// What was read and not yet consumed.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Marks the first `len` unread bytes as taken.
    pub(crate) fn consume(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
    }

    /// Forgets everything, for another file or place.
    pub(crate) fn clear(&mut self) {
        (self.start, self.end, self.skipping) = (0, 0, false);
    }

    /// Reads more behind what is unread, which is less than a line.
    pub(crate) fn refill(&mut self, from: &mut impl Read) -> io::Result<Filled> {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == self.bytes.len() {
            // Only a line that is longer than the buffer gets here, so this stops at line_max.
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
        loop {
            match from.read(&mut self.bytes[self.end..]) {
                Ok(0) => return Ok(Filled::End),
                Ok(read) => {
                    self.end += read;
                    return Ok(Filled::More(read as u64));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Throws away what is unread of a line that is too long; `None` if there is no such line.
    pub(crate) fn skip_long_line(&mut self) -> Option<Skipped> {
        let line_end = memchr::memchr(b'\n', self.unread());
        let is_start = !self.skipping;
        if is_start && (line_end.is_some() || self.unread().len() <= self.line_max) {
            return None;
        }
        let len = line_end.map_or(self.unread().len(), |end| end + 1);
        self.consume(len);
        self.skipping = line_end.is_none();
        Some(Skipped { is_start, ended: line_end.is_some(), bytes: len as u64 })
    }
}
