//! Every key of `pipeline.yaml`: what is known, what is taken, and what the reference and editors say of it.
//!
//! Bounds come from where they are checked. Words that a value may be are here, and the check looks them up.

mod words;

use self::Absent::{Nothing, Required, Value, Words};
use super::{check, component};
use crate::config::valid::RECORD_BYTES;
use std::ops::RangeInclusive;
use std::time::Duration;

pub use check::COMPONENTS_MAX;

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value looks like.
    pub shape: Shape,
    /// What holds where it is absent.
    pub default: Absent,
    /// What it means, as Markdown on one line.
    pub meaning: &'static str,
    /// Whether this version of the daemon does anything with it.
    pub has_effect: bool,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The format's version: `1`.
    Version,
    /// A mapping with keys of its own: the table of that path.
    Mapping,
    /// Components by their names.
    Components,
    /// A file or folder.
    Path,
    /// Files or folders.
    Paths,
    /// SHA-256 hashes of 64 hex digits.
    Hashes,
    /// Permission bits as octal digits.
    Octal,
    /// Some text: what it names.
    Text(&'static str),
    /// One of these words.
    Words(&'static [&'static str]),
    /// A whole number within bounds, both included.
    Count(u64, u64),
    /// A duration with its unit, within bounds, both included.
    Duration(Duration, Duration),
    /// A size in bytes with its unit, within bounds, both included.
    Size(u64, u64),
    /// `NAME[/TYPE][@VERSION]`.
    Plugin,
    /// A list of `COMPONENT` or `COMPONENT.PORT`.
    Inputs,
    /// The plugin's own settings: a mapping.
    Settings,
    /// Short texts by name.
    Tags,
    /// The name of a sink.
    Sink,
}

/// What holds where a key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It may not be absent.
    Required,
    /// Nothing of the kind.
    Nothing,
    /// This value, as it could be written.
    Value(&'static str),
    /// What these words say.
    Words(&'static str),
}

/// The keys of one mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Where the mapping stands; empty: at the top. `*` stands for a component's name.
    pub path: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

impl Table {
    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Where a key of it stands: `limits.sensors`, or `*.batch.records` in a component.
    pub fn path_of(&self, key: &Key) -> String {
        if self.path.is_empty() { key.name.to_owned() } else { format!("{}.{}", self.path, key.name) }
    }
}

/// The table of a path, as in [`Table::path`].
pub fn table(path: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.path == path)
}

const fn key(name: &'static str, shape: Shape, default: Absent, meaning: &'static str) -> Key {
    Key { name, shape, default, meaning, has_effect: true }
}

impl Key {
    const fn without_effect(self) -> Self {
        Self { has_effect: false, ..self }
    }
}

const fn count(range: &RangeInclusive<u32>) -> Shape {
    Shape::Count(*range.start() as u64, *range.end() as u64)
}

const fn duration(range: &RangeInclusive<Duration>) -> Shape {
    Shape::Duration(*range.start(), *range.end())
}

const fn size(range: &RangeInclusive<u64>) -> Shape {
    Shape::Size(*range.start(), *range.end())
}

/// All mappings with fixed keys, in the order of the reference.
pub static TABLES: [Table; 12] =
    [TOP, PLUGINS, TRUST, LIMITS, CONTROL, LOG, AUDIT, ROTATE, CHECKPOINT, COMPONENT, RESTARTS, BATCH];

/// The top level.
pub const TOP: Table = Table {
    path: "",
    keys: &[
        key("version", Shape::Version, Required, "The version of this format."),
        key("plugins", Shape::Mapping, Nothing, "Where plugins come from and which are trusted."),
        key(
            "state_directory",
            Shape::Path,
            Value(".cardcage"),
            "The folder of everything that outlives a run; relative to this file.",
        ),
        key("limits", Shape::Mapping, Nothing, "Bounds of the whole process."),
        key("control", Shape::Mapping, Nothing, "How a running daemon is reached: its control socket, and metrics over TCP."),
        key("log", Shape::Mapping, Nothing, "The host's log."),
        key("audit", Shape::Mapping, Nothing, "The audit trail of every metric."),
        key("checkpoint", Shape::Mapping, Nothing, "How often sinks commit what they got, and sources hear of it (a barrier)."),
        key(
            "on_bad_config",
            Shape::Words(&["refuse", "last_good"]),
            Value("refuse"),
            "What a start does with a config that is refused: end with the reasons, or run the last one that was taken.",
        )
        .without_effect(),
        key("sources", Shape::Components, Required, "What makes records, by name; at least one."),
        key("stages", Shape::Components, Nothing, "What changes records, by name."),
        key("sinks", Shape::Components, Required, "What takes records away, by name; at least one."),
    ],
};

/// `plugins`.
pub const PLUGINS: Table = Table {
    path: "plugins",
    keys: &[
        key(
            "directories",
            Shape::Paths,
            Words("the program's own folder, and `/usr/lib/cardcage`"),
            "Folders with plugin libraries; relative to this file.",
        ),
        key("trust", Shape::Mapping, Nothing, "Which libraries are trusted."),
    ],
};

/// `plugins.trust`.
pub const TRUST: Table = Table {
    path: "plugins.trust",
    keys: &[
        key(
            "sha256",
            Shape::Hashes,
            Words("every library"),
            "Only libraries with one of these hashes load; `sha256sum FILE` prints a file's.",
        ),
        key(
            "permissions",
            Shape::Words(&["auto", "strict", "any"]),
            Value("auto"),
            "Who may own and write plugin files and the folders above them: root and the user that runs this, whose private \
             group may write too unless it is a service's (`auto`) or in no case (`strict`); or anybody (`any`).",
        ),
    ],
};

/// `limits`.
pub const LIMITS: Table = Table {
    path: "limits",
    keys: &[
        key(
            "sensors",
            count(&check::SENSORS),
            Value("1000000"),
            "Sensors in the dictionary (a name with its tags each); readings of further ones are rejected and counted.",
        ),
        key(
            "units",
            count(&check::UNITS),
            Value("4096"),
            "Units in the dictionary; readings in further ones are rejected and counted.",
        ),
        key(
            "retired_generations",
            count(&check::RETIRED_GENERATIONS),
            Value("64"),
            "Replaced plugin generations that stay mapped.",
        )
        .without_effect(),
        key(
            "memory",
            size(&check::MEMORY_BYTES),
            Words("the sum of all buffers"),
            "Bytes that batches and queues may take together.",
        )
        .without_effect(),
    ],
};

/// `control`.
pub const CONTROL: Table = Table {
    path: "control",
    keys: &[
        key(
            "socket",
            Shape::Path,
            Words("`control.sock` in the state directory"),
            "The control socket's path; relative to this file.",
        ),
        key("mode", Shape::Octal, Value("0600"), "Its permission bits."),
        key(
            "group",
            Shape::Text("a group's name or number"),
            Words("the process's"),
            "The group that owns it, whose members may use it if `mode` lets them.",
        ),
        key(
            "metrics",
            Shape::Text("`ADDRESS:PORT`"),
            Nothing,
            "Where `/metrics` and `/health` (and nothing else) are also served over TCP, without asking who is there: \
             `127.0.0.1:9469`, for example.",
        ),
    ],
};

/// `log`.
pub const LOG: Table = Table {
    path: "log",
    keys: &[
        key(
            "level",
            Shape::Words(&["error", "warn", "info", "debug", "trace"]),
            Value("info"),
            "The least severe lines that are written.",
        ),
        key(
            "format",
            Shape::Words(&["auto", "human", "json", "journal"]),
            Value("auto"),
            "How lines look; `auto`: human on a terminal, in the journal its own protocol, else JSON.",
        ),
    ],
};

/// `audit`.
pub const AUDIT: Table = Table {
    path: "audit",
    keys: &[
        key(
            "detail",
            Shape::Words(&["write", "batch", "interval"]),
            Value("write"),
            "What an entry stands for: each write, the writes of one call into a plugin (a batch), or those of a second. \
             However many, no write goes uncounted.",
        ),
        key(
            "max_entries_per_second",
            Shape::Count(*check::AUDIT_ENTRIES.start(), *check::AUDIT_ENTRIES.end()),
            Value("1000000"),
            "Past so many in a second, the rest of the second is merged into one entry a cell.",
        ),
        key("rotate", Shape::Mapping, Nothing, "When a new trail file is begun."),
        key("keep", count(&check::AUDIT_KEEP), Value("16"), "Trail files kept; the oldest go."),
        key(
            "sync",
            Shape::Words(&["block", "rotation", "never"]),
            Value("rotation"),
            "When the trail is made safe from a power cut: with each block (up to twice a second), with each finished file \
             and at the end, or when the system gets to it.",
        ),
    ],
};

/// `audit.rotate`.
pub const ROTATE: Table = Table {
    path: "audit.rotate",
    keys: &[
        key("size", size(&check::AUDIT_ROTATE_BYTES), Value("64MiB"), "Once the file has this size,"),
        key("every", duration(&check::AUDIT_ROTATE_EVERY), Value("24h"), "or once it is this old."),
    ],
};

/// `checkpoint`.
pub const CHECKPOINT: Table = Table {
    path: "checkpoint",
    keys: &[key(
        "every",
        duration(&check::CHECKPOINT_EVERY),
        Value("1s"),
        "The time between barriers, at which sinks commit.",
    )],
};

/// One component under `sources`, `stages` or `sinks`.
pub const COMPONENT: Table = Table {
    path: "*",
    keys: &[
        key(
            "plugin",
            Shape::Plugin,
            Required,
            "What it is an instance of: a plugin's name, perhaps one of its component types, perhaps a version. \
             `cardcage plugin list` shows what there is.",
        ),
        key(
            "inputs",
            Shape::Inputs,
            Required,
            "What flows in: sources and stages, or named outputs (ports) of stages. Sources have none, and a sink that \
             only takes dead letters needs none.",
        ),
        key("settings", Shape::Settings, Nothing, "The plugin's own settings."),
        key("tags", Shape::Tags, Nothing, "Tags added to each of its sensors."),
        key(
            "buffer",
            Shape::Size(RECORD_BYTES, component::BUFFER_MAX_BYTES),
            Words("16 full batches"),
            "The bound of its inbox; at least one full batch, of 24 bytes a record.",
        ),
        key(
            "delivery",
            Shape::Words(&["best_effort", "at_least_once"]),
            Value("best_effort"),
            "What is promised to it: `best_effort`: what fails or is in flight at a crash may be missing; `at_least_once`: \
             every source behind it can go back to what was lost, or the config is refused. A full queue holds up what \
             feeds it under both. In this version no position outlives a run: a new start reads its sources from \
             where their settings say, and sinks append.",
        ),
        key(
            "dead_letter",
            Shape::Sink,
            Nothing,
            "The sink that takes the records of its failed calls and, of a sink, those that it took and lost before \
             they were committed.",
        ),
        key("restarts", Shape::Mapping, Nothing, "How often it is restarted before it has failed for good."),
        key("deadline", duration(&component::DEADLINE), Value("10s"), "The longest that one call may take."),
        key(
            "on_failure",
            Shape::Words(&["isolate", "stop"]),
            Value("isolate"),
            "When it has failed for good: its branch ends, or the whole pipeline is drained and ends.",
        ),
        key("batch", Shape::Mapping, Nothing, "The batches it makes."),
    ],
};

/// `restarts` of a component.
pub const RESTARTS: Table = Table {
    path: "*.restarts",
    keys: &[
        key("count", count(&component::RESTARTS_COUNT), Value("5"), "At most this many restarts"),
        key("window", duration(&component::RESTARTS_WINDOW), Value("1m"), "in this time."),
    ],
};

/// `batch` of a component.
pub const BATCH: Table = Table {
    path: "*.batch",
    keys: &[
        key("records", count(&component::BATCH_RECORDS), Value("4096"), "The most records in one batch."),
        key(
            "linger",
            duration(&component::BATCH_LINGER),
            Value("20ms"),
            "The longest that a batch with room waits for more.",
        ),
    ],
};
