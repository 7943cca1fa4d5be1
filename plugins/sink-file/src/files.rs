//! The files that a sink has open, a bounded number of them, and what it takes to undo what was done to them: for a batch
//! that failed, and for a commit that did.

mod rotation;

pub(crate) use rotation::Rotation;

use crate::disk::{Disk, FileError};
use crate::target::{Form, Mark, Target};
use cardcage_plugin_api::{PluginError, tracing};
use rotation::Finished;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How long text waits for more of it, if batches come: rare enough to cost nothing, often enough for someone who
/// watches the file. Where none come, it waits for the commit.
const FLUSH_AFTER_NS: i64 = 200_000_000;
/// Files that were closed since the last commit and can still be cut back, should it fail. Past it the earliest can't be:
/// more than so many files a commit are a mistake in the path, and memory must have its bound.
const CLOSED_MAX: usize = 16_384;

/// What holds for all files of a sink.
pub(crate) struct Rules {
    /// How many may be open.
    pub(crate) open_max: usize,
    /// Text of a file from which on it is handed to the kernel, between batches.
    pub(crate) flush_bytes: usize,
    /// Text of a file at which that does not wait for the batch's end.
    pub(crate) flush_midway_bytes: usize,
    /// Whether files are to survive a power cut at all.
    pub(crate) is_safe: bool,
    /// Whether text may be written early so that it can be watched.
    pub(crate) flushes_early: bool,
    pub(crate) rotation: Option<Rotation>,
}

/// An open file; stays valid until the next file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handle {
    slot: usize,
    id: u64,
}

/// The files.
pub(crate) struct Files<D: Disk> {
    disk: D,
    rules: Rules,
    pub(crate) form: Form,
    slots: Vec<Slot<D::Medium>>,
    by_path: HashMap<PathBuf, usize>,
    closed: HashMap<PathBuf, Closed>,
    finished: Vec<Finished>,
    /// The number of the running or last batch, and whether it is under way.
    batch: u64,
    opened: u64,
    used: u64,
    /// Whether there was no room for what a commit was to hand on: then each batch is handed on at its end, so that one
    /// that does not fit fails itself.
    is_short_of_room: bool,
}

/// What a commit could not make safe.
#[derive(Debug)]
pub(crate) struct Lost {
    /// So many records, those that were written last.
    pub(crate) records: u64,
    pub(crate) why: FileError,
}

struct Slot<M> {
    id: u64,
    /// Larger than that of a file which was used earlier.
    used: u64,
    /// When text was last handed to the kernel.
    flushed_ns: i64,
    target: Target<M>,
}

/// A file that was closed to make room, with something in it that is not committed.
struct Closed {
    committed_len: u64,
    mark: Mark,
}

impl<D: Disk> Files<D> {
    pub(crate) fn new(disk: D, rules: Rules, form: Form) -> Self {
        Self {
            disk,
            rules,
            form,
            slots: Vec::new(),
            by_path: HashMap::new(),
            closed: HashMap::new(),
            finished: Vec::new(),
            batch: 0,
            opened: 0,
            used: 0,
            is_short_of_room: false,
        }
    }

    /// Begins a batch; every file that [`Self::file`] gives from now on can be undone to here.
    pub(crate) fn begin_batch(&mut self) {
        self.batch += 1;
    }

    /// The file at a path, ready for the running batch. It is rotated first if its time has come.
    pub(crate) fn file(&mut self, path: &Path, now_ns: i64) -> Result<Handle, FileError> {
        let slot = match self.by_path.get(path) {
            Some(slot) => *slot,
            None => self.open(path, now_ns)?,
        };
        self.join_batch(slot, now_ns)?;
        Ok(Handle { slot, id: self.slots[slot].id })
    }

    /// As [`Self::file`], for a file that was given earlier; `None` if it was closed meanwhile.
    pub(crate) fn again(&mut self, handle: Handle, now_ns: i64) -> Result<Option<Handle>, FileError> {
        if self.slots.get(handle.slot).is_none_or(|slot| slot.id != handle.id) {
            return Ok(None);
        }
        self.join_batch(handle.slot, now_ns)?;
        Ok(Some(handle))
    }

    /// Whether a file is still open and part of the running batch.
    #[inline]
    pub(crate) fn is_current(&self, handle: Handle) -> bool {
        self.slots
            .get(handle.slot)
            .is_some_and(|slot| slot.id == handle.id && slot.target.mark.batch == self.batch)
    }

    /// Where the lines of a file are put.
    #[inline]
    pub(crate) fn text(&mut self, handle: Handle) -> &mut Vec<u8> {
        &mut self.slots[handle.slot].target.text
    }

    /// To be called now and then while a batch is rendered: text does not grow without bound.
    #[inline]
    pub(crate) fn relieve(&mut self, handle: Handle) -> Result<(), FileError> {
        let target = &mut self.slots[handle.slot].target;
        if target.text.len() < self.rules.flush_midway_bytes {
            return Ok(());
        }
        target.flush_midway(&mut self.form)
    }

    /// Ends a batch well. If handing on what was gathered fails, the batch can still be undone.
    pub(crate) fn end_batch(&mut self, now_ns: i64) -> Result<(), FileError> {
        let several = self.slots.len() > 1;
        for slot in &mut self.slots {
            let waiting = slot.target.text.len();
            let early = self.is_short_of_room
                || (self.rules.flushes_early && now_ns - slot.flushed_ns >= FLUSH_AFTER_NS);
            if waiting >= self.rules.flush_bytes || (waiting > 0 && early) {
                // Of several files a later one can fail: what is of earlier batches must not be taken back then.
                if several && slot.target.mark.batch == self.batch {
                    slot.target.flush_midway(&mut self.form)?;
                } else {
                    slot.target.flush(&mut self.form)?;
                }
                slot.flushed_ns = now_ns;
            }
        }
        Ok(())
    }

    /// Notes that a batch that ended well has so many records, all of them in this file.
    pub(crate) fn count_batch(&mut self, handle: Handle, records: u64) {
        if let Some(slot) = self.slots.get_mut(handle.slot) {
            slot.target.end_batch(records);
        }
    }

    /// Takes back everything of the running batch.
    pub(crate) fn undo_batch(&mut self) {
        let mut failures = Vec::new();
        for slot in &mut self.slots {
            failures.extend(slot.target.undo_batch(self.batch).err());
        }
        for (path, closed) in self.closed.iter().filter(|(_, closed)| closed.mark.batch == self.batch) {
            failures.extend(cut(&self.disk, path, closed.mark.file_len).err());
        }
        complain(failures);
    }

    /// Makes everything written so far safe; `sync` waits for the disk. Where there is no room for all of it, and there is
    /// but one file, the batches that came first are kept. On an error everything since the last commit is taken back.
    pub(crate) fn commit(&mut self, now_ns: i64, sync: bool) -> Result<Option<Lost>, FileError> {
        let mut lost = None;
        let handed_on = self.hand_on(now_ns, sync);
        self.is_short_of_room = handed_on.is_err();
        if let Err(why) = handed_on {
            let Some(records) = self.hand_on_whole_batches(&why, sync) else {
                self.discard();
                return Err(why);
            };
            lost = (records > 0).then_some(Lost { records, why });
        }
        self.slots.iter_mut().for_each(|slot| slot.target.committed());
        self.closed.clear();
        self.let_go_of_moved();
        self.rotate_idle(now_ns);
        self.remove_oldest();
        Ok(lost)
    }

    /// After a commit that failed for this reason: how many records are lost if whole batches are handed on for as long
    /// as there is room.
    fn hand_on_whole_batches(&mut self, why: &FileError, sync: bool) -> Option<u64> {
        let [slot] = &mut self.slots[..] else {
            return None;
        };
        if !matches!(why, FileError::Write { .. }) || !self.closed.is_empty() {
            return None;
        }
        let lost = slot.target.flush_whole_batches(&mut self.form)?;
        if sync {
            slot.target.sync().ok()?;
        }
        Some(lost)
    }

    /// Waits until the disk has everything.
    pub(crate) fn sync(&mut self) -> Result<(), FileError> {
        self.slots.iter_mut().try_for_each(|slot| slot.target.sync())
    }

    /// Takes back everything since the last commit.
    pub(crate) fn discard(&mut self) {
        let mut failures = Vec::new();
        for slot in &mut self.slots {
            failures.extend(slot.target.discard().err());
        }
        for (path, closed) in self.closed.drain() {
            failures.extend(cut(&self.disk, &path, closed.committed_len).err());
        }
        for finished in self.finished.drain(..) {
            failures.extend(finished.take_back(&self.disk).err());
        }
        complain(failures);
    }

    fn join_batch(&mut self, slot: usize, now_ns: i64) -> Result<(), FileError> {
        if self.slots[slot].target.mark.batch == self.batch {
            return Ok(());
        }
        self.rotate_if_due(slot, now_ns)?;
        self.used += 1;
        let joined = &mut self.slots[slot];
        joined.used = self.used;
        joined.target.begin_batch(self.batch)
    }

    fn hand_on(&mut self, now_ns: i64, sync: bool) -> Result<(), FileError> {
        for slot in &mut self.slots {
            slot.target.flush(&mut self.form)?;
            slot.flushed_ns = now_ns;
            if sync {
                slot.target.sync()?;
            }
        }
        Ok(())
    }

    fn open(&mut self, path: &Path, now_ns: i64) -> Result<usize, FileError> {
        if self.slots.len() >= self.rules.open_max {
            self.close_one()?;
        }
        let opened = self.disk.open(path, self.rules.is_safe)?;
        let mut target = Target::new(path, opened, &self.form, now_ns)?;
        if self.rules.rotation.is_some() && !target.is_regular() {
            let path = path.to_owned();
            return Err(FileError::NotRegular { path, what: "rotated", setting: "rotate" });
        }
        if let Some(closed) = self.closed.remove(path) {
            target.committed_len = closed.committed_len.min(target.len);
            target.mark = closed.mark;
        }
        self.opened += 1;
        let slot = Slot { id: self.opened, used: self.used, flushed_ns: now_ns, target };
        self.slots.push(slot);
        self.by_path.insert(path.to_owned(), self.slots.len() - 1);
        Ok(self.slots.len() - 1)
    }

    /// Closes the file that was not used for longest.
    fn close_one(&mut self) -> Result<(), FileError> {
        let Some((index, _)) = self.slots.iter().enumerate().min_by_key(|(_, slot)| slot.used) else {
            return Ok(());
        };
        let target = &mut self.slots[index].target;
        if target.mark.batch == self.batch {
            target.flush_midway(&mut self.form)?;
        } else {
            target.flush(&mut self.form)?;
        }
        if self.rules.is_safe {
            target.sync()?;
        }
        let slot = self.remove_slot(index);
        let Target { path, len, committed_len, mark, .. } = slot.target;
        if (len > committed_len || mark.batch == self.batch) && self.closed.len() < CLOSED_MAX {
            self.closed.insert(path, Closed { committed_len, mark });
        }
        Ok(())
    }

    fn remove_slot(&mut self, index: usize) -> Slot<D::Medium> {
        let slot = self.slots.swap_remove(index);
        self.by_path.remove(&slot.target.path);
        if let Some(moved) = self.slots.get(index) {
            self.by_path.insert(moved.target.path.clone(), index);
        }
        slot
    }

    /// Lets go of files that another program renamed or removed, as `logrotate` does: the next reading begins a new one.
    fn let_go_of_moved(&mut self) {
        let moved = |slot: &Slot<D::Medium>| !slot.target.is_in_place();
        while let Some(index) = self.slots.iter().position(moved) {
            let slot = self.remove_slot(index);
            tracing::info!(
                file = %slot.target.path.display(),
                "the file was renamed or removed by another program; the next reading begins a new one"
            );
        }
    }
}

fn cut<D: Disk>(disk: &D, path: &Path, len: u64) -> Result<(), FileError> {
    disk.cut(path, len).map_err(|source| FileError::Cut { path: path.to_owned(), len, source })
}

fn complain(failures: Vec<FileError>) {
    for failure in failures {
        tracing::error!("{}", PluginError::from(failure));
    }
}

#[cfg(test)]
mod tests;
