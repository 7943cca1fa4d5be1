//! Rotation: a file that is long or old enough gets a name of its own, and its path a new file.
//!
//! A finished file's name appears only on a file that is whole and, unless `sync` is `never`, on disk: first its bytes
//! are synced, then it is renamed, then the folder is synced. A power cut at any moment leaves it under the one name or
//! the other. Files are finished between batches only, so that no line and no batch is in two of them.

use super::{Files, complain};
use crate::disk::{Disk, FileError};
use crate::finished::{Naming, next};
use cardcage_plugin_api::{PluginError, tracing};
use std::path::PathBuf;

/// How long a rotation that failed is left alone: the file grows on meanwhile.
const AGAIN_AFTER_NS: i64 = 60_000_000_000;

/// When files are rotated, and how many are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// Length from which on.
    pub(crate) bytes: Option<u64>,
    /// At whole multiples of this since 1970, in UTC.
    pub(crate) every_ns: Option<i64>,
    /// How many finished files of a path are kept.
    pub(crate) keep: Option<usize>,
    /// After one that failed: not before this time.
    pub(crate) not_before_ns: i64,
}

/// A file that was finished since the last commit.
pub(super) struct Finished {
    naming: Naming,
    path: PathBuf,
    /// How much of it was committed before.
    committed_len: u64,
}

impl Finished {
    /// Cuts it back to the last commit. What was begun after that goes whole.
    pub(super) fn take_back<D: Disk>(&self, disk: &D) -> Result<(), FileError> {
        if self.committed_len > 0 {
            return super::cut(disk, &self.path, self.committed_len);
        }
        disk.remove(&self.path).map_err(|source| FileError::Cut { path: self.path.clone(), len: 0, source })
    }
}

impl Rotation {
    /// Whether a file of this length, begun then, is to be rotated now. A clock that goes backwards makes none due.
    fn is_due(&self, len: u64, begun_ns: i64, now_ns: i64) -> bool {
        let is_long = self.bytes.is_some_and(|bytes| len >= bytes);
        let is_old = self.every_ns.is_some_and(|every| now_ns.div_euclid(every) > begun_ns.div_euclid(every));
        len > 0 && now_ns >= self.not_before_ns && (is_long || is_old)
    }
}

impl<D: Disk> Files<D> {
    /// Rotates a file whose time has come. If only the renaming fails, the file goes on growing.
    pub(super) fn rotate_if_due(&mut self, slot: usize, now_ns: i64) -> Result<(), FileError> {
        let target = &mut self.slots[slot].target;
        let due = self.rules.rotation.as_ref().is_some_and(|rotation| {
            rotation.is_due(target.expected_len(&self.form), target.begun_ns, now_ns)
        });
        if !due {
            return Ok(());
        }
        target.flush(&mut self.form)?;
        if self.rules.is_safe {
            target.sync()?;
        }
        match self.finish(slot, now_ns) {
            Ok(finished) => self.finished.push(finished),
            Err(error) => {
                tracing::warn!("{}; the file goes on growing", PluginError::from(error));
                if let Some(rotation) = &mut self.rules.rotation {
                    rotation.not_before_ns = now_ns.saturating_add(AGAIN_AFTER_NS);
                }
                return Ok(());
            }
        }
        let opened = self.disk.open(&self.slots[slot].target.path, self.rules.is_safe);
        let begun = opened.and_then(|opened| self.slots[slot].target.begin_anew(opened, &self.form, now_ns));
        if begun.is_err() {
            // Its descriptor is that of the finished file; nothing may be written there any more.
            self.remove_slot(slot);
        }
        begun
    }

    /// Gives a file, all of whose text is written, its finished name.
    fn finish(&self, slot: usize, now_ns: i64) -> Result<Finished, FileError> {
        let target = &self.slots[slot].target;
        let failed = |to: PathBuf, source| FileError::Rename { path: target.path.clone(), to, source };
        let naming = Naming::of(&target.path)
            .ok_or_else(|| failed(PathBuf::new(), std::io::ErrorKind::InvalidFilename.into()))?;
        let names =
            self.disk.names(naming.folder()).map_err(|source| failed(naming.folder().to_owned(), source))?;
        let path = naming.path(&next(naming.serials(&names).last(), now_ns));
        self.disk.rename(&target.path, &path).map_err(|source| failed(path.clone(), source))?;
        if self.rules.is_safe
            && let Err(source) = self.disk.sync_folder(naming.folder())
        {
            // The name is there; only a power cut could undo it, and then the file has its old one.
            complain(vec![FileError::Sync { path: naming.folder().to_owned(), source }]);
        }
        Ok(Finished { naming, path, committed_len: target.committed_len })
    }

    /// Rotates files whose time came while no reading did.
    pub(super) fn rotate_idle(&mut self, now_ns: i64) {
        let mut slot = 0;
        while slot < self.slots.len() {
            let id = self.slots[slot].id;
            if let Err(error) = self.rotate_if_due(slot, now_ns) {
                complain(vec![error]);
            }
            // A file that could not be begun anew is gone, and another is in its place.
            slot += usize::from(self.slots.get(slot).is_some_and(|same| same.id == id));
        }
    }

    /// Removes the oldest finished files of the paths that were rotated since the last commit. What was finished is
    /// committed now, so nothing of it has to be taken back.
    pub(super) fn remove_oldest(&mut self) {
        let mut rotated: Vec<Naming> = self.finished.drain(..).map(|finished| finished.naming).collect();
        let Some(keep) = self.rules.rotation.as_ref().and_then(|rotation| rotation.keep) else {
            return;
        };
        rotated.dedup();
        for naming in rotated {
            let failed = |path: PathBuf, source| FileError::Open { path, source };
            let names = match self.disk.names(naming.folder()) {
                Ok(names) => names,
                Err(source) => {
                    complain(vec![failed(naming.folder().to_owned(), source)]);
                    continue;
                }
            };
            let serials = naming.serials(&names);
            for oldest in &serials[..serials.len().saturating_sub(keep)] {
                let path = naming.path(oldest);
                if let Err(source) = self.disk.remove(&path) {
                    tracing::warn!(file = %path.display(), "cannot remove the oldest finished file: {source}");
                }
            }
        }
    }
}
