//! A file's content in memory that nobody can change, and a look at it.
//!
//! Whoever holds the descriptor can map these bytes and nobody can write to them, cut them off or make them longer. So
//! they are looked at where they are: no second copy is made of a plugin, here or in the vetting child.
//! One of the files with unsafe code: the mapping.

#![expect(unsafe_code, reason = "maps sealed memory to look at it")]

use rustix::fs::{MemfdFlags, SealFlags, Stat};
use rustix::mm::{MapFlags, ProtFlags};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

/// What is copied and hashed at a time: it stays in the processor's second cache from the one to the other, and is small
/// enough for the allocator to hand out again for the next file.
const PIECE_BYTES: usize = 64 * 1024;

/// Sealed memory.
#[derive(Debug)]
pub(super) struct Sealed {
    memory: OwnedFd,
    len: usize,
    /// Absent while nobody looks.
    view: Option<View>,
}

/// What was copied, and its hash.
pub(super) struct Copied {
    /// The copy.
    pub(super) sealed: Sealed,
    /// BLAKE3 of its bytes.
    pub(super) hash: blake3::Hash,
}

/// Why there is no copy.
#[derive(Debug)]
pub(super) enum NotCopied {
    /// The file could not be read.
    Unreadable(io::Error),
    /// There are more bytes than were asked for.
    Longer,
    /// There are only so many.
    Shorter(u64),
    /// The memory could not be had.
    NoMemory(io::Error),
}

impl Sealed {
    /// Copies `len` bytes, which must be all that there are.
    pub(super) fn copy(mut file: impl Read, len: u64) -> Result<Copied, NotCopied> {
        let mut memory = File::from(anonymous().map_err(NotCopied::NoMemory)?);
        let mut hasher = blake3::Hasher::new();
        let mut piece = vec![0; PIECE_BYTES.min(usize::try_from(len).unwrap_or(PIECE_BYTES) + 1)];
        let mut copied = 0;
        loop {
            let read = match file.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(NotCopied::Unreadable(error)),
            };
            copied += read as u64;
            if copied > len {
                return Err(NotCopied::Longer);
            }
            hasher.update(&piece[..read]);
            memory.write_all(&piece[..read]).map_err(NotCopied::NoMemory)?;
        }
        if copied < len {
            return Err(NotCopied::Shorter(copied));
        }
        rustix::fs::fcntl_add_seals(&memory, SEALS).map_err(|error| NotCopied::NoMemory(error.into()))?;
        let sealed = Self::of(memory.into()).map_err(NotCopied::NoMemory)?;
        if sealed.len as u64 == len {
            return Ok(Copied { sealed, hash: hasher.finalize() });
        }
        Err(NotCopied::NoMemory(io::Error::other("the copy has another length than the file")))
    }

    /// Memory that was sealed elsewhere; an error if it is not.
    pub(super) fn of(memory: OwnedFd) -> io::Result<Self> {
        if !rustix::fs::fcntl_get_seals(&memory)?.contains(SEALS) {
            return Err(io::Error::other("not sealed"));
        }
        let Stat { st_size, .. } = rustix::fs::fstat(&memory)?;
        let len = usize::try_from(st_size).map_err(io::Error::other)?;
        let view = View::of(&memory, len)?;
        Ok(Self { memory, len, view: Some(view) })
    }

    /// The content; nothing after [`Self::look_away`].
    pub(super) fn bytes(&self) -> &[u8] {
        self.view.as_ref().map_or(&[], View::bytes)
    }

    /// Gives the mapping up; the memory stays.
    pub(super) fn look_away(&mut self) {
        self.view = None;
    }

    /// The memory itself.
    pub(super) fn memory(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

fn anonymous() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels from 6.3 on want to be told that it will be mapped executable; older ones don't know the flag.
    let memory = rustix::fs::memfd_create("cardcage-plugin", flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create("cardcage-plugin", flags))?;
    Ok(memory)
}

/// A mapping of all of it, for reading.
#[derive(Debug)]
struct View {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the bytes behind the pointer are never written, and unmapped only by `drop`, which nobody shares.
unsafe impl Send for View {}
// SAFETY: as above; all that can be done through a shared reference is reading.
unsafe impl Sync for View {}

impl View {
    fn of(memory: &OwnedFd, len: usize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address that the kernel chooses: nothing that is there already is touched.
        let start = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::PRIVATE, memory, 0)
        }?;
        let start = NonNull::new(start.cast::<u8>()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(Self { start, len })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes are mapped from `start` on, until this is dropped, which the borrow keeps off. The memory has
        // that many (its length was asked for when it was sealed against shrinking), and is sealed against writing.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: the whole of our own mapping; slices of it borrow from this.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_all_there_is_with_its_hash() {
        for len in [1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 7] {
            let bytes: Vec<u8> = (0_u8..251).cycle().take(len).collect();
            let Copied { mut sealed, hash } = Sealed::copy(&bytes[..], len as u64).unwrap();
            assert_eq!((sealed.bytes(), hash), (&bytes[..], blake3::hash(&bytes)));
            sealed.look_away();
            assert!(sealed.bytes().is_empty());
            assert_eq!(Sealed::of(sealed.memory().try_clone_to_owned().unwrap()).unwrap().bytes(), bytes);
        }
    }

    #[test]
    fn more_or_less_than_was_promised_is_no_copy() {
        let bytes = vec![7; PIECE_BYTES * 2];
        for (promised, copied) in [(1, "Longer"), (bytes.len() - 1, "Longer"), (bytes.len() + 1, "Shorter")] {
            let error = Sealed::copy(&bytes[..], promised as u64).map(|_| ()).unwrap_err();
            assert!(format!("{error:?}").starts_with(copied), "{promised}: {error:?}");
        }
    }

    #[test]
    fn the_copy_cannot_be_written_to_and_what_is_not_sealed_is_not_taken() {
        let Copied { sealed, .. } = Sealed::copy(&[7; 100][..], 100).unwrap();
        let memory = sealed.memory().try_clone_to_owned().unwrap();
        assert!(File::from(memory).write_all(b"x").is_err());
        assert!(Sealed::of(anonymous().unwrap()).is_err());
        assert!(Sealed::of(tempfile::tempfile().unwrap().into()).is_err());
    }
}
