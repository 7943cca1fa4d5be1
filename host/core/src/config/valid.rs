//! The config after every check: nothing downstream checks any of it again.

mod component;

pub(super) use component::join;
pub use component::{
    BATCH_RECORDS_DEFAULT, BUFFER_BATCHES_DEFAULT, BatchConfig, ComponentConfig, Delivery, Input, OnFailure,
    PluginRef, RECORD_BYTES, Restarts, Substituted,
};

use crate::diagnostic::{Diagnostics, Location};
use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::time::Duration;

/// A pipeline, checked.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "`on_bad_config` is the key that people write")]
pub struct Config {
    /// The file's name, as the caller gave it.
    pub file: String,
    /// The file's text as written, with nothing substituted: problems found later quote their line from it.
    pub text: String,
    /// Where plugins come from and which are trusted.
    pub plugins: Plugins,
    /// The folder of everything that outlives a run; relative to the file. Default `.cardcage`.
    pub state_directory: String,
    /// Bounds of the whole process.
    pub limits: Limits,
    /// The control socket.
    pub control: Control,
    /// The host's log.
    pub log: Log,
    /// The audit trail.
    pub audit: Audit,
    /// The time between barriers. Default 1 s.
    pub checkpoint_every: Duration,
    /// What a start does with a config that is refused.
    pub on_bad_config: OnBadConfig,
    /// Sources, then stages, then sinks, each in the order of the file.
    pub components: Vec<ComponentConfig>,
    /// Where the keys of the top level and of its sections were written, by dotted path: `limits.memory`.
    pub places: BTreeMap<String, Location>,
    /// What deserves a look, though the config is taken.
    pub warnings: Diagnostics,
}

impl Config {
    /// The component of this name.
    pub fn component(&self, name: &str) -> Option<&ComponentConfig> {
        self.components.iter().find(|component| component.name == name)
    }

    /// Gives problems that were found later (settings, wiring) their source lines, and sorts them by place.
    pub fn quote(&self, diagnostics: &mut Diagnostics) {
        diagnostics.quote(&self.file, &self.text);
        diagnostics.sort();
    }
}

/// Where plugins come from and which are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugins {
    /// Folders with plugin libraries, as written: relative ones are relative to the file. Empty: the host's default.
    pub directories: Vec<String>,
    /// Which libraries are trusted.
    pub trust: Trust,
}

/// Which libraries are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The SHA-256 of each trusted library, 64 lower-case hex digits; empty: no list was given.
    pub sha256: Vec<String>,
    /// Who may own and write plugin files and the folders above them.
    pub permissions: Permissions,
}

/// Who may own and write plugin files and the folders above them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Permissions {
    /// Root and the user that Cardcage runs as; a person's private group may write too.
    #[default]
    Auto,
    /// Root and that user, and no group.
    Strict,
    /// Anybody: whoever can write them decides what runs here.
    Any,
}

/// Bounds of the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sensors in the dictionary.
    pub sensors: u32,
    /// Units in the dictionary.
    pub units: u32,
    /// Replaced plugin generations that stay mapped.
    pub retired_generations: u32,
    /// Bytes that batches and queues may take together; absent: the sum of all buffers is the bound.
    pub memory: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sensors: 1_000_000, units: 4096, retired_generations: 64, memory: None }
    }
}

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Its path, as written; absent: inside the state directory.
    pub socket: Option<String>,
    /// Its permission bits. Default 0600.
    pub mode: u32,
    /// The group that owns it; absent: the process's own.
    pub group: Option<String>,
    /// Where metrics and health are also served over TCP; absent: nowhere.
    pub metrics: Option<SocketAddr>,
}

impl Default for Control {
    fn default() -> Self {
        Self { socket: None, mode: 0o600, group: None, metrics: None }
    }
}

/// The host's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`. Default `info`.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// By what stderr is: human on a terminal, `journal` where it leads to the journal, else JSON.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
    /// The systemd journal, in its own protocol.
    Journal,
}

/// The audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// How much is kept.
    pub detail: AuditDetail,
    /// Entries a second that are written singly; what is beyond is merged, never lost. Default 1,000,000: 32 MB/s.
    pub max_entries_per_second: u64,
    /// Bytes after which a new trail file is begun. Default 64 MiB.
    pub rotate_bytes: u64,
    /// Time after which a new trail file is begun. Default a day.
    pub rotate_every: Duration,
    /// Trail files kept, at least two. Default 16.
    pub keep: u32,
    /// When the trail is made safe from a power cut.
    pub sync: AuditSync,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            detail: AuditDetail::Write,
            max_entries_per_second: 1_000_000,
            rotate_bytes: 64 << 20,
            rotate_every: Duration::from_hours(24),
            keep: 16,
            sync: AuditSync::Rotation,
        }
    }
}

/// How much of the audit trail is kept: what an entry stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditDetail {
    /// One write to one cell.
    #[default]
    Write,
    /// The writes to one cell in one call into its plugin.
    Batch,
    /// The writes to one cell in a second.
    Interval,
}

/// When the audit trail is made safe from a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditSync {
    /// With each block.
    Block,
    /// With each finished file, and at the end of a run.
    #[default]
    Rotation,
    /// When the system gets to it.
    Never,
}

/// What a start does with a config that is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBadConfig {
    /// Ends with the reasons.
    #[default]
    Refuse,
    /// Runs the last config that was taken.
    LastGood,
}
