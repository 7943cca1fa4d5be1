//! What the host does for a plugin: the functions behind the ABI's `HostTable`.
//!
//! One of the crate's files with unsafe code. It relies on the contract of `HostTable`: a plugin hands back the context
//! that its table holds, and pointers that are valid for the call. Handles are leaked, so that a context stays valid
//! even for a plugin thread that outlives its component; there is one for each component of each generation.

use crate::audit::{HostMetrics, Trail};
use crate::cancel::Cancel;
use crate::cells::{Cells, Part};
use crate::clock::now_ns;
use crate::dictionary::Dictionary;
use crate::threads::{Joinable, ThreadCount, start};
use cardcage_plugin_api::abi::{
    Bytes, Group, HostTable, MetricCell, MetricCode, Outcome, SensorEntry, Tag, ThreadHandle, ThreadMain,
    Writer,
};
use cardcage_plugin_api::manifest::{ComponentManifest, MetricKind};
use cardcage_plugin_api::record::{SensorId, UnitId};
use std::cell::Cell as StdCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::c_void;
use std::os::fd::{IntoRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::ptr::null;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// The longest log message taken from a plugin; the rest is cut and said so.
const LOG_MAX_BYTES: usize = 8 * 1024;
/// The longest name or tag taken from a plugin: far above any real one, far below what would hurt.
const NAME_MAX_BYTES: usize = 4 * 1024;
/// The most tags of one sensor.
const TAGS_MAX: usize = 64;
/// The most cells of one component: its metrics times the threads that write them.
const CELLS_MAX: usize = 4096;

/// What all components of a pipeline share.
pub struct Environment {
    /// Names of sensors and units.
    pub dictionary: Arc<Dictionary>,
    /// Raised when the pipeline drains.
    pub cancel: Arc<Cancel>,
    /// Where each component finds its own folder.
    pub state_directory: PathBuf,
    /// What becomes of each write to a metric. Kept once [`Trail::keep`] was called, before the pipeline starts.
    pub trail: &'static Trail,
    /// What the host counts of itself.
    pub metrics: HostMetrics,
    /// Sockets that listen, by the name that components ask for.
    listeners: BTreeMap<String, OwnedFd>,
    entries: RwLock<HashMap<u32, Entry>>,
}

/// A dictionary entry as the ABI has it.
#[derive(Clone, Copy)]
struct Entry(SensorEntry);

// SAFETY: the pointers lead to leaked memory that is never written again.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

impl Environment {
    /// An environment for one pipeline.
    pub fn new(dictionary: Arc<Dictionary>, cancel: Arc<Cancel>, state_directory: PathBuf) -> Self {
        Self::with_listeners(dictionary, cancel, state_directory, BTreeMap::new())
    }

    /// An environment with listening sockets that the host was given, by name.
    pub fn with_listeners(
        dictionary: Arc<Dictionary>,
        cancel: Arc<Cancel>,
        state_directory: PathBuf,
        listeners: BTreeMap<String, OwnedFd>,
    ) -> Self {
        let trail = Trail::new();
        let metrics = HostMetrics::new(trail, &dictionary);
        Self { dictionary, cancel, state_directory, trail, metrics, listeners, entries: RwLock::default() }
    }

    fn entry(&self, id: u32) -> Option<SensorEntry> {
        if let Some(entry) = self.entries.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Some(entry.0);
        }
        let text = self.dictionary.sensor_text(id)?;
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(id).or_insert_with(|| {
            let tags: Vec<Tag> =
                text.tags.iter().map(|(key, value)| Tag { key: lend(key), value: lend(value) }).collect();
            let tags: &'static [Tag] = Box::leak(tags.into_boxed_slice());
            Entry(SensorEntry { name: lend(&text.name), tags: tags.as_ptr(), tag_count: tags.len() })
        });
        Some(entry.0)
    }
}

/// What the functions know of the component that calls them.
struct Context {
    environment: Arc<Environment>,
    /// Empty for a library's own way to the log.
    component: &'static str,
    plugin: String,
    /// Added to every sensor that the component interns.
    tags: BTreeMap<String, String>,
    manifest: Option<Arc<ComponentManifest>>,
    cells: Cells,
    threads: Arc<ThreadCount>,
    /// The table that leads here, for threads that the component starts.
    table: OnceLock<TableRef>,
}

/// A leaked table.
#[derive(Clone, Copy)]
struct TableRef(&'static HostTable);

// SAFETY: a table is never written after it was made, and its functions and context may be used from any thread.
unsafe impl Send for TableRef {}
// SAFETY: as above.
unsafe impl Sync for TableRef {}

/// One component's way to the host, to be given to `open`.
#[derive(Clone, Copy)]
pub struct HostHandle {
    context: &'static Context,
    table: TableRef,
}

thread_local! {
    /// The component for which this thread works now: what log events are named for.
    static CURRENT: StdCell<&'static str> = const { StdCell::new("") };
}

impl HostHandle {
    /// A handle for a component.
    pub fn for_component(
        environment: &Arc<Environment>,
        component: &str,
        plugin: &str,
        tags: &BTreeMap<String, String>,
        manifest: Arc<ComponentManifest>,
    ) -> Self {
        let threads = Arc::new(ThreadCount::new(manifest.capabilities.threads));
        Self::leak(Context {
            environment: Arc::clone(environment),
            component: Box::leak(component.to_owned().into_boxed_str()),
            plugin: plugin.to_owned(),
            tags: tags.clone(),
            manifest: Some(manifest),
            cells: Cells::new(component, environment.trail, Arc::clone(&threads)),
            threads,
            table: OnceLock::new(),
        })
    }

    /// A handle for a library as such: its log events that no component can be named for.
    pub fn for_library(environment: &Arc<Environment>, plugin: &str) -> Self {
        Self::leak(Context {
            environment: Arc::clone(environment),
            component: "",
            plugin: plugin.to_owned(),
            tags: BTreeMap::new(),
            manifest: None,
            cells: Cells::new("", environment.trail, Arc::default()),
            threads: Arc::default(),
            table: OnceLock::new(),
        })
    }

    fn leak(context: Context) -> Self {
        let context: &'static Context = Box::leak(Box::new(context));
        let table = HostTable {
            size: size_of::<HostTable>(),
            context: std::ptr::from_ref(context).cast_mut().cast(),
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
            spawn: Some(spawn),
            join: Some(join),
            listener: Some(listener),
            get_group: Some(get_group),
        };
        let table = *context.table.get_or_init(|| TableRef(Box::leak(Box::new(table))));
        Self { context, table }
    }

    /// The table, for `attach` and `open`.
    pub fn table(&self) -> *const HostTable {
        self.table.0
    }

    /// The component's metric cells.
    pub fn cells(&self) -> &Cells {
        &self.context.cells
    }

    /// Threads of the component that still run.
    pub fn running_threads(&self) -> u32 {
        self.context.threads.running()
    }

    /// The component's name.
    pub(crate) fn component(&self) -> &'static str {
        self.context.component
    }

    /// From now on this thread works for this component.
    pub(crate) fn enter(&self) {
        CURRENT.set(self.context.component);
    }
}

fn lend(text: &str) -> Bytes {
    Bytes { ptr: text.as_ptr(), len: text.len() }
}

/// # Safety
/// `context` is that of a table made by [`HostHandle::leak`].
unsafe fn known(context: *mut c_void) -> &'static Context {
    // SAFETY: contexts are leaked and never written, so a shared reference is valid until exit.
    unsafe { &*context.cast::<Context>() }
}

/// Text lent by a plugin; `None` if it is too long or no UTF-8.
///
/// # Safety
/// `bytes` are valid for `'a`, or empty.
unsafe fn text<'a>(bytes: Bytes, most: usize) -> Option<&'a str> {
    if bytes.len == 0 {
        return Some("");
    }
    if bytes.ptr.is_null() || bytes.len > most {
        return None;
    }
    // SAFETY: by this function's contract.
    std::str::from_utf8(unsafe { std::slice::from_raw_parts(bytes.ptr, bytes.len) }).ok()
}

unsafe extern "C" fn intern_sensor(
    context: *mut c_void,
    name: Bytes,
    tags: *const Tag,
    tag_count: usize,
    id: *mut SensorId,
) -> Outcome {
    if tag_count > TAGS_MAX || (tags.is_null() && tag_count > 0) || id.is_null() {
        return Outcome::FAILED;
    }
    // SAFETY: the plugin hands back its context and lends the name.
    let (context, Some(name)) = (unsafe { known(context) }, unsafe { text(name, NAME_MAX_BYTES) }) else {
        return Outcome::FAILED;
    };
    // The component's own tags first, so that those of the data win.
    let mut all: Vec<(&str, &str)> =
        context.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    for index in 0..tag_count {
        // SAFETY: the plugin lends `tag_count` tags at `tags`.
        let tag = unsafe { &*tags.add(index) };
        // SAFETY: the plugin lends the tags' text for the call.
        let (Some(key), Some(value)) =
            (unsafe { (text(tag.key, NAME_MAX_BYTES), text(tag.value, NAME_MAX_BYTES)) })
        else {
            return Outcome::FAILED;
        };
        all.push((key, value));
    }
    match context.environment.dictionary.sensor(name, &mut all) {
        Some(found) => {
            // SAFETY: the plugin lends a place for an id, checked to be non-null.
            unsafe { *id = SensorId(found) };
            Outcome::OK
        }
        None => Outcome::FULL,
    }
}

unsafe extern "C" fn intern_unit(context: *mut c_void, code: Bytes, id: *mut UnitId) -> Outcome {
    // SAFETY: the plugin hands back its context and lends the code.
    let (context, Some(code)) = (unsafe { known(context) }, unsafe { text(code, NAME_MAX_BYTES) }) else {
        return Outcome::FAILED;
    };
    let found = if code.is_empty() { Some(0) } else { context.environment.dictionary.unit(code) };
    // SAFETY: the plugin lends a place for an id, or null.
    match (found, unsafe { id.as_mut() }) {
        (Some(found), Some(id)) => {
            *id = UnitId(found);
            Outcome::OK
        }
        (None, _) => Outcome::FULL,
        (_, None) => Outcome::FAILED,
    }
}

unsafe extern "C" fn sensor(context: *mut c_void, id: SensorId, entry: *mut SensorEntry) -> Outcome {
    // SAFETY: the plugin hands back its context and lends a place for an entry, or null.
    let (context, entry) = unsafe { (known(context), entry.as_mut()) };
    match (context.environment.entry(id.0), entry) {
        (Some(found), Some(entry)) => {
            *entry = found;
            Outcome::OK
        }
        (None, _) => Outcome::UNKNOWN,
        (_, None) => Outcome::FAILED,
    }
}

unsafe extern "C" fn unit(context: *mut c_void, id: UnitId, code: *mut Bytes) -> Outcome {
    // SAFETY: the plugin hands back its context and lends a place for the code, or null.
    let (context, code) = unsafe { (known(context), code.as_mut()) };
    match (context.environment.dictionary.unit_code(id.0), code) {
        (Some(found), Some(code)) => {
            *code = lend(found);
            Outcome::OK
        }
        (None, _) => Outcome::UNKNOWN,
        (_, None) => Outcome::FAILED,
    }
}

unsafe extern "C" fn metric(
    context: *mut c_void,
    name: Bytes,
    kind: MetricCode,
    cell: *mut *mut MetricCell,
) -> Outcome {
    // SAFETY: the plugin hands back its context and lends the name.
    let (context, name) = unsafe { (known(context), text(name, NAME_MAX_BYTES).unwrap_or("?")) };
    let declared = context.manifest.as_ref().and_then(|manifest| {
        manifest.metrics.iter().find(|metric| metric.name == name && code(metric.kind) == kind)
    });
    // SAFETY: the plugin lends a place for the cell, or null.
    let Some(cell) = (unsafe { cell.as_mut() }) else {
        return Outcome::FAILED;
    };
    let Some(declaration) = declared else {
        context.cells.undeclared(name);
        return Outcome::UNKNOWN;
    };
    let Some(part) = context.cells.open(declaration, CELLS_MAX) else {
        return Outcome::FULL;
    };
    // Parts live until exit.
    *cell = std::ptr::from_ref(part).cast_mut().cast();
    Outcome::OK
}

fn code(kind: MetricKind) -> MetricCode {
    match kind {
        MetricKind::Counter => MetricCode::COUNTER,
        MetricKind::Gauge => MetricCode::GAUGE,
        MetricKind::Histogram => MetricCode::HISTOGRAM,
    }
}

unsafe extern "C" fn metric_add(_context: *mut c_void, cell: *mut MetricCell, by: f64) -> Outcome {
    // SAFETY: the plugin hands back a cell that `metric` gave it, or null; parts stay until exit.
    write_part(unsafe { cell.cast::<Part>().as_ref() }, |part| part.add(by))
}

unsafe extern "C" fn metric_set(_context: *mut c_void, cell: *mut MetricCell, to: f64) -> Outcome {
    // SAFETY: as in `metric_add`.
    write_part(unsafe { cell.cast::<Part>().as_ref() }, |part| part.set(to))
}

unsafe extern "C" fn metric_observe(_context: *mut c_void, cell: *mut MetricCell, value: f64) -> Outcome {
    // SAFETY: as in `metric_add`.
    write_part(unsafe { cell.cast::<Part>().as_ref() }, |part| part.observe(value))
}

#[inline]
fn write_part(part: Option<&Part>, write: impl FnOnce(&Part) -> bool) -> Outcome {
    if part.is_some_and(write) { Outcome::OK } else { Outcome::FAILED }
}

unsafe extern "C" fn log_enabled(_context: *mut c_void, level: u32) -> u32 {
    use tracing::Level;
    u32::from(match level {
        1 => tracing::enabled!(target: PLUGIN_TARGET, Level::ERROR),
        2 => tracing::enabled!(target: PLUGIN_TARGET, Level::WARN),
        3 => tracing::enabled!(target: PLUGIN_TARGET, Level::INFO),
        4 => tracing::enabled!(target: PLUGIN_TARGET, Level::DEBUG),
        5 => tracing::enabled!(target: PLUGIN_TARGET, Level::TRACE),
        _ => false,
    })
}

/// The target of events that come from plugins, for log filters: `plugin=debug`.
const PLUGIN_TARGET: &str = "plugin";

unsafe extern "C" fn log(context: *mut c_void, level: u32, target: Bytes, message: Bytes) -> Outcome {
    // SAFETY: the plugin hands back its context and lends the texts.
    let (context, module) = unsafe { (known(context), text(target, NAME_MAX_BYTES).unwrap_or("?")) };
    let is_cut = message.len > LOG_MAX_BYTES;
    let cut = Bytes { ptr: message.ptr, len: message.len.min(LOG_MAX_BYTES) };
    let bytes = if cut.len == 0 || cut.ptr.is_null() {
        &[]
    } else {
        // SAFETY: the plugin lends `message.len` bytes, and cut.len is at most that.
        unsafe { std::slice::from_raw_parts(cut.ptr, cut.len) }
    };
    // Cutting may split a character, and a plugin may send anything: what is no UTF-8 shows as U+FFFD.
    let mut message = String::from_utf8_lossy(bytes);
    if is_cut {
        // Marked as cut, so that what is left of a secret there is found.
        let mark = cardcage_core::config::CUT;
        message = format!("{}{mark}", message.trim_end_matches(char::REPLACEMENT_CHARACTER)).into();
    }
    let current = CURRENT.get();
    let component = if current.is_empty() { context.component } else { current };
    let plugin = context.plugin.as_str();
    macro_rules! emit {
        ($level:ident) => {
            if component.is_empty() {
                tracing::event!(target: PLUGIN_TARGET, tracing::Level::$level, plugin, module, "{message}")
            } else {
                tracing::event!(target: PLUGIN_TARGET, tracing::Level::$level, component, plugin, module, "{message}")
            }
        };
    }
    match level {
        1 => emit!(ERROR),
        2 => emit!(WARN),
        3 => emit!(INFO),
        4 => emit!(DEBUG),
        _ => emit!(TRACE),
    }
    Outcome::OK
}

unsafe extern "C" fn now(_context: *mut c_void) -> i64 {
    now_ns()
}

unsafe extern "C" fn cancelled(context: *mut c_void) -> u32 {
    // SAFETY: the plugin hands back its context.
    u32::from(unsafe { known(context) }.environment.cancel.is_raised())
}

unsafe extern "C" fn wait(context: *mut c_void, until_ns: i64) -> Outcome {
    // SAFETY: the plugin hands back its context.
    let context = unsafe { known(context) };
    if context.environment.cancel.wait_until(until_ns) { Outcome::OK } else { Outcome::CANCELLED }
}

unsafe extern "C" fn state_directory(context: *mut c_void, out: *mut Writer) -> Outcome {
    // SAFETY: the plugin hands back its context.
    let context = unsafe { known(context) };
    let path = context.environment.state_directory.join("components").join(context.component);
    if context.component.is_empty() || std::fs::create_dir_all(&path).is_err() {
        return Outcome::FAILED;
    }
    let bytes = path.as_os_str().as_bytes();
    // SAFETY: the plugin lends a writer, or null.
    let Some(Writer { context, write: Some(write) }) = (unsafe { out.as_ref() }) else {
        return Outcome::FAILED;
    };
    // SAFETY: the writer's function takes its own context and bytes valid for the call.
    unsafe { write(*context, Bytes { ptr: bytes.as_ptr(), len: bytes.len() }) }
}

/// What a plugin hands over to a thread.
struct Handover {
    main: unsafe extern "C" fn(*mut c_void, *const HostTable) -> Outcome,
    argument: *mut c_void,
    handle: HostHandle,
}

// SAFETY: the ABI's `spawn` gives `argument` to the new thread and forgets it; the SDK takes only `Send` closures.
unsafe impl Send for Handover {}

impl Handover {
    fn run(self) -> Outcome {
        self.handle.enter();
        // SAFETY: by the contract of `ThreadMain`: one run, with the argument that came with it and a live table.
        unsafe { (self.main)(self.argument, self.handle.table()) }
    }
}

unsafe extern "C" fn spawn(
    context: *mut c_void,
    name: Bytes,
    main: ThreadMain,
    handle: *mut *mut ThreadHandle,
) -> Outcome {
    // SAFETY: the plugin hands back its context and lends the name.
    let (known_context, name) = unsafe { (known(context), text(name, NAME_MAX_BYTES).unwrap_or("plugin")) };
    // SAFETY: the plugin lends a place for the handle, or null.
    let (Some(run), Some(handle)) = (main.main, unsafe { handle.as_mut() }) else {
        return Outcome::FAILED;
    };
    let Some(table) = known_context.table.get().copied() else {
        return Outcome::FAILED;
    };
    // The thread gets the component's own table: leaked, so valid for as long as the thread may run.
    let handle_of_thread = HostHandle { context: known_context, table };
    let handover = Handover { main: run, argument: main.argument, handle: handle_of_thread };
    // A NUL would be refused by the system; a long name is cut by it.
    let name: String = name.chars().filter(|c| *c != '\0').take(15).collect();
    match start(&name, &known_context.threads, move || handover.run()) {
        Ok(joinable) => {
            *handle = Arc::into_raw(joinable).cast_mut().cast();
            Outcome::OK
        }
        Err(outcome) => outcome,
    }
}

unsafe extern "C" fn join(_context: *mut c_void, handle: *mut ThreadHandle, until_ns: i64) -> Outcome {
    if handle.is_null() {
        return Outcome::FAILED;
    }
    // SAFETY: `handle` came from `spawn`, where it was made of an Arc, and is joined once.
    let joinable = unsafe { Arc::from_raw(handle.cast::<Joinable>().cast_const()) };
    joinable.join(until_ns)
}

unsafe extern "C" fn listener(context: *mut c_void, name: Bytes, descriptor: *mut i32) -> Outcome {
    // SAFETY: the table's context; the name is lent for the call.
    let (context, name) = unsafe { (known(context), text(name, NAME_MAX_BYTES)) };
    let Some(socket) = name.and_then(|name| context.environment.listeners.get(name)) else {
        return Outcome::UNKNOWN;
    };
    // A copy, so that a component that is restarted finds it again.
    let Ok(copy) = socket.try_clone() else {
        return Outcome::FAILED;
    };
    // SAFETY: the caller lends room for one number, or nothing.
    let Some(descriptor) = (unsafe { descriptor.as_mut() }) else {
        return Outcome::FAILED;
    };
    *descriptor = copy.into_raw_fd();
    Outcome::OK
}

unsafe extern "C" fn get_group(_context: *mut c_void, _id: u32) -> *const Group {
    null()
}
