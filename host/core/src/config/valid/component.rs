//! One component after every check.

use crate::diagnostic::Location;
use crate::yaml::Brought;
use cardcage_plugin_api::manifest::Kind;
use cardcage_plugin_api::record::Record;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Records in a batch where the config says nothing: 96 KiB, which stays in a core's second-level cache.
pub const BATCH_RECORDS_DEFAULT: u32 = 4096;
/// Full batches that fit into a component's buffer where the config says nothing.
pub const BUFFER_BATCHES_DEFAULT: u64 = 16;
/// Bytes of one record in a buffer.
pub const RECORD_BYTES: u64 = size_of::<Record>() as u64;

/// One component, checked. `Debug` shows no secrets.
#[derive(Clone)]
pub struct ComponentConfig {
    /// Its name: unique in the pipeline.
    pub name: String,
    /// Source, stage or sink.
    pub kind: Kind,
    /// Which plugin.
    pub plugin: PluginRef,
    /// What flows in; empty for sources, and for sinks that only take dead letters.
    pub inputs: Vec<Input>,
    /// The plugin's settings, substituted, not yet checked against its schema; an object.
    pub settings: Value,
    /// Where each key and setting was written, by dotted path: `inputs`, `settings.rotate.size`, `settings.paths.0`.
    pub locations: BTreeMap<String, Location>,
    /// Where the key of each setting was written, by its dotted path inside the settings.
    pub setting_keys: BTreeMap<String, Location>,
    /// Settings that were substituted: the text that came out, by dotted path inside the settings. A plugin whose
    /// schema wants a string there gets this text, though `settings` holds a number or a boolean.
    pub substituted: BTreeMap<String, Substituted>,
    /// Added to each of its sensors.
    pub tags: BTreeMap<String, String>,
    /// The bound of its inbox. Default 16 full batches.
    pub buffer_bytes: u64,
    /// What is promised to it.
    pub delivery: Delivery,
    /// The sink that gets what failed here, and where that was written.
    pub dead_letter: Option<(String, Location)>,
    /// How often it is restarted.
    pub restarts: Restarts,
    /// The longest a call may take. Default 10 s.
    pub deadline: Duration,
    /// What happens when it has failed for good.
    pub on_failure: OnFailure,
    /// The batches it makes.
    pub batch: BatchConfig,
    /// Where its name was written.
    pub location: Location,
}

/// A setting whose text came from outside the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Substituted {
    /// The text as written: `${credential:token}`.
    pub written: String,
    /// The text that came out; it may be a secret.
    pub text: String,
    /// What of it came from outside, each part with its own substitution.
    pub brought: Vec<Brought>,
}

impl fmt::Debug for Substituted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl ComponentConfig {
    /// Where a setting was written (`rotate.size`), else what it is part of, else the component.
    pub fn setting_location(&self, setting: &str) -> &Location {
        let mut path = setting;
        loop {
            let key = if path.is_empty() { "settings".to_owned() } else { format!("settings.{path}") };
            if let Some(location) = self.locations.get(&key) {
                return location;
            }
            if path.is_empty() {
                return &self.location;
            }
            path = path.rsplit_once('.').map_or("", |(parent, _)| parent);
        }
    }

    /// Where the key of a setting was written, else what [`Self::setting_location`] says.
    pub fn setting_key_location(&self, setting: &str) -> &Location {
        self.setting_keys.get(setting).unwrap_or_else(|| self.setting_location(setting))
    }

    /// Where one of the component's own keys was written (`plugin`, `batch.linger`), else the component.
    pub fn key_location(&self, key: &str) -> &Location {
        self.locations.get(key).unwrap_or(&self.location)
    }

    /// The settings as they may be shown: in place of what was substituted the text that was written.
    pub fn shown_settings(&self) -> Value {
        let mut shown = self.settings.clone();
        hide(&mut shown, "", &self.substituted);
        shown
    }

    /// Whether the other says the same, wherever it is written.
    pub fn same_as(&self, other: &Self) -> bool {
        let inputs = |component: &Self| -> Vec<(String, Option<String>)> {
            component.inputs.iter().map(|input| (input.component.clone(), input.port.clone())).collect()
        };
        let dead_letter = |component: &Self| component.dead_letter.as_ref().map(|(name, _)| name.clone());
        self.name == other.name
            && self.kind == other.kind
            && self.plugin == other.plugin
            && inputs(self) == inputs(other)
            && self.settings == other.settings
            && self.tags == other.tags
            && self.buffer_bytes == other.buffer_bytes
            && self.delivery == other.delivery
            && dead_letter(self) == dead_letter(other)
            && self.restarts == other.restarts
            && self.deadline == other.deadline
            && self.on_failure == other.on_failure
            && self.batch == other.batch
    }
}

fn hide(value: &mut Value, path: &str, substituted: &BTreeMap<String, Substituted>) {
    if let Some(substituted) = substituted.get(path) {
        *value = Value::String(substituted.written.clone());
        return;
    }
    match value {
        Value::Object(entries) => {
            for (key, entry) in entries {
                hide(entry, &join(path, key), substituted);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                hide(item, &join(path, &index.to_string()), substituted);
            }
        }
        _ => {}
    }
}

/// A dotted path with one more part.
pub(in crate::config) fn join(path: &str, part: &str) -> String {
    if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") }
}

impl fmt::Debug for ComponentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentConfig")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("plugin", &self.plugin)
            .field("inputs", &self.inputs)
            .field("settings", &self.shown_settings())
            .field("tags", &self.tags)
            .field("buffer_bytes", &self.buffer_bytes)
            .field("delivery", &self.delivery)
            .field("dead_letter", &self.dead_letter)
            .field("restarts", &self.restarts)
            .field("deadline", &self.deadline)
            .field("on_failure", &self.on_failure)
            .field("batch", &self.batch)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

/// `NAME[/TYPE][@VERSION]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRef {
    /// The plugin.
    pub name: String,
    /// The component type; absent: the one named like the plugin, or the only one of the kind.
    pub type_name: Option<String>,
    /// The version; absent: the highest.
    pub version: Option<String>,
}

impl fmt::Display for PluginRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(type_name) = &self.type_name {
            write!(f, "/{type_name}")?;
        }
        if let Some(version) = &self.version {
            write!(f, "@{version}")?;
        }
        Ok(())
    }
}

/// A component, or a port of one, that flows into another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The component it comes from: exists, and is a source or stage.
    pub component: String,
    /// The named output; absent: the main one. Whether it exists is checked by the wiring.
    pub port: Option<String>,
    /// Where it was written.
    pub location: Location,
}

/// What is promised to a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// What fails or is in flight at a crash may be missing.
    #[default]
    BestEffort,
    /// Everything arrives, perhaps twice after a crash.
    AtLeastOnce,
}

/// How often a component is restarted before it counts as failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restarts {
    /// At most this often
    pub count: u32,
    /// in this time.
    pub window: Duration,
}

impl Default for Restarts {
    fn default() -> Self {
        Self { count: 5, window: Duration::from_mins(1) }
    }
}

/// What happens when a component has failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Its branch ends; the rest runs on.
    #[default]
    Isolate,
    /// Everything is drained and ends.
    Stop,
}

/// The batches that a component makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchConfig {
    /// The most records in one.
    pub records: u32,
    /// The longest that a batch with room waits for more.
    pub linger: Duration,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { records: BATCH_RECORDS_DEFAULT, linger: Duration::from_millis(20) }
    }
}
