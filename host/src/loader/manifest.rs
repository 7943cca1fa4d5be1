//! Rung 3: what the plugin says of itself, read before any of its code runs.

#![forbid(unsafe_code)]

use super::elf::Image;
use super::machine;
use super::refusal::{Climbed, Refusal, Rung};
use cardcage_plugin_api::abi::ABI_VERSION;
use cardcage_plugin_api::manifest::{
    ComponentManifest, MANIFEST_MAX_BYTES, MANIFEST_VERSION, Manifest, MetricDeclaration, Permissions, Probe,
};
use std::path::Path;

/// The longest name of a plugin, component type or metric.
const NAME_MAX_BYTES: usize = 64;
/// The most component types in one library, and metrics or permissions in one type.
const MOST_ENTRIES: usize = 256;
/// The most threads a component may declare.
const MOST_THREADS: u32 = 64;

/// Rung 3.
pub(crate) fn read(path: &Path, image: &Image) -> Climbed<Manifest> {
    let note = only_note(path, image)?;
    let manifest: Manifest = serde_json::from_slice(note).map_err(|error| {
        newer_format(path, note).unwrap_or_else(|| {
            no(
                path,
                "malformed",
                format!("a manifest that cannot be read: {error}"),
                "the manifest that export_plugin! writes",
                "build the plugin again; nothing but export_plugin! should write the note",
            )
        })
    })?;
    versions(path, &manifest)?;
    build(path, &manifest)?;
    well_formed(&manifest).map_err(|found| {
        no(
            path,
            "ill-formed",
            found,
            "names of 1 to 64 lower-case letters, digits, `_` and `-`, each once, within the bounds",
            "correct it in export_plugin! and build again",
        )
    })?;
    Ok(manifest)
}

fn no(
    path: &Path,
    what: &str,
    found: impl Into<Box<str>>,
    expected: impl Into<Box<str>>,
    help: &str,
) -> Refusal {
    Refusal::new(Rung::Manifest, what, path, found, expected, help)
}

fn only_note<'a>(path: &Path, image: &'a Image) -> Climbed<&'a [u8]> {
    match image.notes.as_slice() {
        [] => Err(no(
            path,
            "missing",
            "a shared library without a Cardcage note",
            "a plugin made with export_plugin!",
            "is this file a plugin? One that was, has lost its note if the linker or `strip -R` removed it",
        )),
        [note] if note.len() > MANIFEST_MAX_BYTES => Err(no(
            path,
            "too-large",
            format!("a manifest of {} bytes", note.len()),
            format!("at most {MANIFEST_MAX_BYTES} bytes"),
            "spread the component types over several plugins",
        )),
        [note] => Ok(note),
        notes => Err(no(
            path,
            "several",
            format!("{} Cardcage notes", notes.len()),
            "one: a library is one plugin",
            "use export_plugin! once, and don't link another plugin into this one",
        )),
    }
}

/// A manifest of a later format fails by its unknown keys; say that it is newer instead.
fn newer_format(path: &Path, note: &[u8]) -> Option<Refusal> {
    let value: serde_json::Value = serde_json::from_slice(note).ok()?;
    let version = value.get("manifest")?.as_u64()?;
    (version != u64::from(MANIFEST_VERSION)).then(|| format_version(path, version))
}

fn format_version(path: &Path, found: u64) -> Refusal {
    no(
        path,
        "format",
        format!("manifest format {found}"),
        format!("manifest format {MANIFEST_VERSION}"),
        "build the plugin with the cardcage-plugin-api of this Cardcage, or update Cardcage",
    )
}

fn versions(path: &Path, manifest: &Manifest) -> Climbed<()> {
    if manifest.manifest != MANIFEST_VERSION {
        return Err(format_version(path, manifest.manifest.into()));
    }
    if manifest.abi != ABI_VERSION {
        return Err(no(
            path,
            "abi-version",
            format!("ABI version {}", manifest.abi),
            format!("ABI version {ABI_VERSION}"),
            "build the plugin with a cardcage-plugin-api of this ABI version",
        ));
    }
    Ok(())
}

fn build(path: &Path, manifest: &Manifest) -> Climbed<()> {
    let build = &manifest.build;
    if build.panic != "unwind" {
        return Err(no(
            path,
            "panic-strategy",
            format!("panic = \"{}\"", build.panic),
            "panic = \"unwind\": anything else would end the whole daemon on a panic",
            "take `panic = \"abort\"` out of the plugin's profile and build again",
        ));
    }
    if build.arch != machine::NAME {
        return Err(no(
            path,
            "architecture",
            format!("built for {}", build.arch),
            format!("built for {}", machine::NAME),
            "build the plugin for this machine",
        ));
    }
    let lacking: Vec<&str> = build
        .features
        .split_whitespace()
        .filter(|feature| machine::has_feature(feature) != Some(true))
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(no(
        path,
        "cpu-features",
        format!("code that uses {}, which this CPU does not have", lacking.join(", ")),
        "code that this CPU can run",
        "build without `-C target-cpu=native` or on the oldest CPU that it must run on",
    ))
}

fn well_formed(manifest: &Manifest) -> Result<(), String> {
    name("plugin", &manifest.name)?;
    if version_numbers(&manifest.version).is_none() {
        return Err(format!("version `{}`; three numbers are expected", manifest.version));
    }
    if manifest.components.is_empty() || manifest.components.len() > MOST_ENTRIES {
        return Err(format!("{} component types", manifest.components.len()));
    }
    for (at, component) in manifest.components.iter().enumerate() {
        name("component type", &component.name)?;
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
        for entry in list {
            let plain = !entry.is_empty() && !entry.contains(char::is_control);
            if !plain {
                return Err(format!("permission `{kind}: {}`", entry.escape_debug()));
            }
        }
    }
    Ok(())
}

fn rules(metric: &MetricDeclaration) -> Result<(), String> {
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

fn name(what: &str, name: &str) -> Result<(), String> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if !name.is_empty() && name.len() <= NAME_MAX_BYTES && name.bytes().all(fits) {
        Ok(())
    } else {
        Err(format!("{what} name `{}`", name.escape_debug()))
    }
}

/// `1.4.0` as numbers, to compare.
pub(crate) fn version_numbers(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({
            "manifest": 1, "name": "x", "version": "1.0.0", "abi": 1,
            "build": {"panic": "unwind", "arch": machine::NAME, "features": "", "api": "0.1.0"},
            "components": [{"kind": "stage", "name": "x", "probe": {"settings": {}}}],
        })
    }

    fn read_note(manifest: &Value) -> Climbed<Manifest> {
        let image = Image { notes: vec![serde_json::to_vec(manifest).unwrap()], ..Image::default() };
        read(Path::new("libx.so"), &image)
    }

    #[test]
    fn a_good_manifest_passes() {
        assert_eq!(read_note(&good()).unwrap().name, "x");
    }

    #[test]
    fn each_lie_and_each_slip_has_its_own_code() {
        let two = json!({"kind": "stage", "name": "x", "probe": {"settings": {}}});
        let cases = [
            ("/manifest", json!(2), "ladder.manifest.format"),
            ("/abi", json!(2), "ladder.manifest.abi-version"),
            ("/name", json!("../x"), "ladder.manifest.ill-formed"),
            ("/name", json!(7), "ladder.manifest.malformed"),
            ("/version", json!("1.0"), "ladder.manifest.ill-formed"),
            ("/build/panic", json!("abort"), "ladder.manifest.panic-strategy"),
            ("/build/arch", json!("vax"), "ladder.manifest.architecture"),
            ("/build/features", json!("sse2 warp9"), "ladder.manifest.cpu-features"),
            ("/components", json!([]), "ladder.manifest.ill-formed"),
            ("/components", json!([two, two]), "ladder.manifest.ill-formed"),
            ("/components/0/probe", json!({"none": " "}), "ladder.manifest.ill-formed"),
            ("/components/0/probe", json!({"settings": 1}), "ladder.manifest.ill-formed"),
            ("/components/0/kind", json!("filter"), "ladder.manifest.malformed"),
        ];
        for (at, value, code) in cases {
            let mut manifest = good();
            *manifest.pointer_mut(at).unwrap() = value.clone();
            let refusal = read_note(&manifest).expect_err(&format!("{at} = {value}"));
            assert_eq!(&*refusal.code, code, "{at} = {value}: {refusal}");
        }
    }

    #[test]
    fn an_unknown_key_in_a_newer_manifest_reads_as_newer() {
        let mut manifest = good();
        manifest["manifest"] = json!(9);
        manifest["signature"] = json!("abc");
        assert_eq!(read_note(&manifest).unwrap_err().code.as_ref(), "ladder.manifest.format");
        manifest["manifest"] = json!(1);
        assert_eq!(read_note(&manifest).unwrap_err().code.as_ref(), "ladder.manifest.malformed");
    }

    #[test]
    fn the_note_is_there_once() {
        let bare = Image::default();
        assert_eq!(read(Path::new("x"), &bare).unwrap_err().code.as_ref(), "ladder.manifest.missing");
        let note = serde_json::to_vec(&good()).unwrap();
        let two = Image { notes: vec![note.clone(), note], ..Image::default() };
        assert_eq!(read(Path::new("x"), &two).unwrap_err().code.as_ref(), "ladder.manifest.several");
    }
}
