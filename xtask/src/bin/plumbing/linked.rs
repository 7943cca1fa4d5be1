//! Component types of plugins that are linked into this program. The bench's only file with unsafe code.

use cardcage_plugin_api::__private::Library;
use cardcage_plugin_api::manifest::{Kind, Manifest};
use cardcage_runtime::{ComponentTypeHandle, Functions};

/// The component type with this kind and the plugin's name.
pub(crate) fn find(kind: Kind, plugin: &str) -> Option<ComponentTypeHandle> {
    match (kind, plugin) {
        (Kind::Source, "generate") => handle::<cardcage_source_generate::CardcagePlugin>(),
        (Kind::Stage, "range") => handle::<cardcage_stage_range::CardcagePlugin>(),
        (Kind::Stage, "convert") => handle::<cardcage_stage_convert::CardcagePlugin>(),
        (Kind::Sink, "blackhole") => handle::<cardcage_sink_blackhole::CardcagePlugin>(),
        _ => None,
    }
}

/// The sink that only counts.
pub(crate) fn tally() -> Option<ComponentTypeHandle> {
    handle::<crate::tally::CardcagePlugin>()
}

/// The library's first component type.
fn handle<L: Library>() -> Option<ComponentTypeHandle> {
    let manifest: Manifest = serde_json::from_slice(L::MANIFEST).ok()?;
    let component = manifest.components.into_iter().next()?;
    // SAFETY: `export_plugin!` filled the entry, with null or with vtables that are constants of this program.
    let functions = unsafe { Functions::of(L::COMPONENTS.first()?) }.ok()?;
    // SAFETY: the functions are the SDK's shims, which keep the contract, and part of this program. Without its state
    // group a component is one that has no state, which no bench needs.
    Some(unsafe { ComponentTypeHandle::new(&manifest.name, &manifest.version, component, functions, None) })
}
