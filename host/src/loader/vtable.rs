//! Rung 7: the component types and their functions are all there, and all in the library.
//!
//! What the root leads to is looked at pointer by pointer, each checked to lie in the library's own segments before it
//! is followed, so that a forged table is refused and not run.
//! One of the files with unsafe code: following those pointers.

#![expect(unsafe_code, reason = "reads the plugin's tables, each pointer checked before it is followed")]

use super::layout;
use super::refusal::{Climbed, Refusal, Rung};
use super::segments::{Misplaced, Segments};
use abi_stable::StableAbi as _;
use abi_stable::type_layout::TypeLayout;
use cardcage_plugin_api::abi::{ABI_VERSION, ComponentType, Group, KindCode, Outcome, RootRef, StateGroup};
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
pub(crate) fn read(path: &Path, root: RootRef, segments: &Segments) -> Climbed<Vec<TypeTable>> {
    let reader = Reader { path, segments };
    if root.abi_version() != ABI_VERSION {
        return Err(reader.no(
            "abi-version",
            format!("a root of ABI version {}, though the manifest says {ABI_VERSION}", root.abi_version()),
            "one version in both",
        ));
    }
    let components = root.components();
    reader.code("components", components as usize)?;
    reader.code("attach", root.attach() as usize)?;
    let mut count = 0;
    // SAFETY: the function has this type by rung 6, lies in the library's code, and is lent a place for the count.
    let first = unsafe { components(&raw mut count) };
    if count == 0 || count > MOST_TYPES {
        return Err(reader.no("types", format!("{count} component types"), "1 to 256 component types"));
    }
    reader.constants("the list of component types", first, count)?;
    (0..count)
        .map(|index| {
            // SAFETY: `count` entries from `first` on lie in one mapped segment, aligned; any bits are valid in them.
            reader.entry(index, &unsafe { first.add(index).read() })
        })
        .collect()
}

struct Reader<'a> {
    path: &'a Path,
    segments: &'a Segments,
}

impl Reader<'_> {
    fn no(&self, what: &str, found: impl Into<Box<str>>, expected: &str) -> Refusal {
        Refusal::new(
            Rung::Vtable,
            what,
            self.path,
            found,
            expected,
            "let export_plugin! make the tables; one made by hand must be a constant, all of it set, of this ABI version",
        )
    }

    fn entry(&self, index: usize, entry: &ComponentType) -> Climbed<TypeTable> {
        let name = self.name(index, entry)?;
        let tables = (!entry.source.is_null(), !entry.stage.is_null(), !entry.sink.is_null());
        let table = format!("`{name}`'s table of functions");
        match (entry.kind, tables) {
            (KindCode::SOURCE, (true, ..)) => self.constants(&table, entry.source, 1)?,
            (KindCode::STAGE, (_, true, _)) => self.constants(&table, entry.stage, 1)?,
            (KindCode::SINK, (.., true)) => self.constants(&table, entry.sink, 1)?,
            // Said below: no table of the kind, or no such kind.
            _ => {}
        }
        if entry.reserved != 0 {
            let found = format!("`{name}`: {} in a reserved field", entry.reserved);
            return Err(self.no("incomplete", found, "zero in reserved fields"));
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

    fn name(&self, index: usize, entry: &ComponentType) -> Climbed<String> {
        let bytes = entry.name;
        if bytes.len == 0 || bytes.len > NAME_MAX_BYTES {
            let found = format!("component type {index} has a name of {} bytes", bytes.len);
            return Err(self.no("name", found, "1 to 64 bytes"));
        }
        self.constants(&format!("the name of component type {index}"), bytes.ptr, bytes.len)?;
        // SAFETY: just checked to be constants of the library.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.ptr, bytes.len) };
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| {
            let found = format!("component type {index} is named `{}`", bytes.escape_ascii());
            self.no("name", found, "UTF-8")
        })
    }

    fn code(&self, function: &str, at: usize) -> Climbed<()> {
        let expected = "a function in the library's own code";
        self.segments
            .code(at)
            .map_err(|misplaced| self.misplaced(&format!("`{function}`"), misplaced, expected))
    }

    /// Tables and names are constants: what anything may write to may be another table tomorrow.
    fn constants<T>(&self, what: &str, at: *const T, count: usize) -> Climbed<()> {
        let expected = "constants in the library's own memory that nobody can write to";
        self.segments.constants(at, count).map_err(|misplaced| self.misplaced(what, misplaced, expected))
    }

    fn misplaced(&self, what: &str, misplaced: Misplaced, expected: &str) -> Refusal {
        self.no(misplaced.code(), format!("{what} {}", misplaced.found()), expected)
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
        self.constants(&format!("`{name}`'s group state"), group, 1)?;
        // SAFETY: the group is a constant of the library, aligned. Its layout reference is read as a plain pointer, since
        // it may be anything yet.
        let (id, reserved, layout, table) = unsafe {
            (
                (*group).id,
                (*group).reserved,
                (&raw const (*group).layout).cast::<*const TypeLayout>().read(),
                (*group).table.cast::<StateGroup>(),
            )
        };
        if id != Group::STATE || reserved != 0 {
            return Err(wrong(&format!("it says it is group {id}, with {reserved} in a reserved field")));
        }
        self.constants(&format!("the layout constant of `{name}`'s group state"), layout, 1)?;
        self.constants(&format!("the table of `{name}`'s group state"), table, 1)?;
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
