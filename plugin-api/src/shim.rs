//! The functions behind the vtables: they turn the ABI's pointers into the SDK's safe types, and panics and errors
//! into outcomes with a message.
//!
//! One of the crate's few files with unsafe code. Every call from the host comes through [`enter`].

use crate::abi::{
    Bytes, Call, CommonVtable, ComponentType, Group, HostTable, Instance, KindCode, Outcome, RawBatch,
    RawOutputs, SinkVtable, SourceVtable, StageVtable, StateGroup, StreamPosition, Writer,
};
use crate::batch::{Batch, Counts, Delivery, Names, Outputs};
use crate::describe::Description;
use crate::host::Host;
use crate::plugin::{Commit, Fill, Flow, PluginError, Settings, Sink, Source, Stage, State};
use abi_stable::StableAbi;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{NonNull, null};

/// The component type of a source, for `export_plugin!`.
pub const fn source<T: Source>(name: &'static str) -> ComponentType {
    ComponentType { source: SourceOf::<T>::VTABLE, ..blank(name, KindCode::SOURCE) }
}

/// The component type of a source with state, for `export_plugin!`.
pub const fn source_with_state<T: Source + State>(name: &'static str) -> ComponentType {
    ComponentType { source: SourceOf::<T>::WITH_STATE, ..blank(name, KindCode::SOURCE) }
}

/// The component type of a stage, for `export_plugin!`.
pub const fn stage<T: Stage>(name: &'static str) -> ComponentType {
    ComponentType { stage: StageOf::<T>::VTABLE, ..blank(name, KindCode::STAGE) }
}

/// The component type of a stage with state, for `export_plugin!`.
pub const fn stage_with_state<T: Stage + State>(name: &'static str) -> ComponentType {
    ComponentType { stage: StageOf::<T>::WITH_STATE, ..blank(name, KindCode::STAGE) }
}

/// The component type of a sink, for `export_plugin!`.
pub const fn sink<T: Sink>(name: &'static str) -> ComponentType {
    ComponentType { sink: SinkOf::<T>::VTABLE, ..blank(name, KindCode::SINK) }
}

/// The component type of a sink with state, for `export_plugin!`.
pub const fn sink_with_state<T: Sink + State>(name: &'static str) -> ComponentType {
    ComponentType { sink: SinkOf::<T>::WITH_STATE, ..blank(name, KindCode::SINK) }
}

const fn blank(name: &'static str, kind: KindCode) -> ComponentType {
    ComponentType {
        name: Bytes { ptr: name.as_ptr(), len: name.len() },
        kind,
        reserved: 0,
        source: null(),
        stage: null(),
        sink: null(),
    }
}

struct SourceOf<T>(PhantomData<T>);

impl<T: Source> SourceOf<T> {
    const VTABLE: &'static SourceVtable = &Self::with(get_no_group);
    const fn with(get_group: unsafe extern "C" fn(u32) -> *const Group) -> SourceVtable {
        SourceVtable {
            common: common::<T, Self>(size_of::<SourceVtable>(), get_group),
            fill: Some(fill::<T>),
            acknowledge: Some(acknowledge::<T>),
        }
    }
}

impl<T: Source + State> SourceOf<T> {
    const WITH_STATE: &'static SourceVtable = &Self::with(get_state_group::<T>);
}

struct StageOf<T>(PhantomData<T>);

impl<T: Stage> StageOf<T> {
    const VTABLE: &'static StageVtable = &Self::with(get_no_group);
    const fn with(get_group: unsafe extern "C" fn(u32) -> *const Group) -> StageVtable {
        StageVtable {
            common: common::<T, Self>(size_of::<StageVtable>(), get_group),
            process: Some(process::<T>),
            tick: Some(tick::<T>),
            finish: Some(finish::<T>),
        }
    }
}

impl<T: Stage + State> StageOf<T> {
    const WITH_STATE: &'static StageVtable = &Self::with(get_state_group::<T>);
}

struct SinkOf<T>(PhantomData<T>);

impl<T: Sink> SinkOf<T> {
    const VTABLE: &'static SinkVtable = &Self::with(get_no_group);
    const fn with(get_group: unsafe extern "C" fn(u32) -> *const Group) -> SinkVtable {
        SinkVtable {
            common: common::<T, Self>(size_of::<SinkVtable>(), get_group),
            write: Some(write::<T>),
            commit: Some(commit::<T>),
        }
    }
}

impl<T: Sink + State> SinkOf<T> {
    const WITH_STATE: &'static SinkVtable = &Self::with(get_state_group::<T>);
}

/// What the three kinds share, so that `schema`, `describe`, `open` and `close` are written once.
trait Lifecycle<T> {
    type Settings: Settings;
    fn describe(settings: &Self::Settings) -> Description;
    fn open(settings: Self::Settings, host: &Host) -> Result<T, PluginError>;
    fn close(component: T) -> Result<(), PluginError>;
}

macro_rules! lifecycle {
    ($($of:ident: $kind:ident),*) => {$(
        impl<T: $kind> Lifecycle<T> for $of<T> {
            type Settings = T::Settings;
            fn describe(settings: &T::Settings) -> Description {
                T::describe(settings)
            }
            fn open(settings: T::Settings, host: &Host) -> Result<T, PluginError> {
                T::open(settings, host)
            }
            fn close(component: T) -> Result<(), PluginError> {
                component.close()
            }
        }
    )*};
}
lifecycle!(SourceOf: Source, StageOf: Stage, SinkOf: Sink);

const fn common<T, L: Lifecycle<T>>(
    size: usize,
    get_group: unsafe extern "C" fn(u32) -> *const Group,
) -> CommonVtable {
    CommonVtable {
        size,
        schema: Some(schema::<T, L>),
        describe: Some(describe::<T, L>),
        open: Some(open::<T, L>),
        close: Some(close::<T, L>),
        get_group: Some(get_group),
    }
}

/// What the host's opaque `Instance` is on this side.
struct Open<T> {
    component: T,
    names: Names,
}

unsafe extern "C" fn get_no_group(_id: u32) -> *const Group {
    null()
}

struct StateOf<T>(PhantomData<T>);

impl<T: State> StateOf<T> {
    const TABLE: &'static StateGroup = &StateGroup {
        size: size_of::<StateGroup>(),
        version: T::VERSION,
        reserved: 0,
        snapshot: Some(snapshot::<T>),
        restore: Some(restore::<T>),
    };
    const GROUP: &'static Group = &Group {
        id: Group::STATE,
        reserved: 0,
        layout: <StateGroup as StableAbi>::LAYOUT,
        table: std::ptr::from_ref(Self::TABLE).cast(),
    };
}

unsafe extern "C" fn get_state_group<T: State>(id: u32) -> *const Group {
    if id == Group::STATE { StateOf::<T>::GROUP } else { null() }
}

unsafe extern "C" fn schema<T, L: Lifecycle<T>>(out: *mut Writer, call: *mut Call) -> Outcome {
    enter(call, |_| {
        let schema = schemars::generate::SchemaSettings::draft2020_12()
            .into_generator()
            .into_root_schema_for::<L::Settings>();
        // SAFETY: the host lends the writer for this call.
        unsafe { write_out(out, serde_json::to_string(&schema)?.as_bytes()) }
    })
}

unsafe extern "C" fn describe<T, L: Lifecycle<T>>(
    settings: Bytes,
    out: *mut Writer,
    call: *mut Call,
) -> Outcome {
    enter(call, |_| {
        // SAFETY: the host lends the settings for this call.
        let settings: L::Settings = parse(unsafe { bytes(settings) })?;
        let description = L::describe(&settings);
        // SAFETY: the host lends the writer for this call.
        unsafe { write_out(out, serde_json::to_string(&description)?.as_bytes()) }
    })
}

unsafe extern "C" fn open<T, L: Lifecycle<T>>(
    settings: Bytes,
    host: *const HostTable,
    instance: *mut *mut Instance,
    call: *mut Call,
) -> Outcome {
    enter(call, |_| {
        // SAFETY: the host lends the settings for this call.
        let settings: L::Settings = parse(unsafe { bytes(settings) })?;
        // SAFETY: the host keeps the table until `close` returns.
        let host =
            unsafe { Host::new(host) }.ok_or_else(|| PluginError::new("the host table is too small"))?;
        let names = Names::of(&L::describe(&settings));
        let component = L::open(settings, &host)?;
        let open: *mut Open<T> = Box::into_raw(Box::new(Open { component, names }));
        // SAFETY: the host lends a place for one pointer.
        unsafe { *instance = open.cast() };
        Ok(Outcome::OK)
    })
}

unsafe extern "C" fn close<T, L: Lifecycle<T>>(instance: *mut Instance, call: *mut Call) -> Outcome {
    enter(call, |_| {
        // SAFETY: `instance` came from `open` of this very type, and this is its last call.
        let open = unsafe { Box::from_raw(instance.cast::<Open<T>>()) };
        L::close(open.component)?;
        Ok(Outcome::OK)
    })
}

unsafe extern "C" fn fill<T: Source>(
    instance: *mut Instance,
    out: *mut RawBatch,
    call: *mut Call,
) -> Outcome {
    enter(call, |call| {
        // SAFETY: the host calls with an open instance, a batch and the call, lent for this call.
        let (open, counts, out) = unsafe { lent::<T, _>(instance, call, out)? };
        let wait_until_ns = counts.wait_until_ns();
        let outcome = match open.fill(&mut Batch::new(out, counts), wait_until_ns)? {
            Fill::Produced => Outcome::OK,
            Fill::IdleUntil(at) => {
                counts.set_wait_until_ns(at);
                Outcome::IDLE
            }
            Fill::Finished => Outcome::FINISHED,
        };
        as_described(outcome, call, counts)
    })
}

unsafe extern "C" fn acknowledge<T: Source>(
    instance: *mut Instance,
    positions: *const StreamPosition,
    count: usize,
    call: *mut Call,
) -> Outcome {
    enter(call, |_| {
        // SAFETY: the host calls with an open instance.
        let open = unsafe { &mut *instance.cast::<Open<T>>() };
        let positions = if count == 0 {
            &[]
        } else {
            // SAFETY: the host lends `count` positions for this call.
            unsafe { std::slice::from_raw_parts(positions, count) }
        };
        open.component.acknowledge(positions)?;
        Ok(Outcome::OK)
    })
}

unsafe extern "C" fn process<T: Stage>(
    instance: *mut Instance,
    batch: *mut RawBatch,
    outputs: *mut RawOutputs,
    call: *mut Call,
) -> Outcome {
    enter(call, |call| {
        // SAFETY: the host calls with an open instance, a batch and the call, lent for this call.
        let (stage, counts, batch) = unsafe { lent::<T, _>(instance, call, batch)? };
        // SAFETY: the host lends the outputs for this call, and nothing else refers to them.
        let outputs = unsafe { &mut *outputs };
        let flow = stage.process(&mut Batch::new(batch, counts), &mut Outputs::new(outputs, counts))?;
        as_described(flowed(flow, stage, counts), call, counts)
    })
}

unsafe extern "C" fn tick<T: Stage>(
    instance: *mut Instance,
    outputs: *mut RawOutputs,
    call: *mut Call,
) -> Outcome {
    enter(call, |call| {
        // SAFETY: the host calls with an open instance, outputs and the call, lent for this call.
        let (stage, counts, outputs) = unsafe { lent::<T, _>(instance, call, outputs)? };
        let flow = stage.tick(counts.now_ns(), &mut Outputs::new(outputs, counts))?;
        as_described(flowed(flow, stage, counts), call, counts)
    })
}

unsafe extern "C" fn finish<T: Stage>(
    instance: *mut Instance,
    outputs: *mut RawOutputs,
    call: *mut Call,
) -> Outcome {
    enter(call, |call| {
        // SAFETY: the host calls with an open instance, outputs and the call, lent for this call.
        let (stage, counts, outputs) = unsafe { lent::<T, _>(instance, call, outputs)? };
        let flow = stage.finish(&mut Outputs::new(outputs, counts))?;
        as_described(flowed(flow, stage, counts), call, counts)
    })
}

fn flowed<T: Stage>(flow: Flow, stage: &T, counts: Counts<'_>) -> Outcome {
    counts.set_held(stage.held());
    match flow {
        Flow::Done => Outcome::OK,
        Flow::More => Outcome::MORE,
    }
}

/// The outcome of a call that kept to what `describe` names. A port that is not there makes it fail; a reason that is not
/// there leaves a message beside its count.
fn as_described(outcome: Outcome, call: *mut Call, counts: Counts<'_>) -> Result<Outcome, PluginError> {
    let slips = counts.names().take_slips();
    if let Some(port) = slips.port {
        return Err(PluginError::new(port));
    }
    if let Some(reason) = slips.reason {
        say(call, &reason);
    }
    Ok(outcome)
}

unsafe extern "C" fn write<T: Sink>(
    instance: *mut Instance,
    batch: *const RawBatch,
    call: *mut Call,
) -> Outcome {
    enter(call, |call| {
        // SAFETY: the host calls with an open instance and the call, lent for this call.
        let (sink, counts) = unsafe { entered::<T>(instance, call)? };
        // SAFETY: the host lends the batch for this call and does not write to it meanwhile.
        let batch = unsafe { &*batch };
        sink.write(&Delivery::new(batch, counts))?;
        as_described(Outcome::OK, call, counts)
    })
}

unsafe extern "C" fn commit<T: Sink>(instance: *mut Instance, epoch: u64, call: *mut Call) -> Outcome {
    enter(call, |call| {
        // SAFETY: the host calls with an open instance and the call, lent for this call.
        let (sink, counts) = unsafe { entered::<T>(instance, call)? };
        counts.set_held(0);
        Ok(match sink.commit(epoch)? {
            Commit::Committed => Outcome::OK,
            Commit::Retry { after, why } => {
                let after_ns = i64::try_from(after.as_nanos()).unwrap_or(i64::MAX);
                counts.set_wait_until_ns(counts.now_ns().saturating_add(after_ns));
                say(call, &why);
                Outcome::RETRY
            }
            Commit::Permanent { why } => {
                say(call, &why);
                Outcome::PERMANENT
            }
            Commit::Partly { lost, why } => {
                counts.set_held(lost);
                say(call, &why);
                Outcome::PERMANENT
            }
        })
    })
}

unsafe extern "C" fn snapshot<T: State>(
    instance: *mut Instance,
    version: u32,
    out: *mut Writer,
    call: *mut Call,
) -> Outcome {
    enter(call, |_| {
        // SAFETY: the host calls with an open instance.
        let open = unsafe { &mut *instance.cast::<Open<T>>() };
        let state = open.component.snapshot(version)?;
        // SAFETY: the host lends the writer for this call.
        unsafe { write_out(out, &state) }
    })
}

unsafe extern "C" fn restore<T: State>(
    instance: *mut Instance,
    version: u32,
    state: Bytes,
    call: *mut Call,
) -> Outcome {
    enter(call, |_| {
        // SAFETY: the host calls with an open instance and lends the state for this call.
        let (open, state) = unsafe { (&mut *instance.cast::<Open<T>>(), bytes(state)) };
        open.component.restore(version, state)?;
        Ok(Outcome::OK)
    })
}

/// The one way in: runs `work`, turning an error or a panic into an outcome with a message.
fn enter(call: *mut Call, work: impl FnOnce(*mut Call) -> Result<Outcome, PluginError>) -> Outcome {
    match catch(AssertUnwindSafe(|| work(call))) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => {
            say(call, &error.to_string());
            Outcome::FAILED
        }
        Err(panic) => {
            say(call, &panic);
            Outcome::PANICKED
        }
    }
}

thread_local! {
    /// Where the panic that is being caught on this thread happened, left by the hook of [`keep_panic_places`].
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    /// How many [`catch`]es this thread is inside of.
    static CATCHING: Cell<u32> = const { Cell::new(0) };
}

/// Runs `work`; a panic becomes its message with its place.
pub(crate) fn catch<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    CATCHING.set(CATCHING.get() + 1);
    let caught = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(CATCHING.get() - 1);
    caught.map_err(|payload| {
        let place = PANIC.with(|panic| panic.borrow_mut().take());
        let message = place.unwrap_or_else(|| payload_text(payload.as_ref()).to_owned());
        // A payload whose destructor panics must not take the host down.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(payload)));
        message
    })
}

/// Keeps a panic's place for [`catch`] instead of printing it: the host logs it with the component's name. Panics that
/// nobody catches (of threads that the plugin started by itself) go where they went before.
pub(crate) fn keep_panic_places() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if CATCHING.try_with(Cell::get).unwrap_or(0) == 0 {
            before(info);
            return;
        }
        let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let text = format!("{}{place}", payload_text(info.payload()));
        let _ = PANIC.try_with(|panic| *panic.borrow_mut() = Some(text));
    }));
}

fn payload_text(payload: &(dyn std::any::Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

/// Leaves a message in host memory, cut at a character's end if it is too long.
fn say(call: *mut Call, message: &str) {
    // SAFETY: the host lends the call, and no `Counts` is in use where this is called.
    let Some(call) = (unsafe { call.as_mut() }) else {
        return;
    };
    let room = call.message_capacity as usize;
    let mut len = message.len().min(room);
    while !message.is_char_boundary(len) {
        len -= 1;
    }
    if len == 0 || call.message.is_null() {
        return;
    }
    // SAFETY: the host lends `message_capacity` bytes at `message`, and len is at most that.
    unsafe { std::ptr::copy_nonoverlapping(message.as_ptr(), call.message, len) };
    call.message_len = u32::try_from(len).unwrap_or(0);
}

/// The parts of a data call as references.
///
/// # Safety
/// `instance` is an open instance of `T`; `call` and `what` are lent by the host for `'a` and used by nothing else.
unsafe fn lent<'a, T, W>(
    instance: *mut Instance,
    call: *mut Call,
    what: *mut W,
) -> Result<(&'a mut T, Counts<'a>, &'a mut W), PluginError> {
    // SAFETY: by this function's contract.
    let (component, counts) = unsafe { entered(instance, call)? };
    // SAFETY: by this function's contract.
    let what = unsafe { what.as_mut() }.ok_or_else(null_pointer)?;
    Ok((component, counts, what))
}

/// The instance and the counts of a call.
///
/// # Safety
/// As for [`lent`].
unsafe fn entered<'a, T>(
    instance: *mut Instance,
    call: *mut Call,
) -> Result<(&'a mut T, Counts<'a>), PluginError> {
    let call = NonNull::new(call).ok_or_else(null_pointer)?;
    // SAFETY: by this function's contract.
    let open = unsafe { instance.cast::<Open<T>>().as_mut() }.ok_or_else(null_pointer)?;
    // Those of a call that failed in another way.
    open.names.take_slips();
    // SAFETY: by this function's contract.
    Ok((&mut open.component, unsafe { Counts::new(call, &open.names) }))
}

fn null_pointer() -> PluginError {
    PluginError::new("the host called with a null pointer")
}

/// # Safety
/// `bytes` are valid for `'a`, or empty.
unsafe fn bytes<'a>(bytes: Bytes) -> &'a [u8] {
    if bytes.len == 0 {
        return &[];
    }
    // SAFETY: by this function's contract.
    unsafe { std::slice::from_raw_parts(bytes.ptr, bytes.len) }
}

fn parse<S: Settings>(json: &[u8]) -> Result<S, PluginError> {
    // Absent settings are the empty mapping, so that a type whose keys all have defaults needs none.
    let json = if json.is_empty() { b"{}" } else { json };
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(json)).map_err(|error| {
        let text = error.inner().to_string();
        // The settings are one line made by the host: its line and column would mislead.
        let sentence = text.rsplit_once(" at line ").map_or(text.as_str(), |(sentence, _)| sentence);
        let path = error.path().to_string();
        // The root's path is a dot, and the sentence about a key that is not known names it already.
        let at = if path == "." || sentence.contains(&format!("`{path}`")) {
            String::new()
        } else {
            format!("`{path}`: ")
        };
        PluginError::new(format!("the settings could not be read: {at}{sentence}"))
    })
}

/// # Safety
/// `out` is null or lent by the host for the running call.
unsafe fn write_out(out: *mut Writer, what: &[u8]) -> Result<Outcome, PluginError> {
    // SAFETY: by this function's contract.
    let Some(Writer { context, write: Some(write) }) = (unsafe { out.as_ref() }) else {
        return Err(PluginError::new("the host lent no writer"));
    };
    // SAFETY: the writer's function takes its own context and bytes that are valid for the call.
    match unsafe { write(*context, Bytes { ptr: what.as_ptr(), len: what.len() }) } {
        Outcome::OK => Ok(Outcome::OK),
        _ => Err(PluginError::new("the answer is larger than the host takes")),
    }
}

/// Takes up the library's way to the host: log events and panics go there from now on.
pub(crate) unsafe extern "C" fn attach(host: *const HostTable) -> Outcome {
    // SAFETY: the host keeps this table until the process exits.
    let Some(host) = (unsafe { Host::new(host) }) else {
        return Outcome::FAILED;
    };
    keep_panic_places();
    crate::log::forward_to(host);
    Outcome::OK
}
