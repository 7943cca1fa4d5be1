//! What the kernel says of changes in the folders of files: the one place that knows inotify.
//!
//! Its descriptor is waited for in `fill` itself. The crate `notify` would start a thread of its own for it, which
//! plugins may not (`host.spawn` is the only way), and which nothing would join.

use cardcage_plugin_api::tracing;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Folders watched at most: a quarter of what old kernels allow a user. Files in others are polled.
const FOLDERS_MAX: usize = 2048;
/// Room for some hundred events a read.
const EVENT_BYTES: usize = 32 * 1024;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// Something was written to this file.
    Written(&'a Path),
    /// A file of this path came, went, or got another name.
    Moved(&'a Path),
    /// More than the kernel remembers, or folders themselves changed.
    Anything,
}

/// Watches folders. Without it, files are only polled.
pub(crate) struct Watch {
    descriptor: Option<OwnedFd>,
    folders: HashMap<i32, PathBuf>,
    watched: HashMap<PathBuf, i32>,
    buffer: Box<[MaybeUninit<u8>]>,
    path: PathBuf,
    complained: bool,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let mut watch = Self {
            descriptor: None,
            folders: HashMap::new(),
            watched: HashMap::new(),
            buffer: vec![MaybeUninit::uninit(); EVENT_BYTES].into_boxed_slice(),
            path: PathBuf::new(),
            complained: false,
        };
        match inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) {
            Ok(descriptor) => watch.descriptor = Some(descriptor),
            Err(error) => watch.complain(&error.to_string()),
        }
        watch
    }

    /// Watches this folder, too. One that cannot be watched is polled with the rest.
    pub(crate) fn add(&mut self, folder: PathBuf) {
        let Some(descriptor) = self.descriptor.as_ref().filter(|_| !self.watched.contains_key(&folder))
        else {
            return;
        };
        if self.watched.len() >= FOLDERS_MAX {
            self.complain("there are more folders than are watched");
            return;
        }
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        match inotify::add_watch(descriptor, &folder, flags) {
            Ok(number) => {
                self.folders.insert(number, folder.clone());
                self.watched.insert(folder, number);
            }
            // Not there yet: polling finds it.
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => self.complain(&error.to_string()),
        }
    }

    /// Waits until something changes, but not longer than so many nanoseconds; `false` if nothing can tell.
    pub(crate) fn wait(&self, at_most_ns: i64) -> bool {
        let Some(descriptor) = &self.descriptor else {
            return false;
        };
        let at_most_ns = at_most_ns.max(0);
        let timeout = Timespec { tv_sec: at_most_ns / 1_000_000_000, tv_nsec: at_most_ns % 1_000_000_000 };
        // An error or a signal ends the wait early, and the caller looks and waits again.
        let _ = poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&timeout));
        true
    }

    /// Tells `changed` of everything that happened since the last time.
    pub(crate) fn drain(&mut self, mut changed: impl FnMut(Change<'_>)) {
        let Self { descriptor: Some(descriptor), folders, watched, buffer, path, .. } = self else {
            return;
        };
        let mut events = inotify::Reader::new(descriptor, buffer);
        while let Ok(event) = events.next() {
            let flags = event.events();
            if flags.contains(ReadFlags::IGNORED) {
                if let Some(folder) = folders.remove(&event.wd()) {
                    watched.remove(&folder);
                }
                changed(Change::Anything);
                continue;
            }
            match (folders.get(&event.wd()), event.file_name()) {
                (Some(folder), Some(name)) => {
                    path.clear();
                    path.push(folder);
                    if folder == Path::new(".") {
                        path.clear();
                    }
                    path.push(OsStr::from_bytes(name.to_bytes()));
                    changed(match flags.contains(ReadFlags::MODIFY) {
                        _ if flags.contains(ReadFlags::ISDIR) => Change::Anything,
                        true => Change::Written(path),
                        false => Change::Moved(path),
                    });
                }
                _ => changed(Change::Anything),
            }
        }
    }

    fn complain(&mut self, why: &str) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(
                "the system cannot say when files change ({why}); they are looked at every `poll`"
            );
        }
    }
}
