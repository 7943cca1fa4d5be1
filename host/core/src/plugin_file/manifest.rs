//! Rung 3: what the plugin says of itself, read before any of its code runs.

use super::{Fault, Image, System};
use cardcage_plugin_api::abi::ABI_VERSION;
use cardcage_plugin_api::manifest::{
    BUCKETS_MAX, ComponentManifest, MANIFEST_MAX_BYTES, MANIFEST_VERSION, Manifest, MetricDeclaration,
    MetricKind, Permissions, Probe,
};

/// The longest name of a plugin, component type or metric.
const NAME_MAX_BYTES: usize = 64;
/// The most component types in one library, and metrics or permissions in one type.
const MOST_ENTRIES: usize = 256;
/// The longest description, help, unit, path or address.
const TEXT_MAX_BYTES: usize = 4096;
/// The most threads a component may declare.
const MOST_THREADS: u32 = 64;

/// Rung 3: the manifest, if it is there once and says what this machine and this host can take.
pub fn read_manifest(image: &Image, system: &dyn System) -> Result<Manifest, Fault> {
    let note = only_note(image)?;
    if let Err(error) = std::str::from_utf8(note) {
        return Err(Fault::new(
            "not-utf8",
            format!(
                "a manifest of {} bytes that is no text from byte {} on",
                note.len(),
                error.valid_up_to()
            ),
            "the manifest that export_plugin! writes: JSON in UTF-8",
            AS_WRITTEN,
        ));
    }
    let manifest: Manifest = serde_json::from_slice(note).map_err(|error| {
        newer_format(note).unwrap_or_else(|| {
            Fault::new(
                "malformed",
                format!("a manifest that cannot be read: {error}"),
                "the manifest that export_plugin! writes",
                AS_WRITTEN,
            )
        })
    })?;
    versions(&manifest)?;
    build(&manifest, system)?;
    well_formed(&manifest).map_err(|found| {
        Fault::new(
            "ill-formed",
            found,
            "names of 1 to 64 lower-case letters, digits, `_` and `-`, each once, within the bounds",
            "correct it in export_plugin! and build again",
        )
    })?;
    Ok(manifest)
}

const AS_WRITTEN: &str = "build the plugin again; nothing but export_plugin! should write the note";

fn only_note(image: &Image) -> Result<&[u8], Fault> {
    match image.notes.as_slice() {
        [] => Err(Fault::new(
            "missing",
            "a shared library without a Cardcage note",
            "a plugin made with export_plugin!",
            "is this file a plugin? One that was, has lost its note if the linker or `strip -R` removed it",
        )),
        [note] if note.len() > MANIFEST_MAX_BYTES => Err(Fault::new(
            "too-large",
            format!("a manifest of {} bytes", note.len()),
            format!("at most {MANIFEST_MAX_BYTES} bytes"),
            "spread the component types over several plugins",
        )),
        [note] => Ok(note),
        notes => Err(Fault::new(
            "several",
            format!("{} Cardcage notes", notes.len()),
            "one: a library is one plugin",
            "use export_plugin! once, and don't link another plugin into this one",
        )),
    }
}

/// A manifest of a later format fails by its unknown keys; say that it is newer instead.
fn newer_format(note: &[u8]) -> Option<Fault> {
    let value: serde_json::Value = serde_json::from_slice(note).ok()?;
    let version = value.get("manifest")?.as_u64()?;
    (version != u64::from(MANIFEST_VERSION)).then(|| format_version(version))
}

fn format_version(found: u64) -> Fault {
    Fault::new(
        "format",
        format!("manifest format {found}"),
        format!("manifest format {MANIFEST_VERSION}"),
        "build the plugin with the cardcage-plugin-api of this Cardcage, or update Cardcage",
    )
}

fn versions(manifest: &Manifest) -> Result<(), Fault> {
    if manifest.manifest != MANIFEST_VERSION {
        return Err(format_version(manifest.manifest.into()));
    }
    if manifest.abi == ABI_VERSION {
        return Ok(());
    }
    let (age, help) = if manifest.abi > ABI_VERSION {
        ("newer", "update Cardcage, or build the plugin with a cardcage-plugin-api of this ABI version")
    } else {
        ("older", "build the plugin again with the cardcage-plugin-api of this Cardcage")
    };
    Err(Fault::new(
        "abi-version",
        format!("ABI version {}, which is {age} than this host", manifest.abi),
        format!("ABI version {ABI_VERSION}"),
        help,
    ))
}

fn build(manifest: &Manifest, system: &dyn System) -> Result<(), Fault> {
    let build = &manifest.build;
    if build.panic != "unwind" {
        return Err(Fault::new(
            "panic-strategy",
            format!("panic = \"{}\"", build.panic.escape_debug()),
            "panic = \"unwind\": anything else would end the whole daemon on a panic",
            "take `panic = \"abort\"` out of the plugin's profile and build again",
        ));
    }
    let here = system.architecture();
    if build.arch != here {
        return Err(Fault::new(
            "architecture",
            format!("built for {}", build.arch.escape_debug()),
            format!("built for {here}"),
            "build the plugin for this machine",
        ));
    }
    let lacking: Vec<String> = build
        .features
        .split_whitespace()
        .filter(|feature| system.has_feature(feature) != Some(true))
        .map(|feature| feature.escape_debug().to_string())
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Fault::new(
        "cpu-features",
        format!("code that uses {}, which this CPU does not have", lacking.join(", ")),
        "code that this CPU can run",
        "build without `-C target-cpu=native` or on the oldest CPU that it must run on",
    ))
}

fn well_formed(manifest: &Manifest) -> Result<(), String> {
    name("plugin", &manifest.name)?;
    text("description", &manifest.description)?;
    text("version of the plugin API", &manifest.build.api)?;
    if version_numbers(&manifest.version).is_none() {
        return Err(format!("version `{}`; three numbers are expected", manifest.version));
    }
    if manifest.components.is_empty() || manifest.components.len() > MOST_ENTRIES {
        return Err(format!("{} component types", manifest.components.len()));
    }
    for (at, component) in manifest.components.iter().enumerate() {
        name("component type", &component.name)?;
        text("description", &component.description)?;
        let twin = manifest.components[..at]
            .iter()
            .any(|other| (other.kind, &other.name) == (component.kind, &component.name));
        if twin {
            return Err(format!("{} `{}` twice", component.kind, component.name));
        }
        component_well_formed(component)
            .map_err(|found| format!("{} `{}`: {found}", component.kind, component.name))?;
    }
    Ok(())
}

fn component_well_formed(component: &ComponentManifest) -> Result<(), String> {
    if component.capabilities.threads > MOST_THREADS {
        return Err(format!("threads {}; at most {MOST_THREADS}", component.capabilities.threads));
    }
    permissions(&component.permissions)?;
    if component.metrics.len() > MOST_ENTRIES {
        return Err(format!("{} metrics", component.metrics.len()));
    }
    for (at, metric) in component.metrics.iter().enumerate() {
        name("metric", &metric.name)?;
        text("help", &metric.help).and_then(|()| text("unit", &metric.unit))?;
        if component.metrics[..at].iter().any(|other| other.name == metric.name) {
            return Err(format!("metric `{}` twice", metric.name));
        }
        rules(metric).map_err(|found| format!("metric `{}`: {found}", metric.name))?;
    }
    match &component.probe {
        Probe::Settings(settings) if !settings.is_object() => {
            Err(format!("probe settings that are no mapping: {settings}"))
        }
        Probe::None(reason) if reason.trim().is_empty() => Err("`probe: none` without a reason".to_owned()),
        _ => Ok(()),
    }
}

fn permissions(permissions: &Permissions) -> Result<(), String> {
    for (kind, list) in permissions.lists() {
        if list.len() > MOST_ENTRIES {
            return Err(format!("{} entries under permission `{kind}`", list.len()));
        }
        for (at, entry) in list.iter().enumerate() {
            if entry.is_empty() {
                return Err(format!("an empty entry under permission `{kind}`"));
            }
            text("permission", entry)?;
            if list[..at].contains(entry) {
                return Err(format!("permission `{kind}: {}` twice", entry.escape_debug()));
            }
        }
    }
    Ok(())
}

fn rules(metric: &MetricDeclaration) -> Result<(), String> {
    let buckets = &metric.buckets;
    if !buckets.is_empty() && metric.kind != MetricKind::Histogram {
        return Err("it has buckets and is no histogram".to_owned());
    }
    if metric.kind == MetricKind::Histogram && metric.largest_step.is_some() {
        return Err("a histogram's observations have no steps, so `largest_step` says nothing".to_owned());
    }
    let rising = buckets.iter().all(|bound| bound.is_finite()) && buckets.is_sorted_by(|a, b| a < b);
    if buckets.len() > BUCKETS_MAX || !rising {
        return Err(format!("buckets {buckets:?}: expected at most {BUCKETS_MAX} rising numbers"));
    }
    let ordered = match (metric.min, metric.max) {
        (Some(min), Some(max)) => min <= max,
        _ => true,
    };
    let step = metric.largest_step.is_none_or(|step| step > 0.0);
    if ordered && step {
        Ok(())
    } else {
        Err(format!(
            "rules that no write can keep (min {:?}, max {:?}, largest_step {:?})",
            metric.min, metric.max, metric.largest_step
        ))
    }
}

/// What is shown to people: bounded, and without characters that steer a terminal.
fn text(what: &str, text: &str) -> Result<(), String> {
    if text.len() > TEXT_MAX_BYTES {
        return Err(format!("{what} of {} bytes; at most {TEXT_MAX_BYTES}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{what} `{}` with control characters", text.escape_debug()));
    }
    Ok(())
}

fn name(what: &str, name: &str) -> Result<(), String> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if !name.is_empty() && name.len() <= NAME_MAX_BYTES && name.bytes().all(fits) {
        Ok(())
    } else {
        let shown: String = name.chars().take(NAME_MAX_BYTES).collect();
        Err(format!("{what} name `{}` of {} bytes", shown.escape_debug(), name.len()))
    }
}

/// `1.4.0` as numbers, to compare.
pub fn version_numbers(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests;
