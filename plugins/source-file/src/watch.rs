//! What the system says of changes in the folders of files: the one place that knows `notify`.
//!
//! `notify` has one thread of its own for each source that follows. It does no more than to put news on a list and to wake
//! whoever waits in `fill`: it never touches a record or the host. Polling does not depend on it.

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
struct Reporter(Arc<Board>);

impl EventHandler for Reporter {
    fn handle_event(&mut self, event: notify::Result<Event>) {
        let Some(change) = event.map_or(Some(Change::Anything), change) else {
            return;
        };
        let mut news = self.0.news();
        if news.changes.len() < NEWS_MAX {
            news.changes.insert(change);
        } else {
            news.changes = BTreeSet::from([Change::Anything]);
        }
        drop(news);
        self.0.changed.notify_one();
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.0.news().ended = true;
        self.0.changed.notify_one();
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
        // Both names were told one by one before.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both) | ModifyKind::Metadata(_))
        | EventKind::Access(_) => {
            return None;
        }
        _ => Change::Moved,
    };
    Some(event.paths.pop().map_or(Change::Anything, of))
}

impl Watch {
    pub(crate) fn new() -> Self {
        let board = Arc::new(Board::default());
        let mut watch = Self {
            watcher: None,
            board: Arc::clone(&board),
            folders: HashMap::new(),
            full: false,
            complained: false,
        };
        match INotifyWatcher::new(Reporter(board), Config::default()) {
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
        match watcher.watch(&known_as, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.folders.insert(known_as, folder);
            }
            Err(error) => match error.kind {
                // Not there yet: polling finds it.
                ErrorKind::PathNotFound => {}
                ErrorKind::MaxFilesWatch => {
                    self.full = true;
                    self.complain(
                        "as many folders are watched as the sysctl fs.inotify.max_user_watches allows",
                    );
                }
                _ => self.complain(&format!("{}: {error}", folder.display())),
            },
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
        let (folder, name) = (self.folders.get(path.parent()?)?, path.file_name()?);
        Some(if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) })
    }

    /// If this was a folder: it, and those in it, are not watched by these paths any longer.
    fn forget(&mut self, path: &Path) -> bool {
        let gone: Vec<PathBuf> =
            self.folders.keys().filter(|folder| folder.starts_with(path)).cloned().collect();
        for folder in &gone {
            self.folders.remove(folder);
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
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(20);

    fn heard(watch: &mut Watch) -> Vec<Change> {
        let mut all = Vec::new();
        watch.drain(|change| all.push(change));
        all
    }

    #[test]
    fn news_ends_a_wait_long_before_its_time() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut watch = Watch::new();
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
        let mut watch = Watch::new();
        let mut reporter = Reporter(Arc::clone(&watch.board));
        for number in 0..=NEWS_MAX {
            let written = EventKind::Modify(ModifyKind::Data(notify::event::DataChange::Any));
            reporter.handle_event(Ok(Event::new(written).add_path(PathBuf::from(format!("/{number}")))));
        }
        assert_eq!(heard(&mut watch), [Change::Anything]);
    }
}
