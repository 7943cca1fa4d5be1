//! Rung 8: what the plugin declares is what it has.
//!
//! Rung 3 believed a note that anyone could have edited in the file. Here the library that answers is compared with it.

#![forbid(unsafe_code)]

use super::refusal::{Climbed, Refusal, Rung};
use super::vtable::TypeTable;
use cardcage_plugin_api::manifest::{Capability, ComponentManifest, Kind, Manifest};
use std::path::Path;

/// Rung 8: the tables, each with its part of the manifest.
pub(crate) fn compare<'m>(
    path: &Path,
    manifest: &'m Manifest,
    note: &[u8],
    exported: &[u8],
    tables: Vec<TypeTable>,
) -> Climbed<Vec<(TypeTable, &'m ComponentManifest)>> {
    if note != exported {
        return Err(no(
            path,
            "note",
            differing(note, exported),
            "the same bytes in the note and under the symbol `cardcage_manifest_v1`",
            "the file was changed after it was built; build it again",
        ));
    }
    let (declared, found) = (listed(manifest), tables_listed(&tables));
    if declared != found {
        return Err(no(
            path,
            "types",
            format!("the library has {}", found.join(", ")),
            format!("what the manifest declares, in its order: {}", declared.join(", ")),
            "let export_plugin! write both",
        ));
    }
    let pairs: Vec<_> = tables.into_iter().zip(&manifest.components).collect();
    let lies = pairs.iter().filter_map(|(table, component)| capabilities(path, table, component).err());
    let lies: Vec<Refusal> = lies.collect();
    if lies.is_empty() { Ok(pairs) } else { Err(Refusal::first_of(lies)) }
}

fn no(
    path: &Path,
    what: &str,
    found: impl Into<Box<str>>,
    expected: impl Into<Box<str>>,
    help: &str,
) -> Refusal {
    Refusal::new(Rung::Truth, what, path, found, expected, help)
}

/// Where two copies of a manifest part, with what stands there in each.
fn differing(note: &[u8], exported: &[u8]) -> String {
    /// Bytes shown of each: about a key and its value.
    const SHOWN: usize = 40;
    let at = note.iter().zip(exported).take_while(|(one, other)| one == other).count();
    let around = |bytes: &[u8]| {
        let from = at.saturating_sub(SHOWN / 2).min(bytes.len());
        bytes[from..bytes.len().min(from + SHOWN)].escape_ascii().to_string().replace("\\\"", "\"")
    };
    format!(
        "the note ({} bytes) and the library's own copy of it ({} bytes) differ from byte {at} on:\n`{}` in the note\n`{}` \
         in the copy",
        note.len(),
        exported.len(),
        around(note),
        around(exported)
    )
}

fn listed(manifest: &Manifest) -> Vec<String> {
    manifest.components.iter().map(|component| format!("{} {}", component.kind, component.name)).collect()
}

fn tables_listed(tables: &[TypeTable]) -> Vec<String> {
    tables.iter().map(|table| format!("{} {}", table.kind(), table.name)).collect()
}

fn capabilities(path: &Path, table: &TypeTable, component: &ComponentManifest) -> Climbed<()> {
    let what = format!("{} {}", component.kind, component.name);
    let declared = component.capabilities.has(Capability::State);
    if declared != table.state.is_some() {
        let (found, expected) = if declared {
            ("declares `state` but has no snapshot and restore", "an `impl State`, or no `state` in the list")
        } else {
            ("has snapshot and restore but does not declare `state`", "`state` in the list")
        };
        return Err(no(
            path,
            "state",
            format!("{what} {found}"),
            expected,
            "correct its list in export_plugin! and build again",
        ));
    }
    if component.capabilities.has(Capability::Replayable) && !declared {
        return Err(no(
            path,
            "replayable",
            format!("{what} declares `replayable` and not `state`"),
            "`state` with it: a source goes back to a position by taking up a snapshot",
            "write an `impl State` and add `state` to its list in export_plugin!, or take `replayable` out",
        ));
    }
    if component.kind != Kind::Stage && !component.capabilities.writes.is_empty() {
        let fields: Vec<String> =
            component.capabilities.writes.iter().map(|field| format!("{field:?}").to_lowercase()).collect();
        return Err(no(
            path,
            "kind",
            format!("{what} declares `writes: [{}]`", fields.join(", ")),
            "`writes` for stages only: a source makes its records, a sink only reads them",
            "take it out of its list in export_plugin!",
        ));
    }
    let impossible =
        component.capabilities.does.iter().find(|capability| !possible(component.kind, **capability));
    if let Some(capability) = impossible {
        return Err(no(
            path,
            "kind",
            format!("{what} declares `{}`", capability.name()),
            format!("capabilities that a {} can have", component.kind),
            "take it out of its list in export_plugin!",
        ));
    }
    Ok(())
}

/// Whether a kind can have a capability at all.
fn possible(kind: Kind, capability: Capability) -> bool {
    use Capability as C;
    match capability {
        C::Drops | C::State | C::Holds => true,
        // A sink gives nothing out that could be the same.
        C::Creates | C::Reorders | C::Deterministic => kind != Kind::Sink,
        C::ParallelBySensor | C::Ticks => kind == Kind::Stage,
        C::Finite | C::Replayable | C::Acknowledged => kind == Kind::Source,
        C::Idempotent | C::Transactional => kind == Kind::Sink,
    }
}
