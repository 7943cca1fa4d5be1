//! Files and folders as this sink uses them: the system's, or in tests some that fail and lose power on demand.

use crate::lock::{Holder, Lock, LockError};
use crate::packing::ReadAt;
use rustix::fs::{RenameFlags, renameat_with};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use thiserror::Error;

/// Why a file cannot be written.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("cannot make the folder `{path}`")]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot open `{path}` for writing")]
    Open { path: PathBuf, source: io::Error },
    #[error("`{path}` is a FIFO or socket; give the path of a file")]
    NotAFile { path: PathBuf },
    #[error(
        "`{path}` is no regular file, so it cannot be {what}; leave `{setting}` out or give the path of a file"
    )]
    NotRegular { path: PathBuf, what: &'static str, setting: &'static str },
    #[error("`{path}` is written by {holder} already; give each sink a path of its own")]
    Taken { path: PathBuf, holder: Holder },
    #[error("cannot look for what is whole in `{path}`; move it away, or give another path")]
    Tail { path: PathBuf, source: io::Error },
    #[error(
        "`{path}` begins with the columns `{found}`, and this sink writes `{written}`; give another path, or set \
         `columns` and `fields` to those of the file"
    )]
    OtherColumns { path: PathBuf, found: String, written: String },
    #[error("cannot compress what goes to `{path}`")]
    Pack { path: PathBuf, source: io::Error },
    #[error("cannot write {bytes} bytes to `{path}` (at byte {at})")]
    Write { path: PathBuf, at: u64, bytes: usize, source: io::Error },
    #[error(
        "cannot cut `{path}` back to {len} bytes, where its last whole part ends; it may hold more than was delivered"
    )]
    Cut { path: PathBuf, len: u64, source: io::Error },
    #[error("cannot make `{path}` safe on disk")]
    Sync { path: PathBuf, source: io::Error },
    #[error("cannot rename `{path}` to `{to}`")]
    Rename { path: PathBuf, to: PathBuf, source: io::Error },
}

/// A file that is open for appending.
pub(crate) trait Medium: ReadAt {
    /// How long it is.
    fn current_len(&self) -> io::Result<u64>;
    /// Writes all of it behind the end, or some of it and an error.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes it this long.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Waits until the disk has it.
    fn sync_data(&self) -> io::Result<()>;
    /// Whether it is what is at this path.
    fn is_at(&self, path: &Path) -> bool;
}

/// What opening gave.
pub(crate) struct Opened<M> {
    pub(crate) medium: M,
    pub(crate) len: u64,
    /// Devices such as `/dev/null` have no length and no disk.
    pub(crate) is_regular: bool,
    /// When it was made, UTC nanoseconds, where the file system knows.
    pub(crate) begun_ns: Option<i64>,
}

/// A file system.
pub(crate) trait Disk {
    type Medium: Medium;
    /// Opens or makes a file and the folders on its way. `safe` makes a new name survive a power cut.
    fn open(&self, path: &Path, safe: bool) -> Result<Opened<Self::Medium>, FileError>;
    /// Renames a file to a name that is free.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a file that is not open this long, if it is longer.
    fn cut(&self, path: &Path, len: u64) -> io::Result<()>;
    /// Waits until the disk has a folder's names.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// The names of the regular files in a folder.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;
}

/// The folder that a path is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The system's files, locked for one component.
pub(crate) struct System {
    /// The component's name, where the host tells.
    pub(crate) owner: Option<String>,
}

/// A file and its lock, which goes first.
pub(crate) struct LockedFile {
    _lock: Option<Lock>,
    file: File,
}

impl Disk for System {
    type Medium = LockedFile;

    fn open(&self, path: &Path, safe: bool) -> Result<Opened<LockedFile>, FileError> {
        let failed = |source| FileError::Open { path: path.to_owned(), source };
        make_folders(folder_of(path), safe)?;
        let existing = path.metadata().ok().map(|metadata| metadata.file_type());
        // Opening a FIFO would wait for a reader.
        if existing.is_some_and(|kind| kind.is_fifo() || kind.is_socket()) {
            return Err(FileError::NotAFile { path: path.to_owned() });
        }
        let file = OpenOptions::new().append(true).read(true).create(true).open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let lock = match metadata.is_file().then(|| Lock::take(&file, self.owner.as_deref())) {
            None => None,
            Some(Ok(lock)) => Some(lock),
            Some(Err(LockError::Io(source))) => return Err(failed(source)),
            Some(Err(LockError::Taken(holder))) => {
                return Err(FileError::Taken { path: path.to_owned(), holder });
            }
        };
        if safe && existing.is_none() {
            self.sync_folder(folder_of(path)).map_err(failed)?;
        }
        let made = metadata.created().or_else(|_| metadata.modified()).ok();
        let since_1970 = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        Ok(Opened {
            medium: LockedFile { _lock: lock, file },
            len: metadata.len(),
            is_regular: metadata.is_file(),
            begun_ns: since_1970.and_then(|since| i64::try_from(since.as_nanos()).ok()),
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            // Network file systems that cannot promise it; the name was free a moment ago.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => fs::rename(from, to),
            Err(error) => Err(error.into()),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn cut(&self, path: &Path, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        if file.metadata()?.len() > len { file.set_len(len) } else { Ok(()) }
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && entry.file_type().is_ok_and(|kind| kind.is_file())
            {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Makes a folder and those above it. `safe` makes the new names survive a power cut.
fn make_folders(folder: &Path, safe: bool) -> Result<(), FileError> {
    let failed = |source| FileError::Folder { path: folder.to_owned(), source };
    if folder.is_dir() {
        return Ok(());
    }
    let missing: Vec<&Path> = folder.ancestors().take_while(|above| !above.exists()).collect();
    fs::create_dir_all(folder).map_err(failed)?;
    for made in missing.into_iter().rev().filter(|_| safe) {
        File::open(folder_of(made)).and_then(|above| above.sync_all()).map_err(failed)?;
    }
    Ok(())
}

impl ReadAt for LockedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl Medium for LockedFile {
    fn current_len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn is_at(&self, path: &Path) -> bool {
        match (self.file.metadata(), path.metadata()) {
            (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
            // What cannot be told is left as it is; what is gone is not there.
            (_, Err(error)) => error.kind() != ErrorKind::NotFound,
            (Err(_), Ok(_)) => true,
        }
    }
}
