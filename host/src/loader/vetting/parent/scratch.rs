//! The folder in which a vetting child may write, gone when the child is.
//!
//! Also if a signal ends the daemon meanwhile: then nothing is dropped, so what there is by then is known by its path.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// Those of this process: one for each child that runs.
static HELD: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A folder; without one only those components fail that keep state.
#[derive(Debug)]
pub(super) struct Scratch(Option<TempDir>);

impl Scratch {
    /// A new one.
    pub(super) fn new() -> Self {
        // Locked from before it is made: whoever removes all of them either comes first or sees it.
        let mut held = held();
        let folder = tempfile::Builder::new().prefix("cardcage-vetting-").tempdir().ok();
        held.extend(folder.iter().map(|folder| folder.path().to_owned()));
        Self(folder)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new("/nonexistent"), TempDir::path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = self.0.take() {
            let path = folder.path().to_owned();
            drop(folder);
            held().retain(|known| *known != path);
        }
    }
}

/// Removes all of them: the process ends now. Whoever makes another one waits until it has ended.
pub(crate) fn remove_all() {
    let held = held();
    for folder in held.iter() {
        // It may be gone by now.
        let _ = std::fs::remove_dir_all(folder);
    }
    std::mem::forget(held);
}

fn held() -> MutexGuard<'static, Vec<PathBuf>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}
