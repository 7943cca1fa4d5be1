//! One component, from as written to checked.

use super::quantity::{self, show_size};
use super::raw::{self};
use super::settings::Settings;
use super::valid::{
    BUFFER_BATCHES_DEFAULT, BatchConfig, ComponentConfig, Delivery, Input, OnFailure, PluginRef,
    RECORD_BYTES, Restarts,
};
use super::values::Reader;
use crate::codes;
use crate::diagnostic::{Location, Severity};
use crate::yaml::{Entry, Node, Value, clipped};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Long enough for any name, short enough for a table.
const NAME_MAX_BYTES: usize = 64;
/// 65,536 records are 1.5 MiB: larger batches only leave the caches.
pub(super) const BATCH_RECORDS: RangeInclusive<u32> = 1..=65_536;
/// Records that linger for longer than this are not live any more.
pub(super) const BATCH_LINGER: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_mins(1);
/// More memory than this for one queue is a typing mistake.
pub(super) const BUFFER_MAX_BYTES: u64 = 64 << 30;
pub(super) const RESTARTS_COUNT: RangeInclusive<u32> = 0..=1_000_000;
pub(super) const RESTARTS_WINDOW: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(7 * 24);
/// Shorter ones would catch a busy machine, longer ones nothing.
pub(super) const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(24);
const DEADLINE_DEFAULT: Duration = Duration::from_secs(10);
const NAME_RULE: &str = "a name has 1 to 64 letters, digits, `_` and `-`, and begins with a letter or digit";

/// A component as far as it could be checked.
pub(super) struct Checked {
    /// Where something is wrong, a default stands in for it.
    pub(super) config: ComponentConfig,
    /// Whether inputs were written that are not in it, because something is wrong with them.
    pub(super) inputs_refused: bool,
    /// Whether plugin and settings are as written, so that the plugin can be asked about the settings.
    pub(super) askable: bool,
}

/// Checks a component; what is wrong is reported.
pub(super) fn check(reader: &mut Reader<'_>, raw: &raw::Component<'_>) -> Checked {
    let location = raw.span.in_file(reader.file);
    if !is_name(raw.name) {
        let message = format!("`{}` is no name for a component", clipped(raw.name));
        reader.error(codes::BAD_NAME, raw.span, message, NAME_RULE);
    }
    let mut settings = Settings::default();
    settings.locate_fields(reader.file, raw);
    let mut settings_read = true;
    if let Some(entry) = raw.fields.entry("settings") {
        let errors = reader.problems.count(Severity::Error);
        settings.read(reader, entry);
        settings_read &= !settings.incomplete && reader.problems.count(Severity::Error) == errors;
    }
    let batch = BatchConfig {
        records: reader.count(&raw.batch, "records", BatchConfig::default().records, &BATCH_RECORDS),
        linger: reader.duration(&raw.batch, "linger", BatchConfig::default().linger, &BATCH_LINGER),
    };
    let restarts = Restarts {
        count: reader.count(&raw.restarts, "count", Restarts::default().count, &RESTARTS_COUNT),
        window: reader.duration(&raw.restarts, "window", Restarts::default().window, &RESTARTS_WINDOW),
    };
    let deliveries = [("best_effort", Delivery::BestEffort), ("at_least_once", Delivery::AtLeastOnce)];
    let failures = [("isolate", OnFailure::Isolate), ("stop", OnFailure::Stop)];
    let (inputs, inputs_refused) = inputs(reader, raw);
    let plugin = plugin(reader, raw);
    let askable = settings_read && !plugin.name.is_empty();
    let config = ComponentConfig {
        name: raw.name.to_owned(),
        kind: raw.kind,
        plugin,
        inputs,
        settings: settings.value,
        locations: settings.locations,
        setting_keys: settings.keys,
        substituted: settings.substituted,
        tags: raw.fields.entry("tags").map_or_else(BTreeMap::new, |entry| reader.tags(&entry.node)),
        buffer_bytes: buffer(reader, raw, batch),
        delivery: reader.choice(&raw.fields, "delivery", &deliveries),
        dead_letter: dead_letter(reader, raw),
        restarts,
        deadline: reader.duration(&raw.fields, "deadline", DEADLINE_DEFAULT, &DEADLINE),
        on_failure: reader.choice(&raw.fields, "on_failure", &failures),
        batch,
        location,
    };
    Checked { config, inputs_refused, askable }
}

pub(super) fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// At least one full batch, or nothing would ever fit.
fn buffer(reader: &mut Reader<'_>, raw: &raw::Component<'_>, batch: BatchConfig) -> u64 {
    let batch_bytes = u64::from(batch.records) * RECORD_BYTES;
    let written = raw.fields.entry("buffer").and_then(|entry| Some((entry, entry.node.scalar()?)));
    if let Some((entry, scalar)) = written
        && scalar.origin.is_none()
        && quantity::size(&scalar.text).is_ok_and(|bytes| bytes < batch_bytes)
    {
        let message = format!(
            "`buffer` is {}: less than one full batch, which is {} ({} records of {RECORD_BYTES} bytes)",
            entry.node.shown(),
            show_size(batch_bytes),
            batch.records
        );
        let help = "make it larger, or lower `batch.records` here and where the batches are made";
        reader.error(codes::BAD_VALUE, entry.node.span, message, help);
        return batch_bytes;
    }
    reader
        .size(&raw.fields, "buffer", &(batch_bytes..=BUFFER_MAX_BYTES))
        .unwrap_or(BUFFER_BATCHES_DEFAULT * batch_bytes)
}

fn plugin(reader: &mut Reader<'_>, raw: &raw::Component<'_>) -> PluginRef {
    const FORM: &str = "write `NAME`, `NAME/TYPE` or `NAME/TYPE@VERSION`, as in `range` or `range@1.2.0`";
    let nothing = PluginRef { name: String::new(), type_name: None, version: None };
    let Some(entry) = raw.fields.entry("plugin") else {
        let message = format!("{} `{}` has no `plugin`", raw.kind, clipped(raw.name));
        reader.error(
            codes::MISSING_KEY,
            raw.span,
            message,
            "add `plugin: NAME`; `cardcage plugin list` shows names",
        );
        return nothing;
    };
    let Some(text) = reader.text(&entry.node, "a plugin's name") else {
        return nothing;
    };
    plugin_ref(&text).unwrap_or_else(|| {
        reader.error(
            codes::BAD_PLUGIN,
            entry.node.span,
            format!("{} names no plugin", entry.node.shown()),
            FORM,
        );
        nothing
    })
}

fn plugin_ref(text: &str) -> Option<PluginRef> {
    let (rest, version) = split(text, '@');
    let (name, type_name) = split(rest, '/');
    let good = is_name(name) && type_name.is_none_or(is_name) && version.is_none_or(is_version);
    good.then(|| PluginRef {
        name: name.to_owned(),
        type_name: type_name.map(str::to_owned),
        version: version.map(str::to_owned),
    })
}

fn split(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// `1.2.0`, or with a pre-release behind: `1.2.0-rc.1`.
fn is_version(version: &str) -> bool {
    let (numbers, pre) = split(version, '-');
    let parts: Vec<&str> = numbers.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|part| (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
        && pre.is_none_or(|pre| {
            (1..=NAME_MAX_BYTES).contains(&pre.len())
                && pre.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
        })
}

/// The inputs, and whether some are missing because they are wrong.
fn inputs(reader: &mut Reader<'_>, raw: &raw::Component<'_>) -> (Vec<Input>, bool) {
    let mut inputs: Vec<Input> = Vec::new();
    let Some(entry) = raw.fields.entry("inputs") else {
        return (inputs, false);
    };
    let items = reader.items(&entry.node, "a list of components");
    let none_written = matches!(&entry.node.value, Value::Sequence(items) if items.is_empty());
    let mut refused = items.is_empty() && !none_written;
    for node in items {
        let Some(input) = input(reader, node) else {
            refused = true;
            continue;
        };
        let again = |first: &Input| first.component == input.component && first.port == input.port;
        if inputs.iter().any(again) {
            let message = format!("{} stands in `inputs` twice", node.shown());
            let help = "remove one: records would come twice";
            reader.error(codes::BAD_INPUT, node.span, message, help);
            continue;
        }
        inputs.push(input);
    }
    (inputs, refused)
}

fn input(reader: &mut Reader<'_>, node: &Node) -> Option<Input> {
    let text = reader.text(node, "a component, or a port of one as in `range.dropped`")?;
    let (component, port) = split(&text, '.');
    if !is_name(component) || !port.is_none_or(is_name) {
        let message = format!("{} is no input", node.shown());
        reader.error(codes::BAD_INPUT, node.span, message, "write `COMPONENT` or `COMPONENT.PORT`");
        return None;
    }
    Some(Input {
        component: component.to_owned(),
        port: port.map(str::to_owned),
        location: node.span.in_file(reader.file),
    })
}

fn dead_letter(reader: &mut Reader<'_>, raw: &raw::Component<'_>) -> Option<(String, Location)> {
    let node = &raw.fields.entry("dead_letter")?.node;
    let name = reader.text(node, "the name of a sink")?;
    if !is_name(&name) {
        reader.error(
            codes::BAD_VALUE,
            node.span,
            format!("{} is no name of a sink", node.shown()),
            NAME_RULE,
        );
        return None;
    }
    Some((name, node.span.in_file(reader.file)))
}

/// Where a value is best shown: a scalar or list by itself, a mapping by its key.
pub(super) fn place(file: &str, entry: &Entry) -> Location {
    match entry.node.value {
        Value::Mapping(_) => entry.span.in_file(file),
        Value::Scalar(_) | Value::Sequence(_) if entry.node.is_null() => entry.span.in_file(file),
        Value::Scalar(_) | Value::Sequence(_) => entry.node.span.in_file(file),
    }
}

/// Reports settings that are no mapping.
pub(super) fn no_mapping(reader: &mut Reader<'_>, node: &Node) {
    let message = format!("found {}, but `settings` is a mapping", node.shown());
    reader.error(codes::WRONG_TYPE, node.span, message, "write `key: value` lines, indented below it");
}
