//! The chain of blocks on disk: written, rotated, made safe, and kept to its bound. What cannot be written now is kept and
//! tried again; nothing more is taken meanwhile.

use super::aside::{self, SetAside};
use super::files::{self, Draft};
use super::found::{Found, Last, Member};
use super::trail::{Policy, Trail};
use cardcage_core::audit::{BlockBuilder, Entry, FileHeader, Full, Head, Note, Record, file_name};
use cardcage_core::config::AuditSync;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long the chain goes on in its file when the next one cannot be begun, before that is tried again: each try writes a
/// whole account of all cells.
const BEGIN_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The file that is written.
#[derive(Debug)]
struct Current {
    file: File,
    bytes: u64,
    /// UTC nanoseconds.
    begun_ns: i64,
}

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
}

impl Chain {
    /// Goes on from what was found.
    pub(super) fn new(trail: &'static Trail, policy: Policy, found: Found) -> (Self, Vec<SetAside>) {
        let current = found.last.map(|Last { file, bytes, begun_ns, .. }| Current { file, bytes, begun_ns });
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
        };
        chain.show_head();
        let keep = usize::try_from(chain.policy.keep).unwrap_or(usize::MAX).max(1);
        // What was set aside just now is not what is too much.
        aside::retain(&chain.policy.folder, 0, keep.max(found.set_aside.len()));
        (chain, found.set_aside)
    }

    /// Whether records can be pushed: there is a file, and nothing waits to be written.
    pub(super) fn ready(&self) -> bool {
        self.current.is_some() && self.unwritten.is_none()
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
        if self.builder.is_empty() || !self.ready() {
            return;
        }
        let sealed = self.builder.finish(self.head);
        match write(&mut self.current, &self.policy, sealed.bytes) {
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
            match write(&mut self.current, &self.policy, &bytes) {
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
        if self.not_begun_ns.is_none() && self.complaint.take().is_some() {
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
                "the audit trail cannot be written: {why}; where there is no room for changes they are merged \
                 until there is, none goes uncounted"
            );
        }
        self.complaint = Some(why);
        self.show_head();
    }

    /// Whether another file is due: there is none, or this one is long or old enough.
    pub(super) fn wants_file(&self, now_ns: i64) -> bool {
        let since_ns = |then: i64| u128::try_from(now_ns.saturating_sub(then));
        // If the clock was set back meanwhile, it is tried at once.
        let waits = |then| since_ns(then).is_ok_and(|age_ns| age_ns < BEGIN_AGAIN_AFTER.as_nanos());
        if self.not_begun_ns.is_some_and(waits) {
            return false;
        }
        let Some(current) = &self.current else {
            return true;
        };
        let age_ns = since_ns(current.begun_ns).unwrap_or(0);
        current.bytes >= self.policy.rotate_bytes || age_ns >= self.policy.rotate_every.as_nanos()
    }

    /// Ends this file and begins the next, which has the account of everything before at its beginning. It gets its name
    /// once all of that is in it, so that no file of the chain has half of one. If it cannot be begun now, the chain is as
    /// it was, goes on in the file that it has, and tries again later.
    pub(super) fn next_file(&mut self, now_ns: i64, opening: impl IntoIterator<Item = Record>) {
        self.seal();
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
        head = draft.append_block(&mut self.builder, head)?;
        blocks += 1;
        if self.policy.sync != AuditSync::Never {
            draft.sync()?;
        }
        if self.current.is_some() {
            self.settle();
        }
        let (file, bytes) = draft.name()?;
        self.current = Some(Current { file, bytes, begun_ns: now_ns });
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
            && let Err(error) = current.file.sync_all()
        {
            self.complain(&error);
            return;
        }
        tracing::info!("audit head {}", self.head);
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

/// Appends a block. After an error the file is as it was before, as far as that is possible.
fn write(current: &mut Option<Current>, policy: &Policy, bytes: &[u8]) -> io::Result<()> {
    let Some(current) = current else {
        return Err(io::Error::other("no file"));
    };
    let written = files::write_at(&current.file, bytes, current.bytes).and_then(|()| match policy.sync {
        AuditSync::Block => current.file.sync_data(),
        AuditSync::Rotation | AuditSync::Never => Ok(()),
    });
    match &written {
        Ok(()) => current.bytes += bytes.len() as u64,
        // The next try writes over the same place.
        Err(_) => drop(current.file.set_len(current.bytes)),
    }
    written
}
