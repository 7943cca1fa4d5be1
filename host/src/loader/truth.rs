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
            format!(
                "the note ({} bytes) differs from the manifest in the library's data ({} bytes)",
                note.len(),
                exported.len()
            ),
            "the same manifest in both places",
            "the file was changed after it was built; build it again",
        ));
    }
    let (declared, found) = (listed(manifest), tables_listed(&tables));
    if declared != found {
        return Err(no(
            path,
            "types",
            format!("the library has {}", found.join(", ")),
            format!("what the manifest declares: {}", declared.join(", ")),
            "let export_plugin! write both",
        ));
    }
    let pairs: Vec<_> = tables.into_iter().zip(&manifest.components).collect();
    for (table, component) in &pairs {
        capabilities(path, table, component)?;
    }
    Ok(pairs)
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
        C::Drops | C::State | C::Deterministic | C::Holds => true,
        C::Creates | C::Reorders => kind != Kind::Sink,
        C::ParallelBySensor | C::Ticks => kind == Kind::Stage,
        C::Finite | C::Replayable | C::Acknowledged => kind == Kind::Source,
        C::Idempotent | C::Transactional => kind == Kind::Sink,
    }
}
