//! Whether what a manifest says is within its bounds and means something.

use super::{permissions, version_numbers};
use crate::printable::{printable, steers};
use cardcage_plugin_api::manifest::{
    BUCKETS_MAX, ComponentManifest, Manifest, MetricDeclaration, MetricKind, Probe,
};

/// The longest name of a plugin, component type or metric.
const NAME_MAX_BYTES: usize = 64;
/// The most component types in one library, and metrics or permissions in one type.
pub(super) const MOST_ENTRIES: usize = 256;
/// The longest description, help, unit, reason, path or address.
const TEXT_MAX_BYTES: usize = 4096;
/// The most threads a component may declare.
const MOST_THREADS: u32 = 64;
/// What is shown of a text that is no name or version.
const SHOWN_CHARS: usize = 64;

/// What is not as it should be, and how it should be.
#[derive(Debug)]
pub(super) struct Slip {
    pub(super) found: String,
    pub(super) expected: String,
}

impl Slip {
    pub(super) fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { found: found.into(), expected: expected.into() }
    }

    /// With where it is before it.
    fn of(self, place: &str) -> Self {
        Self { found: format!("{place}: {}", self.found), ..self }
    }
}

pub(super) fn check(manifest: &Manifest) -> Result<(), Slip> {
    name("plugin", &manifest.name)?;
    text("description", &manifest.description)?;
    text("version of the plugin API", &manifest.build.api)?;
    if version_numbers(&manifest.version).is_none() {
        let found = format!("version `{}`", shown(&manifest.version));
        return Err(Slip::new(found, "three numbers without leading zeros: `1.4.0`"));
    }
    let types = manifest.components.len();
    if types == 0 || types > MOST_ENTRIES {
        return Err(Slip::new(format!("{types} component types"), format!("1 to {MOST_ENTRIES}")));
    }
    for (at, component) in manifest.components.iter().enumerate() {
        name("component type", &component.name)?;
        let place = format!("{} `{}`", component.kind, component.name);
        let twin = manifest.components[..at]
            .iter()
            .any(|other| (other.kind, &other.name) == (component.kind, &component.name));
        if twin {
            return Err(Slip::new(format!("{place} twice"), "one type of a kind and name"));
        }
        of_type(component).map_err(|slip| slip.of(&place))?;
    }
    Ok(())
}

fn of_type(component: &ComponentManifest) -> Result<(), Slip> {
    text("description", &component.description)?;
    let threads = component.capabilities.threads;
    if threads > MOST_THREADS {
        return Err(Slip::new(format!("threads {threads}"), format!("at most {MOST_THREADS}")));
    }
    permissions::check(&component.permissions)?;
    let metrics = &component.metrics;
    if metrics.len() > MOST_ENTRIES {
        return Err(Slip::new(format!("{} metrics", metrics.len()), format!("at most {MOST_ENTRIES}")));
    }
    for (at, metric) in metrics.iter().enumerate() {
        name("metric", &metric.name)?;
        if metrics[..at].iter().any(|other| other.name == metric.name) {
            return Err(Slip::new(format!("metric `{}` twice", metric.name), "one metric of a name"));
        }
        of_metric(metric).map_err(|slip| slip.of(&format!("metric `{}`", metric.name)))?;
    }
    match &component.probe {
        Probe::Settings(settings) if !settings.is_object() => Err(Slip::new(
            "probe settings that are no mapping",
            "`probe: { … }`, the settings to try it with",
        )),
        Probe::None(reason) if reason.trim().is_empty() => {
            Err(Slip::new("`probe: none` without a reason", "`probe: none(\"why it cannot be tried\")`"))
        }
        Probe::None(reason) => text("reason of `probe: none`", reason),
        Probe::Settings(_) => Ok(()),
    }
}

fn of_metric(metric: &MetricDeclaration) -> Result<(), Slip> {
    text("help", &metric.help)?;
    text("unit", &metric.unit)?;
    let buckets = &metric.buckets;
    if !buckets.is_empty() && metric.kind != MetricKind::Histogram {
        return Err(Slip::new("it has buckets", "buckets for histograms only"));
    }
    if metric.kind == MetricKind::Histogram && metric.largest_step.is_some() {
        return Err(Slip::new(
            "a histogram with `largest_step`",
            "none: a histogram's observations have no steps",
        ));
    }
    if buckets.len() > BUCKETS_MAX {
        return Err(Slip::new(format!("{} buckets", buckets.len()), format!("at most {BUCKETS_MAX}")));
    }
    let wrong = buckets.iter().zip(buckets.iter().skip(1)).find(|(one, next)| one >= next);
    if let Some((one, next)) = wrong {
        return Err(Slip::new(format!("the bucket {next} behind {one}"), "buckets that rise"));
    }
    if let (Some(min), Some(max)) = (metric.min, metric.max)
        && min > max
    {
        return Err(Slip::new(
            format!("`min` {min} and `max` {max}"),
            "a `max` that is not below `min`: no write could keep to both",
        ));
    }
    match metric.largest_step {
        Some(step) if step <= 0.0 => {
            Err(Slip::new(format!("`largest_step` {step}"), "a number above 0: no write could keep to it"))
        }
        _ => Ok(()),
    }
}

/// What is shown to people: bounded, and without characters that steer a terminal.
pub(super) fn text(what: &str, text: &str) -> Result<(), Slip> {
    if text.len() > TEXT_MAX_BYTES {
        let found = format!("a {what} of {} bytes", text.len());
        return Err(Slip::new(found, format!("at most {TEXT_MAX_BYTES} bytes")));
    }
    if text.chars().any(steers) {
        return Err(Slip::new(
            format!("a {what} with characters that steer a terminal: `{}`", shown(text)),
            "text on one line, without control characters and without those that turn its direction",
        ));
    }
    Ok(())
}

fn name(what: &str, name: &str) -> Result<(), Slip> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if !name.is_empty() && name.len() <= NAME_MAX_BYTES && name.bytes().all(fits) {
        return Ok(());
    }
    Err(Slip::new(
        format!("{what} name `{}` of {} bytes", shown(name), name.len()),
        format!("1 to {NAME_MAX_BYTES} lower-case letters, digits, `_` and `-`"),
    ))
}

/// The beginning of a text that may be long and anything.
pub(super) fn shown(text: &str) -> String {
    let begin: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if begin.len() < text.len() { "…" } else { "" };
    format!("{}{more}", printable(&begin))
}
