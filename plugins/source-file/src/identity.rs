//! Which file a file is, whatever it is called now.

use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

/// How much of a file's start is remembered to know it again. Inodes are given again to other files, and device numbers
/// can change when a machine starts.
const FINGERPRINT_BYTES: usize = 1024;

/// What the system knows a file by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// The first bytes of a file, as far as they were read, in short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    /// Of how many bytes.
    len: u64,
    hash: u64,
}

impl Fingerprint {
    /// Of the first bytes of `file`, none of them behind `position`.
    pub(crate) fn take(file: &File, position: u64) -> io::Result<Self> {
        let len = position.min(FINGERPRINT_BYTES as u64);
        let mut start = [0; FINGERPRINT_BYTES];
        let start = &mut start[..usize::try_from(len).unwrap_or(0)];
        match file.read_exact_at(start, 0) {
            Ok(()) => Ok(Self { len, hash: hash(start) }),
            // Shorter by now: like no file that was read before.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Self { len, hash: 0 }),
            Err(error) => Err(error),
        }
    }

    /// Whether it would grow if it were taken now that the file was read to `position`.
    pub(crate) fn grows(self, position: u64) -> bool {
        self.len < position.min(FINGERPRINT_BYTES as u64)
    }

    /// Whether `file` begins as the one did of which this was taken. Always, if nothing was read.
    pub(crate) fn fits(self, file: &File) -> io::Result<bool> {
        Ok(self.len == 0 || Self::take(file, self.len)? == self)
    }

    /// Whether it is of as many bytes as one can be.
    pub(crate) fn is_whole(self) -> bool {
        self.len == FINGERPRINT_BYTES as u64
    }

    /// Whether anything is known.
    pub(crate) fn is_some(self) -> bool {
        self.len > 0
    }
}

/// FNV-1a: the same in every version of this plugin, which a hash of a library need not be.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}
