//! The ABI, version 1: every type and function that crosses between host and plugin.
//!
//! Everything here is `#[repr(C)]`, owns nothing and has no invalid bit patterns, so that the host can
//! look at what a plugin hands it before it believes any of it, and so that a C header can describe it.
//! A released vtable is frozen: growth is only by new groups ([`Group`]). `tests/abi_layout.rs` holds the
//! layout; `docs/abi.md` tells what a change does.
//!
//! Each function's contract is written beside it in three tags:
//!
//! - `[who]` calls it: the host or the plugin.
//! - `[thread]` on which: *control* (the host's control thread, or the vetting child's only thread),
//!   *lane* (the one thread that runs this instance, the same from `open`'s return until `close`),
//!   *any* (also threads that the plugin started with `spawn`).
//! - `[state]` in which: *loaded* (no instance yet), *open* (between a successful `open` and `close`).
//!
//! Rules that hold for all: strings are UTF-8 without a terminating NUL and are lent for the call only;
//! no memory allocated on one side is freed on the other; no panic or exception may cross (the SDK's shims
//! catch them in the plugin and return [`Outcome::PANICKED`]); a required function is never null.

#![expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::expl_impl_clone_on_copy,
    reason = "StableAbi's derive for the prefix type writes accessors and a Clone that these lints dislike"
)]

use crate::record::{Record, SensorId, UnitId};
use abi_stable::StableAbi;
use core::ffi::c_void;

/// The ABI's version. A plugin states it in its manifest; the host refuses any other.
pub const ABI_VERSION: u32 = 1;

/// The most bytes of a message that a call can leave in host memory; longer ones are cut.
pub const MESSAGE_MAX: usize = 4096;

/// The most reasons (for drops and rejections together) a component may describe.
///
/// The tally lives in host memory, one slot a reason, and is read after every call.
pub const REASONS_MAX: usize = 32;

/// The most ports a component may describe: one lent batch each for every call.
pub const PORTS_MAX: usize = 8;

/// How a call ended. Not an enum: a value that this version does not know must be readable.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, StableAbi)]
pub struct Outcome(pub u32);

impl Outcome {
    /// Done: for `fill`, records were produced; for `process`, `tick` and `finish`, all output was given.
    pub const OK: Self = Self(0);
    /// The call failed; the message says why. The batch counts as failed, the component is restarted.
    pub const FAILED: Self = Self(1);
    /// The call panicked; the shim caught it. The instance may only be closed after this.
    pub const PANICKED: Self = Self(2);
    /// `fill`: nothing now; call again at the time left in `wait_until_ns`, or when woken.
    pub const IDLE: Self = Self(3);
    /// `fill`: there will never be more. Only `acknowledge` and `close` follow.
    pub const FINISHED: Self = Self(4);
    /// `process`, `tick`, `finish`: forward what was given, then call again with the same input.
    pub const MORE: Self = Self(5);
    /// `commit`: not now; everything is kept; try again after the time left in `wait_until_ns`.
    pub const RETRY: Self = Self(6);
    /// `commit`: never; what was written since the last commit is lost and counts as failed.
    pub const PERMANENT: Self = Self(7);
    /// A host service has no such thing: an unknown id, metric or listener.
    pub const UNKNOWN: Self = Self(8);
    /// A host service's bound is reached: `limits.sensors`, `limits.units`, threads.
    pub const FULL: Self = Self(9);
    /// The pipeline is draining; give up waiting.
    pub const CANCELLED: Self = Self(10);
}

/// Bytes lent for the duration of a call, UTF-8 where they are text. Null only if `len` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct Bytes {
    /// First byte.
    pub ptr: *const u8,
    /// How many.
    pub len: usize,
}

/// Somewhere in host memory to write to.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct Writer {
    /// Handed back to `write`.
    pub context: *mut c_void,
    /// Appends bytes. `[who]` plugin · `[thread]` that of the call that lent the writer · `[state]` during
    /// that call only. Returns [`Outcome::FULL`] once the host's bound is reached (1 MiB; 64 MiB for states).
    pub write: Option<unsafe extern "C" fn(context: *mut c_void, bytes: Bytes) -> Outcome>,
}

/// Where a batch came from, and how far its source is once the batch is delivered.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, StableAbi)]
pub struct BatchHeader {
    /// The source component, numbered by the host in the order of the config.
    pub source: u32,
    /// Which of its streams (one file, one partition, one connection), numbered by the source.
    pub stream: u32,
    /// The position in that stream behind the batch's last record, in the source's own measure
    /// (a byte offset, a message number).
    pub position: u64,
    /// The epoch that the batch belongs to: the number of the barrier that will follow it.
    pub epoch: u64,
    /// Which config was running when the batch was filled.
    pub config_generation: u32,
    /// Zero.
    pub reserved: u32,
}

/// A batch: host memory, lent to the plugin for one call.
///
/// The host reads `len` back after the call and nothing else but the header's `stream` and `position`
/// (from `fill`); it keeps its own copy of `records` and `capacity` and compares.
#[repr(C)]
#[derive(Debug, StableAbi)]
pub struct RawBatch {
    /// Origin and position.
    pub header: BatchHeader,
    /// `capacity` records, of which the first `len` are filled.
    pub records: *mut Record,
    /// Filled records.
    pub len: u32,
    /// Room.
    pub capacity: u32,
}

/// What a data call gets besides its batch: one per component, in host memory, valid for the call.
#[repr(C)]
#[derive(Debug, StableAbi)]
pub struct Call {
    /// The host's clock when the call began: UTC nanoseconds since 1970. Read once a batch, so that
    /// no record needs the clock.
    pub now_ns: i64,
    /// For `fill`: on entry the latest time to return at, on [`Outcome::IDLE`] the time to be called
    /// again. For `commit`, on [`Outcome::RETRY`]: the time to be called again. UTC nanoseconds.
    pub wait_until_ns: i64,
    /// Records dropped or rejected by this call, one count per described reason, in the order of
    /// `Description::reasons`. Zeroed by the host before the call, read after it.
    pub tally: *mut u64,
    /// How many slots `tally` has. A reason that was not described goes to `undeclared`.
    pub tally_len: u32,
    /// Zero.
    pub reserved: u32,
    /// Records dropped or rejected for a reason that `describe` did not name; more than 0 is a fault.
    pub undeclared: u64,
    /// Records this call made that were not in its input. Zeroed before the call.
    pub created: u64,
    /// Records the instance holds after the call (a window, a buffer). Left as it is between calls. After a `commit` that
    /// gave [`Outcome::PERMANENT`]: how many of the records written last are lost; 0 if all since the last commit are.
    pub held: u64,
    /// Where a message goes: `message_capacity` bytes.
    pub message: *mut u8,
    /// [`MESSAGE_MAX`].
    pub message_capacity: u32,
    /// Bytes of the message.
    pub message_len: u32,
}

/// The batches a stage may give records to besides its input.
#[repr(C)]
#[derive(Debug, StableAbi)]
pub struct RawOutputs {
    /// Records for the main output, forwarded before what is left of the input. Empty on entry.
    pub main: *mut RawBatch,
    /// One batch per described port, in the order of `Description::ports`. Empty on entry. A port
    /// without a consumer has capacity 0.
    pub ports: *mut RawBatch,
    /// How many ports.
    pub port_count: u32,
    /// Zero.
    pub reserved: u32,
}

/// An instance of a component type: the plugin's own memory, opaque to the host.
#[repr(C)]
#[derive(Debug, StableAbi)]
pub struct Instance {
    _opaque: [u8; 0],
}

/// How far one stream of a source is safe.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, StableAbi)]
pub struct StreamPosition {
    /// The stream, as numbered by the source in [`BatchHeader::stream`].
    pub stream: u32,
    /// Zero.
    pub reserved: u32,
    /// The position, as given in [`BatchHeader::position`].
    pub position: u64,
}

/// What all component types offer.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct CommonVtable {
    /// Size in bytes of the vtable that this struct begins, as the plugin was built with it.
    pub size: usize,
    /// `[who]` host · `[thread]` control · `[state]` loaded. Writes the JSON Schema of the settings. Pure.
    pub schema: Option<unsafe extern "C" fn(out: *mut Writer, call: *mut Call) -> Outcome>,
    /// `[who]` host · `[thread]` control · `[state]` loaded. Writes a `Description` as JSON for these settings
    /// (JSON too). Pure: no I/O, no clock, the same answer each time.
    pub describe: Option<unsafe extern "C" fn(settings: Bytes, out: *mut Writer, call: *mut Call) -> Outcome>,
    /// `[who]` host · `[thread]` control, or lane when restarted · `[state]` loaded. Makes an instance. On
    /// [`Outcome::OK`] `instance` is non-null and `close` will be called exactly once; on anything else nothing is
    /// left behind. `host` is valid until `close` returns.
    pub open: Option<
        unsafe extern "C" fn(
            settings: Bytes,
            host: *const HostTable,
            instance: *mut *mut Instance,
            call: *mut Call,
        ) -> Outcome,
    >,
    /// `[who]` host · `[thread]` lane, or control if no lane ever started · `[state]` open, the last call. Joins
    /// the plugin's threads; called after a panic too.
    pub close: Option<unsafe extern "C" fn(instance: *mut Instance, call: *mut Call) -> Outcome>,
    /// `[who]` host · `[thread]` control · `[state]` loaded. The component type's group with this id, or null.
    pub get_group: Option<unsafe extern "C" fn(id: u32) -> *const Group>,
}

/// What a source type offers.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct SourceVtable {
    /// What all kinds have.
    pub common: CommonVtable,
    /// `[who]` host · `[thread]` lane · `[state]` open. Fills `out` (empty on entry) and returns `OK` (produced),
    /// `IDLE` or `FINISHED`. May wait for data until `wait_until_ns`; returns within 100 ms of cancellation.
    pub fill:
        Option<unsafe extern "C" fn(instance: *mut Instance, out: *mut RawBatch, call: *mut Call) -> Outcome>,
    /// `[who]` host · `[thread]` lane · `[state]` open. Everything up to these positions is safe downstream and will
    /// not be asked for again. One position per stream, all of one epoch.
    pub acknowledge: Option<
        unsafe extern "C" fn(
            instance: *mut Instance,
            positions: *const StreamPosition,
            count: usize,
            call: *mut Call,
        ) -> Outcome,
    >,
}

/// What a stage type offers.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct StageVtable {
    /// What all kinds have.
    pub common: CommonVtable,
    /// `[who]` host · `[thread]` lane · `[state]` open. Changes `batch` in place; what is left in it is the main
    /// output. `OK`, or `MORE`: forward the outputs, then call again with `batch` as it was left.
    pub process: Option<
        unsafe extern "C" fn(
            instance: *mut Instance,
            batch: *mut RawBatch,
            outputs: *mut RawOutputs,
            call: *mut Call,
        ) -> Outcome,
    >,
    /// `[who]` host · `[thread]` lane · `[state]` open. For stages that describe `tick`: time passed. `OK` or `MORE`.
    pub tick: Option<
        unsafe extern "C" fn(instance: *mut Instance, outputs: *mut RawOutputs, call: *mut Call) -> Outcome,
    >,
    /// `[who]` host · `[thread]` lane · `[state]` open, after the last `process`. Gives what the stage holds. `OK` or `MORE`.
    pub finish: Option<
        unsafe extern "C" fn(instance: *mut Instance, outputs: *mut RawOutputs, call: *mut Call) -> Outcome,
    >,
}

/// What a sink type offers.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct SinkVtable {
    /// What all kinds have.
    pub common: CommonVtable,
    /// `[who]` host · `[thread]` lane · `[state]` open. Takes the batch's records. They may be buffered until `commit`,
    /// but the batch itself must not be kept. On
    /// [`Outcome::FAILED`] nothing of the batch may be delivered later: the host counts all of it as failed.
    pub write: Option<
        unsafe extern "C" fn(instance: *mut Instance, batch: *const RawBatch, call: *mut Call) -> Outcome,
    >,
    /// `[who]` host · `[thread]` lane · `[state]` open, at each barrier, once at the end, and in between (then with the
    /// epoch under way) after a failed `write` or to let go of copies kept for a dead letter. Makes everything written so
    /// far as safe as the sink promises. `OK`, `RETRY` or `PERMANENT`, the last with how many are lost in `held`.
    pub commit: Option<unsafe extern "C" fn(instance: *mut Instance, epoch: u64, call: *mut Call) -> Outcome>,
}

/// The optional group [`Group::STATE`]: a component that can be brought back to an earlier epoch.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct StateGroup {
    /// Size of this struct in bytes.
    pub size: usize,
    /// The newest state version this plugin writes; it restores all versions up to it.
    pub version: u32,
    /// Zero.
    pub reserved: u32,
    /// `[who]` host · `[thread]` lane · `[state]` open, at a barrier. Writes the instance's state in the given version.
    pub snapshot: Option<
        unsafe extern "C" fn(
            instance: *mut Instance,
            version: u32,
            out: *mut Writer,
            call: *mut Call,
        ) -> Outcome,
    >,
    /// `[who]` host · `[thread]` lane · `[state]` open, before the first data call. Takes up a state that `snapshot`
    /// wrote, perhaps by an older version of the plugin.
    pub restore: Option<
        unsafe extern "C" fn(instance: *mut Instance, version: u32, state: Bytes, call: *mut Call) -> Outcome,
    >,
}

/// An optional set of functions with a layout of its own: how a frozen ABI grows.
#[repr(C)]
#[derive(Debug, StableAbi)]
pub struct Group {
    /// Which group.
    pub id: u32,
    /// Zero.
    pub reserved: u32,
    /// The layout constant of the type behind `table`, checked by the host before it reads it.
    pub layout: &'static abi_stable::type_layout::TypeLayout,
    /// The group's table.
    pub table: *const c_void,
}

impl Group {
    /// [`StateGroup`].
    pub const STATE: u32 = 1;
}

/// Source, stage or sink, as a number.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, StableAbi)]
pub struct KindCode(pub u32);

impl KindCode {
    /// Behind `table` is a [`SourceVtable`].
    pub const SOURCE: Self = Self(1);
    /// Behind `table` is a [`StageVtable`].
    pub const STAGE: Self = Self(2);
    /// Behind `table` is a [`SinkVtable`].
    pub const SINK: Self = Self(3);
}

/// One component type that the library offers.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct ComponentType {
    /// The type's name, as in the manifest.
    pub name: Bytes,
    /// Which vtable is set; the others are null.
    pub kind: KindCode,
    /// Zero.
    pub reserved: u32,
    /// Set for sources.
    pub source: *const SourceVtable,
    /// Set for stages.
    pub stage: *const StageVtable,
    /// Set for sinks.
    pub sink: *const SinkVtable,
}

/// What the library's header leads to. The only type here that may grow at its end.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RootRef)))]
pub struct Root {
    /// [`ABI_VERSION`] of the plugin.
    pub abi_version: u32,
    /// The component types: pointer to the first, and how many. `[who]` host · `[thread]` control · `[state]` loaded.
    pub components: unsafe extern "C" fn(count: *mut usize) -> *const ComponentType,
    /// Takes up the library's own way to the host's log, for events that no component can be named for.
    /// `[who]` host · `[thread]` control · `[state]` loaded, once, before any `open`. `host` stays valid until exit.
    #[sabi(last_prefix_field)]
    pub attach: unsafe extern "C" fn(host: *const HostTable) -> Outcome,
}

/// A tag of a sensor.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct Tag {
    /// Its name.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
}

/// A sensor's dictionary entry. Its memory stays valid until the process exits: entries never change.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct SensorEntry {
    /// Name.
    pub name: Bytes,
    /// Tags, sorted by key.
    pub tags: *const Tag,
    /// How many.
    pub tag_count: usize,
}

/// Counter, gauge or histogram, as a number.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, StableAbi)]
pub struct MetricCode(pub u32);

impl MetricCode {
    /// Written with `metric_add`.
    pub const COUNTER: Self = Self(1);
    /// Written with `metric_set`.
    pub const GAUGE: Self = Self(2);
    /// Written with `metric_observe`.
    pub const HISTOGRAM: Self = Self(3);
}

/// A host-owned metric cell, opaque to the plugin.
#[repr(C)]
#[derive(Debug, StableAbi)]
pub struct MetricCell {
    _opaque: [u8; 0],
}

/// A thread of a component, opaque to the plugin.
#[repr(C)]
#[derive(Debug, StableAbi)]
pub struct ThreadHandle {
    _opaque: [u8; 0],
}

/// What a thread runs: `main` once with `argument` and a host table of the thread's own. Returns `OK`,
/// `FAILED` or `PANICKED`. `[who]` host · `[thread]` the new one · `[state]` open.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct ThreadMain {
    /// Runs and consumes `argument`.
    pub main: Option<unsafe extern "C" fn(argument: *mut c_void, host: *const HostTable) -> Outcome>,
    /// The plugin's own memory.
    pub argument: *mut c_void,
}

/// What the host does for a component. One per instance and one per spawned thread.
///
/// All functions: `[who]` plugin · `[state]` from `open` until `close` returns, with the `context` that the table holds.
/// `[thread]` any, unless said otherwise. None blocks except `wait`, `join` and `intern_*` (which may take a lock,
/// so cache what they return).
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct HostTable {
    /// Size of this struct in bytes, as the host was built with it.
    pub size: usize,
    /// Handed back to every function.
    pub context: *mut c_void,
    /// The id of a sensor with this name and these tags (any order; sorted by the host). `FULL` at `limits.sensors`.
    pub intern_sensor: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            name: Bytes,
            tags: *const Tag,
            tag_count: usize,
            id: *mut SensorId,
        ) -> Outcome,
    >,
    /// The id of a unit code. `FULL` at `limits.units`.
    pub intern_unit:
        Option<unsafe extern "C" fn(context: *mut c_void, code: Bytes, id: *mut UnitId) -> Outcome>,
    /// The entry behind an id, or `UNKNOWN`.
    pub sensor:
        Option<unsafe extern "C" fn(context: *mut c_void, id: SensorId, entry: *mut SensorEntry) -> Outcome>,
    /// The code behind an id, or `UNKNOWN`. Valid until exit, like a sensor's entry.
    pub unit: Option<unsafe extern "C" fn(context: *mut c_void, id: UnitId, code: *mut Bytes) -> Outcome>,
    /// The cell of a metric that the manifest declares as of this kind, or `UNKNOWN`, which counts against the
    /// component. One writing thread a cell: ask again through a spawned thread's own table.
    pub metric: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            name: Bytes,
            kind: MetricCode,
            cell: *mut *mut MetricCell,
        ) -> Outcome,
    >,
    /// Adds to a cell (counters), audited by the host. `FAILED` if the metric's rules forbid it.
    pub metric_add:
        Option<unsafe extern "C" fn(context: *mut c_void, cell: *mut MetricCell, by: f64) -> Outcome>,
    /// Sets a cell (gauges), audited by the host. `FAILED` if the metric's rules forbid it.
    pub metric_set:
        Option<unsafe extern "C" fn(context: *mut c_void, cell: *mut MetricCell, to: f64) -> Outcome>,
    /// Puts an observation into a cell (histograms), audited by the host. `FAILED` if the metric's rules forbid it.
    pub metric_observe:
        Option<unsafe extern "C" fn(context: *mut c_void, cell: *mut MetricCell, value: f64) -> Outcome>,
    /// Whether an event of this level would be logged. Levels: 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub log_enabled: Option<unsafe extern "C" fn(context: *mut c_void, level: u32) -> u32>,
    /// Logs an event. The component is known from the calling thread, else from the context. `target` is the module, or
    /// `module:12` with the line in the code: of one place only so many events are written in a while.
    pub log: Option<
        unsafe extern "C" fn(context: *mut c_void, level: u32, target: Bytes, message: Bytes) -> Outcome,
    >,
    /// UTC nanoseconds since 1970. For data calls prefer [`Call::now_ns`].
    pub now: Option<unsafe extern "C" fn(context: *mut c_void) -> i64>,
    /// 1 once the pipeline drains and the component should return soon.
    pub cancelled: Option<unsafe extern "C" fn(context: *mut c_void) -> u32>,
    /// Sleeps until then, or returns `CANCELLED` as soon as the pipeline drains.
    pub wait: Option<unsafe extern "C" fn(context: *mut c_void, until_ns: i64) -> Outcome>,
    /// Writes the path of a folder that only this component uses; it exists. Bytes of a Unix path.
    pub state_directory: Option<unsafe extern "C" fn(context: *mut c_void, out: *mut Writer) -> Outcome>,
    /// Starts a thread that carries the component's name, cells and log. `FULL` past the declared `threads`.
    pub spawn: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            name: Bytes,
            main: ThreadMain,
            handle: *mut *mut ThreadHandle,
        ) -> Outcome,
    >,
    /// Waits for a thread and frees the handle: `OK`, what the thread returned, or `CANCELLED` past the deadline,
    /// after which the generation counts as leaked.
    pub join: Option<
        unsafe extern "C" fn(context: *mut c_void, handle: *mut ThreadHandle, until_ns: i64) -> Outcome,
    >,
    /// A listening socket's descriptor that the host was given under this name (systemd), or `UNKNOWN`. The caller owns it.
    pub listener:
        Option<unsafe extern "C" fn(context: *mut c_void, name: Bytes, descriptor: *mut i32) -> Outcome>,
    /// A group of host services with this id, or null: how this table grows.
    pub get_group: Option<unsafe extern "C" fn(context: *mut c_void, id: u32) -> *const Group>,
}
