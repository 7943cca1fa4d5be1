//! Every key of `pipeline.yaml`: what is known, and what the reference says of it.

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The type of its value, in words.
    pub shape: &'static str,
    /// What holds where it is absent; empty: it may not be absent.
    pub default: &'static str,
    /// What it means: one sentence.
    pub meaning: &'static str,
}

/// The keys of one mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Where the mapping stands; empty: at the top. `*` stands for a component's name.
    pub path: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

const fn key(name: &'static str, shape: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, shape, default, meaning }
}

/// All mappings with fixed keys, in the order of the reference.
pub const TABLES: [Table; 11] =
    [TOP, PLUGINS, TRUST, LIMITS, CONTROL, LOG, AUDIT, CHECKPOINT, COMPONENT, RESTARTS, BATCH];

/// The top level.
pub const TOP: Table = Table {
    path: "",
    keys: &[
        key("version", "`1`", "", "The version of this format."),
        key("plugins", "mapping", "none", "Where plugins come from and which are trusted."),
        key(
            "state_directory",
            "path",
            "`.cardcage`",
            "The folder of everything that outlives a run; relative to this file.",
        ),
        key("limits", "mapping", "none", "Bounds of the whole process."),
        key("control", "mapping", "none", "The control socket."),
        key("log", "mapping", "none", "The host's log."),
        key("audit", "mapping", "none", "The audit trail."),
        key("checkpoint", "mapping", "none", "Barriers and checkpoints."),
        key(
            "on_bad_config",
            "`refuse` or `last_good`",
            "`refuse`",
            "What a start does with a config that is refused.",
        ),
        key("sources", "components by name", "", "What makes records; at least one."),
        key("stages", "components by name", "none", "What changes records."),
        key("sinks", "components by name", "", "What takes records away; at least one."),
    ],
};

/// `plugins`.
pub const PLUGINS: Table = Table {
    path: "plugins",
    keys: &[
        key(
            "directories",
            "list of paths",
            "the host's",
            "Folders with plugin libraries; relative to this file.",
        ),
        key("trust", "mapping", "none", "Which libraries are trusted."),
    ],
};

/// `plugins.trust`.
pub const TRUST: Table = Table {
    path: "plugins.trust",
    keys: &[key(
        "sha256",
        "list of hashes",
        "every library",
        "Only libraries with one of these SHA-256 hashes load.",
    )],
};

/// `limits`.
pub const LIMITS: Table = Table {
    path: "limits",
    keys: &[
        key(
            "sensors",
            "count",
            "`1000000`",
            "Sensors in the dictionary; readings of further ones are rejected.",
        ),
        key("units", "count", "`4096`", "Units in the dictionary."),
        key("retired_generations", "count", "`64`", "Replaced plugin generations that stay mapped."),
        key("memory", "size", "the sum of all buffers", "Bytes that batches and queues may take together."),
    ],
};

/// `control`.
pub const CONTROL: Table = Table {
    path: "control",
    keys: &[
        key("socket", "path", "in the state directory", "The control socket's path."),
        key("mode", "octal digits", "`0600`", "Its permission bits."),
        key("group", "group name", "the process's", "The group that owns it."),
    ],
};

/// `log`.
pub const LOG: Table = Table {
    path: "log",
    keys: &[
        key(
            "level",
            "`error`, `warn`, `info`, `debug` or `trace`",
            "`info`",
            "The least severe lines that are written.",
        ),
        key(
            "format",
            "`auto`, `human` or `json`",
            "`auto`",
            "How lines look; `auto`: human on a terminal, else JSON.",
        ),
    ],
};

/// `audit`.
pub const AUDIT: Table = Table {
    path: "audit",
    keys: &[
        key(
            "detail",
            "`full` or `merged`",
            "`full`",
            "Every write, or one entry a cell between two barriers.",
        ),
        key("max_entries_per_second", "count", "`1000000`", "Entries beyond are merged, never lost."),
        key("rotate", "size", "`64MiB`", "The size at which a new trail file is begun."),
        key("keep", "count", "`16`", "Trail files kept."),
    ],
};

/// `checkpoint`.
pub const CHECKPOINT: Table =
    Table { path: "checkpoint", keys: &[key("every", "duration", "`1s`", "The time between barriers.")] };

/// One component under `sources`, `stages` or `sinks`.
pub const COMPONENT: Table = Table {
    path: "*",
    keys: &[
        key("plugin", "`NAME[/TYPE][@VERSION]`", "", "What it is an instance of."),
        key("inputs", "list of `COMPONENT` or `COMPONENT.PORT`", "", "What flows in; sources have none."),
        key("settings", "mapping", "none", "The plugin's own settings."),
        key("tags", "mapping of text", "none", "Tags added to each of its sensors."),
        key("buffer", "size", "16 full batches", "The bound of its inbox."),
        key("delivery", "`best_effort` or `at_least_once`", "`best_effort`", "What is promised to it."),
        key("dead_letter", "name of a sink", "none", "Where records of failed calls go."),
        key("restarts", "mapping", "none", "How often it is restarted before it has failed for good."),
        key("deadline", "duration", "`10s`", "The longest that one call may take."),
        key(
            "on_failure",
            "`isolate` or `stop`",
            "`isolate`",
            "When it has failed for good: its branch ends, or everything.",
        ),
        key("batch", "mapping", "none", "The batches it makes."),
    ],
};

/// `restarts` of a component.
pub const RESTARTS: Table = Table {
    path: "*.restarts",
    keys: &[
        key("count", "count", "`5`", "At most this many restarts"),
        key("window", "duration", "`1m`", "in this time."),
    ],
};

/// `batch` of a component.
pub const BATCH: Table = Table {
    path: "*.batch",
    keys: &[
        key("records", "count", "`4096`", "The most records in one batch."),
        key("linger", "duration", "`20ms`", "The longest that a batch with room waits for more."),
    ],
};
