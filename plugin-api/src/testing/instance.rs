//! What the harnesses share: opening and closing an instance, lending it memory, reading its counts, balancing the books.
//!
//! One of the crate's few files with unsafe code. What it relies on: the vtables come from this crate's shims.

use super::host::TestHost;
use super::{Failure, table};
use crate::abi::{
    self, BatchHeader, Bytes, Call, CommonVtable, Group, MESSAGE_MAX, Outcome, RawBatch, StateGroup, Writer,
};
use crate::describe::Description;
use crate::manifest::Capability;
use crate::record::Record;
use serde_json::Value;
use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};

/// The most bytes an answer (schema, description, state) may have, as in the daemon.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// The record behind every lent batch; a plugin that writes past the end changes it.
const GUARD: Record = Record {
    timestamp_ns: 0x5AFE_5AFE_5AFE_5AFE,
    value: 1.234_567_8e-300,
    sensor: crate::SensorId(0x5AFE_5AFE),
    unit: crate::UnitId(0x5AFE),
    quality: crate::Quality(0x5AFE),
};

/// An open instance of some component type.
pub(super) struct Instance {
    pub(super) host: TestHost,
    pub(super) description: Description,
    common: &'static CommonVtable,
    raw: NonNull<abi::Instance>,
    held: u64,
    panicked: bool,
}

/// How a call ended, and its counts.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) outcome: Outcome,
    pub(super) wait_until_ns: i64,
    pub(super) reasons: Vec<u64>,
    pub(super) undeclared: u64,
    pub(super) created: u64,
    pub(super) held_before: u64,
    pub(super) held: u64,
    pub(super) message: String,
}

impl Counted {
    /// Records that left for a reason.
    pub(super) fn left(&self) -> u64 {
        self.reasons.iter().sum::<u64>() + self.undeclared
    }

    /// Whether the call did only what was described, and wrote metrics as they are declared.
    pub(super) fn as_described(&self, host: TestHost, description: &Description) -> Result<(), Failure> {
        if let Some(slip) = host.take_slip() {
            return Err(Failure::new(slip));
        }
        let does = |capability| description.capabilities.has(capability);
        if self.created > 0 && !does(Capability::Creates) {
            return Err(Failure::new(format!(
                "{} records were created, and `describe` does not say `creates`",
                self.created
            )));
        }
        if self.held > 0 && !does(Capability::Holds) {
            return Err(Failure::new(format!(
                "{} records are held, and `describe` does not say `holds`",
                self.held
            )));
        }
        if self.undeclared == 0 && self.message.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!("{} ({} records)", self.message, self.undeclared)))
    }

    /// Whether a stage's call adds up: `carried + in + created = out + dropped + held`.
    pub(super) fn balance(&self, came_in: usize, went_out: usize) -> Result<(), Failure> {
        let credit = self.held_before + came_in as u64 + self.created;
        let debit = went_out as u64 + self.left() + self.held;
        if credit == debit {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the books don't balance: {} carried + {came_in} in + {} created = {credit}, but {went_out} out + {} dropped or \
             rejected + {} held = {debit}",
            self.held_before,
            self.created,
            self.left(),
            self.held,
        )))
    }
}

impl Instance {
    pub(super) fn open(
        common: &'static CommonVtable,
        host: TestHost,
        settings: &Value,
    ) -> Result<Self, Failure> {
        let description = describe(common, settings)?;
        if let Some(malformed) = description.malformed() {
            return Err(Failure::new(malformed));
        }
        let settings = settings.to_string();
        let open = common.open.ok_or_else(|| missing("open"))?;
        let mut raw = null_mut();
        call(host, 0, 0, 0, |call| {
            // SAFETY: settings, the place for the instance and the call are lent; the table lives until exit.
            unsafe { open(lend(settings.as_bytes()), table::table(host.inner()), &raw mut raw, call) }
        })?;
        Ok(Self {
            host,
            description,
            common,
            raw: NonNull::new(raw).ok_or_else(|| Failure::new("`open` gave no instance"))?,
            held: 0,
            panicked: false,
        })
    }

    /// A data call. After a panic there are no more, as in the daemon.
    pub(super) fn call(
        &mut self,
        wait_until_ns: i64,
        work: impl FnOnce(*mut abi::Instance, *mut Call) -> Outcome,
    ) -> Result<Counted, Failure> {
        if self.panicked {
            return Err(Failure::new("after a panic the instance may only be closed; open another one"));
        }
        let raw = self.raw.as_ptr();
        let counted =
            call(self.host, wait_until_ns, self.description.reasons.len(), self.held, |call| work(raw, call));
        match &counted {
            Ok(counted) => self.held = counted.held,
            Err(failure) => self.panicked = failure.panicked(),
        }
        counted
    }

    /// How many records it holds, by its own word.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// What a commit said about lost records is not held by the next call.
    pub(super) fn holds_nothing(&mut self) {
        self.held = 0;
    }

    /// Cancels, then closes; so that threads that wait for cancellation end.
    pub(super) fn close(self) -> Result<(), Failure> {
        let mut this = std::mem::ManuallyDrop::new(self);
        this.close_now()
    }

    fn close_now(&mut self) -> Result<(), Failure> {
        let close = self.common.close.ok_or_else(|| missing("close"))?;
        let raw = self.raw.as_ptr();
        // Only for this instance: another one may go on with the same host.
        let before = self.host.set_cancelled(true);
        // SAFETY: the instance is open, and both ways here (`close` and `drop`) are its last use.
        let closed = call(self.host, 0, 0, 0, |call| unsafe { close(raw, call) });
        self.host.set_cancelled(before);
        closed.map(drop)
    }

    /// The count for a described reason.
    pub(super) fn by_reason(&self, counts: &[u64]) -> Vec<(String, u64)> {
        let names = self.description.reasons.iter().map(|reason| reason.name.clone());
        names.zip(counts.iter().copied()).collect()
    }

    pub(super) fn snapshot(&mut self) -> Result<(u32, Vec<u8>), Failure> {
        let group = self.state_group()?;
        let snapshot = group.snapshot.ok_or_else(|| missing("snapshot"))?;
        let mut state = Vec::new();
        let mut writer = collect_into(&mut state);
        self.call(0, |instance, call| {
            // SAFETY: the instance is open; writer and call are lent.
            unsafe { snapshot(instance, group.version, &raw mut writer, call) }
        })?;
        Ok((group.version, state))
    }

    pub(super) fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), Failure> {
        let restore = self.state_group()?.restore.ok_or_else(|| missing("restore"))?;
        self.call(0, |instance, call| {
            // SAFETY: the instance is open; state and call are lent.
            unsafe { restore(instance, version, lend(state), call) }
        })
        .map(drop)
    }

    /// Takes groups from this vtable of the same component type from now on.
    pub(super) fn use_groups_of(&mut self, common: &'static CommonVtable) {
        self.common = common;
    }

    fn state_group(&self) -> Result<&'static StateGroup, Failure> {
        let get = self.common.get_group.ok_or_else(|| missing("get_group"))?;
        // SAFETY: `get_group` takes any number; the shims give null or a group that lives as long as the code.
        let group = unsafe { get(Group::STATE).as_ref() }.ok_or_else(|| missing("the state group"))?;
        // SAFETY: a group with this id has a `StateGroup` behind its table.
        unsafe { group.table.cast::<StateGroup>().as_ref() }.ok_or_else(|| missing("the state group's table"))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // A test that wants to see how closing went calls `close`.
        let _ = self.close_now();
    }
}

/// What a component type will do under these settings.
pub(super) fn describe(common: &CommonVtable, settings: &Value) -> Result<Description, Failure> {
    let describe = common.describe.ok_or_else(|| missing("describe"))?;
    let settings = settings.to_string();
    let json = answer(|out, call| {
        // SAFETY: settings, writer and call are lent.
        unsafe { describe(lend(settings.as_bytes()), out, call) }
    })?;
    serde_json::from_slice(&json).map_err(|error| Failure::new(format!("the description: {error}")))
}

/// The JSON Schema of a component type's settings.
pub(super) fn schema(common: &CommonVtable) -> Result<Value, Failure> {
    let schema = common.schema.ok_or_else(|| missing("schema"))?;
    let json = answer(|out, call| {
        // SAFETY: writer and call are lent.
        unsafe { schema(out, call) }
    })?;
    serde_json::from_slice(&json).map_err(|error| Failure::new(format!("the schema: {error}")))
}

pub(super) fn missing(what: &str) -> Failure {
    Failure::new(format!("the component type lacks {what}"))
}

/// A batch as the host lends it, with a guard behind its end.
pub(super) struct Memory {
    records: Vec<Record>,
    capacity: usize,
    raw: RawBatch,
}

impl Memory {
    /// A batch that holds `input`, with room for `capacity` records or for all of `input` if that is more.
    pub(super) fn of(input: &[Record], capacity: usize) -> Self {
        let capacity = capacity.max(input.len());
        let mut records = input.to_vec();
        records.resize(capacity, Record::default());
        records.push(GUARD);
        let raw = RawBatch {
            header: BatchHeader { epoch: 1, ..BatchHeader::default() },
            records: records.as_mut_ptr(),
            len: narrow(input.len()),
            capacity: narrow(capacity),
        };
        Self { records, capacity, raw }
    }

    /// The batch to lend. The pointer is good until the memory is looked at again.
    pub(super) fn lend(&mut self) -> *mut RawBatch {
        self.raw.records = self.records.as_mut_ptr();
        &raw mut self.raw
    }

    /// The same, without taking a port's batch out of its array.
    pub(super) fn raw(&mut self) -> RawBatch {
        self.raw.records = self.records.as_mut_ptr();
        RawBatch { ..self.raw }
    }

    pub(super) fn header(&self) -> BatchHeader {
        self.raw.header
    }

    /// What is in the batch, after checking that nothing was written past its end.
    pub(super) fn records(&self) -> Result<&[Record], Failure> {
        self.filled(self.raw.len)
    }

    /// What is in the batch if its length is `len`.
    pub(super) fn filled(&self, len: u32) -> Result<&[Record], Failure> {
        let len = len as usize;
        if len > self.capacity {
            return Err(Failure::new(format!(
                "a batch of {} was given back with {len} records",
                self.capacity
            )));
        }
        if self.records[self.capacity] != GUARD {
            return Err(Failure::new("the record behind a batch's end was overwritten"));
        }
        Ok(&self.records[..len])
    }
}

pub(super) fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Makes one call into a component with memory for its counts and message.
fn call(
    host: TestHost,
    wait_until_ns: i64,
    reasons: usize,
    held: u64,
    work: impl FnOnce(*mut Call) -> Outcome,
) -> Result<Counted, Failure> {
    let mut tally = vec![0; reasons];
    let mut message = vec![0; MESSAGE_MAX];
    let mut call = Call {
        now_ns: host.now_ns(),
        wait_until_ns,
        tally: tally.as_mut_ptr(),
        tally_len: narrow(reasons),
        reserved: 0,
        undeclared: 0,
        created: 0,
        held,
        message: message.as_mut_ptr(),
        message_capacity: narrow(MESSAGE_MAX),
        message_len: 0,
    };
    let lent = &raw mut call;
    let outcome = table::calling(host.inner(), || work(lent));
    message.truncate(call.message_len as usize);
    let message =
        String::from_utf8(message).map_err(|_| Failure::new("a message was left that is not UTF-8"))?;
    if outcome == Outcome::FAILED || outcome == Outcome::PANICKED {
        return Err(Failure { outcome, message });
    }
    Ok(Counted {
        outcome,
        wait_until_ns: call.wait_until_ns,
        reasons: tally,
        undeclared: call.undeclared,
        created: call.created,
        held_before: held,
        held: call.held,
        message,
    })
}

fn answer(work: impl FnOnce(*mut Writer, *mut Call) -> Outcome) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut writer = collect_into(&mut bytes);
    call(TestHost::new(), 0, 0, 0, |call| work(&raw mut writer, call))?;
    Ok(bytes)
}

fn lend(bytes: &[u8]) -> Bytes {
    Bytes { ptr: bytes.as_ptr(), len: bytes.len() }
}

/// A writer that appends to `into`, up to the host's bound. The borrow must outlive its use.
fn collect_into(into: &mut Vec<u8>) -> Writer {
    unsafe extern "C" fn append(context: *mut c_void, bytes: Bytes) -> Outcome {
        // SAFETY: `context` is the Vec below, borrowed by the caller for this use.
        let into = unsafe { &mut *context.cast::<Vec<u8>>() };
        if into.len() + bytes.len > ANSWER_MAX_BYTES {
            return Outcome::FULL;
        }
        if bytes.len > 0 {
            // SAFETY: the plugin lends the bytes for this call.
            into.extend_from_slice(unsafe { std::slice::from_raw_parts(bytes.ptr, bytes.len) });
        }
        Outcome::OK
    }
    Writer { context: std::ptr::from_mut(into).cast(), write: Some(append) }
}
