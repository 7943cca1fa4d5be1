//! Batches, ports and counts as plugin authors see them: safe views of host memory lent for one call.
//!
//! One of the crate's few files with unsafe code. What it relies on: the shims make these views only from
//! pointers that the host lent for the running call, and the views cannot outlive it.

mod names;
mod sort;

pub(crate) use names::Names;
pub use sort::Fate;

use crate::abi::{BatchHeader, Call, RawBatch, RawOutputs};
use crate::record::Record;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// The running call's counts, shared by everything that the call lends.
#[derive(Clone, Copy)]
pub(crate) struct Counts<'a> {
    call: NonNull<Call>,
    names: &'a Names,
}

impl<'a> Counts<'a> {
    /// # Safety
    /// `call` is valid for reads and writes for `'a`, its tally too, and nothing else refers to either meanwhile.
    pub(crate) unsafe fn new(call: NonNull<Call>, names: &'a Names) -> Self {
        Self { call, names }
    }

    fn update<R>(self, change: impl FnOnce(&mut Call) -> R) -> R {
        let mut call = self.call;
        // SAFETY: by `new`'s contract the call is valid and ours for 'a. `Counts` is neither Send nor Sync, and
        // `change` cannot reach another `Counts`, so this is the only reference while it lives.
        change(unsafe { call.as_mut() })
    }

    fn out_for(self, reason: &str, count: u64) {
        if count == 0 {
            return;
        }
        let slot = self.names.reason(reason);
        self.update(|call| match slot {
            Some(slot) if slot < call.tally_len as usize && !call.tally.is_null() => {
                // SAFETY: `tally` points to `tally_len` counts, by `new`'s contract, and slot is below that.
                unsafe { *call.tally.add(slot) += count };
            }
            _ => call.undeclared += count,
        });
    }

    /// What the component did against its own description in this call.
    pub(crate) fn names(self) -> &'a Names {
        self.names
    }

    pub(crate) fn now_ns(self) -> i64 {
        self.update(|call| call.now_ns)
    }

    pub(crate) fn wait_until_ns(self) -> i64 {
        self.update(|call| call.wait_until_ns)
    }

    pub(crate) fn set_wait_until_ns(self, at: i64) {
        self.update(|call| call.wait_until_ns = at);
    }

    pub(crate) fn set_held(self, held: u64) {
        self.update(|call| call.held = held);
    }

    fn created(self, count: u64) {
        self.update(|call| call.created += count);
    }
}

/// The filled part of a raw batch. Never more than its capacity, whatever `len` says.
fn filled(raw: &RawBatch) -> &[Record] {
    let len = raw.len.min(raw.capacity) as usize;
    if len == 0 {
        return &[];
    }
    // SAFETY: the host lends `capacity` initialised records at `records`, and any bytes are a valid record.
    unsafe { std::slice::from_raw_parts(raw.records, len) }
}

/// All room of a raw batch.
fn room(raw: &mut RawBatch) -> &mut [Record] {
    if raw.capacity == 0 {
        return &mut [];
    }
    // SAFETY: as in `filled`, and `&mut RawBatch` is the only way to these records during the call.
    unsafe { std::slice::from_raw_parts_mut(raw.records, raw.capacity as usize) }
}

/// Records lent for one call: what a source fills, and what a stage changes in place.
pub struct Batch<'a> {
    raw: &'a mut RawBatch,
    counts: Counts<'a>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(raw: &'a mut RawBatch, counts: Counts<'a>) -> Self {
        Self { raw, counts }
    }

    /// How many records are in it.
    pub fn len(&self) -> usize {
        self.raw.len.min(self.raw.capacity) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many records it has room for.
    pub fn capacity(&self) -> usize {
        self.raw.capacity as usize
    }

    /// How many more records fit.
    pub fn remaining(&self) -> usize {
        self.capacity() - self.len()
    }

    /// Where the batch came from.
    pub fn header(&self) -> BatchHeader {
        self.raw.header
    }

    /// The host's time for this call, UTC nanoseconds since 1970.
    pub fn now_ns(&self) -> i64 {
        self.counts.now_ns()
    }

    /// The records.
    pub fn records(&self) -> &[Record] {
        filled(self.raw)
    }

    /// The records, to be changed in place.
    pub fn records_mut(&mut self) -> &mut [Record] {
        let len = self.len();
        &mut room(self.raw)[..len]
    }

    /// For sources: says which stream the records come from and the position behind the last of them.
    pub fn set_position(&mut self, stream: u32, position: u64) {
        self.raw.header.stream = stream;
        self.raw.header.position = position;
    }

    /// For sources: adds a record; `false` if the batch is full.
    #[inline]
    pub fn push(&mut self, record: Record) -> bool {
        let len = self.len();
        match room(self.raw).get_mut(len) {
            Some(slot) => {
                *slot = record;
                self.raw.len = narrow(len + 1);
                true
            }
            None => false,
        }
    }

    /// For sources: lets `fill` write records into the free room and say how many it wrote.
    pub fn fill_with(&mut self, fill: impl FnOnce(&mut [Record]) -> usize) {
        let len = self.len();
        let free = &mut room(self.raw)[len..];
        let most = free.len();
        let written = fill(free).min(most);
        self.raw.len = narrow(len + written);
    }

    /// Counts input that became no record, such as a line that is no reading.
    pub fn reject(&mut self, reason: &str, count: u64) {
        self.counts.out_for(reason, count);
    }

    /// Keeps the records for which `keep` says so; the others count as dropped for `reason`.
    #[inline]
    pub fn retain(&mut self, reason: &str, keep: impl FnMut(&Record) -> bool) {
        self.counts.names.reason(reason);
        let out = self.compact(keep, |_| false);
        self.counts.out_for(reason, out);
    }

    /// Keeps the records for which `keep` says so and gives the others to `port`; where no component
    /// consumes the port, they count as dropped for `reason`.
    #[inline]
    pub fn retain_or(&mut self, mut port: Port<'_>, reason: &str, keep: impl FnMut(&Record) -> bool) {
        // Looked up also when nothing is counted: with a consumer nothing ever is, and the slip would show without one.
        self.counts.names.reason(reason);
        let out = self.compact(keep, |record| port.push(record));
        self.counts.out_for(reason, out);
    }

    /// Takes every record out without a count: for stages that hold them or give them on themselves.
    pub fn take_all(&mut self) -> Vec<Record> {
        let all = self.records().to_vec();
        self.raw.len = 0;
        all
    }

    /// Keeps only the first `len` records, without a count: for stages that forward the rest themselves.
    pub fn truncate(&mut self, len: usize) {
        self.raw.len = self.raw.len.min(narrow(len));
    }

    /// Moves the kept records together, in order. Returns how many the rest were that `elsewhere` did not take.
    #[inline]
    fn compact(
        &mut self,
        mut keep: impl FnMut(&Record) -> bool,
        mut elsewhere: impl FnMut(Record) -> bool,
    ) -> u64 {
        let records = self.records_mut();
        let Some(first) = records.iter().position(|record| !keep(record)) else {
            return 0;
        };
        let mut kept = first;
        let mut out = u64::from(!elsewhere(records[first]));
        for index in first + 1..records.len() {
            let record = records[index];
            if keep(&record) {
                records[kept] = record;
                kept += 1;
            } else {
                out += u64::from(!elsewhere(record));
            }
        }
        self.raw.len = narrow(kept);
        out
    }
}

/// What a sink is given: records to read.
pub struct Delivery<'a> {
    raw: &'a RawBatch,
    counts: Counts<'a>,
}

impl<'a> Delivery<'a> {
    pub(crate) fn new(raw: &'a RawBatch, counts: Counts<'a>) -> Self {
        Self { raw, counts }
    }

    /// The records.
    pub fn records(&self) -> &[Record] {
        filled(self.raw)
    }

    /// Where the batch came from.
    pub fn header(&self) -> BatchHeader {
        self.raw.header
    }

    /// The host's time for this call, UTC nanoseconds since 1970.
    pub fn now_ns(&self) -> i64 {
        self.counts.now_ns()
    }

    /// Counts records of this batch that the sink cannot take, for a described reason.
    pub fn reject(&self, reason: &str, count: u64) {
        self.counts.out_for(reason, count);
    }
}

/// Where a stage can put records besides its input batch.
pub struct Outputs<'a> {
    raw: NonNull<RawOutputs>,
    counts: Counts<'a>,
    lent: PhantomData<&'a mut RawOutputs>,
}

impl<'a> Outputs<'a> {
    pub(crate) fn new(raw: &'a mut RawOutputs, counts: Counts<'a>) -> Self {
        Self { raw: NonNull::from(raw), counts, lent: PhantomData }
    }

    /// A port by the name under which `describe` named it. To ask for one that was not described is a slip of the
    /// component: the port takes nothing, and the call fails when it returns, with a message that says so.
    pub fn port(&mut self, name: &str) -> Port<'_> {
        let index = self.counts.names.port(name);
        // SAFETY: the host lends the outputs for the call, and `&mut self` makes this the only use.
        let raw = unsafe { self.raw.as_mut() };
        let batch = match index {
            Some(index) if index < raw.port_count as usize && !raw.ports.is_null() => {
                // SAFETY: `ports` points to `port_count` batches that the host lends for the call; the borrow of
                // `self` keeps a second port from being taken while this one lives.
                Some(unsafe { &mut *raw.ports.add(index) })
            }
            _ => None,
        };
        Port { raw: batch, counts: self.counts }
    }

    /// The host's time for this call, UTC nanoseconds since 1970.
    pub fn now_ns(&self) -> i64 {
        self.counts.now_ns()
    }

    /// Gives a new record to the main output; `false` if it is full: return [`crate::Flow::More`] to go on.
    pub fn create(&mut self, record: Record) -> bool {
        let given = self.forward(record);
        self.counts.created(u64::from(given));
        given
    }

    /// Gives a record on that came in (in this batch or held from an earlier one); `false` if the output is full.
    pub fn forward(&mut self, record: Record) -> bool {
        // SAFETY: as in `port`.
        let raw = unsafe { self.raw.as_mut() };
        if raw.main.is_null() {
            return false;
        }
        // SAFETY: `main` is a batch that the host lends for the call; only this method uses it.
        let main = unsafe { &mut *raw.main };
        Port { raw: Some(main), counts: self.counts }.push(record)
    }

    /// How many more records the main output takes in this call.
    pub fn remaining(&self) -> usize {
        // SAFETY: as in `port`; shared, because `&self`.
        let raw = unsafe { self.raw.as_ref() };
        if raw.main.is_null() {
            return 0;
        }
        // SAFETY: as in `forward`; shared, because `&self`.
        let main = unsafe { &*raw.main };
        main.capacity.saturating_sub(main.len) as usize
    }

    /// Counts records that were held and are now let go, for a described reason.
    pub fn drop_held(&mut self, reason: &str, count: u64) {
        self.counts.out_for(reason, count);
    }
}

/// A named output of a stage.
pub struct Port<'a> {
    raw: Option<&'a mut RawBatch>,
    counts: Counts<'a>,
}

impl Port<'_> {
    /// Whether a component consumes this port.
    pub fn is_connected(&self) -> bool {
        self.raw.as_ref().is_some_and(|raw| raw.capacity > 0)
    }

    /// Gives a record of the input to this port; `false` if nothing consumes it or it is full.
    #[inline]
    pub fn push(&mut self, record: Record) -> bool {
        let Some(raw) = self.raw.as_deref_mut() else {
            return false;
        };
        let len = raw.len as usize;
        match room(raw).get_mut(len) {
            Some(slot) => {
                *slot = record;
                raw.len = narrow(len + 1);
                true
            }
            None => false,
        }
    }

    /// Gives a new record to this port; `false` if nothing consumes it or it is full.
    pub fn create(&mut self, record: Record) -> bool {
        let given = self.push(record);
        self.counts.created(u64::from(given));
        given
    }
}

/// Batch lengths are at most a `u32` capacity, so this never cuts.
fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
