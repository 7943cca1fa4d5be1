//! The whole pipeline, from as written to checked.

use super::component::{self, Checked};
use super::links;
use super::raw::{Pipeline, Section};
use super::valid::{
    Audit, AuditDetail, AuditSync, ComponentConfig, Config, Control, Limits, Log, LogFormat, OnBadConfig,
    Permissions, Plugins, Trust,
};
use super::values::Reader;
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::yaml::{Span, Typed, Value};
use cardcage_plugin_api::manifest::Kind;
use core::net::SocketAddr;
use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The version of the format.
const VERSION: i64 = 1;
/// One thread and one inbox each: more than any machine runs, and what follows is allocated by this number.
pub const COMPONENTS_MAX: usize = 4096;
/// Ids are 32 bits wide, of which the dictionary keeps the last for itself; 100 million sensors take some 10 GB.
pub(super) const SENSORS: RangeInclusive<u32> = 1..=100_000_000;
/// Ids are 16 bits wide, and 0 means "no unit".
pub(super) const UNITS: RangeInclusive<u32> = 1..=65_535;
pub(super) const RETIRED_GENERATIONS: RangeInclusive<u32> = 0..=4096;
pub(super) const MEMORY_BYTES: RangeInclusive<u64> = 1 << 20..=64 << 40;
pub(super) const CHECKPOINT_EVERY: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_hours(1);
const CHECKPOINT_EVERY_DEFAULT: Duration = Duration::from_secs(1);
pub(super) const AUDIT_ENTRIES: RangeInclusive<u64> = 1..=1_000_000_000;
pub(super) const AUDIT_ROTATE_BYTES: RangeInclusive<u64> = 64 << 10..=1 << 40;
pub(super) const AUDIT_ROTATE_EVERY: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(24 * 366);
pub(super) const AUDIT_KEEP: RangeInclusive<u32> = 2..=1_000_000;
const STATE_DIRECTORY_DEFAULT: &str = ".cardcage";

/// The checked config, and by component whether its plugin can be asked about its settings. Only if no problem is an
/// error is the config as written.
pub(super) fn check(
    file: &str,
    text: &str,
    raw: &Pipeline<'_>,
    problems: &mut Diagnostics,
) -> (Config, Vec<bool>) {
    let mut reader = Reader { file, problems };
    version(&mut reader, &raw.top);
    let (components, askable) = components(&mut reader, raw);
    let config = Config {
        file: file.to_owned(),
        text: text.to_owned(),
        plugins: plugins(&mut reader, raw),
        state_directory: reader
            .optional_text(&raw.top, "state_directory", "a folder")
            .unwrap_or_else(|| STATE_DIRECTORY_DEFAULT.to_owned()),
        limits: limits(&mut reader, &raw.limits),
        control: control(&mut reader, &raw.control),
        log: log(&mut reader, &raw.log),
        audit: audit(&mut reader, &raw.audit, &raw.rotate),
        checkpoint_every: reader.duration(
            &raw.checkpoint,
            "every",
            CHECKPOINT_EVERY_DEFAULT,
            &CHECKPOINT_EVERY,
        ),
        on_bad_config: reader.choice(
            &raw.top,
            "on_bad_config",
            &[("refuse", OnBadConfig::Refuse), ("last_good", OnBadConfig::LastGood)],
        ),
        components,
        places: places(file, raw),
        warnings: Diagnostics::new(),
    };
    (config, askable)
}

fn places(file: &str, raw: &Pipeline<'_>) -> BTreeMap<String, Location> {
    let sections = [("", &raw.top), ("limits.", &raw.limits)];
    let entries = sections.into_iter().flat_map(|(path, section)| {
        section.entries().map(move |(key, entry)| (format!("{path}{key}"), entry.span.in_file(file)))
    });
    entries.collect()
}

fn version(reader: &mut Reader<'_>, top: &Section<'_>) {
    let Some(entry) = top.entry("version") else {
        let diagnostic = Diagnostic::error(codes::MISSING_KEY, "`version` is missing");
        let start = Span { line: 1, column: 1, end_column: 1 };
        let diagnostic = diagnostic.at(start.in_file(reader.file));
        reader.problems.push(diagnostic.help("add a line `version: 1` at the top"));
        return;
    };
    let Some(scalar) = reader.scalar(&entry.node, "`1`") else {
        return;
    };
    if scalar.typed != Typed::Integer(VERSION) {
        let message = format!("`version` is {}; this program knows `{VERSION}`", entry.node.shown());
        let quoted = scalar.text.trim() == VERSION.to_string();
        let help =
            if quoted { "write `version: 1`, without quotes" } else { "is the file for a newer Cardcage?" };
        reader.error(codes::UNKNOWN_VERSION, entry.node.span, message, help);
    }
}

fn components(reader: &mut Reader<'_>, raw: &Pipeline<'_>) -> (Vec<ComponentConfig>, Vec<bool>) {
    if raw.components.len() > COMPONENTS_MAX {
        let message = format!("{} components; at most {COMPONENTS_MAX}", raw.components.len());
        reader.error(codes::BAD_VALUE, raw.components[COMPONENTS_MAX].span, message, "split the pipeline");
        return (Vec::new(), Vec::new());
    }
    let checked: Vec<Checked> =
        raw.components.iter().map(|component| component::check(reader, component)).collect();
    let refused: HashSet<&str> = checked
        .iter()
        .zip(&raw.components)
        .filter(|(checked, _)| checked.inputs_refused)
        .map(|(_, raw)| raw.name)
        .collect();
    let (components, askable): (Vec<ComponentConfig>, Vec<bool>) =
        checked.into_iter().map(|checked| (checked.config, checked.askable)).unzip();
    if !empty(reader, raw, &components) {
        links::check(&components, &refused, reader.problems);
    }
    (components, askable)
}

/// Reports a pipeline in which nothing could flow; what follows from that is not worth saying.
fn empty(reader: &mut Reader<'_>, raw: &Pipeline<'_>, components: &[ComponentConfig]) -> bool {
    let has = |kind: Kind| components.iter().any(|component| component.kind == kind);
    let (missing, section) = match (has(Kind::Source), has(Kind::Sink)) {
        (true, true) => return false,
        (false, false) => ("sources and no sinks", "sources"),
        (false, true) => ("sources", "sources"),
        (true, false) => ("sinks", "sinks"),
    };
    // What stands there was refused, and that was said.
    let written = |section: &str| raw.top.entry(section).is_some_and(|entry| !entry.node.is_empty());
    if written(section) || (section == "sources" && !has(Kind::Sink) && written("sinks")) {
        return true;
    }
    let diagnostic =
        Diagnostic::error(codes::EMPTY_PIPELINE, format!("there are no {missing}, so nothing can flow"));
    let diagnostic = match raw.top.entry(section) {
        Some(entry) => diagnostic.at(entry.span.in_file(reader.file)),
        None => diagnostic,
    };
    let help = "a pipeline needs at least one component under `sources` and one under `sinks`";
    reader.problems.push(diagnostic.help(help));
    true
}

fn plugins(reader: &mut Reader<'_>, raw: &Pipeline<'_>) -> Plugins {
    let directories = reader.texts(&raw.plugins, "directories", "a list of folders", "a folder");
    let mut sha256 = Vec::new();
    if let Some(entry) = raw.trust.entry("sha256") {
        if matches!(&entry.node.value, Value::Sequence(items) if items.is_empty()) {
            // Whoever lists what is trusted does not mean all, and a pipeline without plugins does nothing.
            let message = "an empty list of trusted libraries: none could be loaded";
            let help = "list the libraries by their hashes, as `sha256sum FILE` prints them; or take `sha256` out, to trust \
                        all that `plugins.trust.permissions` lets pass";
            reader.error(codes::BAD_VALUE, entry.node.span, message.to_owned(), help);
        }
        for node in reader.items(&entry.node, "a list of hashes") {
            let Some(hash) = reader.text(node, "a SHA-256 hash") else {
                continue;
            };
            if hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()) {
                sha256.push(hash.to_ascii_lowercase());
            } else {
                let message = format!("{} is no SHA-256 hash", node.shown());
                let help = "write its 64 hex digits, as `sha256sum FILE` prints them, in quotes";
                reader.error(codes::BAD_VALUE, node.span, message, help);
            }
        }
    }
    let words = [("auto", Permissions::Auto), ("strict", Permissions::Strict), ("any", Permissions::Any)];
    let permissions = reader.choice(&raw.trust, "permissions", &words);
    if let Some(entry) = raw.trust.entry("permissions").filter(|_| permissions == Permissions::Any) {
        let message = "whoever can write a plugin's file, or a folder above it, decides what runs here";
        let diagnostic =
            Diagnostic::warning(codes::OPEN_PLUGINS, message).at(entry.node.span.in_file(reader.file));
        reader
            .problems
            .push(diagnostic.help("list the libraries in `plugins.trust.sha256`, or take this out"));
    }
    Plugins { directories, trust: Trust { sha256, permissions } }
}

fn limits(reader: &mut Reader<'_>, raw: &Section<'_>) -> Limits {
    let default = Limits::default();
    Limits {
        sensors: reader.count(raw, "sensors", default.sensors, &SENSORS),
        units: reader.count(raw, "units", default.units, &UNITS),
        retired_generations: reader.count(
            raw,
            "retired_generations",
            default.retired_generations,
            &RETIRED_GENERATIONS,
        ),
        memory: reader.size(raw, "memory", &MEMORY_BYTES),
    }
}

fn control(reader: &mut Reader<'_>, raw: &Section<'_>) -> Control {
    let mode = raw.entry("mode").and_then(|entry| {
        let text = reader.text(&entry.node, "octal digits such as `0600`")?;
        let digits = text.strip_prefix("0o").unwrap_or(&text);
        let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777);
        if mode.is_none() {
            let message = format!("`mode` is {}; expected octal digits from 0 to 0777", entry.node.shown());
            reader.error(codes::BAD_VALUE, entry.node.span, message, "write `0600`, for example");
        }
        if mode.is_some_and(|mode| mode & 0o002 != 0) {
            let message =
                format!("`mode` {} lets everyone on this machine control the daemon", entry.node.shown());
            let warning =
                Diagnostic::warning(codes::OPEN_SOCKET, message).at(entry.node.span.in_file(reader.file));
            reader.problems.push(warning.help("write `0660` and name a `group`"));
        }
        mode
    });
    Control {
        socket: reader.optional_text(raw, "socket", "a path"),
        mode: mode.unwrap_or(Control::default().mode),
        group: reader.optional_text(raw, "group", "a group's name"),
        metrics: metrics_address(reader, raw),
    }
}

fn metrics_address(reader: &mut Reader<'_>, raw: &Section<'_>) -> Option<SocketAddr> {
    let entry = raw.entry("metrics")?;
    let text = reader.text(&entry.node, "an address and a port such as `127.0.0.1:9469`")?;
    let Ok(address) = text.parse::<SocketAddr>() else {
        let message = format!("`metrics` is {}; expected a numeric address and a port", entry.node.shown());
        let help = "write `127.0.0.1:9469`, for example, or `[::1]:9469`";
        reader.error(codes::BAD_VALUE, entry.node.span, message, help);
        return None;
    };
    if !address.ip().is_loopback() {
        let message =
            format!("`metrics` {address}: whoever can reach this machine can read the pipeline's metrics");
        let warning =
            Diagnostic::warning(codes::OPEN_METRICS, message).at(entry.node.span.in_file(reader.file));
        reader.problems.push(warning.help("listen on 127.0.0.1 and let a proxy ask who is there"));
    }
    Some(address)
}

fn log(reader: &mut Reader<'_>, raw: &Section<'_>) -> Log {
    let levels = ["error", "warn", "info", "debug", "trace"].map(|level| (level, Some(level)));
    let formats = [
        ("auto", LogFormat::Auto),
        ("human", LogFormat::Human),
        ("json", LogFormat::Json),
        ("journal", LogFormat::Journal),
    ];
    let level = reader.choice(raw, "level", &levels);
    Log {
        level: level.map_or_else(|| Log::default().level, str::to_owned),
        format: reader.choice(raw, "format", &formats),
    }
}

fn audit(reader: &mut Reader<'_>, raw: &Section<'_>, rotate: &Section<'_>) -> Audit {
    let default = Audit::default();
    let details =
        [("write", AuditDetail::Write), ("batch", AuditDetail::Batch), ("interval", AuditDetail::Interval)];
    let syncs = [("block", AuditSync::Block), ("rotation", AuditSync::Rotation), ("never", AuditSync::Never)];
    Audit {
        detail: reader.choice(raw, "detail", &details),
        max_entries_per_second: reader.count(
            raw,
            "max_entries_per_second",
            default.max_entries_per_second,
            &AUDIT_ENTRIES,
        ),
        rotate_bytes: reader.size(rotate, "size", &AUDIT_ROTATE_BYTES).unwrap_or(default.rotate_bytes),
        rotate_every: reader.duration(rotate, "every", default.rotate_every, &AUDIT_ROTATE_EVERY),
        keep: reader.count(raw, "keep", default.keep, &AUDIT_KEEP),
        sync: reader.choice(raw, "sync", &syncs),
    }
}
