//! A trail file as it comes in, in pieces of any size.

use super::block::{self, BlockError, Hash, Head, STORED_MAX_BYTES};
use super::decode::Records;
use super::file::{FILE_HEADER_BYTES, FileHeader, FileHeaderError};

/// What is kept of a file while it is read: the largest block, and as much again, so that bytes are moved rarely.
const BUFFER_BYTES: usize = 2 * STORED_MAX_BYTES;

/// How often, in one file, a place that looks like the beginning of a block may turn out to be none before the rest is given
/// up: each try costs the hash of a block, and a file could be made of nothing else.
const TRIES_MAX: u32 = 1024;

/// Reads one trail file. Takes 260 KiB whatever the file says.
///
/// ```text
/// loop {
///     match stream.step() {
///         Step::More => match file.read(stream.room())? { 0 => stream.end(), read => stream.filled(read) },
///         Step::Block(block) => …
///         Step::End { .. } => break,
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Stream {
    buffer: Vec<u8>,
    /// Bytes of the buffer that are used up.
    from: usize,
    /// Bytes of the buffer that are filled.
    to: usize,
    /// Where the buffer's first byte is in the file.
    base: u64,
    raw: Vec<u8>,
    state: State,
    /// The last block that was given.
    last: Option<Head>,
    /// Where in the file it ends, or the header if there is none yet.
    whole_to: u64,
    tries: u32,
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    Blocks,
    /// Behind damage: looking for the next block.
    Lost,
    /// There is nothing more to give.
    Over,
}

/// What comes next in a file.
#[derive(Debug)]
pub enum Step<'a> {
    /// More bytes are needed, or the word that there are none: [`Stream::end`].
    More,
    /// The file's header.
    Header(FileHeader),
    /// The file's header is none. Blocks may follow.
    BadHeader(FileHeaderError),
    /// A block that has the hash that it ends with. Whether it follows the one before is for the [`Verifier`](super::Verifier)
    /// to say.
    Block(Block<'a>),
    /// No block begins here, or it is damaged; the next step is the next block behind it that is whole.
    Damaged {
        /// Where in the file, in bytes.
        offset: u64,
        /// What was found.
        why: BlockError,
    },
    /// So much of the file is damaged that the rest of it was not looked at.
    GivenUp {
        /// Where that begins, in bytes.
        offset: u64,
    },
    /// The file is over.
    End {
        /// Where the last block ends, in bytes.
        offset: u64,
        /// How many bytes are behind that: what is there of a block that is being written, or was cut. 0 behind damage.
        left: usize,
    },
}

/// A block with its own right hash.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    /// Where it begins in its file, in bytes.
    pub offset: u64,
    /// Its length on disk, in bytes.
    pub length: u64,
    /// Its number and hash.
    pub head: Head,
    /// The hash of the block before, by its own account.
    pub previous: Hash,
    /// What it says. Decoding may fail even so: a hash says only that the bytes are those that were hashed.
    pub records: Records<'a>,
}

impl Default for Stream {
    fn default() -> Self {
        Self::new()
    }
}

impl Stream {
    /// At the beginning of a file.
    pub fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER_BYTES],
            from: 0,
            to: 0,
            base: 0,
            raw: Vec::new(),
            state: State::Header,
            last: None,
            whole_to: 0,
            tries: 0,
            ended: false,
        }
    }

    /// Where the file's next bytes are to be put; never empty after [`Step::More`].
    pub fn room(&mut self) -> &mut [u8] {
        if self.buffer.len() - self.to < STORED_MAX_BYTES {
            self.buffer.copy_within(self.from..self.to, 0);
            self.base += self.from as u64;
            self.to -= self.from;
            self.from = 0;
        }
        &mut self.buffer[self.to..]
    }

    /// So many bytes were put there.
    pub fn filled(&mut self, bytes: usize) {
        self.to = (self.to + bytes).min(self.buffer.len());
    }

    /// The file has no more bytes.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Forgets what came behind the last whole block: the file has changed, and what was there of a block may be another one
    /// now. Gives from where in the file, in bytes, it is to be read again.
    pub fn again(&mut self) -> u64 {
        if self.state == State::Over {
            return self.base + self.to as u64;
        }
        (self.base, self.from, self.to) = (self.whole_to, 0, 0);
        self.state = if self.whole_to == 0 { State::Header } else { State::Blocks };
        self.whole_to
    }

    /// The last block that was given, by its number and hash.
    pub fn last(&self) -> Option<Head> {
        self.last
    }

    /// What comes next.
    pub fn step(&mut self) -> Step<'_> {
        match self.state {
            State::Header => self.header(),
            State::Blocks => match self.block(self.from) {
                Ok(Some(found)) => self.give(found),
                Ok(None) if self.ended => self.last_step(),
                Ok(None) => Step::More,
                Err(why) => {
                    self.state = State::Lost;
                    Step::Damaged { offset: self.offset(), why }
                }
            },
            State::Lost => self.search(),
            State::Over => Step::End { offset: self.offset(), left: self.to - self.from },
        }
    }

    fn offset(&self) -> u64 {
        self.base + self.from as u64
    }

    fn header(&mut self) -> Step<'_> {
        let Some(bytes) = self.buffer[self.from..self.to].first_chunk::<FILE_HEADER_BYTES>() else {
            return if self.ended { self.over() } else { Step::More };
        };
        match FileHeader::decode(bytes) {
            Ok(header) => {
                self.from += FILE_HEADER_BYTES;
                self.whole_to = self.offset();
                self.state = State::Blocks;
                Step::Header(header)
            }
            Err(why) => {
                self.state = State::Lost;
                Step::BadHeader(why)
            }
        }
    }

    fn over(&mut self) -> Step<'_> {
        self.state = State::Over;
        Step::End { offset: self.offset(), left: self.to - self.from }
    }

    /// The file ends before the block that begins here does. If whole blocks stand behind its beginning, it was not the
    /// last one that was written: then its length was changed.
    fn last_step(&mut self) -> Step<'_> {
        let magic = memchr::memmem::find_iter(&self.buffer[self.from..self.to], &block::MAGIC).skip(1);
        let mut places = magic.take(TRIES_MAX as usize).map(|at| self.from + at);
        if places.any(|at| matches!(self.block(at), Ok(Some(_)))) {
            self.state = State::Lost;
            return Step::Damaged { offset: self.offset(), why: BlockError::Header("length") };
        }
        self.over()
    }

    /// The block that begins there; `None` if it is not here as a whole.
    fn block(&self, at: usize) -> Result<Option<(block::Header, Hash)>, BlockError> {
        let bytes = &self.buffer[at..self.to];
        let Some(header) = block::header(bytes)? else {
            return Ok(None);
        };
        let Some(whole) = bytes.get(..header.whole()) else {
            return Ok(None);
        };
        Ok(Some((header, block::hash(whole)?)))
    }

    fn give(&mut self, (header, hash): (block::Header, Hash)) -> Step<'_> {
        let (offset, length) = (self.offset(), header.whole());
        let whole = &self.buffer[self.from..self.from + length];
        let records = match block::records(&header, whole, &mut self.raw) {
            Ok(records) => records,
            Err(why) => {
                self.state = State::Lost;
                return Step::Damaged { offset, why };
            }
        };
        self.from += length;
        let head = Head { block: header.number, hash };
        self.state = State::Blocks;
        self.last = Some(head);
        self.whole_to = offset + length as u64;
        Step::Block(Block { offset, length: length as u64, head, previous: header.previous, records })
    }

    /// Goes on to the next place where a whole block is.
    fn search(&mut self) -> Step<'_> {
        loop {
            // Not at the place itself: it was looked at before.
            let ahead = self.buffer.get(self.from + 1..self.to).unwrap_or_default();
            let Some(found) = memchr::memmem::find(ahead, &block::MAGIC) else {
                if self.ended {
                    self.from = self.to;
                    return self.over();
                }
                // The last bytes may be the beginning of the word.
                self.from = self.to.saturating_sub(block::MAGIC.len()).max(self.from);
                return Step::More;
            };
            let at = self.from + 1 + found;
            match self.block(at) {
                Ok(Some(found)) => {
                    self.from = at;
                    return self.give(found);
                }
                Ok(None) if !self.ended => {
                    // To be looked at again when there is more: it begins one byte behind.
                    self.from = at - 1;
                    return Step::More;
                }
                _ => {
                    self.from = at;
                    self.tries += 1;
                }
            }
            if self.tries > TRIES_MAX {
                let offset = self.offset();
                self.from = self.to;
                self.state = State::Over;
                return Step::GivenUp { offset };
            }
        }
    }
}
