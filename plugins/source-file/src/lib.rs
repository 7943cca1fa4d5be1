//! Reads readings from files: once, or for as long as they grow.
//!
//! `roster` knows which files there are and which have something to read; `reading` reads one of them; `watch` and a poll
//! say when to look again. A file is known by its inode and its first bytes, not by its name, so that it is read once
//! whatever it is called: when it is renamed it is read to its end, and what has its name then is another file.

#![forbid(unsafe_code)]

mod archive;
mod arrivals;
mod copies;
mod error;
mod identity;
mod names;
mod paths;
mod reading;
mod restore;
mod roster;
mod saved;
mod settings;
mod team;
mod tracked;
mod watch;

use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::tracing;
use error::FileError;
use paths::Patterns;
use reading::{Outcome, Reading};
use roster::Roster;
use saved::{Saved, SavedFile};
use settings::{Begin, FileSettings};
use std::path::PathBuf;
use std::sync::Arc;
use tracked::Found;
use watch::{Change, Watch};

/// `threads: auto` is not more than this: one thread reads a file faster than four parse it.
const THREADS_AUTO_MAX: u32 = 4;
/// With `follow`: after how much of one file others get their turn.
const TURN_BYTES: u64 = 16 << 20;
/// How many files without anything new one call looks into, so that the lane can drain in between.
const FRUITLESS_MAX: u32 = 256;
/// How soon files are looked for again after a look, however much happens in their folders.
const LOOK_GAP_NS: i64 = 20_000_000;

/// The source.
pub struct FileSource {
    host: Host,
    follow: bool,
    begin: Begin,
    poll_ns: i64,
    roster: Roster,
    reading: Reading,
    watch: Option<Watch>,
    /// The file that is being read, and where its turn began.
    current: Option<(usize, u64)>,
    looked_ns: i64,
    look_wanted: bool,
    /// Without `follow`: how many files could not be read to their end, and what was wrong with the first of them.
    failures: Option<(u64, String)>,
}

impl Source for FileSource {
    type Settings = FileSettings;

    fn describe(settings: &FileSettings) -> Description {
        let mut description = Description::source().does(Capability::Replayable).does(Capability::State);
        if !settings.follow() {
            description = description.does(Capability::Finite);
        }
        let parsers = settings.threads().unwrap_or(if settings.follow() { 1 } else { THREADS_AUTO_MAX });
        // The source's own thread is one that parses; another says when files change.
        let helpers = parsers.saturating_sub(1) + u32::from(settings.follow());
        settings.problems(description.threads(helpers))
    }

    fn open(settings: FileSettings, host: &Host) -> Result<Self, PluginError> {
        let patterns = Arc::new(Patterns::new(settings.paths())?);
        let follow = settings.follow();
        let mut source = Self {
            host: host.clone(),
            follow,
            begin: settings.begin(),
            poll_ns: settings.poll().as_nanos().try_into()?,
            watch: follow.then(|| Watch::new(&patterns)),
            roster: Roster::new(patterns, follow, settings.max_open_files(), host),
            reading: Reading::new(host, settings.lines(), threads(&settings))?,
            current: None,
            looked_ns: 0,
            look_wanted: false,
            failures: None,
        };
        // Now: a missing file is to show at the start, not an hour later.
        source.look(host.now_ns())?;
        source.check_readable()?;
        if source.begin == Begin::End {
            source.roster.go_to_ends()?;
        }
        Ok(source)
    }

    fn fill(&mut self, out: &mut Batch<'_>, wait_until_ns: i64) -> Result<Fill, PluginError> {
        let (mut waited, mut fruitless) = (false, 0);
        loop {
            if self.follow {
                self.hear()?;
            }
            if let Some(number) = self.choose() {
                let read = self.read(number, out);
                self.reading.rejections.report(out);
                if read? {
                    break;
                }
                fruitless += 1;
                if fruitless == FRUITLESS_MAX {
                    return Ok(Fill::IdleUntil(self.host.now_ns()));
                }
                continue;
            }
            if !self.follow {
                return self.finish();
            }
            let until_ns = self.next_look_ns().min(wait_until_ns);
            if waited || self.host.cancelled() {
                return Ok(Fill::IdleUntil(until_ns));
            }
            self.reading.rejections.summarize();
            let left_ns = until_ns.saturating_sub(self.host.now_ns());
            waited = true;
            if !self.watch.as_ref().is_some_and(|watch| watch.wait(left_ns)) {
                return Ok(Fill::IdleUntil(until_ns));
            }
        }
        let all_read = !self.follow && self.current.is_none() && !self.roster.has_due();
        // A failure takes no batch along: it is told by the next call.
        if all_read && self.failures.is_none() { self.finish() } else { Ok(Fill::Produced) }
    }

    fn close(mut self) -> Result<(), PluginError> {
        if let Some(watch) = self.watch.take() {
            watch.close();
        }
        self.roster.give_up_missed(i64::MAX);
        self.reading.close()
    }
}

/// How many threads parse: as many as were asked for, else as there are processors.
fn threads(settings: &FileSettings) -> u32 {
    settings.threads().unwrap_or_else(|| {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let most = if settings.follow() { 1 } else { THREADS_AUTO_MAX };
        u32::try_from(processors).unwrap_or(1).min(most)
    })
}

impl FileSource {
    /// The file whose turn it is.
    fn choose(&mut self) -> Option<usize> {
        if let Some((number, begun_at)) = self.current {
            let position = self.roster.file(number).map_or(0, |file| file.position);
            let had_turn = position.saturating_sub(begun_at) >= TURN_BYTES;
            let may_leave = self.roster.file(number).is_some_and(|file| file.compression.is_none());
            if !(self.follow && had_turn && may_leave && self.roster.has_due()) {
                return Some(number);
            }
            self.roster.enqueue(number, false);
            self.current = None;
        }
        self.roster.next()
    }

    /// Reads from a file; `false` if it has nothing to give now.
    fn read(&mut self, number: usize, out: &mut Batch<'_>) -> Result<bool, PluginError> {
        match self.read_some(number, out) {
            Ok(Some(outcome)) => {
                let position = self.roster.file(number).map_or(0, |file| file.position);
                out.set_position(u32::try_from(number)?, position);
                if outcome == Outcome::End {
                    self.current = None;
                    if !self.roster.ended(number) {
                        self.reading.leave();
                    }
                }
                // In a file that is followed, the end is met again and again.
                Ok(!self.follow
                    || outcome == Outcome::More
                    || !out.is_empty()
                    || self.reading.rejections.any())
            }
            Ok(None) if !self.follow => {
                let path = self.roster.file(number).map_or_else(PathBuf::new, |file| file.path.clone());
                self.give_up(number, &FileError::Replaced { path });
                Ok(false)
            }
            Ok(None) => {
                self.current = None;
                self.look_wanted = true;
                Ok(false)
            }
            Err(error) if self.follow => {
                self.leave_alone(number, &error);
                Ok(false)
            }
            Err(error) => {
                self.give_up(number, &error);
                Ok(false)
            }
        }
    }

    /// Every file was read, or given up. The source fails if one was: to be finished says that everything was read. When
    /// it is opened again, it goes on with those that it gave up.
    fn finish(&mut self) -> Result<Fill, PluginError> {
        self.reading.rejections.summarize();
        match &self.failures {
            None => Ok(Fill::Finished),
            Some((1, why)) => Err(PluginError::new(why)),
            Some((count, why)) => Err(PluginError::new(format!(
                "{count} files could not be read to their end, which the log names; the first: {why}"
            ))),
        }
    }

    /// `None`: the path leads to another file by now.
    fn read_some(&mut self, number: usize, out: &mut Batch<'_>) -> Result<Option<Outcome>, FileError> {
        let mut again = false;
        if self.current.is_none() {
            again = match self.roster.open(number)? {
                Found::Another => return Ok(None),
                Found::Replaced => true,
                Found::Same => false,
            };
        }
        let follow = self.follow;
        self.roster.warn_of_copy(number)?;
        let Some(file) = self.roster.file(number) else {
            return Ok(None);
        };
        if self.current.is_none() {
            self.current = Some((number, file.position));
            self.reading.enter(number, file, again)?;
        }
        let last = !follow || file.last_visit;
        let outcome = self.reading.fill(file, last, out)?;
        file.remember()?;
        file.failed = false;
        Ok(Some(outcome))
    }

    /// Without `follow`: the others are read before the source fails over a file that cannot be read.
    fn give_up(&mut self, number: usize, error: &FileError) {
        self.current = None;
        self.reading.leave();
        if let Some(file) = self.roster.file(number) {
            // Not read to its end, wherever a decoder was.
            (file.file, file.at_end) = (None, None);
        }
        // One alone is told of by the failure itself.
        if self.roster.has_due() || self.failures.is_some() {
            tracing::error!("{}; the other files are read first", error.in_full());
        }
        match &mut self.failures {
            Some((count, _)) => *count += 1,
            None => self.failures = Some((1, error.in_full())),
        }
    }

    /// A file that cannot be read does not keep the others from being read.
    fn leave_alone(&mut self, number: usize, error: &FileError) {
        self.current = None;
        self.reading.leave();
        let Some(file) = self.roster.file(number) else {
            return;
        };
        let said = std::mem::replace(&mut file.failed, true);
        match error {
            _ if said => {}
            error if error.may_grow() => {
                tracing::warn!("{}; it is tried again when it has grown", error.in_full());
            }
            error => tracing::error!("{}; it is left alone until it changes", error.in_full()),
        }
        self.roster.ended(number);
    }

    /// Takes notice of what changed.
    fn hear(&mut self) -> Result<(), PluginError> {
        let Self { watch, roster, look_wanted, .. } = self;
        if let Some(watch) = watch {
            watch.drain(|change| match change {
                Change::Written(path) => *look_wanted |= !roster.touch(&path),
                Change::Moved(path) => *look_wanted |= roster.means(&path),
                Change::Anything => *look_wanted = true,
            });
        }
        let now_ns = self.host.now_ns();
        if now_ns >= self.next_look_ns() {
            self.look(now_ns)?;
        }
        Ok(())
    }

    fn next_look_ns(&self) -> i64 {
        let gap_ns = if self.look_wanted { LOOK_GAP_NS.min(self.poll_ns) } else { self.poll_ns };
        self.looked_ns.saturating_add(gap_ns)
    }

    fn look(&mut self, now_ns: i64) -> Result<(), PluginError> {
        self.look_wanted = false;
        self.looked_ns = now_ns;
        if let Some(watch) = &self.watch {
            self.roster.adopt(watch.take_arrived(now_ns), now_ns);
        }
        self.roster.look(now_ns, self.watch.as_mut())?;
        Ok(())
    }

    /// Whether every file can be opened and is written in a known way.
    fn check_readable(&mut self) -> Result<(), PluginError> {
        for (_, file) in self.roster.files().filter(|_| !self.follow) {
            tracked::open_regular(&file.path)?;
        }
        Ok(())
    }
}

impl State for FileSource {
    const VERSION: u32 = saved::VERSION;

    fn snapshot(&mut self, version: u32) -> Result<Vec<u8>, PluginError> {
        // What came and went since the last look would not be known again after this.
        if self.watch.as_ref().is_some_and(Watch::has_arrived) {
            self.look(self.host.now_ns())?;
        }
        let files = self.roster.files().map(|(_, file)| SavedFile::of(file)).collect();
        Saved { process: restore::process_name().to_owned(), files }.write(version)
    }

    fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), PluginError> {
        let saved = Saved::read(version, state)?;
        self.current = None;
        self.reading.leave();
        restore::restore(&mut self.roster, &saved, self.begin, self.host.now_ns());
        Ok(())
    }
}

export_plugin! {
    name: "file",
    description: "reads readings from files",
    components: [source FileSource as "file" {
        drops, finite, replayable, state, threads: 64,
        read: [settings.path, "/proc/self/stat", "/proc/sys/kernel/random/boot_id"],
        write: [settings.rejects],
        metrics: [
            counter "rotations" { unit: "1", help: "followed files that were renamed or deleted", min: 0.0 },
            counter "lost_files" { unit: "1", help: "followed files that were gone before they were read to their end", min: 0.0 },
            counter "truncations" { unit: "1", help: "files read from their start again, being shorter or other than before", min: 0.0 },
        ],
    }],
    probe: none("needs a file"),
}

#[cfg(test)]
mod tests;
