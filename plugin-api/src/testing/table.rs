//! The functions of the test host's table: the host's side of the ABI, in memory.
//!
//! One of the crate's few files with unsafe code. What it relies on: a table's context is an [`Inner`] that lives until
//! the process ends, and plugins call as `abi` says.

use super::host::{Inner, LogLine, Metric};
use super::threads;
use crate::abi::{Bytes, Group, HostTable, MetricCell, MetricCode, Outcome, SensorEntry, Tag, Writer};
use crate::host::Host;
use crate::manifest::MetricKind;
use crate::record::{SensorId, UnitId};
use crate::shim;
use std::cell::Cell;
use std::ffi::c_void;
use std::fmt::Write as _;
use std::os::fd::IntoRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Once;

/// The way to a test host that components get.
pub(super) fn host(inner: &'static Inner) -> Host {
    // SAFETY: the table is inside `inner`, which lives until the process ends.
    let host = unsafe { Host::new(table(inner)) };
    // The table has the size of this very crate's type.
    host.unwrap_or_else(|| unreachable!("a test host's table is complete"))
}

pub(super) fn table(inner: &'static Inner) -> &'static HostTable {
    inner.table.get_or_init(|| HostTable {
        size: size_of::<HostTable>(),
        context: std::ptr::from_ref(inner).cast_mut().cast(),
        intern_sensor: Some(intern_sensor),
        intern_unit: Some(intern_unit),
        sensor: Some(sensor),
        unit: Some(unit),
        metric: Some(metric),
        metric_add: Some(metric_add),
        metric_set: Some(metric_set),
        metric_observe: Some(metric_observe),
        log_enabled: Some(log_enabled),
        log: Some(log),
        now: Some(now),
        cancelled: Some(cancelled),
        wait: Some(wait),
        state_directory: Some(state_directory),
        spawn: Some(threads::spawn),
        join: Some(threads::join),
        listener: Some(listener),
        get_group: Some(get_group),
    })
}

/// Runs a call into a component on the test's thread: what is logged meanwhile is this host's, and a panic's place is
/// kept for the shim instead of being printed.
pub(super) fn calling<R>(inner: &'static Inner, call: impl FnOnce() -> R) -> R {
    attach_once();
    let before = CALLING.replace(Some(Caller { inner, spawned: false }));
    let result = call();
    CALLING.set(before);
    result
}

/// Makes the current thread one of a component's own.
pub(super) fn become_spawned(inner: &'static Inner) {
    CALLING.set(Some(Caller { inner, spawned: true }));
}

#[derive(Clone, Copy)]
struct Caller {
    inner: &'static Inner,
    spawned: bool,
}

thread_local! {
    /// The host whose component runs on this thread.
    static CALLING: Cell<Option<Caller>> = const { Cell::new(None) };
}

/// Lets the library (here: the test binary) forward its `tracing` events and panics, as the daemon does after loading.
/// A test's own panics must still be printed, so its hook stays for all threads that are in no component.
fn attach_once() {
    static ATTACHED: Once = Once::new();
    ATTACHED.call_once(|| {
        let printing = std::panic::take_hook();
        let host = super::TestHost::new();
        // SAFETY: the table lives until the process ends.
        unsafe { shim::attach(table(host.inner())) };
        let keeping = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if CALLING.get().is_some() {
                keeping(info);
            } else {
                printing(info);
            }
        }));
    });
}

/// # Safety
/// `context` is that of a test host's table.
pub(super) unsafe fn inner(context: *mut c_void) -> &'static Inner {
    // SAFETY: by this function's contract; the inner lives until the process ends.
    unsafe { &*context.cast::<Inner>() }
}

/// # Safety
/// `bytes` are lent for `'a`, or empty.
pub(super) unsafe fn text<'a>(bytes: Bytes) -> &'a str {
    if bytes.len == 0 {
        return "";
    }
    // SAFETY: by this function's contract.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.ptr, bytes.len) };
    std::str::from_utf8(bytes).unwrap_or("\u{FFFD}")
}

fn leak(text: &str) -> Bytes {
    crate::host::lend(Box::leak(text.to_owned().into_boxed_str()))
}

unsafe extern "C" fn intern_sensor(
    context: *mut c_void,
    name: Bytes,
    tags: *const Tag,
    tag_count: usize,
    id: *mut SensorId,
) -> Outcome {
    let tags = if tag_count == 0 {
        &[]
    } else {
        // SAFETY: the plugin lends `tag_count` tags for this call.
        unsafe { std::slice::from_raw_parts(tags, tag_count) }
    };
    // SAFETY: the context is this table's; the plugin lends name and tags for this call.
    let (mut state, name, mut tags) = unsafe {
        let tags = tags.iter().map(|tag| (text(tag.key), text(tag.value)));
        (inner(context).state(), text(name), tags.collect::<Vec<_>>())
    };
    tags.sort_unstable();
    let mut key = name.to_owned();
    for (tag, value) in &tags {
        // Writing to a String cannot fail; the control characters keep the parts apart.
        let _ = write!(key, "\u{1}{tag}\u{2}{value}");
    }
    let found = match state.sensor_ids.get(&key) {
        Some(found) => *found,
        None if state.sensors.len() >= state.sensors_max => return Outcome::FULL,
        None => {
            let new = SensorId(u32::try_from(state.sensors.len()).unwrap_or(u32::MAX));
            let tags: Vec<Tag> =
                tags.iter().map(|(key, value)| Tag { key: leak(key), value: leak(value) }).collect();
            let tags = Box::leak(tags.into_boxed_slice());
            state.sensors.push(SensorEntry { name: leak(name), tags: tags.as_ptr(), tag_count: tags.len() });
            state.sensor_ids.insert(key, new);
            new
        }
    };
    // SAFETY: the plugin lends a place for one id.
    unsafe { *id = found };
    Outcome::OK
}

unsafe extern "C" fn intern_unit(context: *mut c_void, code: Bytes, id: *mut UnitId) -> Outcome {
    // SAFETY: the context is this table's; the plugin lends the code for this call.
    let (mut state, code) = unsafe { (inner(context).state(), text(code)) };
    let index = match state.units.iter().position(|unit| *unit == code) {
        Some(index) => index,
        None if state.units.len() > state.units_max => return Outcome::FULL,
        None => {
            state.units.push(Box::leak(code.to_owned().into_boxed_str()));
            state.units.len() - 1
        }
    };
    // SAFETY: the plugin lends a place for one id.
    unsafe { *id = UnitId(u16::try_from(index).unwrap_or(u16::MAX)) };
    Outcome::OK
}

unsafe extern "C" fn sensor(context: *mut c_void, id: SensorId, entry: *mut SensorEntry) -> Outcome {
    // SAFETY: the context is this table's.
    let state = unsafe { inner(context) }.state();
    match state.sensors.get(id.0 as usize) {
        Some(found) => {
            // SAFETY: the plugin lends a place for one entry.
            unsafe { *entry = *found };
            Outcome::OK
        }
        None => Outcome::UNKNOWN,
    }
}

unsafe extern "C" fn unit(context: *mut c_void, id: UnitId, code: *mut Bytes) -> Outcome {
    // SAFETY: the context is this table's.
    let state = unsafe { inner(context) }.state();
    match state.units.get(usize::from(id.0)) {
        Some(found) => {
            // SAFETY: the plugin lends a place for one code.
            unsafe { *code = crate::host::lend(found) };
            Outcome::OK
        }
        None => Outcome::UNKNOWN,
    }
}

unsafe extern "C" fn metric(
    context: *mut c_void,
    name: Bytes,
    kind: MetricCode,
    cell: *mut *mut MetricCell,
) -> Outcome {
    // SAFETY: the context is this table's; the plugin lends the name for this call.
    let (mut state, name) = unsafe { (inner(context).state(), text(name)) };
    let position = state.metrics.iter().position(|metric| metric.declaration.name == name);
    match position {
        Some(index) => {
            let declared = state.metrics[index].declaration.kind;
            if code(declared) != kind {
                let asked = [MetricKind::Counter, MetricKind::Gauge, MetricKind::Histogram]
                    .into_iter()
                    .find(|known| code(*known) == kind);
                let (declared, asked) = (declared.name(), asked.map_or("metric", MetricKind::name));
                state.slip = Some(format!(
                    "the manifest declares `{name}` as a {declared}, and the code asks `host.{asked}(…)` for it"
                ));
                return Outcome::UNKNOWN;
            }
            // A cell is the metric's index plus one: never null, and nothing to free.
            // SAFETY: the plugin lends a place for one pointer.
            unsafe { *cell = std::ptr::without_provenance_mut(index + 1) };
            Outcome::OK
        }
        None => Outcome::UNKNOWN,
    }
}

unsafe extern "C" fn metric_add(context: *mut c_void, cell: *mut MetricCell, by: f64) -> Outcome {
    // SAFETY: the context is this table's.
    write(unsafe { inner(context) }, cell, MetricKind::Counter, |metric| {
        by >= 0.0 && metric.change(metric.value + by)
    })
}

unsafe extern "C" fn metric_set(context: *mut c_void, cell: *mut MetricCell, to: f64) -> Outcome {
    // SAFETY: the context is this table's.
    write(unsafe { inner(context) }, cell, MetricKind::Gauge, |metric| metric.change(to))
}

unsafe extern "C" fn metric_observe(context: *mut c_void, cell: *mut MetricCell, value: f64) -> Outcome {
    // SAFETY: the context is this table's.
    write(unsafe { inner(context) }, cell, MetricKind::Histogram, |metric| metric.observe(value))
}

/// A write to a cell that is of this kind; others are not to be had through the SDK.
fn write(
    host: &Inner,
    cell: *mut MetricCell,
    kind: MetricKind,
    write: impl FnOnce(&mut Metric) -> bool,
) -> Outcome {
    let mut state = host.state();
    match state.metrics.get_mut(cell.addr().wrapping_sub(1)).filter(|metric| metric.declaration.kind == kind)
    {
        Some(metric) => {
            if write(metric) {
                Outcome::OK
            } else {
                Outcome::FAILED
            }
        }
        None => Outcome::UNKNOWN,
    }
}

fn code(kind: MetricKind) -> MetricCode {
    match kind {
        MetricKind::Counter => MetricCode::COUNTER,
        MetricKind::Gauge => MetricCode::GAUGE,
        MetricKind::Histogram => MetricCode::HISTOGRAM,
    }
}

/// The host that a log call is meant for: that of the calling thread, else that of the table.
///
/// # Safety
/// As for [`inner`].
unsafe fn log_of(context: *mut c_void) -> &'static Inner {
    // SAFETY: by this function's contract.
    CALLING.get().map_or_else(|| unsafe { inner(context) }, |caller| caller.inner)
}

unsafe extern "C" fn log_enabled(context: *mut c_void, level: u32) -> u32 {
    // SAFETY: the context is this table's.
    u32::from(level <= unsafe { log_of(context) }.state().log_level)
}

unsafe extern "C" fn log(context: *mut c_void, level: u32, target: Bytes, message: Bytes) -> Outcome {
    // SAFETY: the context is this table's; the plugin lends the texts for this call.
    let (mut state, target, message) = unsafe { (log_of(context).state(), text(target), text(message)) };
    // Without the line in the code, which no test wants to follow.
    let line = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let target = target.rsplit_once(':').filter(|(_, end)| line(end)).map_or(target, |(module, _)| module);
    state.logs.push(LogLine { level, target: target.to_owned(), message: message.to_owned() });
    Outcome::OK
}

unsafe extern "C" fn now(context: *mut c_void) -> i64 {
    // SAFETY: the context is this table's.
    unsafe { inner(context) }.state().now_ns
}

unsafe extern "C" fn cancelled(context: *mut c_void) -> u32 {
    // SAFETY: the context is this table's.
    u32::from(unsafe { inner(context) }.state().cancelled)
}

unsafe extern "C" fn wait(context: *mut c_void, until_ns: i64) -> Outcome {
    // SAFETY: the context is this table's.
    let host = unsafe { inner(context) };
    let mut state = host.state();
    if !CALLING.get().is_some_and(|caller| caller.spawned) && !state.cancelled {
        // The test's own thread: nobody else would move the clock.
        state.now_ns = state.now_ns.max(until_ns);
        host.changed.notify_all();
        return Outcome::OK;
    }
    while !state.cancelled && state.now_ns < until_ns {
        state = host.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
    }
    if state.cancelled { Outcome::CANCELLED } else { Outcome::OK }
}

unsafe extern "C" fn state_directory(context: *mut c_void, out: *mut Writer) -> Outcome {
    // SAFETY: the context is this table's.
    let path = unsafe { inner(context) }.state().state_directory.clone();
    // SAFETY: the plugin lends the writer for this call.
    match (path, unsafe { &*out }.write) {
        (Some(path), Some(write)) => {
            let path = path.as_os_str().as_bytes();
            let bytes = Bytes { ptr: path.as_ptr(), len: path.len() };
            // SAFETY: the writer's function takes its own context and bytes that are valid for the call.
            unsafe { write((*out).context, bytes) }
        }
        _ => Outcome::UNKNOWN,
    }
}

unsafe extern "C" fn listener(context: *mut c_void, name: Bytes, descriptor: *mut i32) -> Outcome {
    // SAFETY: the context is this table's; the plugin lends the name for this call.
    let (mut state, name) = unsafe { (inner(context).state(), text(name)) };
    match state.listeners.remove(name) {
        Some(socket) => {
            // SAFETY: the plugin lends a place for one descriptor, which it owns from now on.
            unsafe { *descriptor = socket.into_raw_fd() };
            Outcome::OK
        }
        None => Outcome::UNKNOWN,
    }
}

unsafe extern "C" fn get_group(_: *mut c_void, _: u32) -> *const Group {
    std::ptr::null()
}
