//! Blocks: records in one piece, compressed, with the hash of the block before.
//!
//! On disk: a header of 64 bytes, the body, and the BLAKE3 hash of both (32 bytes). All numbers are little-endian.

use super::decode::Records;
use super::encode;
use super::record::{Entry, Record};
use std::fmt;
use std::str::FromStr;

/// The most bytes of records in a block, before they are compressed.
pub const BLOCK_MAX_BYTES: usize = 64 * 1024;
/// The most bytes of a block on disk: what would not get smaller is stored as it is.
pub const STORED_MAX_BYTES: usize = BLOCK_HEADER_BYTES + BLOCK_MAX_BYTES + HASH_BYTES;
/// The header of a block.
pub(super) const BLOCK_HEADER_BYTES: usize = 64;
/// A hash.
const HASH_BYTES: usize = 32;
/// What each block begins with.
pub(super) const MAGIC: [u8; 4] = *b"blk\n";
/// What the hash is of, so that no other hash of ours can be taken for one of a block.
const CONTEXT: &str = "cardcage audit trail, version 1, block";

/// The BLAKE3 hash of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; HASH_BYTES]);

impl Hash {
    /// What the first block of a chain has in place of the hash of the block before.
    pub const NONE: Self = Self([0; HASH_BYTES]);
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Text that is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hex digits, as in the log line `audit head`")]
pub struct NoHash;

impl FromStr for Hash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        let digits = text.as_bytes();
        let mut hash = [0; HASH_BYTES];
        if digits.len() != 2 * HASH_BYTES {
            return Err(NoHash);
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(NoHash);
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).map_err(|_| NoHash)?;
        }
        Ok(Self(hash))
    }
}

/// The end of a chain: who knows it can tell whether anything before it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last block; the first one has the number 1.
    pub block: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// The head of a chain without any block.
    pub const NONE: Self = Self { block: 0, hash: Hash::NONE };
}

/// `HASH block NUMBER`, as the log has it.
impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} block {}", self.hash, self.block)
    }
}

/// There is no room for a record in this block: [finish](BlockBuilder::finish) it and push the record again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the block is full")]
pub struct Full;

/// A block that is being filled. Its memory is taken once and used for one block after the other.
#[derive(Debug)]
pub struct BlockBuilder {
    raw: Vec<u8>,
    records: u32,
    time_ns: i64,
    stored: Vec<u8>,
}

/// A finished block, as it is written to disk.
#[derive(Clone, Copy, Debug)]
pub struct SealedBlock<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// The head of the chain that ends with it.
    pub head: Head,
    /// The bytes of its records before they were compressed.
    pub raw_bytes: usize,
}

impl Default for BlockBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BlockBuilder {
    /// An empty block. Takes 150 KiB, and no more later.
    pub fn new() -> Self {
        let room = lz4_flex::block::get_maximum_output_size(BLOCK_MAX_BYTES);
        Self {
            // A record is written to the end before it is known to fit.
            raw: Vec::with_capacity(BLOCK_MAX_BYTES + RECORD_MAX_BYTES),
            records: 0,
            time_ns: 0,
            stored: Vec::with_capacity(BLOCK_HEADER_BYTES + room + HASH_BYTES),
        }
    }

    /// Whether there is no record in it.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// How many records are in it.
    pub fn len(&self) -> u32 {
        self.records
    }

    /// Bytes of the records in it, before they are compressed.
    pub fn raw_bytes(&self) -> usize {
        self.raw.len()
    }

    /// Puts a record behind those that are there.
    ///
    /// # Errors
    /// If it does not fit; the block is then as it was before. A record fits into an empty block always.
    pub fn push(&mut self, record: &Record) -> Result<(), Full> {
        self.put(|raw, time_ns| encode::record(raw, time_ns, record))
    }

    /// As [`BlockBuilder::push`], for the records that are most of them.
    ///
    /// # Errors
    /// As there.
    pub fn push_entry(&mut self, entry: &Entry) -> Result<(), Full> {
        self.put(|raw, time_ns| encode::entry(raw, time_ns, entry))
    }

    fn put(&mut self, encode: impl FnOnce(&mut Vec<u8>, &mut i64)) -> Result<(), Full> {
        let (before, time_ns) = (self.raw.len(), self.time_ns);
        encode(&mut self.raw, &mut self.time_ns);
        if self.raw.len() > BLOCK_MAX_BYTES {
            self.raw.truncate(before);
            self.time_ns = time_ns;
            return Err(Full);
        }
        self.records += 1;
        Ok(())
    }

    /// The block that follows `after`, with everything that was pushed; what is pushed next is for the one behind.
    pub fn finish(&mut self, after: Head) -> SealedBlock<'_> {
        let number = after.block + 1;
        let raw_bytes = self.raw.len();
        let room = lz4_flex::block::get_maximum_output_size(raw_bytes);
        self.stored.clear();
        self.stored.resize(BLOCK_HEADER_BYTES + room, 0);
        let body = &mut self.stored[BLOCK_HEADER_BYTES..];
        let form = match lz4_flex::block::compress_into(&self.raw, body) {
            Ok(length) if length < raw_bytes => {
                self.stored.truncate(BLOCK_HEADER_BYTES + length);
                Form::Lz4
            }
            // There is room for the worst case, so that it is not for a lack of it.
            _ => {
                self.stored.truncate(BLOCK_HEADER_BYTES);
                self.stored.extend_from_slice(&self.raw);
                Form::Plain
            }
        };
        let header = Header {
            form,
            stored: self.stored.len() - BLOCK_HEADER_BYTES,
            raw: raw_bytes,
            records: self.records,
            number,
            previous: after.hash,
        };
        self.stored[..BLOCK_HEADER_BYTES].copy_from_slice(&header.encode());
        let hash = hash_of(&self.stored);
        self.stored.extend_from_slice(&hash.0);
        self.raw.clear();
        (self.records, self.time_ns) = (0, 0);
        SealedBlock { bytes: &self.stored, head: Head { block: number, hash }, raw_bytes }
    }
}

/// Above the largest record: a declaration with four texts and its bounds.
const RECORD_MAX_BYTES: usize = 8 * 1024;

/// How a body is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Lz4,
}

/// What a block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    form: Form,
    /// Bytes of the body.
    stored: usize,
    /// Bytes of the records in it.
    raw: usize,
    records: u32,
    pub(super) number: u64,
    pub(super) previous: Hash,
}

/// Why bytes are no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// They don't begin as one.
    #[error("no block begins here")]
    NoBlock,
    /// The header says what cannot be.
    #[error("the block's header is damaged: its {0} cannot be")]
    Header(&'static str),
    /// The hash at its end is not that of its bytes.
    #[error("the block was changed: its bytes don't have the hash that it ends with")]
    Hash,
    /// The body cannot be decompressed to what the header says.
    #[error("the block has the right hash, and a body that cannot be decompressed")]
    Body,
}

impl Header {
    fn encode(&self) -> [u8; BLOCK_HEADER_BYTES] {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        let form = match self.form {
            Form::Plain => 0,
            Form::Lz4 => 1,
        };
        // Neither length is above `BLOCK_MAX_BYTES`.
        #[expect(clippy::cast_possible_truncation, reason = "at most 64 KiB")]
        let words = [form, self.stored as u32, self.raw as u32, self.records, 0];
        bytes[..4].copy_from_slice(&MAGIC);
        for (place, word) in bytes[4..24].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes[24..32].copy_from_slice(&self.number.to_le_bytes());
        bytes[32..].copy_from_slice(&self.previous.0);
        bytes
    }

    fn decode(bytes: &[u8; BLOCK_HEADER_BYTES]) -> Result<Self, BlockError> {
        if bytes[..4] != MAGIC {
            return Err(BlockError::NoBlock);
        }
        let word = |index: usize| {
            let at = 4 + 4 * index;
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let form = match word(0) {
            0 => Form::Plain,
            1 => Form::Lz4,
            _ => return Err(BlockError::Header("form")),
        };
        let length = |word: u32, what| {
            let length = usize::try_from(word).unwrap_or(usize::MAX);
            if length > BLOCK_MAX_BYTES { Err(BlockError::Header(what)) } else { Ok(length) }
        };
        let (stored, raw) = (length(word(1), "length")?, length(word(2), "length")?);
        if raw < stored || (form == Form::Plain && raw != stored) {
            return Err(BlockError::Header("length"));
        }
        if word(4) != 0 {
            return Err(BlockError::Header("reserved field"));
        }
        let (mut number, mut previous) = ([0; 8], [0; HASH_BYTES]);
        number.copy_from_slice(&bytes[24..32]);
        previous.copy_from_slice(&bytes[32..]);
        let number = u64::from_le_bytes(number);
        if number == 0 {
            return Err(BlockError::Header("number"));
        }
        Ok(Self { form, stored, raw, records: word(3), number, previous: Hash(previous) })
    }

    /// Bytes of the whole block on disk.
    pub(super) fn whole(&self) -> usize {
        BLOCK_HEADER_BYTES + self.stored + HASH_BYTES
    }
}

/// The header of the block that begins with these bytes; `None` if there are too few of them to tell.
pub(super) fn header(bytes: &[u8]) -> Result<Option<Header>, BlockError> {
    let seen = bytes.len().min(MAGIC.len());
    if bytes[..seen] != MAGIC[..seen] {
        return Err(BlockError::NoBlock);
    }
    bytes.first_chunk().map(Header::decode).transpose()
}

/// The hash of a block, if it is the one that the block ends with.
pub(super) fn hash(whole: &[u8]) -> Result<Hash, BlockError> {
    let (rest, stated) = whole.split_last_chunk().ok_or(BlockError::Hash)?;
    let hash = hash_of(rest);
    if hash.0 == *stated { Ok(hash) } else { Err(BlockError::Hash) }
}

/// Writes the records' bytes to `raw` and gives the records. `whole` is as long as its header says.
pub(super) fn records<'a>(
    header: &Header,
    whole: &[u8],
    raw: &'a mut Vec<u8>,
) -> Result<Records<'a>, BlockError> {
    let body = whole.get(BLOCK_HEADER_BYTES..BLOCK_HEADER_BYTES + header.stored).ok_or(BlockError::Body)?;
    raw.clear();
    match header.form {
        Form::Plain => raw.extend_from_slice(body),
        Form::Lz4 => {
            raw.resize(header.raw, 0);
            let length = lz4_flex::block::decompress_into(body, raw).map_err(|_| BlockError::Body)?;
            if length != header.raw {
                return Err(BlockError::Body);
            }
        }
    }
    Ok(Records::new(raw, header.records))
}

fn hash_of(bytes: &[u8]) -> Hash {
    Hash(*blake3::Hasher::new_derive_key(CONTEXT).update(bytes).finalize().as_bytes())
}
