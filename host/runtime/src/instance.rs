//! The one place that calls plugins: every FFI call of the data plane and of `describe`, `schema` and `open` is here.
//!
//! One of the crate's files with unsafe code. What it relies on is the promise under which a [`ComponentTypeHandle`] was
//! made; what it guards against all the same, after each call: an outcome that the call may not have, a swapped buffer,
//! a length past the capacity, a missing instance.

use crate::audit::thread;
use crate::batch::Batch;
use crate::services::HostHandle;
use crate::vtable::{
    CommonFunctions, ComponentTypeHandle, Functions, SinkFunctions, SourceFunctions, StageFunctions,
    StateFunctions,
};
use cardcage_core::config::CUT;
use cardcage_plugin_api::abi::{
    Bytes, Call, Instance, MESSAGE_MAX, Outcome, PORTS_MAX, RawBatch, RawOutputs, StreamPosition, Writer,
};
use cardcage_plugin_api::describe::Description;
use cardcage_plugin_api::manifest::Kind;
use cardcage_plugin_api::record::Record;
use std::ffi::c_void;
use std::fmt;
use std::ptr::{NonNull, null_mut};

/// The largest state taken from a plugin: some 60 bytes for each of the most sensors that `limits.sensors` allows.
const STATE_MAX_BYTES: usize = 64 * 1024 * 1024;
/// The largest other answer (schema, description) taken from a plugin.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;
/// The most bytes that a character has in UTF-8.
const CHARACTER_MAX_BYTES: usize = 4;

/// How a call went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The plugin said so.
    Failed,
    /// The plugin panicked; its shim caught it.
    Panicked,
    /// The plugin broke the ABI's contract; nothing it left behind is used.
    Contract,
}

/// A call that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{call}` {}: {message}", match kind {
    FailureKind::Failed => "failed",
    FailureKind::Panicked => "panicked",
    FailureKind::Contract => "broke the contract",
})]
pub struct CallError {
    /// How.
    pub kind: FailureKind,
    /// Which function.
    pub call: &'static str,
    /// The plugin's message, or what the host found.
    pub message: String,
}

impl CallError {
    fn contract(call: &'static str, message: impl fmt::Display) -> Self {
        Self { kind: FailureKind::Contract, call, message: message.to_string() }
    }
}

/// What a call said about records that did not come out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Per described reason.
    pub tally: Vec<u64>,
    /// For reasons that were not described.
    pub undeclared: u64,
    /// Records made.
    pub created: u64,
    /// Records held after the call.
    pub held: u64,
}

impl Counted {
    /// All that the tally accounts for.
    pub fn tallied(&self) -> u64 {
        self.tally.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// What became of a `fill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// There may be more at once.
    Produced,
    /// Nothing until then (UTC nanoseconds).
    IdleUntil(i64),
    /// There will never be more.
    Finished,
}

/// Whether a stage is done with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processed {
    /// Yes.
    Done,
    /// Forward the outputs, then call again.
    More,
}

/// What became of a `commit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Safe.
    Safe,
    /// Try again then (UTC nanoseconds), for this reason.
    Retry(i64, String),
    /// So many of the records written last are lost, for this reason; `u64::MAX` if all since the last commit are.
    Permanent(u64, String),
}

/// Host memory for calls to one instance.
struct Frame {
    call: Box<Call>,
    message: Box<[u8]>,
    counted: Counted,
    /// The views of a stage's ports, made anew for each call.
    ports: Vec<RawBatch>,
}

// SAFETY: the pointers in `call` lead into this very frame (see `begin`) and are used only while it is borrowed; those in
// `ports` are used only in the call for which they were made.
unsafe impl Send for Frame {}

impl Frame {
    fn new(reasons: usize) -> Self {
        let call = Call {
            now_ns: 0,
            wait_until_ns: 0,
            tally: null_mut(),
            tally_len: 0,
            reserved: 0,
            undeclared: 0,
            created: 0,
            held: 0,
            message: null_mut(),
            message_capacity: 0,
            message_len: 0,
        };
        let counted = Counted { tally: vec![0; reasons], ..Counted::default() };
        Self {
            call: Box::new(call),
            message: vec![0; MESSAGE_MAX].into_boxed_slice(),
            counted,
            ports: Vec::new(),
        }
    }

    /// Readies the frame for a call.
    fn begin(&mut self, now_ns: i64, wait_until_ns: i64) -> *mut Call {
        thread::at(now_ns);
        self.counted.tally.fill(0);
        *self.call = Call {
            now_ns,
            wait_until_ns,
            tally: self.counted.tally.as_mut_ptr(),
            tally_len: u32::try_from(self.counted.tally.len()).unwrap_or(0),
            reserved: 0,
            undeclared: 0,
            created: 0,
            held: self.counted.held,
            message: self.message.as_mut_ptr(),
            message_capacity: u32::try_from(self.message.len()).unwrap_or(0),
            message_len: 0,
        };
        &raw mut *self.call
    }

    /// Takes up what the call left; an outcome of failure becomes an error.
    fn end(&mut self, call: &'static str, outcome: Outcome) -> Result<Outcome, CallError> {
        self.counted.undeclared = self.call.undeclared;
        self.counted.created = self.call.created;
        self.counted.held = self.call.held;
        let kind = match outcome {
            Outcome::FAILED => FailureKind::Failed,
            Outcome::PANICKED => FailureKind::Panicked,
            other => return Ok(other),
        };
        Err(CallError { kind, call, message: self.message() })
    }

    fn message(&self) -> String {
        let len = (self.call.message_len as usize).min(self.message.len());
        let mut message = String::from_utf8_lossy(&self.message[..len]).into_owned();
        if self.message.len() - len < CHARACTER_MAX_BYTES {
            // Another character had no room, so it was cut: marked, so that what is left there of a secret is found.
            message.push(CUT);
        }
        message
    }
}

fn lend(bytes: &[u8]) -> Bytes {
    Bytes { ptr: bytes.as_ptr(), len: bytes.len() }
}

/// Runs `ask` with a writer and returns what was written.
fn answer(
    call: &'static str,
    most: usize,
    ask: impl FnOnce(*mut Writer, *mut Call) -> Outcome,
) -> Result<Vec<u8>, CallError> {
    unsafe extern "C" fn collect(context: *mut c_void, bytes: Bytes) -> Outcome {
        // SAFETY: `context` is the pair below, which nothing else uses during the call.
        let Some((answer, most)) = (unsafe { context.cast::<(Vec<u8>, usize)>().as_mut() }) else {
            return Outcome::FAILED;
        };
        if bytes.len > most.saturating_sub(answer.len()) {
            return Outcome::FULL;
        }
        if bytes.len > 0 && !bytes.ptr.is_null() {
            // SAFETY: the plugin lends `len` bytes for the call.
            answer.extend_from_slice(unsafe { std::slice::from_raw_parts(bytes.ptr, bytes.len) });
        }
        Outcome::OK
    }
    let mut written: (Vec<u8>, usize) = (Vec::new(), most);
    let mut writer = Writer { context: (&raw mut written).cast(), write: Some(collect) };
    let mut frame = Frame::new(0);
    let outcome = ask(&raw mut writer, frame.begin(0, 0));
    match frame.end(call, outcome)? {
        Outcome::OK => Ok(written.0),
        other => Err(CallError::contract(call, format_args!("outcome {} is not one of this call", other.0))),
    }
}

impl ComponentTypeHandle {
    /// The JSON Schema of the settings.
    pub fn schema(&self) -> Result<serde_json::Value, CallError> {
        let schema = self.functions().common().schema;
        // SAFETY: the handle's promise; writer and call live for the call.
        let text = answer("schema", ANSWER_MAX_BYTES, |writer, call| unsafe { schema(writer, call) })?;
        serde_json::from_slice(&text)
            .map_err(|error| CallError::contract("schema", format_args!("no JSON: {error}")))
    }

    /// What the component will do under these settings.
    pub fn describe(&self, settings: &serde_json::Value) -> Result<Description, CallError> {
        let describe = self.functions().common().describe;
        let settings = settings.to_string();
        // SAFETY: the handle's promise; settings, writer and call live for the call.
        let text = answer("describe", ANSWER_MAX_BYTES, |writer, call| unsafe {
            describe(lend(settings.as_bytes()), writer, call)
        })?;
        let description: Description = serde_json::from_slice(&text)
            .map_err(|error| CallError::contract("describe", format_args!("no description: {error}")))?;
        if description.kind != self.kind() {
            let message = format_args!("a {} describes itself as a {}", self.kind(), description.kind);
            return Err(CallError::contract("describe", message));
        }
        match description.malformed() {
            Some(wrong) => Err(CallError::contract("describe", wrong)),
            None => Ok(description),
        }
    }
}

/// What the three kinds of instances share.
struct Core {
    instance: NonNull<Instance>,
    common: CommonFunctions,
    state: Option<StateFunctions>,
    host: HostHandle,
    frame: Frame,
}

// SAFETY: an instance may be moved from the thread that opened it to its lane (the ABI's `[thread]` rules), and is used
// by one thread at a time, since every use borrows the Core mutably.
unsafe impl Send for Core {}

impl Core {
    fn open(
        handle: &ComponentTypeHandle,
        settings: &serde_json::Value,
        host: HostHandle,
        reasons: usize,
        now_ns: i64,
    ) -> Result<Self, CallError> {
        let common = *handle.functions().common();
        let settings = settings.to_string();
        let mut frame = Frame::new(reasons);
        let mut instance = null_mut();
        host.enter();
        // SAFETY: the handle's promise; the settings and the frame live for the call, the host table until exit.
        let outcome = unsafe {
            (common.open)(lend(settings.as_bytes()), host.table(), &raw mut instance, frame.begin(now_ns, 0))
        };
        match frame.end("open", outcome)? {
            Outcome::OK => {}
            other => return Err(unexpected("open", other)),
        }
        let instance = NonNull::new(instance)
            .ok_or_else(|| CallError::contract("open", "it said OK and gave no instance"))?;
        Ok(Self { instance, common, state: handle.state().copied(), host, frame })
    }

    fn close(mut self, now_ns: i64) -> Result<(), CallError> {
        self.host.enter();
        // SAFETY: the handle's promise; the instance is open, and this is its last call, since `self` is consumed.
        let outcome = unsafe { (self.common.close)(self.instance.as_ptr(), self.frame.begin(now_ns, 0)) };
        self.frame.end("close", outcome).map(|_| ())
    }

    fn snapshot(&mut self) -> Result<Option<(u32, Vec<u8>)>, CallError> {
        let Some(state) = self.state else {
            return Ok(None);
        };
        self.host.enter();
        let instance = self.instance.as_ptr();
        // SAFETY: the handle's promise; the instance is open; writer and call live for the call.
        let bytes = answer("snapshot", STATE_MAX_BYTES, |writer, call| unsafe {
            (state.snapshot)(instance, state.version, writer, call)
        })?;
        Ok(Some((state.version, bytes)))
    }

    fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), CallError> {
        let Some(state) = self.state else {
            return Err(CallError::contract("restore", "this component has no state"));
        };
        self.host.enter();
        // SAFETY: the handle's promise; the instance is open; the bytes and the frame live for the call.
        let outcome =
            unsafe { (state.restore)(self.instance.as_ptr(), version, lend(bytes), self.frame.begin(0, 0)) };
        self.frame.end("restore", outcome).map(|_| ())
    }
}

fn unexpected(call: &'static str, outcome: Outcome) -> CallError {
    CallError::contract(call, format_args!("outcome {} is not one of this call", outcome.0))
}

fn wrong_kind(handle: &ComponentTypeHandle, wanted: Kind) -> CallError {
    CallError::contract(
        "open",
        format_args!("`{}` is a {}, not a {wanted}", handle.manifest().name, handle.kind()),
    )
}

/// What a lent view must still be after the call.
struct Lent {
    records: *mut Record,
    capacity: u32,
}

impl Lent {
    fn of(raw: &RawBatch) -> Self {
        Self { records: raw.records, capacity: raw.capacity }
    }

    /// The length the plugin left, if the view is still ours.
    fn len(&self, call: &'static str, what: &str, raw: &RawBatch) -> Result<u32, CallError> {
        if raw.records != self.records || raw.capacity != self.capacity {
            return Err(CallError::contract(call, format_args!("the {what}'s buffer was swapped")));
        }
        if raw.len > self.capacity {
            let message = format_args!("the {what} has {} records and room for {}", raw.len, self.capacity);
            return Err(CallError::contract(call, message));
        }
        Ok(raw.len)
    }
}

macro_rules! shared_methods {
    () => {
        /// What the last call said about records that did not come out.
        pub fn counted(&self) -> &Counted {
            &self.core.frame.counted
        }

        /// The instance's state and its version; nothing for a component without state.
        pub fn snapshot(&mut self) -> Result<Option<(u32, Vec<u8>)>, CallError> {
            self.core.snapshot()
        }

        /// Takes up a state.
        pub fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), CallError> {
            self.core.restore(version, bytes)
        }

        /// The last call.
        pub fn close(self, now_ns: i64) -> Result<(), CallError> {
            self.core.close(now_ns)
        }
    };
}

/// An open source.
pub struct SourceInstance {
    functions: SourceFunctions,
    core: Core,
}

impl SourceInstance {
    /// Opens a source that described `reasons` reasons.
    pub fn open(
        handle: &ComponentTypeHandle,
        settings: &serde_json::Value,
        host: HostHandle,
        reasons: usize,
        now_ns: i64,
    ) -> Result<Self, CallError> {
        let Functions::Source(functions) = *handle.functions() else {
            return Err(wrong_kind(handle, Kind::Source));
        };
        Ok(Self { functions, core: Core::open(handle, settings, host, reasons, now_ns)? })
    }

    /// Lets the source add at most `most` records to `batch`; returns how many came, and the stream and position it
    /// gave. On an error the batch is as before.
    pub fn fill(
        &mut self,
        batch: &mut Batch,
        most: u32,
        now_ns: i64,
        wait_until_ns: i64,
    ) -> Result<(Filled, u32, StreamPosition), CallError> {
        let mut raw = batch.lend_room(most);
        let lent = Lent::of(&raw);
        self.core.host.enter();
        let call = self.core.frame.begin(now_ns, wait_until_ns);
        // SAFETY: the handle's promise; the instance is open; the view and the frame live for the call.
        let outcome = unsafe { (self.functions.fill)(self.core.instance.as_ptr(), &raw mut raw, call) };
        let filled = match self.core.frame.end("fill", outcome)? {
            Outcome::OK => Filled::Produced,
            Outcome::IDLE => Filled::IdleUntil(self.core.frame.call.wait_until_ns),
            Outcome::FINISHED => Filled::Finished,
            other => return Err(unexpected("fill", other)),
        };
        let produced = lent.len("fill", "batch", &raw)?;
        batch.set_len((batch.len() + produced) as usize);
        let at = StreamPosition { stream: raw.header.stream, reserved: 0, position: raw.header.position };
        Ok((filled, produced, at))
    }

    /// Tells the source that data up to these positions is safe.
    pub fn acknowledge(&mut self, positions: &[StreamPosition], now_ns: i64) -> Result<(), CallError> {
        self.core.host.enter();
        let call = self.core.frame.begin(now_ns, 0);
        // SAFETY: the handle's promise; the instance is open; the positions and the frame live for the call.
        let outcome = unsafe {
            (self.functions.acknowledge)(
                self.core.instance.as_ptr(),
                positions.as_ptr(),
                positions.len(),
                call,
            )
        };
        match self.core.frame.end("acknowledge", outcome)? {
            Outcome::OK => Ok(()),
            other => Err(unexpected("acknowledge", other)),
        }
    }

    shared_methods!();
}

/// The batches that a stage may give records to besides its input.
pub struct StageOutputs {
    /// Goes on before what is left of the input.
    pub main: Batch,
    /// One for each described port; `None` where nothing consumes it.
    pub ports: Vec<Option<Batch>>,
}

/// An open stage.
pub struct StageInstance {
    functions: StageFunctions,
    core: Core,
}

impl StageInstance {
    /// Opens a stage that described `reasons` reasons.
    pub fn open(
        handle: &ComponentTypeHandle,
        settings: &serde_json::Value,
        host: HostHandle,
        reasons: usize,
        now_ns: i64,
    ) -> Result<Self, CallError> {
        let Functions::Stage(functions) = *handle.functions() else {
            return Err(wrong_kind(handle, Kind::Stage));
        };
        Ok(Self { functions, core: Core::open(handle, settings, host, reasons, now_ns)? })
    }

    /// Lets the stage change `batch` and give records to `outputs`, which are empty. On an error the batch's records
    /// are undefined and the outputs are empty.
    pub fn process(
        &mut self,
        batch: &mut Batch,
        outputs: &mut StageOutputs,
        now_ns: i64,
    ) -> Result<Processed, CallError> {
        let process = self.functions.process;
        let mut raw = batch.lend();
        let lent = Lent::of(&raw);
        let processed = self.call("process", outputs, now_ns, |instance, outputs, call| {
            // SAFETY: the handle's promise; the instance is open; view, outputs and frame live for the call.
            unsafe { process(instance, &raw mut raw, outputs, call) }
        });
        match processed.and_then(|processed| Ok((processed, lent.len("process", "batch", &raw)?))) {
            Ok((processed, len)) => {
                batch.set_len(len as usize);
                Ok(processed)
            }
            Err(error) => {
                outputs.clear();
                Err(error)
            }
        }
    }

    /// Tells the stage that time passed. On an error the outputs are empty.
    pub fn tick(&mut self, outputs: &mut StageOutputs, now_ns: i64) -> Result<Processed, CallError> {
        let tick = self.functions.tick;
        self.call("tick", outputs, now_ns, |instance, outputs, call| {
            // SAFETY: the handle's promise; the instance is open; outputs and frame live for the call.
            unsafe { tick(instance, outputs, call) }
        })
    }

    /// Tells the stage that no more input will come. On an error the outputs are empty.
    pub fn finish(&mut self, outputs: &mut StageOutputs, now_ns: i64) -> Result<Processed, CallError> {
        let finish = self.functions.finish;
        self.call("finish", outputs, now_ns, |instance, outputs, call| {
            // SAFETY: the handle's promise; the instance is open; outputs and frame live for the call.
            unsafe { finish(instance, outputs, call) }
        })
    }

    fn call(
        &mut self,
        name: &'static str,
        outputs: &mut StageOutputs,
        now_ns: i64,
        function: impl FnOnce(*mut Instance, *mut RawOutputs, *mut Call) -> Outcome,
    ) -> Result<Processed, CallError> {
        let mut main = outputs.main.lend();
        let lent_main = Lent::of(&main);
        let ports = &mut self.core.frame.ports;
        ports.clear();
        ports.extend(outputs.ports.iter_mut().take(PORTS_MAX).map(lend_port));
        let mut raw = RawOutputs {
            main: &raw mut main,
            port_count: u32::try_from(ports.len()).unwrap_or(0),
            ports: ports.as_mut_ptr(),
            reserved: 0,
        };
        self.core.host.enter();
        let call = self.core.frame.begin(now_ns, 0);
        let outcome = function(self.core.instance.as_ptr(), &raw mut raw, call);
        let ended = self.core.frame.end(name, outcome).and_then(|outcome| match outcome {
            Outcome::OK => Ok(Processed::Done),
            Outcome::MORE => Ok(Processed::More),
            other => Err(unexpected(name, other)),
        });
        let taken = ended.and_then(|processed| {
            outputs.main.set_len(lent_main.len(name, "main output", &main)? as usize);
            for (port, raw) in outputs.ports.iter_mut().zip(&self.core.frame.ports) {
                // A batch lends the same memory each time.
                let len = Lent::of(&lend_port(port)).len(name, "port", raw)?;
                if let Some(port) = port {
                    port.set_len(len as usize);
                }
            }
            Ok(processed)
        });
        if taken.is_err() {
            outputs.clear();
        }
        taken
    }

    shared_methods!();
}

impl StageOutputs {
    fn clear(&mut self) {
        self.main.clear();
        self.ports.iter_mut().flatten().for_each(Batch::clear);
    }

    /// Records in all of them.
    pub fn records(&self) -> u64 {
        u64::from(self.main.len())
            + self.ports.iter().flatten().map(|port| u64::from(port.len())).sum::<u64>()
    }
}

/// The view of a port.
fn lend_port(port: &mut Option<Batch>) -> RawBatch {
    port.as_mut().map_or_else(nothing, Batch::lend)
}

/// The view of a port that nothing consumes.
fn nothing() -> RawBatch {
    RawBatch {
        header: cardcage_plugin_api::abi::BatchHeader::default(),
        records: NonNull::<Record>::dangling().as_ptr(),
        len: 0,
        capacity: 0,
    }
}

/// An open sink.
pub struct SinkInstance {
    functions: SinkFunctions,
    core: Core,
}

impl SinkInstance {
    /// Opens a sink that described `reasons` reasons.
    pub fn open(
        handle: &ComponentTypeHandle,
        settings: &serde_json::Value,
        host: HostHandle,
        reasons: usize,
        now_ns: i64,
    ) -> Result<Self, CallError> {
        let Functions::Sink(functions) = *handle.functions() else {
            return Err(wrong_kind(handle, Kind::Sink));
        };
        Ok(Self { functions, core: Core::open(handle, settings, host, reasons, now_ns)? })
    }

    /// Gives the sink a batch.
    pub fn write(&mut self, batch: &mut Batch, now_ns: i64) -> Result<(), CallError> {
        let raw = batch.lend();
        self.core.host.enter();
        let call = self.core.frame.begin(now_ns, 0);
        // SAFETY: the handle's promise; the instance is open; the view and the frame live for the call.
        let outcome = unsafe { (self.functions.write)(self.core.instance.as_ptr(), &raw const raw, call) };
        match self.core.frame.end("write", outcome)? {
            Outcome::OK => Ok(()),
            other => Err(unexpected("write", other)),
        }
    }

    /// Asks the sink to make everything written so far safe.
    pub fn commit(&mut self, epoch: u64, now_ns: i64) -> Result<Committed, CallError> {
        self.core.host.enter();
        let call = self.core.frame.begin(now_ns, now_ns);
        // SAFETY: the handle's promise; the instance is open; the frame lives for the call.
        let outcome = unsafe { (self.functions.commit)(self.core.instance.as_ptr(), epoch, call) };
        match self.core.frame.end("commit", outcome)? {
            Outcome::OK => Ok(Committed::Safe),
            Outcome::RETRY => {
                Ok(Committed::Retry(self.core.frame.call.wait_until_ns, self.core.frame.message()))
            }
            Outcome::PERMANENT => {
                // Of this commit only: a sink holds nothing by its own count.
                let lost = std::mem::take(&mut self.core.frame.counted.held);
                let lost = if lost == 0 { u64::MAX } else { lost };
                Ok(Committed::Permanent(lost, self.core.frame.message()))
            }
            other => Err(unexpected("commit", other)),
        }
    }

    shared_methods!();
}
