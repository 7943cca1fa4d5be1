//! How far each file was read: what a checkpoint keeps.

use cardcage_plugin_api::serde_json;
use cardcage_plugin_api::{PluginError, tracing};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The newest version of the state.
pub(crate) const VERSION: u32 = 1;

/// How far one file was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileProgress {
    pub(crate) path: PathBuf,
    /// The byte behind the last line taken.
    pub(crate) position: u64,
    /// Lines taken.
    pub(crate) line: u64,
}

/// How far all files were read. The index of a file is its stream.
pub(crate) struct Progress {
    files: Vec<FileProgress>,
    current: usize,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    files: Vec<FileProgress>,
}

impl Progress {
    /// Nothing read of any file.
    pub(crate) fn new(paths: &[PathBuf]) -> Self {
        let start = |path: &PathBuf| FileProgress { path: path.clone(), position: 0, line: 0 };
        Self { files: paths.iter().map(start).collect(), current: 0 }
    }

    /// The index of the file being read; `None` when all are finished.
    pub(crate) fn current(&self) -> Option<usize> {
        (self.current < self.files.len()).then_some(self.current)
    }

    /// The file being read, or the last one.
    pub(crate) fn file(&mut self) -> &mut FileProgress {
        let last = self.files.len() - 1;
        &mut self.files[self.current.min(last)]
    }

    /// Goes on to the next file.
    pub(crate) fn finish(&mut self) {
        self.current += 1;
    }

    pub(crate) fn snapshot(&self, version: u32) -> Result<Vec<u8>, PluginError> {
        if version != VERSION {
            return Err(PluginError::new(format!("state version {version} is not written; {VERSION} is")));
        }
        Ok(serde_json::to_vec(&Saved { files: self.files.clone() })?)
    }

    /// Takes up the positions of the files that are still named; others start at their beginning.
    pub(crate) fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), PluginError> {
        if version != VERSION {
            return Err(PluginError::new(format!("state version {version} is not known; {VERSION} is")));
        }
        let saved: Saved = serde_json::from_slice(state)?;
        for file in &mut self.files {
            if let Some(earlier) = saved.files.iter().find(|earlier| earlier.path == file.path) {
                file.clone_from(earlier);
            }
        }
        self.current = 0;
        if self.files.iter().all(|file| is_read(&file.path, file.position)) {
            tracing::info!("nothing new since the checkpoint: every file was read to its end");
        }
        Ok(())
    }
}

fn is_read(path: &Path, position: u64) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.len() == position)
}
