//! The sink's settings: as they are written, and checked.

use crate::files::{Rotation, Rules};
use crate::packing::Compression;
use crate::template::Template;
use cardcage_codec::{Format, WriteSettings};
use cardcage_plugin_api::prelude::*;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Why records are left out: ids that the host does not know.
pub(crate) const UNKNOWN_ID: &str = "unknown_id";
/// Why records are left out of line protocol: it has no NaN and no infinity.
pub(crate) const NOT_FINITE: &str = "not_finite";
/// Why records are left out of line protocol: names and tags that it has no way to say.
pub(crate) const NOT_SAYABLE: &str = "not_sayable";
/// Text handed to the kernel at a time: a system call costs nothing a record, and the text stays in the L2 cache.
const WRITE_BYTES: usize = 256 * 1024;
/// Text compressed at a time: what is far apart is seldom alike, and a reader who skips loses little.
const MEMBER_TEXT_BYTES: usize = 1 << 20;
/// Text of one batch that does not wait for its end: a batch of 4,096 readings is far shorter.
const BATCH_TEXT_BYTES: usize = 4 << 20;
/// Text that waits in all files together.
const WAITING_BYTES: usize = 8 << 20;
/// Text of a file that is worth a system call, however many files there are.
const WRITE_MIN_BYTES: usize = 4 * 1024;
/// Shorter files cost more in names than they hold.
const ROTATE_MIN_BYTES: u64 = 1024;
const ROTATE_MIN_NS: i64 = 1_000_000_000;
/// More files than this in a folder no tool lists with pleasure.
const KEEP_BOUNDS: RangeInclusive<u32> = 1..=100_000;
/// Below what a process may have open by default, which is 1,024, with room for everything else.
const OPEN_BOUNDS: RangeInclusive<u32> = 1..=900;

/// When what is written is made safe against a power cut.
#[settings]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// At each checkpoint, before it is acknowledged.
    #[default]
    Commit,
    /// At a checkpoint if the last time was 5 s ago or longer, and at the end.
    Interval,
    /// Never by this sink: what a checkpoint holds survives the end of the process, not that of the machine.
    Never,
}

/// When a file is finished and the next begun. A finished file is called by the time at which that happened:
/// `readings-20261122T214944Z-000.ndjson`.
#[settings]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotate {
    /// As soon as a file is this long, after the batch that made it so; at least 1KiB. Of a compressed file, its
    /// compressed bytes.
    #[serde(default)]
    size: Option<ByteSize>,
    /// At whole multiples of this in UTC: `1h` at each full hour, `1d` at midnight; at least 1s.
    #[serde(default)]
    every: Option<Interval>,
    /// How many finished files are kept; the oldest are removed. Absent: all are kept. Only files that are named as this
    /// sink names them are counted and removed.
    #[serde(default)]
    keep: Option<u32>,
}

cardcage_codec::output_settings! {
    /// Settings of the sink.
    #[derive(Clone, Debug)]
    pub struct FileSettings {
        /// The file to write; what is in it is kept, and readings are appended. Folders on the way are made. Parts in
        /// braces come from each reading: `{sensor}`, `{unit}`, `{tag.NAME}`, and `{date}` (`2026-11-22`) and `{hour}`
        /// (`21`) of its timestamp in `timezone`. Letters, digits, `-`, `_` and `.` of names stay, other characters are
        /// written as `%2F`; an empty part is `_`. A path that would end as that of a finished file does has `%2D` for the
        /// `-` in front of the time. A brace itself is written twice.
        #[schemars(extend("examples" = ["out/readings.ndjson", "out/{date}/{sensor}.csv.gz"]))]
        path: PathBuf,
        /// How readings are written; absent: told by the file's ending (`.ndjson`, `.jsonl`, `.json`; `.csv`, `.tsv`;
        /// `.lp`, `.line`, `.influx`; `.gz` or `.zst` may follow). In line protocol a sensor is `measurement.field`, split
        /// at the last dot, and one without a dot has the field `value`: `temp` and `temp.value` are one series there, and a
        /// tag called as `fields.unit` is left out. A warning tells of such sensors; names and tags that it cannot hold
        /// (empty, with a line end, a backslash at the end) are rejected as `not_sayable`.
        #[serde(default)]
        format: Option<Format>,
        /// How the file is compressed; absent: told by its ending (`.gz`, `.zst`). What is written between two
        /// checkpoints is compressed on its own, so that a crash costs nothing that was delivered.
        #[serde(default)]
        compression: Option<Compression>,
        /// How hard it is compressed: 1 to 9 for gzip (absent: 6), 1 to 19 for zstd (absent: 3).
        #[serde(default)]
        level: Option<u32>,
        /// When the file is finished and the next begun; absent: never.
        #[serde(default)]
        rotate: Option<Rotate>,
        /// When what is written is made safe against a power cut.
        #[serde(default)]
        sync: Sync,
        /// How many files are open at a time, where the path has parts in braces; 1 to 900. The one that was not written
        /// for longest is closed for another, and opened again when it is needed: dear if that is often.
        #[serde(default = "default_max_open_files")]
        max_open_files: u32,
    }
}

fn default_max_open_files() -> u32 {
    64
}

/// What is to be done, checked.
pub(crate) struct Plan {
    pub(crate) template: Template,
    pub(crate) zone: TimeZone,
    pub(crate) format: Format,
    pub(crate) write: WriteSettings,
    pub(crate) compression: Compression,
    pub(crate) level: u32,
    pub(crate) sync: Sync,
    pub(crate) rules: Rules,
}

impl FileSettings {
    /// Adds to a description why readings are rejected, and what is wrong with the settings.
    pub(crate) fn problems(&self, mut description: Description) -> Description {
        description = description.rejects(UNKNOWN_ID);
        if self.told_format() == Some(Format::LineProtocol) {
            description = description.rejects(NOT_FINITE).rejects(NOT_SAYABLE);
        }
        for (setting, message) in self.faults() {
            description = description.problem(setting, message);
        }
        self.output().problems(description, self.told_format())
    }

    /// The format, if anything tells it.
    pub(crate) fn told_format(&self) -> Option<Format> {
        self.format.or_else(|| Format::of_path(&self.path))
    }

    /// What the settings mean.
    pub(crate) fn plan(&self) -> Result<Plan, PluginError> {
        if let Some((setting, message)) = self.faults().into_iter().next() {
            return Err(PluginError::new(message).context(format_args!("`{setting}`")));
        }
        let template = Template::parse(&self.path)?;
        let format = self.told_format().ok_or_else(|| PluginError::new(self.no_format()))?;
        let compression = self.told_compression();
        let files = match template.plain() {
            Some(_) => 1,
            None => self.max_open_files as usize,
        };
        let text_bytes = if compression == Compression::None { WRITE_BYTES } else { MEMBER_TEXT_BYTES };
        Ok(Plan {
            zone: self.zone()?,
            write: self.output().write_settings(format, Some(&self.path))?,
            format,
            compression,
            level: self.level.or(compression.levels().map(|(_, level)| level)).unwrap_or_default(),
            sync: self.sync,
            rules: Rules {
                open_max: files,
                flush_bytes: text_bytes.min(WAITING_BYTES / files).max(WRITE_MIN_BYTES),
                flush_midway_bytes: BATCH_TEXT_BYTES.min(WAITING_BYTES / files).max(2 * WRITE_MIN_BYTES),
                is_safe: self.sync != Sync::Never,
                flushes_early: compression == Compression::None,
                rotation: self.rotate.as_ref().map(Rotate::rotation),
            },
            template,
        })
    }

    fn told_compression(&self) -> Compression {
        self.compression.unwrap_or_else(|| Compression::of_path(&self.path))
    }

    fn no_format(&self) -> String {
        format!("the ending of `{}` tells no format; set `format: ndjson`", self.path.display())
    }

    fn zone(&self) -> Result<TimeZone, PluginError> {
        if self.timezone == "UTC" {
            return Ok(TimeZone::UTC);
        }
        let built_in = |_| TimeZoneDatabase::bundled().get(&self.timezone);
        Ok(jiff::tz::db().get(&self.timezone).or_else(built_in)?)
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if self.path.as_os_str().is_empty() {
            faults.push(("path", "the path is empty; name the file to write".to_owned()));
        } else if self.told_format().is_none() {
            faults.push(("format", self.no_format()));
        }
        if let Err(error) = Template::parse(&self.path) {
            faults.push(("path", error.to_string()));
        }
        match (self.level, self.told_compression().levels()) {
            (Some(_), None) => {
                faults.push((
                    "level",
                    "the file is not compressed; set `compression` or leave `level` out".to_owned(),
                ));
            }
            (Some(level), Some((levels, _))) if !levels.contains(&level) => {
                let name = self.told_compression().name();
                faults.push((
                    "level",
                    format!("{level} is no level of {name}; it has {} to {}", levels.start(), levels.end()),
                ));
            }
            _ => {}
        }
        faults.extend(self.rotate.iter().flat_map(Rotate::faults));
        if !OPEN_BOUNDS.contains(&self.max_open_files) {
            faults.push(("max_open_files", format!("{} is not between 1 and 900", self.max_open_files)));
        }
        faults
    }
}

impl Rotate {
    fn rotation(&self) -> Rotation {
        Rotation {
            bytes: self.size.map(|size| size.0),
            every_ns: self.every.map(Interval::as_nanos),
            keep: self.keep.and_then(|keep| usize::try_from(keep).ok()),
            not_before_ns: i64::MIN,
        }
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if self.size.is_none() && self.every.is_none() {
            faults.push(("rotate", "nothing says when; set `size` or `every`".to_owned()));
        }
        if let Some(size) = self.size.filter(|size| size.0 < ROTATE_MIN_BYTES) {
            faults.push(("rotate.size", format!("{size} is less than 1KiB")));
        }
        if let Some(every) = self.every.filter(|every| every.as_nanos() < ROTATE_MIN_NS) {
            faults.push(("rotate.every", format!("{every} is less than 1s")));
        }
        if let Some(keep) = self.keep.filter(|keep| !KEEP_BOUNDS.contains(keep)) {
            faults.push((
                "rotate.keep",
                format!("{keep} is not between 1 and 100000; leave it out to keep all"),
            ));
        }
        faults
    }
}
