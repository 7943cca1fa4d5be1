//! The functions of a component type, known to be there.
//!
//! The ABI's vtables hold optional functions, so that a null can be looked at; here each has been looked at once. One of
//! the crate's files with unsafe code: a handle can be made only by promising that its functions keep the ABI's contract.

use cardcage_plugin_api::Sink;
use cardcage_plugin_api::abi::{
    Bytes, Call, CommonVtable, ComponentType, Group, HostTable, Instance, KindCode, Outcome, RawBatch,
    RawOutputs, SinkVtable, SourceVtable, StageVtable, StateGroup, StreamPosition, Writer,
};
use cardcage_plugin_api::manifest::{Capabilities, Capability, ComponentManifest, Kind, Permissions, Probe};
use std::sync::Arc;

/// A function that a vtable requires is null, or a vtable is not the size it must have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VtableError {
    /// The named function is null.
    #[error("the required function `{0}` is null")]
    Missing(&'static str),
    /// The vtable says it has another size than this host's.
    #[error("the vtable says it is {found} bytes; {expected} are expected")]
    Size {
        /// What it says.
        found: usize,
        /// What this host has.
        expected: usize,
    },
    /// Not exactly the vtable of the kind is set, or the kind is unknown.
    #[error("kind {kind} with vtables for source: {source_set}, stage: {stage_set}, sink: {sink_set}")]
    Kind {
        /// The kind's number.
        kind: u32,
        /// Whether the source vtable is set.
        source_set: bool,
        /// Whether the stage vtable is set.
        stage_set: bool,
        /// Whether the sink vtable is set.
        sink_set: bool,
    },
}

macro_rules! functions {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name {
            $(
                #[doc = concat!("`", stringify!($field), "` of the ABI.")]
                pub $field: $ty
            ),*
        }
    };
}

functions! {
    /// What all component types have.
    CommonFunctions {
        schema: unsafe extern "C" fn(*mut Writer, *mut Call) -> Outcome,
        describe: unsafe extern "C" fn(Bytes, *mut Writer, *mut Call) -> Outcome,
        open: unsafe extern "C" fn(Bytes, *const HostTable, *mut *mut Instance, *mut Call) -> Outcome,
        close: unsafe extern "C" fn(*mut Instance, *mut Call) -> Outcome,
        get_group: unsafe extern "C" fn(u32) -> *const Group,
    }
}
functions! {
    /// What a source has.
    SourceFunctions {
        common: CommonFunctions,
        fill: unsafe extern "C" fn(*mut Instance, *mut RawBatch, *mut Call) -> Outcome,
        acknowledge: unsafe extern "C" fn(*mut Instance, *const StreamPosition, usize, *mut Call) -> Outcome,
    }
}
functions! {
    /// What a stage has.
    StageFunctions {
        common: CommonFunctions,
        process: unsafe extern "C" fn(*mut Instance, *mut RawBatch, *mut RawOutputs, *mut Call) -> Outcome,
        tick: unsafe extern "C" fn(*mut Instance, *mut RawOutputs, *mut Call) -> Outcome,
        finish: unsafe extern "C" fn(*mut Instance, *mut RawOutputs, *mut Call) -> Outcome,
    }
}
functions! {
    /// What a sink has.
    SinkFunctions {
        common: CommonFunctions,
        write: unsafe extern "C" fn(*mut Instance, *const RawBatch, *mut Call) -> Outcome,
        commit: unsafe extern "C" fn(*mut Instance, u64, *mut Call) -> Outcome,
    }
}
functions! {
    /// What a component with state has.
    StateFunctions {
        version: u32,
        snapshot: unsafe extern "C" fn(*mut Instance, u32, *mut Writer, *mut Call) -> Outcome,
        restore: unsafe extern "C" fn(*mut Instance, u32, Bytes, *mut Call) -> Outcome,
    }
}

fn sized(found: usize, expected: usize) -> Result<(), VtableError> {
    if found == expected { Ok(()) } else { Err(VtableError::Size { found, expected }) }
}

impl CommonFunctions {
    fn checked(vtable: &CommonVtable) -> Result<Self, VtableError> {
        Ok(Self {
            schema: vtable.schema.ok_or(VtableError::Missing("schema"))?,
            describe: vtable.describe.ok_or(VtableError::Missing("describe"))?,
            open: vtable.open.ok_or(VtableError::Missing("open"))?,
            close: vtable.close.ok_or(VtableError::Missing("close"))?,
            get_group: vtable.get_group.ok_or(VtableError::Missing("get_group"))?,
        })
    }
}

impl SourceFunctions {
    /// The functions, if the size is right and none is null.
    pub fn checked(vtable: &SourceVtable) -> Result<Self, VtableError> {
        sized(vtable.common.size, size_of::<SourceVtable>())?;
        Ok(Self {
            common: CommonFunctions::checked(&vtable.common)?,
            fill: vtable.fill.ok_or(VtableError::Missing("fill"))?,
            acknowledge: vtable.acknowledge.ok_or(VtableError::Missing("acknowledge"))?,
        })
    }
}

impl StageFunctions {
    /// The functions, if the size is right and none is null.
    pub fn checked(vtable: &StageVtable) -> Result<Self, VtableError> {
        sized(vtable.common.size, size_of::<StageVtable>())?;
        Ok(Self {
            common: CommonFunctions::checked(&vtable.common)?,
            process: vtable.process.ok_or(VtableError::Missing("process"))?,
            tick: vtable.tick.ok_or(VtableError::Missing("tick"))?,
            finish: vtable.finish.ok_or(VtableError::Missing("finish"))?,
        })
    }
}

impl SinkFunctions {
    /// The functions, if the size is right and none is null.
    pub fn checked(vtable: &SinkVtable) -> Result<Self, VtableError> {
        sized(vtable.common.size, size_of::<SinkVtable>())?;
        Ok(Self {
            common: CommonFunctions::checked(&vtable.common)?,
            write: vtable.write.ok_or(VtableError::Missing("write"))?,
            commit: vtable.commit.ok_or(VtableError::Missing("commit"))?,
        })
    }
}

impl StateFunctions {
    /// The functions, if the size is right and none is null.
    pub fn checked(group: &StateGroup) -> Result<Self, VtableError> {
        sized(group.size, size_of::<StateGroup>())?;
        Ok(Self {
            version: group.version,
            snapshot: group.snapshot.ok_or(VtableError::Missing("snapshot"))?,
            restore: group.restore.ok_or(VtableError::Missing("restore"))?,
        })
    }
}

/// The functions of one of the three kinds.
#[derive(Clone, Copy)]
pub enum Functions {
    /// A source's.
    Source(SourceFunctions),
    /// A stage's.
    Stage(StageFunctions),
    /// A sink's.
    Sink(SinkFunctions),
}

impl Functions {
    /// The functions behind an entry of a library's component types.
    ///
    /// # Safety
    /// Each vtable pointer in `entry` is null or points to a vtable of its type that stays valid until exit.
    pub unsafe fn of(entry: &ComponentType) -> Result<Self, VtableError> {
        let (source_set, stage_set, sink_set) =
            (!entry.source.is_null(), !entry.stage.is_null(), !entry.sink.is_null());
        match (entry.kind, source_set, stage_set, sink_set) {
            (KindCode::SOURCE, true, false, false) => {
                // SAFETY: non-null, so valid by this function's contract.
                let vtable = unsafe { &*entry.source };
                SourceFunctions::checked(vtable).map(Self::Source)
            }
            (KindCode::STAGE, false, true, false) => {
                // SAFETY: as above.
                let vtable = unsafe { &*entry.stage };
                StageFunctions::checked(vtable).map(Self::Stage)
            }
            (KindCode::SINK, false, false, true) => {
                // SAFETY: as above.
                let vtable = unsafe { &*entry.sink };
                SinkFunctions::checked(vtable).map(Self::Sink)
            }
            (kind, ..) => Err(VtableError::Kind { kind: kind.0, source_set, stage_set, sink_set }),
        }
    }

    /// Source, stage or sink.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Source(_) => Kind::Source,
            Self::Stage(_) => Kind::Stage,
            Self::Sink(_) => Kind::Sink,
        }
    }

    /// What all kinds have.
    pub fn common(&self) -> &CommonFunctions {
        match self {
            Self::Source(functions) => &functions.common,
            Self::Stage(functions) => &functions.common,
            Self::Sink(functions) => &functions.common,
        }
    }
}

/// A component type of a loaded plugin, ready to be opened.
#[derive(Clone)]
pub struct ComponentTypeHandle {
    plugin: Arc<str>,
    version: Arc<str>,
    manifest: Arc<ComponentManifest>,
    functions: Functions,
    state: Option<StateFunctions>,
}

impl ComponentTypeHandle {
    /// A handle on functions that will be called.
    ///
    /// # Safety
    /// The functions keep the contract that `cardcage_plugin_api::abi` states for them, and stay loaded until exit.
    pub unsafe fn new(
        plugin: &str,
        version: &str,
        manifest: ComponentManifest,
        functions: Functions,
        state: Option<StateFunctions>,
    ) -> Self {
        Self {
            plugin: plugin.into(),
            version: version.into(),
            manifest: Arc::new(manifest),
            functions,
            state,
        }
    }

    /// A sink that is part of the host's own program and not of a library.
    pub fn of_the_host<S: Sink>(name: &'static str) -> Self {
        let entry = cardcage_plugin_api::__private::sink::<S>(name);
        // SAFETY: the SDK made the entry: its vtable is a constant.
        let functions = unsafe { Functions::of(&entry) };
        let manifest = ComponentManifest {
            kind: Kind::Sink,
            name: name.to_owned(),
            description: String::new(),
            capabilities: Capabilities {
                does: [Capability::Drops].into_iter().collect(),
                ..Capabilities::default()
            },
            permissions: Permissions::default(),
            metrics: Vec::new(),
            probe: Probe::None("part of the host".to_owned()),
        };
        let functions = functions.unwrap_or_else(|error| unreachable!("the SDK's own vtable: {error}"));
        // SAFETY: the SDK's shims keep the contract, and the program's own code is never unloaded.
        unsafe { Self::new("cardcage", env!("CARGO_PKG_VERSION"), manifest, functions, None) }
    }

    /// The plugin's name.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// The plugin's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What the plugin's manifest says of this type.
    pub fn manifest(&self) -> &ComponentManifest {
        &self.manifest
    }

    /// Source, stage or sink.
    pub fn kind(&self) -> Kind {
        self.functions.kind()
    }

    pub(crate) fn shared_manifest(&self) -> Arc<ComponentManifest> {
        Arc::clone(&self.manifest)
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    pub(crate) fn state(&self) -> Option<&StateFunctions> {
        self.state.as_ref()
    }
}
