//! The folder of everything that outlives a run, held by one process at a time.

#![forbid(unsafe_code)]

use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// The file whose lock says who holds the folder.
const LOCK_FILE: &str = "lock";

/// Why the folder is not ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// Another process runs with it.
    #[error(
        "{} is held by another cardcage process; stop that one, or give this pipeline a `state_directory` of its own",
        .0.display()
    )]
    Held(PathBuf),
    /// It cannot be made or written.
    #[error("{}: {why}; `state_directory` must be a folder that this user can write", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// The folder, for as long as this value lives.
#[derive(Debug)]
pub(crate) struct StateDirectory {
    pub(crate) path: PathBuf,
    /// The lock goes with the descriptor.
    _lock: File,
}

impl StateDirectory {
    /// Makes the folder if need be, and takes hold of it.
    pub(crate) fn hold(path: &Path) -> Result<Self, StateError> {
        let io = |why: String| StateError::Io { path: path.to_owned(), why };
        std::fs::create_dir_all(path).map_err(|error| io(error.to_string()))?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let lock = options.open(path.join(LOCK_FILE)).map_err(|error| io(error.to_string()))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StateError::Held(path.to_owned())),
            Err(error) => Err(io(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        let first = StateDirectory::hold(&path).expect("free");
        assert!(matches!(StateDirectory::hold(&path), Err(StateError::Held(_))));
        drop(first);
        assert!(StateDirectory::hold(&path).is_ok());
    }

    #[test]
    fn a_file_in_its_place_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        std::fs::write(&path, "").expect("written");
        let error = StateDirectory::hold(&path).expect_err("no folder");
        assert!(error.to_string().contains("state"), "{error}");
    }
}
