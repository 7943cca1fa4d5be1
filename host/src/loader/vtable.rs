//! Rung 7: the component types and their functions are all there, and all in the library.
//!
//! What the root leads to is looked at pointer by pointer, each checked to lie in the library's own segments before it
//! is followed, so that a forged table is refused and not run.
//! One of the files with unsafe code: following those pointers.

#![expect(unsafe_code, reason = "reads the plugin's tables, each pointer checked before it is followed")]

use super::layout;
use super::open::Memory;
use super::refusal::{Climbed, Refusal, Rung};
use abi_stable::StableAbi as _;
use abi_stable::type_layout::TypeLayout;
use cardcage_plugin_api::abi::{
    ComponentType, Group, KindCode, Outcome, RootRef, SinkVtable, SourceVtable, StageVtable, StateGroup,
};
use cardcage_plugin_api::manifest::{ComponentManifest, Kind, Manifest};
use cardcage_runtime::{ComponentTypeHandle, Functions, HostHandle, StateFunctions};
use std::path::Path;

/// The most component types of one library, as in the manifest.
const MOST_TYPES: usize = 256;
/// The longest name of one.
const NAME_MAX_BYTES: usize = 64;

/// A component type as the library's tables have it.
#[derive(Clone)]
pub(crate) struct TypeTable {
    /// Its name.
    pub(crate) name: String,
    /// Its functions.
    pub(crate) functions: Functions,
    /// The group `state`, if it has one.
    pub(crate) state: Option<StateFunctions>,
}

impl TypeTable {
    /// Source, stage or sink.
    pub(crate) fn kind(&self) -> Kind {
        self.functions.kind()
    }

    /// What the runtime opens instances with.
    pub(crate) fn handle(&self, manifest: &Manifest, component: &ComponentManifest) -> ComponentTypeHandle {
        // SAFETY: rung 6 found the functions to have this host's types, rung 7 found them in the library, which is
        // never unmapped. That they do what their contract says is what the plugin is trusted for; where it matters to
        // the host, `cardcage_runtime` looks at each call's result.
        unsafe {
            ComponentTypeHandle::new(
                &manifest.name,
                &manifest.version,
                component.clone(),
                self.functions,
                self.state,
            )
        }
    }
}

/// The library's way to take up its log.
#[derive(Clone, Copy)]
pub(crate) struct Attach(RootRef);

impl Attach {
    /// Of a root that climbed up to here.
    pub(crate) fn of(root: RootRef) -> Self {
        Self(root)
    }

    /// Hands the library its own way to the host. To be called once, before any of its components is opened.
    pub(crate) fn call(self, host: &HostHandle) -> Outcome {
        // SAFETY: the function has this type by rung 6, lies in the library's code by rung 7, and a handle's table is
        // valid until exit.
        unsafe { self.0.attach()(host.table()) }
    }
}

/// Rung 7.
pub(crate) fn read(path: &Path, root: RootRef, memory: &Memory) -> Climbed<Vec<TypeTable>> {
    let reader = Reader { path, memory };
    let components = root.components();
    reader.code("components", components as usize)?;
    reader.code("attach", root.attach() as usize)?;
    let mut count = 0;
    // SAFETY: the function has this type by rung 6, lies in the library's code, and is lent a place for the count.
    let first = unsafe { components(&raw mut count) };
    if count == 0 || count > MOST_TYPES || !memory.holds_values(first, count) {
        return Err(reader.no(
            "types",
            format!("{count} component types at {first:p}"),
            "1 to 256 component types inside the library",
        ));
    }
    (0..count)
        .map(|index| {
            // SAFETY: `count` entries from `first` on lie in one mapped segment, aligned; any bits are valid in them.
            reader.entry(index, &unsafe { first.add(index).read() })
        })
        .collect()
}

struct Reader<'a> {
    path: &'a Path,
    memory: &'a Memory,
}

impl Reader<'_> {
    fn no(&self, what: &str, found: impl Into<Box<str>>, expected: &str) -> Refusal {
        Refusal::new(
            Rung::Vtable,
            what,
            self.path,
            found,
            expected,
            "let export_plugin! make the tables; if it did, report this as a bug",
        )
    }

    fn entry(&self, index: usize, entry: &ComponentType) -> Climbed<TypeTable> {
        let name = self.name(entry).ok_or_else(|| {
            self.no("name", format!("component type {index} has no readable name"), "UTF-8, at most 64 bytes")
        })?;
        let vtable_inside = match entry.kind {
            KindCode::SOURCE => self.memory.holds_value::<SourceVtable>(entry.source),
            KindCode::STAGE => self.memory.holds_value::<StageVtable>(entry.stage),
            KindCode::SINK => self.memory.holds_value::<SinkVtable>(entry.sink),
            _ => true,
        };
        if !vtable_inside {
            return Err(self.no(
                "outside",
                format!("`{name}`'s functions are outside of the library"),
                "a table in the library",
            ));
        }
        // SAFETY: the vtable of the entry's kind lies in the library, aligned, and stays; the others are only compared
        // with null unless the kind says so; an unknown kind reads none.
        let functions = unsafe { Functions::of(entry) }.map_err(|error| {
            self.no("incomplete", format!("`{name}`: {error}"), "a complete table of this host's size")
        })?;
        for (function, at) in addresses(&functions) {
            self.code(&format!("{name}.{function}"), at)?;
        }
        let state = self.state(&name, &functions)?;
        self.no_unknown_group(&name, &functions)?;
        Ok(TypeTable { name, functions, state })
    }

    fn name(&self, entry: &ComponentType) -> Option<String> {
        let bytes = entry.name;
        if bytes.len == 0 || bytes.len > NAME_MAX_BYTES || !self.memory.holds_values(bytes.ptr, bytes.len) {
            return None;
        }
        // SAFETY: just checked to lie in the library.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.ptr, bytes.len) };
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }

    fn code(&self, function: &str, at: usize) -> Climbed<()> {
        if self.memory.holds_code(at) {
            return Ok(());
        }
        Err(self.no(
            "no-code",
            format!("`{function}` leads to {at:#x}, which is not code of the library"),
            "functions of the library",
        ))
    }

    fn state(&self, name: &str, functions: &Functions) -> Climbed<Option<StateFunctions>> {
        // SAFETY: the function has this type by rung 6 and lies in the library's code.
        let group = unsafe { (functions.common().get_group)(Group::STATE) };
        if group.is_null() {
            return Ok(None);
        }
        let wrong = |found: &str| {
            self.no(
                "group",
                format!("`{name}`: group state: {found}"),
                "a group table in the library, all of it set",
            )
        };
        if !self.memory.holds_value(group) {
            return Err(wrong("it is outside of the library"));
        }
        // SAFETY: the group lies in the library, aligned. Its layout reference is read as a plain pointer, since it may
        // be anything yet.
        let (id, layout, table) = unsafe {
            (
                (*group).id,
                (&raw const (*group).layout).cast::<*const TypeLayout>().read(),
                (*group).table.cast::<StateGroup>(),
            )
        };
        if id != Group::STATE || !self.memory.holds_value(layout) || !self.memory.holds_value(table) {
            return Err(wrong("its id, layout or table is wrong"));
        }
        // SAFETY: the layout constant lies in the library, aligned, and stays. Like the root's, it is believed to be one.
        let layout: &'static TypeLayout = unsafe { &*layout };
        layout::compatible(StateGroup::LAYOUT, layout).map_err(|errors| wrong(&layout::summary(&errors)))?;
        // SAFETY: the table lies in the library, aligned, with the layout that was just compared.
        let functions =
            StateFunctions::checked(unsafe { &*table }).map_err(|error| wrong(&error.to_string()))?;
        self.code(&format!("{name}.snapshot"), functions.snapshot as usize)?;
        self.code(&format!("{name}.restore"), functions.restore as usize)?;
        Ok(Some(functions))
    }

    /// A plugin that answers for a group it cannot know would answer wrongly for one that comes later.
    fn no_unknown_group(&self, name: &str, functions: &Functions) -> Climbed<()> {
        // SAFETY: as in `state`.
        let group = unsafe { (functions.common().get_group)(u32::MAX) };
        if group.is_null() {
            return Ok(());
        }
        Err(self.no(
            "group",
            format!("`{name}` has a group for any number"),
            "null for groups it does not have",
        ))
    }
}

/// Every function with its name.
fn addresses(functions: &Functions) -> Vec<(&'static str, usize)> {
    let common = functions.common();
    let mut all = vec![
        ("schema", common.schema as usize),
        ("describe", common.describe as usize),
        ("open", common.open as usize),
        ("close", common.close as usize),
        ("get_group", common.get_group as usize),
    ];
    match functions {
        Functions::Source(source) => {
            all.extend([("fill", source.fill as usize), ("acknowledge", source.acknowledge as usize)]);
        }
        Functions::Stage(stage) => all.extend([
            ("process", stage.process as usize),
            ("tick", stage.tick as usize),
            ("finish", stage.finish as usize),
        ]),
        Functions::Sink(sink) => {
            all.extend([("write", sink.write as usize), ("commit", sink.commit as usize)]);
        }
    }
    all
}
