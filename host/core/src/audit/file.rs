//! Files of a trail: their names, and what they begin with.

use super::block::{Hash, Head};

/// What a file begins with.
pub const FILE_HEADER_BYTES: usize = 72;
/// The first bytes of a trail file: what it is, for whoever looks at it.
const MAGIC: [u8; 16] = *b"cardcage trail\n\0";
/// The version of the format.
const VERSION: u32 = 1;
/// What all names end with.
const ENDING: &str = ".trail";

/// The name of a trail file: `00000012.trail`. Names sort as the files follow each other, up to a hundred million.
pub fn file_name(number: u64) -> String {
    format!("{number:08}{ENDING}")
}

/// The number of the trail file with this name; `None` if it is none.
pub fn file_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(ENDING)?.parse().ok()?;
    // No other way to write it: two names for one file would be a way to hide one.
    (file_name(number) == name).then_some(number)
}

/// What stands between the name of a trail file and a number in the name of what was set aside of it.
pub const ASIDE: &str = ".damaged-";

/// What was set aside under this name: the number of the trail file that it was, or was the end of, and how many of that had
/// been set aside by then. `None` if it is no such name.
pub fn aside_of(name: &str) -> Option<(u64, u64)> {
    let (file, count) = name.split_once(ASIDE)?;
    Some((file_number(file)?, count.parse().ok()?))
}

/// What a trail file begins with. Everything in it also stands in the first block, where the chain holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// The file's number; the first one of a chain need not be 1.
    pub number: u64,
    /// The head of the chain before this file; [`Head::NONE`] if it begins here.
    pub after: Head,
}

/// Why bytes are not the beginning of a trail file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileHeaderError {
    /// It does not begin as one.
    #[error("this is not a trail file")]
    NoTrail,
    /// Of a version that this program does not know.
    #[error("the file has version {0} of the format; this program knows version {VERSION}")]
    Version(u32),
    /// It says what cannot be.
    #[error("the file's header is damaged: its {0} cannot be")]
    Damaged(&'static str),
}

impl FileHeader {
    /// Its bytes.
    pub fn encode(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        bytes[..16].copy_from_slice(&MAGIC);
        bytes[16..20].copy_from_slice(&VERSION.to_le_bytes());
        // Four bytes are reserved and zero.
        bytes[24..32].copy_from_slice(&self.number.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.after.block.to_le_bytes());
        bytes[40..].copy_from_slice(&self.after.hash.0);
        bytes
    }

    /// From its bytes.
    ///
    /// # Errors
    /// If they are not those of a header.
    pub fn decode(bytes: &[u8; FILE_HEADER_BYTES]) -> Result<Self, FileHeaderError> {
        if bytes[..16] != MAGIC {
            return Err(FileHeaderError::NoTrail);
        }
        let long = |at: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(number)
        };
        let version = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
        if version != VERSION {
            return Err(FileHeaderError::Version(version));
        }
        if bytes[20..24] != [0; 4] {
            return Err(FileHeaderError::Damaged("reserved field"));
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(&bytes[40..]);
        let after = Head { block: long(32), hash: Hash(hash) };
        if (after.block == 0) != (after.hash == Hash::NONE) {
            return Err(FileHeaderError::Damaged("hash of the block before"));
        }
        Ok(Self { number: long(24), after })
    }
}
