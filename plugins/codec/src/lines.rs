//! The window of a byte stream that is in memory: large reads, whole lines out, and lines that are too long skipped
//! without being held.

use std::io::{self, Read};

/// One read: large enough that a system call costs nothing a line, small enough to stay in the L2 cache.
const READ_BYTES: usize = 256 * 1024;
/// What is kept of a line that is too long: enough to know it again.
const RAW_KEPT_BYTES: usize = 256;

/// The bytes read of a stream and not yet taken.
///
/// ```text
/// loop { taken = reader.read(window.unread(), …); window.consume(taken.bytes);
///        out is full?  done.
///        window.refill(&mut file): End? reader.read(window.unread(), end: true, …), window.clear(), done.
///        while let Some(skipped) = window.skip_long_line() { rejections.add_skipped(…) } }
/// ```
pub struct Window {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    line_max: usize,
    /// Inside of a line that is too long.
    skipping: bool,
}

/// What a [`Window::refill`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// This many bytes more.
    More(u64),
    /// The stream's end.
    End,
}

/// A piece of a line that is too long, thrown away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The line's first bytes, if it began in this piece: it is rejected now.
    pub begun: Option<Box<[u8]>>,
    /// Whether it ended in this piece: one line more.
    pub ended: bool,
    /// How long the piece is.
    pub bytes: u64,
}

impl Window {
    /// An empty window for lines of at most `line_max` bytes, line end included.
    pub fn new(line_max: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, line_max, skipping: false }
    }

    /// What was read and not yet consumed.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Marks the first `len` unread bytes as taken.
    #[inline]
    pub fn consume(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
    }

    /// Forgets everything, for another stream or place.
    pub fn clear(&mut self) {
        (self.start, self.end, self.skipping) = (0, 0, false);
    }

    /// Whether it stands inside of a line that is too long: what comes up to the next line end is part of it.
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Goes on inside of a line that is too long, in a stream that was left there.
    pub fn resume_skipping(&mut self) {
        self.skipping = true;
    }

    /// One read behind what is unread, which is moved to the front; a call that was interrupted is made again. Call
    /// [`Window::skip_long_line`] afterwards, which bounds what is held.
    pub fn refill(&mut self, from: &mut impl Read) -> io::Result<Filled> {
        let room = self.room(READ_BYTES / 2);
        loop {
            match from.read(room) {
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

    /// Puts bytes that came by another way behind what is unread.
    pub fn append(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Throws away what is unread of a line that is too long; `None` if there is no such line, or no more of it.
    pub fn skip_long_line(&mut self) -> Option<Skipped> {
        let line_end = memchr::memchr(b'\n', self.unread());
        let is_start = !self.skipping;
        if self.unread().is_empty()
            || is_start && (line_end.is_some() || self.unread().len() <= self.line_max)
        {
            return None;
        }
        let len = line_end.map_or(self.unread().len(), |end| end + 1);
        let kept = len.min(RAW_KEPT_BYTES);
        let begun = is_start.then(|| self.unread()[..kept].into());
        self.consume(len);
        self.skipping = line_end.is_none();
        Some(Skipped { begun, ended: line_end.is_some(), bytes: len as u64 })
    }

    /// The free room behind what is unread, of at least `least` bytes.
    fn room(&mut self, least: usize) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() - self.end < least {
            // Only a line longer than half a window gets here, so this stops soon above line_max.
            let len = (self.end + least).next_power_of_two().max(READ_BYTES);
            self.bytes.resize(len, 0);
        }
        &mut self.bytes[self.end..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(line_max: usize, text: &[u8]) -> Window {
        let mut window = Window::new(line_max);
        window.append(text);
        window
    }

    #[test]
    fn a_line_that_outgrows_the_bound_is_thrown_away_as_it_comes() {
        let mut window = window(10, &[b'x'; 11]);
        let skipped = window.skip_long_line().unwrap();
        assert_eq!(
            (skipped.begun.as_deref(), skipped.ended, skipped.bytes),
            (Some(&[b'x'; 11][..]), false, 11)
        );
        assert!(window.is_skipping() && window.unread().is_empty());
        assert_eq!(window.skip_long_line(), None);
        window.append(b"yy");
        assert_eq!(window.skip_long_line(), Some(Skipped { begun: None, ended: false, bytes: 2 }));
        window.append(b"z\nnext\n");
        assert_eq!(window.skip_long_line(), Some(Skipped { begun: None, ended: true, bytes: 2 }));
        assert_eq!(window.skip_long_line(), None);
        assert_eq!(window.unread(), b"next\n");
    }

    #[test]
    fn what_is_unread_stays_when_more_comes() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        let (mut window, mut from, mut back) = (Window::new(100), &text[..], Vec::new());
        while window.refill(&mut from).unwrap() != Filled::End {
            let whole = window.unread().iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            back.extend_from_slice(&window.unread()[..whole]);
            window.consume(whole);
        }
        assert_eq!(back, text);
    }
}
