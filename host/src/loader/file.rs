//! Rung 1: is this a file that may be looked at, and if so, a private copy that nobody can change.
//!
//! The file is read exactly once. What later rungs check and what the dynamic linker maps are the same sealed bytes,
//! so replacing or overwriting the file meanwhile changes nothing. Nothing but a regular file is ever opened: opening
//! a FIFO would wait for its writer.

#![forbid(unsafe_code)]

use super::refusal::{Climbed, Refusal, Rung};
use rustix::fs::{MemfdFlags, OFlags, SealFlags, Stat};
use sha2::{Digest as _, Sha256};
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The smallest file that could hold an ELF header.
const SMALLEST_BYTES: u64 = 64;
/// The largest plugin taken: plugins with full debug information stay below 100 MiB, and the copy is memory.
const LARGEST_BYTES: u64 = 256 * 1024 * 1024;

const WRITABLE_BY_GROUP: u32 = 0o020;
const WRITABLE_BY_OTHERS: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// A plugin file's bytes, copied once into sealed memory.
#[derive(Debug)]
pub(crate) struct PrivateCopy {
    path: PathBuf,
    memory: OwnedFd,
    bytes: Vec<u8>,
    hash: blake3::Hash,
}

impl PrivateCopy {
    /// The file that was asked for.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The content, for the rungs that run no code.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The content's hash.
    pub(crate) fn hash(&self) -> blake3::Hash {
        self.hash
    }

    /// The sealed memory.
    pub(crate) fn memory(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }

    /// Lets go of the bytes that the ELF and manifest rungs read; the sealed memory stays.
    pub(crate) fn release_bytes(&mut self) {
        self.bytes = Vec::new();
    }
}

/// Rung 1, its last part: where the pipeline lists trusted libraries (`plugins.trust.sha256`), this is one of them. An
/// empty list trusts all.
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

/// Rung 1.
pub(crate) fn read(path: &Path) -> Climbed<PrivateCopy> {
    let before = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    regular_and_sane(path, &before)?;
    trusted(path, &before)?;
    let file = std::fs::OpenOptions::new()
        .read(true)
        // Should the path have become a FIFO since, the open returns at once and the check below refuses it.
        .custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0))
        .open(path)
        .map_err(|error| unreadable(path, &error))?;
    let now = file.metadata().map_err(|error| unreadable(path, &error))?;
    if (now.dev(), now.ino()) != (before.dev(), before.ino()) {
        return Err(changed(path));
    }
    regular_and_sane(path, &now)?;
    let bytes = read_all(path, &file, now.len())?;
    let memory = sealed(&bytes).map_err(|error| {
        Refusal::new(
            Rung::File,
            "no-copy",
            path,
            format!("a private copy could not be made: {error}"),
            "room in memory for the plugin's bytes",
            "look at the memory limits of this process, and whether the kernel allows memfd_create",
        )
    })?;
    Ok(PrivateCopy { path: path.to_owned(), hash: blake3::hash(&bytes), memory, bytes })
}

/// The copy that a parent process sealed and handed down, for the vetting child. `path` is only for messages.
pub(crate) fn adopt(memory: OwnedFd, path: &Path) -> Climbed<PrivateCopy> {
    let mut file = File::from(memory);
    let sealed = rustix::fs::fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(seals_of_a_copy()));
    if !sealed {
        return Err(Refusal::new(
            Rung::File,
            "unsealed",
            path,
            "a descriptor that is not sealed memory",
            "the sealed copy that the daemon makes",
            "run `cardcage plugin check FILE`; the vetting child is not for use by hand",
        ));
    }
    let mut bytes = Vec::new();
    io::Seek::rewind(&mut file)
        .and_then(|()| (&file).take(LARGEST_BYTES).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    Ok(PrivateCopy { path: path.to_owned(), hash: blake3::hash(&bytes), memory: file.into(), bytes })
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
            format!("{} bytes", meta.len()),
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

/// Whoever can write the file or its folder can run code in the daemon, so both must belong to root or to the user
/// that the daemon runs as, and nobody else may write them. The owner's private group (same number as the user) may.
fn trusted(path: &Path, meta: &Metadata) -> Climbed<()> {
    owned_and_closed(path, path, meta, "file")?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let meta = std::fs::metadata(folder).map_err(|error| unreadable(path, &error))?;
    // In a sticky folder (such as /tmp) only a file's owner can replace it.
    if meta.mode() & STICKY != 0 {
        return Ok(());
    }
    owned_and_closed(path, folder, &meta, "folder")
}

fn owned_and_closed(file: &Path, path: &Path, meta: &Metadata, what: &str) -> Climbed<()> {
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != 0 && meta.uid() != me {
        return Err(Refusal::new(
            Rung::File,
            "owner",
            file,
            format!("the {what} {} belongs to user {}", path.display(), meta.uid()),
            format!("root or the user that Cardcage runs as ({me})"),
            format!("chown {me} {}", path.display()),
        ));
    }
    let foreign_group = meta.gid() != 0 && meta.gid() != meta.uid();
    let writable =
        meta.mode() & WRITABLE_BY_OTHERS != 0 || meta.mode() & WRITABLE_BY_GROUP != 0 && foreign_group;
    if writable {
        return Err(Refusal::new(
            Rung::File,
            "writable",
            file,
            format!(
                "the {what} {} has mode {:03o}, group {}",
                path.display(),
                meta.mode() & 0o777,
                meta.gid()
            ),
            "writable by its owner only (and the owner's private group)",
            format!("chmod go-w {}", path.display()),
        ));
    }
    Ok(())
}

fn read_all(path: &Path, file: &File, len: u64) -> Climbed<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    // One more than there should be, to see a file that grows.
    file.take(len + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 == len { Ok(bytes) } else { Err(changed(path)) }
}

fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels from 6.3 on want to be told that it will be mapped executable; older ones don't know the flag.
    let memory = rustix::fs::memfd_create("cardcage-plugin", flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create("cardcage-plugin", flags))?;
    let mut file = File::from(memory);
    file.write_all(bytes)?;
    rustix::fs::fcntl_add_seals(&file, seals_of_a_copy())?;
    let Stat { st_size, .. } = rustix::fs::fstat(&file)?;
    if usize::try_from(st_size) != Ok(bytes.len()) {
        return Err(io::Error::other("the copy has another length than the file"));
    }
    Ok(file.into())
}

fn seals_of_a_copy() -> SealFlags {
    SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE
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

fn changed(path: &Path) -> Refusal {
    Refusal::new(
        Rung::File,
        "changed",
        path,
        "the file changed while it was being read",
        "a file that nobody writes to",
        "put new plugins under another name and rename them into place",
    )
}
