//! Rung 3: what the plugin says of itself, read before any of its code runs.

mod permissions;
mod well_formed;

use super::{Fault, Image, System};
use cardcage_plugin_api::abi::ABI_VERSION;
use cardcage_plugin_api::manifest::{MANIFEST_MAX_BYTES, MANIFEST_VERSION, Manifest};

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
    well_formed::check(&manifest).map_err(|slip| {
        Fault::new("ill-formed", slip.found, slip.expected, "correct it in export_plugin! and build again")
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
    let (mut lacking, mut untold) = (Vec::new(), Vec::new());
    for feature in build.features.split_whitespace() {
        match system.has_feature(feature) {
            Some(true) => {}
            Some(false) => lacking.push(feature),
            None => untold.push(feature),
        }
    }
    let lacking = (!lacking.is_empty())
        .then(|| format!("code that uses {}, which this CPU does not have", lacking.join(", ")));
    let untold = (!untold.is_empty()).then(|| {
        format!("code that uses {}, of which nobody here can tell whether this CPU has it", untold.join(", "))
    });
    let found: Vec<String> = [lacking, untold].into_iter().flatten().collect();
    if found.is_empty() {
        return Ok(());
    }
    Err(Fault::new(
        "cpu-features",
        found.join("; "),
        "code that this CPU can run",
        "build without `-C target-cpu=native` or on the oldest CPU that it must run on",
    ))
}

/// `1.4.0` as numbers, to compare. Digits only, none of them a leading zero: a version has one way to be written, or two
/// files could be the same one and not look it.
pub fn version_numbers(version: &str) -> Option<[u32; 3]> {
    let number = |part: &str| {
        let plain = part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
        if plain { part.parse::<u32>().ok() } else { None }
    };
    let mut parts = version.split('.').map(number);
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests;
