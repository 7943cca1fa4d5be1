//! What the system says of changes in the folders of files: the one place that knows `notify`.
//!
//! `notify` has one thread of its own for each source that follows. It does no more than to open what came (`arrivals`), to
//! put news on a list, and to wake whoever waits in `fill`: it never touches a record or the host. Polling does not depend
//! on it.

use crate::arrivals::{Arrivals, Arrived, as_meant};
use crate::paths::Patterns;
use cardcage_plugin_api::tracing;
use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{
    Config, ErrorKind, Event, EventHandler, EventKind, INotifyWatcher, RecursiveMode, Watcher as _,
};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf, absolute};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Folders watched at most: a quarter of what old kernels allow a user. Files in others are polled.
const FOLDERS_MAX: usize = 2048;
/// How many changed files are remembered one by one while nobody asks; with more of them, all are looked at.
const NEWS_MAX: usize = 1024;
/// How long `notify`'s thread has to end: it only has to wake up for it.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// Something was written to this file.
    Written(PathBuf),
    /// A file of this path came, went, or got another name.
    Moved(PathBuf),
    /// More than is remembered, or folders themselves changed.
    Anything,
}

/// Watches folders. Without it, files are only polled.
pub(crate) struct Watch {
    watcher: Option<INotifyWatcher>,
    board: Arc<Board>,
    arrivals: Arc<Arrivals>,
    /// By the path that `notify` knows them by, which is absolute: the one that they are meant by.
    folders: HashMap<PathBuf, PathBuf>,
    /// The system lets nobody watch more.
    full: bool,
    complained: bool,
}

/// Where `notify`'s thread leaves what it hears.
#[derive(Default)]
struct Board {
    news: Mutex<News>,
    changed: Condvar,
}

#[derive(Default)]
struct News {
    changes: BTreeSet<Change>,
    /// The thread will say nothing more.
    ended: bool,
}

impl Board {
    fn news(&self) -> MutexGuard<'_, News> {
        // Nothing that can panic runs under this lock.
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as `unwanted` is true of the news, but not longer than this.
    fn wait(&self, at_most: Duration, mut unwanted: impl FnMut(&News) -> bool) {
        let waited = self.changed.wait_timeout_while(self.news(), at_most, |news| unwanted(news));
        drop(waited);
    }
}

/// `notify`'s side of the board; it is dropped when its thread ends.
struct Reporter {
    board: Arc<Board>,
    arrivals: Arc<Arrivals>,
}

impl EventHandler for Reporter {
    fn handle_event(&mut self, event: notify::Result<Event>) {
        match &event {
            Ok(event) => hold(&self.arrivals, event),
            Err(_) => self.arrivals.lost_count(),
        }
        let Some(change) = event.map_or(Some(Change::Anything), change) else {
            return;
        };
        let mut news = self.board.news();
        if news.changes.len() < NEWS_MAX {
            news.changes.insert(change);
        } else {
            news.changes = BTreeSet::from([Change::Anything]);
        }
        drop(news);
        self.board.changed.notify_one();
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.board.news().ended = true;
        self.board.changed.notify_one();
    }
}

/// Holds the files that an event is about.
fn hold(arrivals: &Arrivals, event: &Event) {
    if event.need_rescan() {
        arrivals.lost_count();
    }
    match (event.kind, event.paths.as_slice()) {
        (EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To)), [path]) => {
            arrivals.came(path);
        }
        (EventKind::Modify(ModifyKind::Name(RenameMode::Both)), [from, to]) => arrivals.moved(from, to),
        _ => {}
    }
}

/// What an event says; `None` for what does not change what there is to read.
fn change(mut event: Event) -> Option<Change> {
    if event.need_rescan() {
        return Some(Change::Anything);
    }
    let of: fn(PathBuf) -> Change = match event.kind {
        // A file that is written through a mapping says so only when it is closed.
        EventKind::Modify(ModifyKind::Data(_)) | EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
            Change::Written
        }
        EventKind::Modify(ModifyKind::Metadata(_)) | EventKind::Access(_) => return None,
        // Both names were told one by one before; a look takes up what is held since.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => {
            event.paths.truncate(1);
            Change::Moved
        }
        _ => Change::Moved,
    };
    Some(event.paths.pop().map_or(Change::Anything, of))
}

impl Watch {
    pub(crate) fn new(patterns: &Arc<Patterns>) -> Self {
        let board = Arc::new(Board::default());
        let arrivals = Arc::new(Arrivals::new(Arc::clone(patterns)));
        let mut watch = Self {
            watcher: None,
            board: Arc::clone(&board),
            arrivals: Arc::clone(&arrivals),
            folders: HashMap::new(),
            full: false,
            complained: false,
        };
        match INotifyWatcher::new(Reporter { board, arrivals }, Config::default()) {
            Ok(mut watcher) => match watcher.configure(Config::default()) {
                Ok(_) => watch.watcher = Some(watcher),
                Err(error) => {
                    // Its thread did not start, which it does not say, and dropping it would panic over it.
                    std::mem::forget(watcher);
                    watch.complain(&format!("no thread for it: {error}"));
                }
            },
            Err(error) => watch.complain(&error.to_string()),
        }
        watch
    }

    /// Watches this folder, too. One that cannot be watched is polled with the rest.
    pub(crate) fn add(&mut self, folder: PathBuf) {
        let Some(watcher) = self.watcher.as_mut().filter(|_| !self.full) else {
            return;
        };
        let Ok(known_as) = absolute(&folder) else {
            return;
        };
        if self.folders.contains_key(&known_as) {
            return;
        }
        if self.folders.len() >= FOLDERS_MAX {
            self.full = true;
            self.complain(&format!("there are more than {FOLDERS_MAX} folders"));
            return;
        }
        self.arrivals.watches(known_as.clone(), folder.clone());
        match watcher.watch(&known_as, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.folders.insert(known_as, folder);
            }
            Err(error) => {
                self.arrivals.forgets(&known_as);
                match error.kind {
                    // Not there yet: polling finds it.
                    ErrorKind::PathNotFound => {}
                    ErrorKind::MaxFilesWatch => {
                        self.full = true;
                        self.complain(
                            "as many folders are watched as the sysctl fs.inotify.max_user_watches allows",
                        );
                    }
                    _ => self.complain(&format!("{}: {error}", folder.display())),
                }
            }
        }
    }

    /// Waits until something changes, but not longer than so many nanoseconds; `false` if nothing can tell.
    pub(crate) fn wait(&self, at_most_ns: i64) -> bool {
        if self.watcher.is_none() {
            return false;
        }
        let at_most = Duration::from_nanos(at_most_ns.try_into().unwrap_or(0));
        self.board.wait(at_most, |news| news.changes.is_empty() && !news.ended);
        true
    }

    /// Whether files came since they were last taken.
    pub(crate) fn has_arrived(&self) -> bool {
        self.arrivals.any()
    }

    /// The files that came since this was last asked.
    pub(crate) fn take_arrived(&self, now_ns: i64) -> Arrived {
        self.arrivals.take(now_ns)
    }

    /// Tells `changed` of everything that happened since the last time.
    pub(crate) fn drain(&mut self, mut changed: impl FnMut(Change)) {
        if self.board.news().changes.is_empty() {
            return;
        }
        // Not under the lock: `notify`'s thread may want it while it is waited for.
        let heard = std::mem::take(&mut self.board.news().changes);
        for change in heard {
            changed(match change {
                Change::Written(path) => self.as_meant(&path).map_or(Change::Anything, Change::Written),
                Change::Moved(path) if self.forget(&path) || path.is_dir() => Change::Anything,
                Change::Moved(path) => self.as_meant(&path).map_or(Change::Anything, Change::Moved),
                Change::Anything => Change::Anything,
            });
        }
    }

    /// The path as the source knows it.
    fn as_meant(&self, path: &Path) -> Option<PathBuf> {
        as_meant(&self.folders, path)
    }

    /// If this was a folder: it, and those in it, are not watched by these paths any longer.
    fn forget(&mut self, path: &Path) -> bool {
        let gone: Vec<PathBuf> =
            self.folders.keys().filter(|folder| folder.starts_with(path)).cloned().collect();
        for folder in &gone {
            self.folders.remove(folder);
            self.arrivals.forgets(folder);
            if let Some(watcher) = &mut self.watcher {
                // Usually it knows by itself, and says so with an error.
                let _ = watcher.unwatch(folder);
            }
            self.full = false;
        }
        !gone.is_empty()
    }

    /// Ends the watching, and `notify`'s thread with it.
    pub(crate) fn close(mut self) {
        if self.watcher.take().is_some() {
            self.board.wait(END_TIMEOUT, |news| !news.ended);
        }
    }

    fn complain(&mut self, why: &str) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(
                "the system cannot say of every file when it changes ({why}); the others are looked at every `poll`"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::{HELD_MAX, Held};
    use std::cell::RefCell;
    use std::io::Read as _;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(20);

    fn watch(paths: &[PathBuf]) -> Watch {
        Watch::new(&Arc::new(Patterns::new(paths).unwrap()))
    }

    /// The texts of the files that are held, once there are so many, and how many were missed.
    fn arrived(watch: &Watch, files: usize) -> (Vec<String>, u64) {
        let arrived = RefCell::new(Arrived::default());
        watch.board.wait(LONG, |_| {
            let mut all = arrived.borrow_mut();
            let more = watch.arrivals.take(0);
            // Those of an earlier round may come again: nobody but this test knows that they were held.
            for held in more.held {
                if all.held.iter().all(|known| known.identity != held.identity) {
                    all.held.push(held);
                }
            }
            for (name, count) in more.missed {
                *all.missed.entry(name).or_default() += count;
            }
            all.held.len() < files
        });
        let arrived = arrived.into_inner();
        let text = |held: &Held| {
            let mut text = String::new();
            (&held.file).read_to_string(&mut text).unwrap();
            text
        };
        (arrived.held.iter().map(text).collect(), arrived.missed.values().sum())
    }

    #[test]
    fn a_file_that_comes_is_held_before_its_name_or_it_itself_goes() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a.ndjson");
        let mut watch = watch(std::slice::from_ref(&path));
        watch.add(folder.path().to_owned());
        for round in 0..5 {
            std::fs::write(&path, format!("{round}")).unwrap();
            std::fs::write(folder.path().join("other"), "not meant").unwrap();
            // Waited for, since what is deleted at once can be lost.
            let (_, missed) = arrived(&watch, 1);
            assert_eq!(missed, 0);
            std::fs::remove_file(&path).unwrap();
        }
        // Nobody waits for these: each is found under the name that it was moved to, however late the thread is.
        for round in 0..20 {
            std::fs::write(&path, format!("{round}")).unwrap();
            for old in (1..=round).rev() {
                let name = |number: u32| folder.path().join(format!("a.ndjson.{number}"));
                std::fs::rename(name(old), name(old + 1)).unwrap();
            }
            std::fs::rename(&path, folder.path().join("a.ndjson.1")).unwrap();
        }
        let (mut texts, _) = arrived(&watch, 20);
        texts.sort_by_key(|text| text.parse::<u32>().unwrap());
        assert_eq!(texts, (0..20).map(|round| format!("{round}")).collect::<Vec<_>>());
    }

    #[test]
    fn no_more_files_are_held_than_allowed_and_the_others_are_counted() {
        let folder = tempfile::TempDir::new().unwrap();
        let arrivals = Arrivals::new(Arc::new(Patterns::new(&[folder.path().join("*.ndjson")]).unwrap()));
        arrivals.watches(folder.path().to_owned(), folder.path().to_owned());
        for number in 0..HELD_MAX + 3 {
            let path = folder.path().join(format!("{number}.ndjson"));
            std::fs::write(&path, "").unwrap();
            arrivals.came(&path);
        }
        arrivals.came(&folder.path().join("gone.ndjson"));
        let arrived = arrivals.take(0);
        assert_eq!((arrived.held.len(), arrived.missed.len()), (HELD_MAX, 4));
    }

    fn heard(watch: &mut Watch) -> Vec<Change> {
        let mut all = Vec::new();
        watch.drain(|change| all.push(change));
        all
    }

    #[test]
    fn news_ends_a_wait_long_before_its_time() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut watch = watch(&[]);
        watch.add(folder.path().to_owned());
        for round in 0..20 {
            let begun = Instant::now();
            std::fs::write(folder.path().join(format!("{round}.ndjson")), "x").unwrap();
            assert!(watch.wait(i64::try_from(LONG.as_nanos()).unwrap()));
            assert!(begun.elapsed() < LONG / 2, "it was polled, not told");
            assert!(!heard(&mut watch).is_empty());
        }
        let board = Arc::clone(&watch.board);
        watch.close();
        assert!(board.news().ended, "its thread is still there");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_then_everything_is_looked_at() {
        let mut watch = watch(&[]);
        let mut reporter =
            Reporter { board: Arc::clone(&watch.board), arrivals: Arc::clone(&watch.arrivals) };
        for number in 0..=NEWS_MAX {
            let written = EventKind::Modify(ModifyKind::Data(notify::event::DataChange::Any));
            reporter.handle_event(Ok(Event::new(written).add_path(PathBuf::from(format!("/{number}")))));
        }
        assert_eq!(heard(&mut watch), [Change::Anything]);
    }
}
