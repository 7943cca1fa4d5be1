//! The chain of blocks on disk: written, rotated, made safe, and kept to its bound. What cannot be written now is kept and
//! tried again; nothing more is taken meanwhile.

use super::aside::{self, SetAside};
use super::current::{Current, RESERVE_BYTES};
use super::files::{self, Draft};
use super::found::{Found, Member};
use super::trail::{Policy, Trail};
use cardcage_core::audit::{BlockBuilder, Entry, FileHeader, Full, Head, Note, Record, file_name};
use cardcage_core::config::AuditSync;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long the chain goes on in its file when the next one cannot be begun, before that is tried again: each try writes a
/// whole account of all cells.
const BEGIN_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The target of the log lines that say where the chain ends: whoever collects them, and the log's own filter, know them by
/// it.
pub(super) const HEAD_TARGET: &str = "audit_head";

/// A chain of blocks.
#[derive(Debug)]
pub(super) struct Chain {
    trail: &'static Trail,
    policy: Policy,
    builder: BlockBuilder,
    head: Head,
    current: Option<Current>,
    next_number: u64,
    /// When the next file could not be begun (UTC nanoseconds).
    not_begun_ns: Option<i64>,
    members: VecDeque<Member>,
    /// A block that could not be written, and the head that it makes.
    unwritten: Option<(Vec<u8>, Head)>,
    /// What was said last of why nothing can be written.
    complaint: Option<String>,
    /// The first block that stays, once its note is in the chain.
    removal: Option<u64>,
    /// The file that is written is not in the folder any more.
    is_astray: bool,
    /// The run ends: what was kept free for that may be used.
    is_ending: bool,
}

impl Chain {
    /// Goes on from what was found.
    pub(super) fn new(trail: &'static Trail, policy: Policy, found: Found) -> (Self, Vec<SetAside>) {
        let current = found.last.map(Current::found);
        let chain = Self {
            trail,
            policy,
            builder: BlockBuilder::new(),
            head: found.head,
            current,
            next_number: found.next_number,
            not_begun_ns: None,
            members: found.members.into(),
            unwritten: None,
            complaint: None,
            removal: None,
            is_astray: false,
            is_ending: false,
        };
        chain.show_head();
        let keep = usize::try_from(chain.policy.keep).unwrap_or(usize::MAX).max(1);
        // What was set aside just now is not what is too much.
        aside::retain(&chain.policy.folder, 0, keep.max(found.set_aside.len()));
        (chain, found.set_aside)
    }

    /// Whether records can be pushed: there is a file, where it belongs, and nothing waits to be written.
    pub(super) fn ready(&self) -> bool {
        self.can_write() && !self.is_astray
    }

    fn can_write(&self) -> bool {
        self.current.is_some() && self.unwritten.is_none()
    }

    /// The run ends: from now on the space that was kept free is used, and no other file is begun without need.
    pub(super) fn ends(&mut self) {
        self.is_ending = true;
    }

    /// The end of the run is written: no next file is needed any more, whatever kept it from being begun.
    pub(super) fn forget_next_file(&mut self) {
        self.complaint = None;
        self.show_head();
    }

    /// Looks whether the file that is written is still in the folder. If not, nothing more is put into it, and the next one is
    /// due. To be called from time to time.
    pub(super) fn look_for_file(&mut self) {
        let Some(current) = &self.current else {
            return;
        };
        let (name, is_there) = (current.name(), current.is_in(&self.policy.folder));
        if is_there != self.is_astray {
            return;
        }
        self.is_astray = !is_there;
        if is_there {
            tracing::info!("audit trail: {name} is in its folder again, and is gone on with");
            self.complaint = None;
        } else {
            let why = format!(
                "{} is not there any more: it was removed or moved while it was written",
                self.policy.folder.join(&name).display()
            );
            tracing::error!(
                "audit trail: {why}; what was in it is lost to the trail, a new file is begun that tells how all metrics stand"
            );
            self.complaint = Some(why);
        }
        self.show_head();
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    /// Puts an entry behind the others. Only while [`Chain::ready`], once for each time of asking.
    pub(super) fn push_entry(&mut self, entry: &Entry) {
        if let Err(Full) = self.builder.push_entry(entry) {
            self.seal();
            // Every record fits into an empty block.
            let _ = self.builder.push_entry(entry);
        }
    }

    /// As [`Chain::push_entry`].
    pub(super) fn push(&mut self, record: &Record) {
        if let Err(Full) = self.builder.push(record) {
            self.seal();
            let _ = self.builder.push(record);
        }
    }

    /// Writes what was pushed.
    pub(super) fn seal(&mut self) {
        if self.builder.is_empty() || !self.can_write() {
            return;
        }
        let sealed = self.builder.finish(self.head);
        match write(self.current.as_mut(), &self.policy, sealed.bytes, self.is_ending) {
            Ok(()) => {
                let (head, bytes) = (sealed.head, sealed.bytes.len() as u64);
                self.written(head, 1, bytes);
            }
            Err(error) => {
                self.unwritten = Some((sealed.bytes.to_vec(), sealed.head));
                self.complain(&error);
            }
        }
    }

    /// Tries again what failed. `true` if records can be pushed (again).
    pub(super) fn retry(&mut self) -> bool {
        if let Some((bytes, head)) = self.unwritten.take() {
            match write(self.current.as_mut(), &self.policy, &bytes, self.is_ending) {
                Ok(()) => self.written(head, 1, bytes.len() as u64),
                Err(error) => {
                    self.unwritten = Some((bytes, head));
                    self.complain(&error);
                }
            }
        }
        self.ready()
    }

    fn written(&mut self, head: Head, blocks: u64, bytes: u64) {
        self.head = head;
        let figures = &self.trail.figures;
        figures.blocks.fetch_add(blocks, Ordering::Relaxed);
        figures.bytes.fetch_add(bytes, Ordering::Relaxed);
        // As long as there is no next file, the reason for that stands.
        if self.not_begun_ns.is_none() && !self.is_astray && self.complaint.take().is_some() {
            tracing::info!("the audit trail can be written again; what came meanwhile is in it, merged");
        }
        self.show_head();
    }

    fn show_head(&self) {
        let mut end = self.trail.figures.end.lock().unwrap_or_else(PoisonError::into_inner);
        (end.head, end.stuck) = (self.head, self.complaint.clone());
    }

    /// Says once why nothing can be written.
    fn complain(&mut self, error: &io::Error) {
        let why = format!("{}: {error}", self.policy.folder.display());
        if self.complaint.as_ref() != Some(&why) {
            tracing::error!(
                "the audit trail cannot be written: {why}; changes are counted and merged until it can be, and lost to it \
                 if the run ends before"
            );
        }
        self.complaint = Some(why);
        self.show_head();
    }

    /// Whether another file is due: there is none, or this one is long or old enough.
    pub(super) fn wants_file(&mut self, now_ns: i64) -> bool {
        let since_ns = |then: i64| u128::try_from(now_ns.saturating_sub(then));
        // If the clock was set back meanwhile, it is tried at once.
        let waits = |then| since_ns(then).is_ok_and(|age_ns| age_ns < BEGIN_AGAIN_AFTER.as_nanos());
        if self.not_begun_ns.is_some_and(waits) && !self.is_ending {
            return false;
        }
        let Some(current) = &mut self.current else {
            return true;
        };
        let is_finished = current.is_finished(&self.policy, now_ns);
        self.is_astray || (is_finished && !self.is_ending)
    }

    /// Ends this file and begins the next, which has the account of everything before at its beginning. It gets its name
    /// once all of that is in it, so that no file of the chain has half of one. If it cannot be begun now, the chain is as
    /// it was, goes on in the file that it has, and tries again later.
    pub(super) fn next_file(&mut self, now_ns: i64, opening: impl IntoIterator<Item = Record>) {
        self.seal();
        if self.is_astray {
            // It would have been in the file that is gone.
            self.unwritten = None;
        }
        if self.unwritten.is_some() {
            return;
        }
        if let Err(error) = self.begin_file(now_ns, opening) {
            // Of an opening that could not be written, nothing is left for the block that follows.
            self.builder = BlockBuilder::new();
            self.not_begun_ns = Some(now_ns);
            if error.kind() == io::ErrorKind::AlreadyExists {
                // Somebody else's file must not stand in the way of the next try.
                self.next_number += 1;
            }
            self.complain(&error);
        }
    }

    fn begin_file(&mut self, now_ns: i64, opening: impl IntoIterator<Item = Record>) -> io::Result<()> {
        let (number, before) = (self.next_number, self.head);
        files::make_folder(&self.policy.folder)?;
        let mut draft = Draft::create(&self.policy.folder, number)?;
        let (mut head, mut blocks) = (before, 0);
        draft.append(&FileHeader { number, after: head }.encode())?;
        for record in opening {
            if let Err(Full) = self.builder.push(&record) {
                head = draft.append_block(&mut self.builder, head)?;
                blocks += 1;
                // Every record fits into an empty block.
                let _ = self.builder.push(&record);
            }
        }
        if self.is_astray {
            let text = format!(
                "files were removed or moved while they were written: what is missing before block {} was in them",
                head.block + 1
            );
            // It is short; if the opening leaves it no room, the log has said it.
            let _ = self.builder.push(&Record::Note { time_ns: now_ns, note: Note::Remark { text } });
        }
        head = draft.append_block(&mut self.builder, head)?;
        blocks += 1;
        if !self.is_ending {
            draft.reserve(RESERVE_BYTES)?;
        }
        if self.policy.sync != AuditSync::Never {
            draft.sync()?;
        }
        if !self.is_astray {
            self.settle();
        }
        self.release();
        let (file, bytes) = draft.name()?;
        self.current = Some(Current::begun(file, number, bytes, now_ns));
        if std::mem::take(&mut self.is_astray) {
            self.complaint = None;
            let is_there = |member: &Member| self.policy.folder.join(file_name(member.number)).exists();
            self.members.retain(is_there);
        }
        self.members.push_back(Member { number, first_block: before.block + 1 });
        self.next_number += 1;
        self.not_begun_ns = None;
        self.written(head, blocks, bytes);
        if self.policy.sync != AuditSync::Never
            && let Err(error) = files::sync_folder(&self.policy.folder)
        {
            // The file is there, and what is in it is safe; only a power failure can still take its name.
            self.complain(&error);
        }
        Ok(())
    }

    /// Makes safe what is written, and says in the log where the chain ends.
    pub(super) fn settle(&mut self) {
        if let (Some(current), true) = (&self.current, self.policy.sync != AuditSync::Never)
            && let Err(error) = current.sync()
        {
            self.complain(&error);
            return;
        }
        if self.head != Head::NONE {
            tracing::info!(target: HEAD_TARGET, "audit head {}", self.head);
        }
    }

    /// Gives back the space that was kept free behind the file's end.
    pub(super) fn release(&mut self) {
        if let Some(current) = &mut self.current {
            current.release();
        }
    }

    /// Removes the files that are too many. The chain says so before they go.
    pub(super) fn retain(&mut self, now_ns: i64) {
        let keep = usize::try_from(self.policy.keep).unwrap_or(usize::MAX).max(1);
        let too_many = self.members.len().saturating_sub(keep);
        let Some(first_kept) = self.members.get(too_many).map(|member| member.first_block) else {
            return;
        };
        if too_many == 0 || !self.ready() {
            return;
        }
        if self.removal != Some(first_kept) {
            self.push(&Record::Note { time_ns: now_ns, note: Note::Removed { first_kept } });
            self.removal = Some(first_kept);
        }
        // Also where it was pushed earlier, and waits behind a block that could not be written then.
        self.seal();
        if !self.ready() {
            return;
        }
        self.settle();
        let mut removed_to = 0;
        while self.members.len() > keep {
            let Some(oldest) = self.members.pop_front() else {
                break;
            };
            removed_to = oldest.number;
            let name = file_name(oldest.number);
            match fs::remove_file(self.policy.folder.join(&name)) {
                Ok(()) => tracing::debug!("audit trail: removed {name}; {keep} files are kept"),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!("audit trail: {name} cannot be removed: {error}"),
            }
        }
        aside::retain(&self.policy.folder, removed_to, keep);
    }

    /// The number of the file that will be begun next.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }
}

fn write(current: Option<&mut Current>, policy: &Policy, bytes: &[u8], is_ending: bool) -> io::Result<()> {
    let Some(current) = current else {
        return Err(io::Error::other("no file"));
    };
    current.append(bytes, policy.sync, is_ending)
}
