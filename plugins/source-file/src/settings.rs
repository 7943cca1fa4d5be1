//! The settings of the source, as they are written and as they are used.

use crate::paths::Patterns;
use cardcage_codec::{Format, InputSettings};
use cardcage_plugin_api::prelude::*;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bounds of `poll`: more often is what `notify` is for, and a file that is looked at once a day is no stream.
const POLL: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(1);
/// Bounds of `max_open_files`; the upper one is the most descriptors that Linux gives a process by default.
const OPEN_FILES: std::ops::RangeInclusive<u32> = 1..=65_536;
/// The most threads that parse one source's files: what the manifest declares, plus the source's own.
pub(crate) const THREADS_MAX: u32 = 64;

/// One path or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Paths {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

/// Where reading begins.
#[settings]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Where the last run left off; files that it did not read from their start.
    #[default]
    Checkpoint,
    /// At the start of each file, whatever was read before.
    Start,
    /// At the end of each file that is there when the source opens, whatever was read before; files that come later are
    /// read from their start.
    End,
}

/// How many threads parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Threads {
    Auto(Auto),
    Count(u32),
}

/// As many as there are processors, for large files.
#[settings]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Auto {
    /// As many as there are processors, for large files.
    Auto,
}

cardcage_codec::input_settings! {
    /// Settings of the source.
    #[derive(Clone, Debug)]
    pub struct FileSettings {
        /// The file to read, or a list of files; with `*`, `?`, `[…]` and `**` (folders at any depth) as many as match.
        /// A list is read in its order, what matches a pattern by name, in which numbers count as numbers: `day-9`
        /// before `day-10`. Files that end in `.gz` or `.zst`, or begin like them, are decompressed.
        #[schemars(extend("examples" = ["readings.ndjson", ["monday.ndjson", "tuesday.ndjson"], "logs/*.csv.gz"]))]
        path: Paths,
        /// Whether to wait for more at the end, through rotation, truncation and new files that match. A copy is another
        /// file: `path` must not match what `copytruncate` leaves behind, or its lines come twice. A file that comes and
        /// goes while the pipeline is held up is kept open until it is read, up to 128 of them at a time; where the system
        /// cannot tell of changes, as on network file systems, let `path` also match the rotated names. What is lost all
        /// the same is counted (`lost_files`) and warned of.
        #[serde(default)]
        follow: bool,
        /// Where reading begins.
        #[serde(default)]
        from: Begin,
        /// With `follow`: how often files are looked at, besides when the system says that they changed; 10ms to 1h.
        #[serde(default = "default_poll")]
        poll: Interval,
        /// With `follow`: the most files that are kept open; 1 to 65536. One that is closed is opened again when it
        /// changes.
        #[serde(default = "default_max_open_files")]
        max_open_files: u32,
        /// How many threads parse, 1 to 64; `auto`: as many as there are processors (4 at most) for files of some
        /// megabytes, one with `follow`.
        #[serde(default = "default_threads")]
        threads: Threads,
    }
}

fn default_poll() -> Interval {
    Interval(Duration::from_secs(1))
}

/// A quarter of the 1,024 descriptors that a process usually has.
fn default_max_open_files() -> u32 {
    256
}

fn default_threads() -> Threads {
    Threads::Auto(Auto::Auto)
}

impl FileSettings {
    pub(crate) fn paths(&self) -> &[PathBuf] {
        match &self.path {
            Paths::One(path) => std::slice::from_ref(path),
            Paths::Several(paths) => paths,
        }
    }

    pub(crate) fn follow(&self) -> bool {
        self.follow
    }

    pub(crate) fn begin(&self) -> Begin {
        self.from
    }

    pub(crate) fn poll(&self) -> Duration {
        self.poll.0
    }

    pub(crate) fn max_open_files(&self) -> usize {
        self.max_open_files as usize
    }

    /// The number that was asked for; `None` to choose one.
    pub(crate) fn threads(&self) -> Option<u32> {
        match self.threads {
            Threads::Auto(_) => None,
            Threads::Count(count) => Some(count),
        }
    }

    /// What it has in common with other readers of lines.
    pub(crate) fn lines(&self) -> InputSettings {
        self.input()
    }

    /// Describes what is wrong with them, if anything is.
    pub(crate) fn problems(&self, mut description: Description) -> Description {
        if self.paths().is_empty() {
            description = description.problem("path", "no file is named");
        }
        if let Err(error) = Patterns::new(self.paths()) {
            description = description.problem("path", error.to_string());
        }
        let unclear = self.paths().iter().find(|path| format_of(path).is_none());
        if let (None, Some(path)) = (self.format, unclear) {
            let message = format!("the ending of `{}` tells no format; set `format: ndjson`", path.display());
            description = description.problem("format", message);
        }
        if !POLL.contains(&self.poll.0) {
            description = description.problem("poll", format!("{} is not between 10ms and 1h", self.poll));
        }
        if !OPEN_FILES.contains(&self.max_open_files) {
            let message = format!("{} is not between 1 and 65536", self.max_open_files);
            description = description.problem("max_open_files", message);
        }
        if self.from == Begin::End && !self.follow {
            description = description.problem("from", "nothing comes behind the end without `follow: true`");
        }
        if self.threads().is_some_and(|count| !(1..=THREADS_MAX).contains(&count)) {
            description = description.problem("threads", "give a number from 1 to 64, or `auto`");
        }
        let told = |path: &PathBuf| self.format.or_else(|| format_of(path));
        let formats: Vec<Format> = self.paths().iter().filter_map(told).collect();
        self.input().problems(description, &formats)
    }
}

/// The format that the ending of a path or pattern stands for.
fn format_of(path: &Path) -> Option<Format> {
    Format::of_path(path)
}
