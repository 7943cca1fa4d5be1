//! The manifest: what a plugin says of itself, readable before any of its code runs.
//!
//! `export_plugin!` writes it as JSON into the library twice: as an ELF note (read by rung 3) and as the
//! symbol [`MANIFEST_SYMBOL`] (compared with the note by rung 8).

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Version of the manifest's own format.
pub const MANIFEST_VERSION: u32 = 1;
/// The ELF section that holds the note.
pub const NOTE_SECTION: &str = ".note.cardcage";
/// The owner name in the note's header, as ELF wants it: with its NUL.
pub const NOTE_NAME: &[u8; 9] = b"Cardcage\0";
/// The note's type number: "manifest, as JSON".
pub const NOTE_TYPE: u32 = 1;
/// The exported symbol whose bytes equal the note's.
pub const MANIFEST_SYMBOL: &str = "cardcage_manifest_v1";
/// The largest manifest the host reads. A manifest of forty component types takes about 20 KiB.
pub const MANIFEST_MAX_BYTES: usize = 256 * 1024;

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_field_names,
    reason = "`manifest` is the format's version, by the name it has in the JSON"
)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub manifest: u32,
    /// The ABI version it was built for.
    pub abi: u32,
    /// The plugin's name, as in `plugin: NAME`.
    pub name: String,
    /// Its version: `major.minor.patch`.
    pub version: String,
    /// One sentence for listings.
    #[serde(default)]
    pub description: String,
    /// How it was built.
    pub build: Build,
    /// What it offers.
    pub components: Vec<ComponentManifest>,
}

/// How a plugin was built: what the machine and the host must be able to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// Must be `unwind`: an abort cannot be caught.
    pub panic: String,
    /// The architecture, as Rust names it.
    pub arch: String,
    /// CPU features that the compiler was allowed to use, separated by spaces, as Rust names them.
    #[serde(default)]
    pub features: String,
    /// The version of the plugin API it was built with.
    pub api: String,
}

/// Source, stage or sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Makes records.
    Source,
    /// Changes records.
    Stage,
    /// Takes records away.
    Sink,
}

impl Kind {
    /// The kind's name, as in a sentence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Stage => "stage",
            Self::Sink => "sink",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One component type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentManifest {
    /// Source, stage or sink.
    pub kind: Kind,
    /// The type's name, as in `plugin: NAME/TYPE`.
    pub name: String,
    /// One sentence for listings.
    #[serde(default)]
    pub description: String,
    /// The most it will do under any settings.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// What it may need of the outside world.
    #[serde(default)]
    pub permissions: Permissions,
    /// The metrics it may write.
    #[serde(default)]
    pub metrics: Vec<MetricDeclaration>,
    /// How the contract probe may try it.
    pub probe: Probe,
}

/// How the contract probe may try a component type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// With these settings.
    Settings(serde_json::Value),
    /// Not at all, for this reason.
    None(String),
}

/// A declared behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// May let records fall, with a reason.
    Drops,
    /// May make records that were not in its input.
    Creates,
    /// May give records in another order.
    Reorders,
    /// May keep records from one call to a later one.
    Holds,
    /// The same input gives the same output.
    Deterministic,
    /// Treats each sensor on its own, so that sensors can be spread over threads.
    ParallelBySensor,
    /// A source that ends by itself.
    Finite,
    /// A source that can go back to a position it reported.
    Replayable,
    /// A source that must be told when data is safe.
    Acknowledged,
    /// A sink for which writing the same record twice is writing it once.
    Idempotent,
    /// A sink whose commit is all or nothing.
    Transactional,
    /// Can snapshot and restore its state.
    State,
    /// A stage that wants to be called as time passes.
    Ticks,
}

impl Capability {
    /// All capabilities, in the order of listings.
    pub const ALL: [Self; 13] = [
        Self::Drops,
        Self::Creates,
        Self::Reorders,
        Self::Holds,
        Self::Deterministic,
        Self::ParallelBySensor,
        Self::Finite,
        Self::Replayable,
        Self::Acknowledged,
        Self::Idempotent,
        Self::Transactional,
        Self::State,
        Self::Ticks,
    ];

    /// The name used in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drops => "drops",
            Self::Creates => "creates",
            Self::Reorders => "reorders",
            Self::Holds => "holds",
            Self::Deterministic => "deterministic",
            Self::ParallelBySensor => "parallel_by_sensor",
            Self::Finite => "finite",
            Self::Replayable => "replayable",
            Self::Acknowledged => "acknowledged",
            Self::Idempotent => "idempotent",
            Self::Transactional => "transactional",
            Self::State => "state",
            Self::Ticks => "ticks",
        }
    }
}

/// A field of a record that a stage may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// `timestamp_ns`.
    Timestamp,
    /// `value`.
    Value,
    /// `sensor`.
    Sensor,
    /// `unit`.
    Unit,
    /// `quality`.
    Quality,
}

/// What a component does to records: at most (manifest) or under given settings (description).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capabilities {
    /// The plain ones.
    #[serde(default)]
    pub does: BTreeSet<Capability>,
    /// The record fields it writes.
    #[serde(default)]
    pub writes: BTreeSet<Field>,
    /// The most threads it starts.
    #[serde(default)]
    pub threads: u32,
}

impl Capabilities {
    /// Whether a plain capability is in.
    pub fn has(&self, capability: Capability) -> bool {
        self.does.contains(&capability)
    }

    /// What `self` does beyond `bounds`, in words; empty if nothing. The promises that restrict a component
    /// (`deterministic`, `parallel_by_sensor`, `idempotent`, …) are not bounds: only effects are compared.
    pub fn beyond(&self, bounds: &Self) -> Vec<String> {
        let plain = self.does.difference(&bounds.does).map(|c| c.name().to_owned());
        let fields = self.writes.difference(&bounds.writes).map(|f| format!("writes {f:?}").to_lowercase());
        let threads = (self.threads > bounds.threads)
            .then(|| format!("threads {} (declared {})", self.threads, bounds.threads));
        plain.chain(fields).chain(threads).collect()
    }
}

/// What a component needs of the outside world. A string `settings.KEY` stands for the value of that setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Permissions {
    /// Files and folders it reads.
    pub read: Vec<String>,
    /// Files and folders it writes.
    pub write: Vec<String>,
    /// Addresses it connects to.
    pub connect: Vec<String>,
    /// Addresses it listens on.
    pub listen: Vec<String>,
    /// Programs it runs.
    pub exec: Vec<String>,
    /// Devices it opens.
    pub devices: Vec<String>,
}

impl Permissions {
    /// Each non-empty list with its name.
    pub fn lists(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        [
            ("read", &self.read),
            ("write", &self.write),
            ("connect", &self.connect),
            ("listen", &self.listen),
            ("exec", &self.exec),
            ("devices", &self.devices),
        ]
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(name, list)| (name, list.as_slice()))
    }
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

impl MetricKind {
    /// The kind's name, as in a sentence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric that a component may write, and the rules for its writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricDeclaration {
    /// Lower case, digits and `_`.
    pub name: String,
    /// Counter, gauge or histogram.
    pub kind: MetricKind,
    /// Unit code; `1` for plain counts.
    #[serde(default)]
    pub unit: String,
    /// One sentence for listings.
    #[serde(default)]
    pub help: String,
    /// No write goes below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// No write goes above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// No write changes the value by more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_step: Option<f64>,
    /// A histogram's upper bounds, rising: each bucket takes what is above the bound before and not above its own; one
    /// more takes the rest. None given: [`BUCKETS_DEFAULT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<f64>,
}

/// The buckets of a histogram that names none: from a microsecond to a minute and more, for durations in seconds.
pub const BUCKETS_DEFAULT: [f64; 16] = [
    1e-6, 4e-6, 16e-6, 64e-6, 250e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 100e-3, 250e-3, 1.0, 2.5, 10.0, 60.0,
];

/// The most buckets that a histogram may name: each is a cell that the host keeps for each writing thread.
pub const BUCKETS_MAX: usize = 64;

impl MetricDeclaration {
    /// The upper bounds of a histogram's buckets; none for counters and gauges.
    pub fn bucket_bounds(&self) -> &[f64] {
        match self.kind {
            MetricKind::Histogram if self.buckets.is_empty() => &BUCKETS_DEFAULT,
            MetricKind::Histogram => &self.buckets,
            MetricKind::Counter | MetricKind::Gauge => &[],
        }
    }
}
