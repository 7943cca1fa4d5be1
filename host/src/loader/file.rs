//! Rung 1: is this a file that may be looked at, and if so, a private copy that nobody can change.
//!
//! The file is read exactly once. What later rungs check and what the dynamic linker maps are the same sealed bytes,
//! so replacing or overwriting the file meanwhile changes nothing. Nothing but a regular file is ever opened: opening
//! a FIFO would wait for its writer.

#![deny(unsafe_code)]

mod found;
mod sealed;
mod trust;

use super::elf;
use super::refusal::{Climbed, Refusal, Rung};
use cardcage_core::config::Permissions;
use found::Found;
use rustix::fs::OFlags;
use sealed::{Copied, NotCopied, Sealed};
use sha2::{Digest as _, Sha256};
use std::fs::Metadata;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

pub(crate) use trust::open_to_others;

/// The smallest file that could hold an ELF header.
const SMALLEST_BYTES: u64 = 64;
/// The largest plugin taken: plugins with full debug information stay below 100 MiB, and the copy is memory.
const LARGEST_BYTES: u64 = 256 * 1024 * 1024;

/// A plugin file's bytes, copied once into sealed memory.
#[derive(Debug)]
pub(crate) struct PrivateCopy {
    path: PathBuf,
    content: Sealed,
    /// Made where the copy is. The vetting child, which is handed one, does not need it.
    hash: Option<blake3::Hash>,
}

impl PrivateCopy {
    /// The file that was asked for.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The content, for the rungs that run no code.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.content.bytes()
    }

    /// The content's hash.
    pub(crate) fn hash(&self) -> blake3::Hash {
        self.hash.unwrap_or_else(|| blake3::hash(self.bytes()))
    }

    /// The sealed memory.
    pub(crate) fn memory(&self) -> BorrowedFd<'_> {
        self.content.memory()
    }

    /// Lets go of the bytes that the ELF and manifest rungs read; the sealed memory stays.
    pub(crate) fn release_bytes(&mut self) {
        self.content.look_away();
    }
}

/// Rung 1, its last part: where the pipeline lists trusted libraries (`plugins.trust.sha256`), this is one of them; no
/// list trusts all.
pub(crate) fn listed(copy: PrivateCopy, trust: &[String]) -> Climbed<PrivateCopy> {
    if trust.is_empty() {
        return Ok(copy);
    }
    let hash =
        Sha256::digest(copy.bytes()).iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
    if trust.contains(&hash) {
        return Ok(copy);
    }
    Err(Refusal::new(
        Rung::File,
        "not-listed",
        copy.path(),
        format!("SHA-256 {hash}"),
        "one of those that `plugins.trust.sha256` lists",
        "if this is the library that you want, add its hash to the list",
    ))
}

/// Whether a file was refused only for who could have put it there: what is in it can be looked at all the same.
pub(crate) fn is_mistrust(refusal: &Refusal) -> bool {
    trust::CODES.contains(&&*refusal.code)
}

/// Rung 1. `permissions` says whose files are trusted.
pub(crate) fn read(path: &Path, permissions: Permissions) -> Climbed<PrivateCopy> {
    let found = Found::at(path)?;
    let before = std::fs::symlink_metadata(&found.real).map_err(|error| unreadable(path, &error))?;
    regular_and_sane(path, &before)?;
    trust::check(path, &found, &before, permissions)?;
    let file = std::fs::OpenOptions::new()
        .read(true)
        // Should the path have become a link or a FIFO since, the open returns at once and is refused.
        .custom_flags(i32::try_from((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits()).unwrap_or(0))
        .open(&found.real)
        .map_err(|error| unreadable(path, &error))?;
    unchanged(path, &before, &file.metadata())?;
    let Copied { sealed, hash } =
        Sealed::copy(&file, before.len()).map_err(|why| not_copied(path, before.len(), &why))?;
    // Both the file that was read and the one that has its name now, or what was read may be half of each.
    unchanged(path, &before, &file.metadata())?;
    unchanged(path, &before, &std::fs::symlink_metadata(&found.real))?;
    Ok(PrivateCopy { path: path.to_owned(), content: sealed, hash: Some(hash) })
}

fn not_copied(path: &Path, len: u64, why: &NotCopied) -> Refusal {
    match why {
        NotCopied::Unreadable(error) => unreadable(path, error),
        NotCopied::Longer => {
            changed(path, &format!("it grew beyond its {len} bytes while it was being read"))
        }
        NotCopied::Shorter(read) => {
            changed(path, &format!("it ended after {read} of its {len} bytes while it was being read"))
        }
        NotCopied::NoMemory(error) => Refusal::new(
            Rung::File,
            "no-copy",
            path,
            format!("a private copy of {len} bytes could not be made: {error}"),
            "room in memory for the plugin's bytes",
            "look at the memory limits of this process, and whether the kernel allows memfd_create",
        ),
    }
}

/// The same file, with the same content, as far as its times and its size tell.
fn unchanged(path: &Path, before: &Metadata, now: &io::Result<Metadata>) -> Climbed<()> {
    let what = |meta: &Metadata| {
        (
            meta.dev(),
            meta.ino(),
            meta.file_type().is_file(),
            meta.len(),
            (meta.mtime(), meta.mtime_nsec()),
            (meta.ctime(), meta.ctime_nsec()),
        )
    };
    match now {
        Ok(now) if what(now) == what(before) => Ok(()),
        Ok(now) if (now.dev(), now.ino()) != (before.dev(), before.ino()) => {
            Err(changed(path, "another file took its place while it was being read"))
        }
        Ok(now) if now.len() != before.len() => {
            let found =
                format!("its size went from {} to {} bytes while it was being read", before.len(), now.len());
            Err(changed(path, &found))
        }
        Ok(_) => Err(changed(path, "it was written to while it was being read")),
        Err(error) => Err(changed(path, &format!("it went away while it was being read: {error}"))),
    }
}

/// The copy that a parent process sealed and handed down, for the vetting child. `path` is only for messages.
pub(crate) fn adopt(memory: OwnedFd, path: &Path) -> Climbed<PrivateCopy> {
    let content = Sealed::of(memory).map_err(|_| {
        Refusal::new(
            Rung::File,
            "unsealed",
            path,
            "a descriptor that is not sealed memory",
            "the sealed copy that the daemon makes",
            "run `cardcage plugin check FILE`; the vetting child is not for use by hand",
        )
    })?;
    let copy = PrivateCopy { path: path.to_owned(), content, hash: None };
    // Nothing of it has run yet, and nobody has seen these bytes pass before.
    elf::as_linked(&copy)?;
    Ok(copy)
}

fn regular_and_sane(path: &Path, meta: &Metadata) -> Climbed<()> {
    if !meta.file_type().is_file() {
        return Err(Refusal::new(
            Rung::File,
            "not-regular",
            path,
            format!("a {}", kind_of(meta)),
            "a regular file",
            "point at the plugin's .so file itself",
        ));
    }
    if !(SMALLEST_BYTES..=LARGEST_BYTES).contains(&meta.len()) {
        return Err(Refusal::new(
            Rung::File,
            "size",
            path,
            if meta.len() == 0 { "an empty file".to_owned() } else { format!("{} bytes", meta.len()) },
            format!("between {SMALLEST_BYTES} bytes and {} MiB", LARGEST_BYTES >> 20),
            "look whether the file was copied completely; strip debug information if it is too large",
        ));
    }
    Ok(())
}

fn kind_of(meta: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = meta.file_type();
    if kind.is_dir() {
        "folder"
    } else if kind.is_fifo() {
        "FIFO"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Refusal {
    Refusal::new(
        Rung::File,
        if error.kind() == io::ErrorKind::NotFound { "missing" } else { "unreadable" },
        path,
        error.to_string(),
        "a plugin file that this user can read",
        "look at the path, and at the rights of the file and its folders",
    )
}

fn changed(path: &Path, found: &str) -> Refusal {
    Refusal::new(
        Rung::File,
        "changed",
        path,
        found,
        "a file that nobody writes to",
        "put new plugins under another name and rename them into place",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn a_file_that_grows_or_shrinks_meanwhile_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder, "x", &[7; 100]);
        for (promised, found) in [(99, "grew beyond its 99 bytes"), (101, "ended after 100 of its 101 bytes")]
        {
            let why = Sealed::copy(File::open(&path).unwrap(), promised).map(|_| ()).unwrap_err();
            let refusal = not_copied(&path, promised, &why);
            assert_eq!(&*refusal.code, "ladder.file.changed");
            assert!(refusal.found.contains(found), "{refusal}");
        }
        let whole = Sealed::copy(File::open(&path).unwrap(), 100).map_err(drop).unwrap();
        assert_eq!(whole.sealed.bytes(), [7; 100]);
    }

    #[test]
    fn a_file_that_is_written_to_replaced_or_removed_meanwhile_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder, "x", &[7; 100]);
        let before = std::fs::symlink_metadata(&path).unwrap();
        let now = || std::fs::symlink_metadata(&path);
        unchanged(&path, &before, &now()).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        let said = |now: &io::Result<Metadata>| unchanged(&path, &before, now).unwrap_err().found.to_string();
        assert!(said(&now()).contains("written to"), "{}", said(&now()));
        std::fs::write(&path, [7; 120]).unwrap();
        assert!(said(&now()).contains("from 100 to 120 bytes"), "{}", said(&now()));
        let other = file(&folder, "y", &[7; 100]);
        std::fs::rename(&other, &path).unwrap();
        assert!(said(&now()).contains("another file"), "{}", said(&now()));
        std::fs::remove_file(&path).unwrap();
        assert!(said(&now()).contains("went away"), "{}", said(&now()));
    }
}
