//! The host's services as plugin authors see them.
//!
//! One of the crate's few files with unsafe code: each call through the [`HostTable`] is here.

use crate::abi::{
    Bytes, HostTable, MetricCell, MetricCode, Outcome, SensorEntry, Tag, ThreadHandle, ThreadMain, Writer,
};
use crate::plugin::PluginError;
use crate::record::{SensorId, UnitId};
use crate::shim;
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::ptr::{NonNull, null_mut};

/// A way to the host, for one component (or one thread of it). Cheap to clone and keep until `close`.
#[derive(Clone)]
pub struct Host {
    table: &'static HostTable,
}

// SAFETY: the table's functions may be called from any thread with its context (the ABI's rule for `HostTable`), and
// the table itself is never written after the host made it.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

/// The host's dictionary is full: `limits.sensors` or `limits.units` in the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DictionaryFull;

impl std::fmt::Display for DictionaryFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the host's dictionary is full; raise `limits.sensors` or `limits.units`")
    }
}

impl std::error::Error for DictionaryFull {}

/// Calls a function of the host table; a missing one answers with `$missing`.
macro_rules! call {
    ($host:expr, $function:ident($($argument:expr),*), $missing:expr) => {
        match $host.table.$function {
            // SAFETY: the host filled the table for this plugin's lifetime and promises that its functions take
            // the table's context from any thread; pointers among the arguments are valid for the call.
            Some(function) => unsafe { function($host.table.context, $($argument),*) },
            None => $missing,
        }
    };
}

impl Host {
    /// # Safety
    /// `table` is null or stays valid until the component that it is given to is closed.
    pub(crate) unsafe fn new(table: *const HostTable) -> Option<Self> {
        // SAFETY: by this function's contract. 'static stands for "until close": components are closed before
        // their tables go, and a thread that outlives `close` is leaked by the host together with its table.
        let table = unsafe { table.as_ref() }?;
        (table.size >= size_of::<HostTable>()).then_some(Self { table })
    }

    /// The id of a sensor without tags.
    pub fn sensor(&self, name: &str) -> Result<SensorId, DictionaryFull> {
        self.tagged_sensor(name, &[])
    }

    /// The id of a sensor with tags, in any order.
    pub fn tagged_sensor(&self, name: &str, tags: &[(&str, &str)]) -> Result<SensorId, DictionaryFull> {
        let tags: Vec<Tag> =
            tags.iter().map(|(key, value)| Tag { key: lend(key), value: lend(value) }).collect();
        let mut id = SensorId::default();
        let outcome =
            call!(self, intern_sensor(lend(name), tags.as_ptr(), tags.len(), &raw mut id), Outcome::FULL);
        if outcome == Outcome::OK { Ok(id) } else { Err(DictionaryFull) }
    }

    /// The id of a unit code. The empty code is [`UnitId::NONE`].
    pub fn unit(&self, code: &str) -> Result<UnitId, DictionaryFull> {
        if code.is_empty() {
            return Ok(UnitId::NONE);
        }
        let mut id = UnitId::NONE;
        let outcome = call!(self, intern_unit(lend(code), &raw mut id), Outcome::FULL);
        if outcome == Outcome::OK { Ok(id) } else { Err(DictionaryFull) }
    }

    /// The sensor behind an id.
    pub fn sensor_entry(&self, id: SensorId) -> Option<Sensor> {
        let mut entry = SensorEntry { name: lend(""), tags: std::ptr::null(), tag_count: 0 };
        let outcome = call!(self, sensor(id, &raw mut entry), Outcome::UNKNOWN);
        (outcome == Outcome::OK).then_some(Sensor { entry })
    }

    /// The unit code behind an id; the empty string for [`UnitId::NONE`].
    pub fn unit_code(&self, id: UnitId) -> Option<&'static str> {
        if id == UnitId::NONE {
            return Some("");
        }
        let mut code = lend("");
        let outcome = call!(self, unit(id, &raw mut code), Outcome::UNKNOWN);
        // SAFETY: dictionary entries are UTF-8 and stay valid until exit, by the contract of `HostTable::unit`.
        (outcome == Outcome::OK).then(|| unsafe { text(code) })
    }

    /// A counter that the manifest declares; `None` if it does not: then there is nothing to write to, and having asked
    /// counts against the component. Each call makes a cell for one writing thread, so
    /// ask once, in `open` or as a thread begins; past 4,096 cells of a component there are no more.
    pub fn counter(&self, name: &str) -> Option<Counter> {
        let cell = self.metric(name, MetricCode::COUNTER)?;
        Some(Counter { host: self.clone(), cell, one_thread: PhantomData })
    }

    /// A gauge that the manifest declares; `None` if it does not. As for [`Host::counter`], ask once.
    pub fn gauge(&self, name: &str) -> Option<Gauge> {
        let cell = self.metric(name, MetricCode::GAUGE)?;
        Some(Gauge { host: self.clone(), cell, one_thread: PhantomData })
    }

    /// A histogram that the manifest declares; `None` if it does not. As for [`Host::counter`], ask once. It takes a cell
    /// for each of its buckets.
    pub fn histogram(&self, name: &str) -> Option<Histogram> {
        let cell = self.metric(name, MetricCode::HISTOGRAM)?;
        Some(Histogram { host: self.clone(), cell, one_thread: PhantomData })
    }

    fn metric(&self, name: &str, kind: MetricCode) -> Option<NonNull<MetricCell>> {
        let mut cell = null_mut();
        let outcome = call!(self, metric(lend(name), kind, &raw mut cell), Outcome::UNKNOWN);
        if outcome == Outcome::OK { NonNull::new(cell) } else { None }
    }

    /// UTC nanoseconds since 1970.
    pub fn now_ns(&self) -> i64 {
        call!(self, now(), 0)
    }

    /// Whether the pipeline drains, so that the component should return soon.
    pub fn cancelled(&self) -> bool {
        call!(self, cancelled(), 0) != 0
    }

    /// Sleeps until then (UTC nanoseconds); `false` if the pipeline began to drain first.
    pub fn wait_until(&self, until_ns: i64) -> bool {
        call!(self, wait(until_ns), Outcome::CANCELLED) == Outcome::OK
    }

    /// A folder that only this component uses; it exists.
    pub fn state_directory(&self) -> Option<PathBuf> {
        let mut path = Vec::new();
        let mut writer = collect_into(&mut path);
        let outcome = call!(self, state_directory(&raw mut writer), Outcome::UNKNOWN);
        (outcome == Outcome::OK).then(|| PathBuf::from(std::ffi::OsString::from_vec(path)))
    }

    /// A listening socket that the host was given under this name.
    pub fn listener(&self, name: &str) -> Option<OwnedFd> {
        let mut descriptor = -1;
        let outcome = call!(self, listener(lend(name), &raw mut descriptor), Outcome::UNKNOWN);
        // SAFETY: on OK the host hands over a descriptor that nothing else owns.
        (outcome == Outcome::OK && descriptor >= 0).then(|| unsafe { OwnedFd::from_raw_fd(descriptor) })
    }

    /// Starts a thread that carries this component's name, cells and log. It gets a [`Host`] of its own; metrics must
    /// be asked for through that one, since each cell has one writing thread.
    pub fn spawn<F>(&self, name: &str, run: F) -> Result<Thread, PluginError>
    where
        F: FnOnce(Host) -> Result<(), PluginError> + Send + 'static,
    {
        let argument = Box::into_raw(Box::new(run));
        let main = ThreadMain { main: Some(thread_main::<F>), argument: argument.cast() };
        let mut handle = null_mut();
        let outcome = call!(self, spawn(lend(name), main, &raw mut handle), Outcome::FAILED);
        match NonNull::new(handle) {
            Some(handle) if outcome == Outcome::OK => Ok(Thread { host: self.clone(), handle }),
            _ => {
                // SAFETY: a spawn that is not OK has not taken the argument, which came from `into_raw` above.
                drop(unsafe { Box::from_raw(argument) });
                Err(PluginError::new(match outcome {
                    Outcome::FULL => {
                        format!("thread `{name}` is one more than the manifest's `threads` allows")
                    }
                    _ => format!("the host could not start thread `{name}`"),
                }))
            }
        }
    }

    pub(crate) fn log_enabled(&self, level: u32) -> bool {
        call!(self, log_enabled(level), 0) != 0
    }

    pub(crate) fn log(&self, level: u32, target: &str, message: &str) {
        call!(self, log(level, lend(target), lend(message)), Outcome::OK);
    }
}

/// A sensor's name and tags. The text lives as long as the process.
#[derive(Clone, Copy)]
pub struct Sensor {
    entry: SensorEntry,
}

impl Sensor {
    /// The name.
    pub fn name(&self) -> &'static str {
        // SAFETY: dictionary entries are UTF-8 and stay valid until exit, by the contract of `SensorEntry`.
        unsafe { text(self.entry.name) }
    }

    /// The tags, sorted by key.
    pub fn tags(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        let tags: &'static [Tag] = if self.entry.tag_count == 0 {
            &[]
        } else {
            // SAFETY: as in `name`: the host's entry has `tag_count` tags there, until exit.
            unsafe { std::slice::from_raw_parts(self.entry.tags, self.entry.tag_count) }
        };
        // SAFETY: as in `name`.
        tags.iter().map(|tag| unsafe { (text(tag.key), text(tag.value)) })
    }
}

/// A metric that only grows. The cell is the host's: every change is audited there.
pub struct Counter {
    host: Host,
    cell: NonNull<MetricCell>,
    /// One writing thread a cell: may move to another thread, may not be shared.
    one_thread: PhantomData<Cell<()>>,
}

// SAFETY: the cell is only handed back to the host, which allows any thread, one at a time; `!Sync` keeps it to one.
unsafe impl Send for Counter {}

impl Counter {
    /// Adds; `false` if the metric's rules forbid it (the cell is then unchanged and the host reports it).
    #[inline]
    pub fn add(&self, by: f64) -> bool {
        call!(self.host, metric_add(self.cell.as_ptr(), by), Outcome::FAILED) == Outcome::OK
    }
}

/// A metric that goes up and down. The cell is the host's: every change is audited there.
pub struct Gauge {
    host: Host,
    cell: NonNull<MetricCell>,
    /// As in [`Counter`].
    one_thread: PhantomData<Cell<()>>,
}

// SAFETY: as for `Counter`.
unsafe impl Send for Gauge {}

impl Gauge {
    /// Sets; `false` if the metric's rules forbid it (the cell is then unchanged and the host reports it).
    #[inline]
    pub fn set(&self, to: f64) -> bool {
        call!(self.host, metric_set(self.cell.as_ptr(), to), Outcome::FAILED) == Outcome::OK
    }
}

/// A distribution of what was observed. The cells are the host's: every change is audited there.
pub struct Histogram {
    host: Host,
    cell: NonNull<MetricCell>,
    /// As in [`Counter`].
    one_thread: PhantomData<Cell<()>>,
}

// SAFETY: as for `Counter`.
unsafe impl Send for Histogram {}

impl Histogram {
    /// Puts an observation in; `false` if the metric's rules forbid it (nothing is changed then and the host reports it).
    #[inline]
    pub fn observe(&self, value: f64) -> bool {
        call!(self.host, metric_observe(self.cell.as_ptr(), value), Outcome::FAILED) == Outcome::OK
    }
}

/// A thread of a component. Join it in `close`.
pub struct Thread {
    host: Host,
    handle: NonNull<ThreadHandle>,
}

// SAFETY: the handle is only handed back to the host, which allows any thread.
unsafe impl Send for Thread {}

impl Thread {
    /// Waits for the thread until then (UTC nanoseconds); an error says that it failed, panicked or is still running.
    pub fn join(self, until_ns: i64) -> Result<(), PluginError> {
        match call!(self.host, join(self.handle.as_ptr(), until_ns), Outcome::FAILED) {
            Outcome::OK => Ok(()),
            Outcome::CANCELLED => Err(PluginError::new("a thread did not end in time")),
            Outcome::PANICKED => Err(PluginError::new("a thread panicked")),
            _ => Err(PluginError::new("a thread failed")),
        }
    }
}

/// Sensor ids by name, kept on the plugin's side: the host's dictionary takes a lock, this takes none.
///
/// Holds at most what the dictionary holds, so `limits.sensors` bounds it too.
pub struct SensorCache {
    host: Host,
    ids: HashMap<Box<str>, SensorId, foldhash::fast::RandomState>,
}

impl SensorCache {
    /// An empty cache.
    pub fn new(host: &Host) -> Self {
        Self { host: host.clone(), ids: HashMap::default() }
    }

    /// The id of a sensor without tags.
    #[inline]
    pub fn id(&mut self, name: &str) -> Result<SensorId, DictionaryFull> {
        if let Some(id) = self.ids.get(name) {
            return Ok(*id);
        }
        let id = self.host.sensor(name)?;
        self.ids.insert(name.into(), id);
        Ok(id)
    }

    /// The id under which `key` is remembered, or else the one that `intern` finds: for sensors with tags, where the
    /// key is any text that tells them apart.
    #[inline]
    pub fn id_by(
        &mut self,
        key: &str,
        intern: impl FnOnce(&Host) -> Result<SensorId, DictionaryFull>,
    ) -> Result<SensorId, DictionaryFull> {
        if let Some(id) = self.ids.get(key) {
            return Ok(*id);
        }
        let id = intern(&self.host)?;
        self.ids.insert(key.into(), id);
        Ok(id)
    }
}

/// Lends text to the host for a call.
pub(crate) fn lend(text: &str) -> Bytes {
    Bytes { ptr: text.as_ptr(), len: text.len() }
}

/// # Safety
/// `bytes` are UTF-8 and valid for the rest of the process, or empty.
unsafe fn text(bytes: Bytes) -> &'static str {
    if bytes.len == 0 {
        return "";
    }
    // SAFETY: by this function's contract.
    unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(bytes.ptr, bytes.len)) }
}

/// A writer that appends to `into`, for a host function that writes. The borrow must outlive its use.
fn collect_into(into: &mut Vec<u8>) -> Writer {
    unsafe extern "C" fn append(context: *mut c_void, bytes: Bytes) -> Outcome {
        if bytes.len > 0 {
            // SAFETY: `context` is the Vec below, borrowed by the caller for this use, and the host lends the bytes.
            unsafe {
                (*context.cast::<Vec<u8>>())
                    .extend_from_slice(std::slice::from_raw_parts(bytes.ptr, bytes.len));
            }
        }
        Outcome::OK
    }
    Writer { context: std::ptr::from_mut(into).cast(), write: Some(append) }
}

unsafe extern "C" fn thread_main<F>(argument: *mut c_void, host: *const HostTable) -> Outcome
where
    F: FnOnce(Host) -> Result<(), PluginError> + Send + 'static,
{
    // SAFETY: `argument` is the box that `spawn` gave away, handed to exactly one run of this function.
    let run = unsafe { Box::from_raw(argument.cast::<F>()) };
    // SAFETY: the host keeps a thread's table until the thread ended.
    let Some(host) = (unsafe { Host::new(host) }) else {
        return Outcome::FAILED;
    };
    let log = host.clone();
    match shim::catch(move || run(host)) {
        Ok(Ok(())) => Outcome::OK,
        Ok(Err(error)) => {
            log.log(1, "thread", &format!("a thread failed: {error}"));
            Outcome::FAILED
        }
        Err(panic) => {
            log.log(1, "thread", &format!("a thread panicked: {panic}"));
            Outcome::PANICKED
        }
    }
}
