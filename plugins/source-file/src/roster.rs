//! All files of the source: which there are, which have something to read, and in which order.

mod adopt;

use crate::error::FileError;
use crate::identity::Identity;
use crate::paths::{FILES_MAX, Listing, Patterns, parent};
use crate::tracked::{Found, Seen, Tracked, find, regular};
use crate::watch::Watch;
use adopt::Missed;
use cardcage_plugin_api::{Counter, Host, tracing};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How long a file that was renamed or deleted is still read: programs write on into it until they notice.
pub(crate) const GONE_GRACE_NS: i64 = 5_000_000_000;
/// Of how many paths it is said that they cannot be read.
const COMPLAINTS_MAX: usize = 1000;

/// All files of the source. The number of a file is its stream.
pub(crate) struct Roster {
    patterns: Arc<Patterns>,
    follow: bool,
    max_open: usize,
    files: Vec<Option<Tracked>>,
    /// Numbers of files that were let go: the next new ones get them.
    free: Vec<usize>,
    by_identity: HashMap<Identity, usize>,
    by_path: HashMap<PathBuf, usize>,
    due: VecDeque<usize>,
    /// Every open file is among these, and few others: not all files are looked at to find one to close.
    opened: Vec<usize>,
    round: u64,
    uses: u64,
    complained: HashSet<PathBuf>,
    rotations: Option<Counter>,
    truncations: Option<Counter>,
    lost: Option<Counter>,
    /// By name; bounded by how many looks there are before they are given up, and by what comes between two.
    missed: HashMap<PathBuf, Missed>,
}

impl Roster {
    pub(crate) fn new(patterns: Arc<Patterns>, follow: bool, max_open: usize, host: &Host) -> Self {
        Self {
            patterns,
            follow,
            max_open,
            files: Vec::new(),
            free: Vec::new(),
            by_identity: HashMap::new(),
            by_path: HashMap::new(),
            due: VecDeque::new(),
            opened: Vec::new(),
            round: 0,
            uses: 0,
            complained: HashSet::new(),
            rotations: host.counter("rotations"),
            truncations: host.counter("truncations"),
            lost: host.counter("lost_files"),
            missed: HashMap::new(),
        }
    }

    /// The files that are known, by number.
    pub(crate) fn files(&self) -> impl Iterator<Item = (usize, &Tracked)> {
        self.files.iter().enumerate().filter_map(|(number, file)| Some((number, file.as_ref()?)))
    }

    pub(crate) fn file(&mut self, number: usize) -> Option<&mut Tracked> {
        self.files.get_mut(number)?.as_mut()
    }

    pub(crate) fn numbers(&self) -> Vec<usize> {
        self.files().map(|(number, _)| number).collect()
    }

    pub(crate) fn by_identity(&self, identity: Identity) -> Option<usize> {
        self.by_identity.get(&identity).copied()
    }

    pub(crate) fn by_path(&self, path: &Path) -> Option<usize> {
        self.by_path.get(path).copied()
    }

    /// Whether a file of this path is meant.
    pub(crate) fn means(&self, path: &Path) -> bool {
        self.by_path.contains_key(path) || self.patterns.matches(path)
    }

    /// Looks which files there are, and what became of those that are known.
    pub(crate) fn look(&mut self, now_ns: i64, mut watch: Option<&mut Watch>) -> Result<(), FileError> {
        self.round += 1;
        if let Some(watch) = &mut watch {
            // First, so that nothing comes and goes between the listing and this.
            self.patterns.folders().into_iter().for_each(|folder| watch.add(folder));
        }
        let listing = self.patterns.list();
        self.judge(&listing)?;
        for path in listing.paths {
            match regular(&path) {
                Ok(metadata) => self.found(path, &metadata),
                Err(error) if self.follow => self.complain(path, &error),
                Err(error) => return Err(error),
            }
        }
        self.settle(now_ns);
        if let Some(watch) = watch {
            for (_, file) in self.files() {
                watch.add(parent(&file.path));
                file.target.iter().for_each(|target| watch.add(parent(target)));
            }
        }
        Ok(())
    }

    /// What the listing as such says.
    fn judge(&mut self, listing: &Listing) -> Result<(), FileError> {
        if let (false, Some(pattern)) = (self.follow, listing.unmatched.first()) {
            return Err(FileError::NothingMatches { pattern: pattern.clone() });
        }
        if listing.cut && self.complained.insert(PathBuf::new()) {
            tracing::warn!("more than {FILES_MAX} files match; the rest is left alone");
        }
        Ok(())
    }

    fn complain(&mut self, path: PathBuf, error: &FileError) {
        if self.complained.len() < COMPLAINTS_MAX && !self.complained.contains(&path) {
            match error {
                FileError::Open { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                    tracing::info!(file = %path.display(), "the file is not there yet; it is waited for");
                }
                error => tracing::warn!("{}; it is tried again", error.in_full()),
            }
            self.complained.insert(path);
        }
    }

    /// A path of the listing leads to a file.
    fn found(&mut self, path: PathBuf, metadata: &Metadata) {
        let identity = Identity::of(metadata);
        let Some(number) = self.by_identity(identity) else {
            let mut file = Tracked::new(path, identity);
            file.round = self.round;
            file.is_late = self.follow && self.round > 1;
            self.insert(file, false);
            return;
        };
        let round = self.round;
        let Some(file) = self.file(number).filter(|file| file.round != round) else {
            // Another name of a file that was already seen.
            return;
        };
        file.round = round;
        (file.gone_since_ns, file.last_visit) = (None, false);
        let news = file.has_news(Seen::of(metadata));
        if file.path != path {
            tracing::info!(file = %path.display(), was = %file.path.display(), "the file was renamed; it is read on");
            let old = std::mem::replace(&mut file.path, path.clone());
            file.name.clone_from(&path);
            self.forget_path(&old, number);
        }
        self.by_path.insert(path, number);
        if news {
            self.enqueue(number, false);
        }
    }

    /// What becomes of the files to which no path of the listing leads.
    fn settle(&mut self, now_ns: i64) {
        for number in self.numbers() {
            let round = self.round;
            let Some(file) = self.file(number).filter(|file| file.round != round) else {
                continue;
            };
            match file.gone_since_ns {
                None => self.lose(number, now_ns),
                Some(since_ns) => {
                    let metadata = file.file.as_ref().and_then(|file| file.metadata().ok());
                    let news = metadata.is_some_and(|metadata| file.has_news(Seen::of(&metadata)));
                    file.last_visit = now_ns.saturating_sub(since_ns) >= GONE_GRACE_NS;
                    if news || file.last_visit {
                        self.enqueue(number, true);
                    }
                }
            }
        }
    }

    /// A file was renamed or deleted: it is read to its end before what has its name now.
    fn lose(&mut self, number: usize, now_ns: i64) {
        if let Some(rotations) = &self.rotations {
            rotations.add(1.0);
        }
        let Some(file) = self.file(number) else {
            return;
        };
        if file.file.is_none() {
            let Some(path) = find(&parent(&file.path), file.identity) else {
                if file.at_end.is_none() {
                    tracing::warn!(
                        file = %file.path.display(), position = file.position,
                        "the file is gone before it was read to its end; what stood behind the position is lost"
                    );
                    self.count_lost(1);
                }
                self.remove(number);
                return;
            };
            let old = std::mem::replace(&mut file.path, path);
            self.forget_path(&old, number);
        }
        let Some(file) = self.file(number) else {
            return;
        };
        file.gone_since_ns = Some(now_ns);
        // Opened now, as long as it can be found.
        let opened = file.open();
        self.note_open(number);
        if !matches!(opened, Ok(Found::Same | Found::Replaced)) {
            self.remove(number);
            return;
        }
        self.enqueue(number, true);
    }

    /// A file that was read before and has another name now: `path` must lead to it. Read before all others.
    pub(crate) fn insert_gone(&mut self, mut file: Tracked, now_ns: i64) {
        file.gone_since_ns = Some(now_ns);
        file.last_visit = !self.follow;
        file.round = self.round;
        self.insert(file, true);
    }

    fn insert(&mut self, mut file: Tracked, first: bool) {
        // A link is written to under its target's name.
        let is_link = file.path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        file.target = is_link.then(|| file.path.canonicalize().ok()).flatten();
        let number = self.free.pop().unwrap_or(self.files.len());
        self.by_identity.insert(file.identity, number);
        if file.gone_since_ns.is_none() {
            self.by_path.insert(file.path.clone(), number);
        }
        if let Some(target) = &file.target {
            self.by_path.insert(target.clone(), number);
        }
        match self.files.get_mut(number) {
            Some(slot) => *slot = Some(file),
            None => self.files.push(Some(file)),
        }
        self.enqueue(number, first);
    }

    /// Lets a file go: there is nothing more to come of it.
    pub(crate) fn remove(&mut self, number: usize) {
        let Some(file) = self.files.get_mut(number).and_then(Option::take) else {
            return;
        };
        self.by_identity.remove(&file.identity);
        self.forget_path(&file.path, number);
        if let Some(target) = &file.target {
            self.forget_path(target, number);
        }
        self.due.retain(|due| *due != number);
        self.free.push(number);
    }

    fn forget_path(&mut self, path: &Path, number: usize) {
        if self.by_path(path) == Some(number) {
            self.by_path.remove(path);
        }
    }

    pub(crate) fn enqueue(&mut self, number: usize, first: bool) {
        let Some(file) = self.file(number) else {
            return;
        };
        if std::mem::replace(&mut file.queued, true) {
            return;
        }
        if first {
            self.due.push_front(number);
        } else {
            self.due.push_back(number);
        }
    }

    /// The file to read next.
    pub(crate) fn next(&mut self) -> Option<usize> {
        let number = self.due.pop_front()?;
        if let Some(file) = self.file(number) {
            file.queued = false;
        }
        Some(number)
    }

    pub(crate) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Goes to the end of every file as it is now.
    pub(crate) fn go_to_ends(&mut self) -> Result<(), FileError> {
        for number in self.numbers() {
            if let Some(file) = self.file(number) {
                file.go_to_end()?;
                file.file = None;
            }
        }
        self.unqueue_read();
        Ok(())
    }

    /// Takes files off the queue that have nothing new.
    pub(crate) fn unqueue_read(&mut self) {
        let due = std::mem::take(&mut self.due);
        for number in due {
            let Some(file) = self.file(number) else {
                continue;
            };
            let seen = file.path.metadata().ok().map(|metadata| Seen::of(&metadata));
            file.queued = seen.is_none_or(|seen| file.has_news(seen)) || file.last_visit;
            if file.queued {
                self.due.push_back(number);
            }
        }
    }

    /// Something was written to the file of this path; `false` if it takes a look to see what it is.
    pub(crate) fn touch(&mut self, path: &Path) -> bool {
        let Some(number) = self.by_path(path) else {
            return true;
        };
        let Some(file) = self.file(number) else {
            return false;
        };
        match path.metadata() {
            Ok(metadata) if Identity::of(&metadata) == file.identity => {
                if file.has_news(Seen::of(&metadata)) {
                    self.enqueue(number, false);
                }
                true
            }
            _ => false,
        }
    }

    /// Opens a file to be read on, and closes others if there are too many.
    pub(crate) fn open(&mut self, number: usize) -> Result<Found, FileError> {
        self.uses += 1;
        let uses = self.uses;
        let Some(file) = self.file(number) else {
            return Ok(Found::Another);
        };
        file.used = uses;
        let was_open = file.file.is_some();
        if !was_open {
            self.make_room();
        }
        let Some(file) = self.file(number) else {
            return Ok(Found::Another);
        };
        let found = file.open()?;
        self.note_open(number);
        if let (Found::Replaced, Some(truncations)) = (found, &self.truncations) {
            truncations.add(1.0);
        }
        Ok(found)
    }

    /// Closes the file that was not used for longest, if as many are open as may be. One that is gone stays open: nothing
    /// else leads to it.
    fn make_room(&mut self) {
        let Self { files, opened, max_open, .. } = self;
        let open = |number: usize| files.get(number)?.as_ref().filter(|file| file.file.is_some());
        opened.retain(|number| open(*number).is_some());
        let known = opened.iter().filter_map(|number| Some((*number, open(*number)?)));
        let oldest = known.filter(|(_, file)| file.gone_since_ns.is_none()).min_by_key(|(_, file)| file.used);
        if let (true, Some((number, _))) = (opened.len() >= *max_open, oldest)
            && let Some(file) = self.file(number)
        {
            file.file = None;
        }
    }

    fn note_open(&mut self, number: usize) {
        if !self.opened.contains(&number) {
            self.opened.push(number);
        }
    }

    /// The end of a file was reached, or an error. Returns whether it is still known.
    pub(crate) fn ended(&mut self, number: usize) -> bool {
        let follow = self.follow;
        let Some(file) = self.file(number) else {
            return false;
        };
        if file.last_visit {
            self.remove(number);
            return false;
        }
        if !follow || file.compression.is_some() && file.gone_since_ns.is_none() {
            file.file = None;
        }
        true
    }
}
