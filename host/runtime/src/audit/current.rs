//! The file that the chain is written to.

use super::files;
use super::found::Last;
use super::trail::Policy;
use cardcage_core::audit::file_name;
use cardcage_core::config::AuditSync;
use std::fs::File;
use std::io;
use std::path::Path;

/// What is kept free on the disk behind the file's end, so that a run on a full disk can end in order: enough to say how some
/// thousand parts of metrics stand.
pub(super) const RESERVE_BYTES: u64 = 64 * 1024;
/// How much is reserved beyond that where there is room, so that not each block asks for it.
const RESERVE_AHEAD_BYTES: u64 = 256 * 1024;

/// The file that is written.
#[derive(Debug)]
pub(super) struct Current {
    file: File,
    number: u64,
    bytes: u64,
    /// Up to there the disk has space for it.
    reserved_to: u64,
    /// How long it is written to, as far as is known.
    age_ns: u64,
    /// When that was known (UTC nanoseconds); of a file of an earlier run, when it was begun.
    seen_ns: i64,
    is_of_earlier_run: bool,
}

impl Current {
    /// A new one.
    pub(super) fn begun(file: File, number: u64, bytes: u64, now_ns: i64) -> Self {
        Self { file, number, bytes, reserved_to: 0, age_ns: 0, seen_ns: now_ns, is_of_earlier_run: false }
    }

    /// One that an earlier run began.
    pub(super) fn found(Last { file, number, bytes, begun_ns }: Last) -> Self {
        Self { is_of_earlier_run: true, ..Self::begun(file, number, bytes, begun_ns) }
    }

    pub(super) fn name(&self) -> String {
        file_name(self.number)
    }

    /// Whether it is the one that has its name in the folder.
    pub(super) fn is_in(&self, folder: &Path) -> bool {
        files::is_at(&self.file, &folder.join(self.name()))
    }

    /// Whether it is long or old enough for another one to follow.
    pub(super) fn is_finished(&mut self, policy: &Policy, now_ns: i64) -> bool {
        self.grow_older(now_ns);
        let is_old = u128::from(self.age_ns) >= policy.rotate_every.as_nanos();
        self.bytes >= policy.rotate_bytes || is_old
    }

    /// Counts the time that has passed. A clock that was set back says nothing; a file that says it was begun in the future
    /// was begun by a wrong clock, and nobody knows when.
    fn grow_older(&mut self, now_ns: i64) {
        let passed = u64::try_from(now_ns.saturating_sub(self.seen_ns));
        let unknown = if self.is_of_earlier_run { u64::MAX } else { 0 };
        self.age_ns = self.age_ns.saturating_add(passed.unwrap_or(unknown));
        (self.seen_ns, self.is_of_earlier_run) = (now_ns, false);
    }

    /// Appends a block, and keeps space free behind it unless the run ends. After an error the file is as it was before, as
    /// far as that is possible.
    pub(super) fn append(&mut self, block: &[u8], sync: AuditSync, is_ending: bool) -> io::Result<()> {
        let to = self.bytes + block.len() as u64;
        if !is_ending && self.reserved_to < to + RESERVE_BYTES {
            self.reserve(to)?;
        }
        let written = files::write_at(&self.file, block, self.bytes).and_then(|()| match sync {
            AuditSync::Block => self.file.sync_data(),
            AuditSync::Rotation | AuditSync::Never => Ok(()),
        });
        match &written {
            Ok(()) => self.bytes = to,
            // The next try writes over the same place. What was reserved goes with what was written.
            Err(_) => self.release(),
        }
        written
    }

    fn reserve(&mut self, to: u64) -> io::Result<()> {
        let needed = to + RESERVE_BYTES - self.bytes;
        let more = needed + RESERVE_AHEAD_BYTES;
        let reserve = |bytes| files::reserve(&self.file, self.bytes, bytes).map(|()| self.bytes + bytes);
        self.reserved_to = reserve(more).or_else(|_| reserve(needed))?;
        Ok(())
    }

    /// Gives back the space that was kept free.
    pub(super) fn release(&mut self) {
        self.reserved_to = 0;
        // If it stays, it goes with the file.
        let _ = self.file.set_len(self.bytes);
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
