//! Rung 9's batch memory, between pages that nobody may touch.
//!
//! A batch is lent for one call and ends where it ends. In the daemon nothing notices a plugin that reads a little
//! behind it, or keeps its address: some other record gets a wrong value, some day. Here the records lie between two
//! fences of unmapped memory, and are unmapped themselves as soon as the call returns. A touch is written down, the
//! memory is opened, and the plugin goes on: so the refusal can say what was touched, and in which call.
//!
//! Used in the vetting child only: what a fault means is a matter of the whole process. One of the files with unsafe
//! code: the mapping, and the handler that is called at a fault.

#![expect(unsafe_code, reason = "maps memory, protects it, and handles faults in it")]

use cardcage_plugin_api::record::Record;
use cardcage_runtime::Batch;
use std::io;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Unmapped bytes on either side: further than loops run past an end, and nothing but addresses.
const FENCE_BYTES: usize = 64 * 1024;
/// Places at one time: two for the input, the main output and each of eight ports, with room to spare.
const PLACES_MAX: usize = 64;

/// How a call may use the batch that it is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// As its own.
    Write,
    /// It may look at it.
    Read,
}

/// What was touched that should not have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Touch {
    /// Where, seen from the batch.
    pub(crate) place: TouchedPlace,
    /// Whether the access was a write; absent where the processor does not tell.
    pub(crate) write: Option<bool>,
}

/// Where a touch was, seen from the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TouchedPlace {
    /// This many bytes behind the last record's end.
    Behind(usize),
    /// This many bytes before the first record.
    Before(usize),
    /// In it, after the call had returned.
    Returned,
    /// In it, with a write, although it was lent for reading.
    ReadOnly,
}

const FREE: u32 = 0;
const LENT: u32 = 1;
const LENT_TO_READ: u32 = 2;
const RETURNED: u32 = 3;

const NO_TOUCH: u32 = 0;
const BEHIND: u32 = 1;
const BEFORE: u32 = 2;
const AFTERWARDS: u32 = 3;
const WRITTEN: u32 = 4;

/// A place as the fault handler sees it. Numbers only: the handler may run at any moment, on any thread.
struct Place {
    /// Of the whole mapping, fences included; 0 in a place that is not in use.
    start: AtomicUsize,
    end: AtomicUsize,
    /// Of the records.
    records: AtomicUsize,
    records_end: AtomicUsize,
    state: AtomicU32,
    /// The first touch: what, how far away, and 1 for a read, 2 for a write.
    touch: AtomicU32,
    distance: AtomicUsize,
    way: AtomicI32,
    /// Whether a fault opened all of it.
    opened: AtomicBool,
}

impl Place {
    const fn unused() -> Self {
        Self {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            records: AtomicUsize::new(0),
            records_end: AtomicUsize::new(0),
            state: AtomicU32::new(FREE),
            touch: AtomicU32::new(NO_TOUCH),
            distance: AtomicUsize::new(0),
            way: AtomicI32::new(0),
            opened: AtomicBool::new(false),
        }
    }

    fn holds(&self, address: usize) -> bool {
        let start = self.start.load(Ordering::Acquire);
        start != 0 && address >= start && address < self.end.load(Ordering::Acquire)
    }

    /// Writes down the first touch of this place.
    fn note(&self, address: usize, way: i32) {
        let (records, end) = (self.records.load(Ordering::Acquire), self.records_end.load(Ordering::Acquire));
        let (what, distance) = if address < records {
            (BEFORE, records - address)
        } else if address >= end {
            (BEHIND, address - end)
        } else if self.state.load(Ordering::Acquire) == LENT_TO_READ {
            (WRITTEN, 0)
        } else {
            (AFTERWARDS, 0)
        };
        if self.touch.compare_exchange(NO_TOUCH, what, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.distance.store(distance, Ordering::Release);
            self.way.store(way, Ordering::Release);
        }
    }
}

static PLACES: [Place; PLACES_MAX] = [const { Place::unused() }; PLACES_MAX];

/// A batch's memory. It is mapped again and again, at the same address.
#[derive(Debug)]
pub(crate) struct Guarded {
    /// Where in [`PLACES`].
    index: usize,
    start: NonNull<u8>,
    len: usize,
    records: NonNull<Record>,
    capacity: usize,
    lent: bool,
}

impl Guarded {
    /// A place for batches of `capacity` records. They fill its pages to the last byte if the page size allows, else
    /// they end where the pages end.
    pub(crate) fn new(capacity: usize) -> io::Result<Self> {
        let page = page_size();
        let inside = (capacity * size_of::<Record>()).next_multiple_of(page);
        let fence = FENCE_BYTES.next_multiple_of(page);
        let len = fence + inside + fence;
        let index = PLACES
            .iter()
            .position(|place| {
                place.state.compare_exchange(FREE, RETURNED, Ordering::AcqRel, Ordering::Acquire).is_ok()
            })
            .ok_or_else(|| io::Error::other("more batches at once than a probe has"))?;
        // SAFETY: a new mapping of its own, somewhere; nothing else is touched.
        let start = unsafe {
            libc::mmap(null_mut(), len, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
        };
        let Some(start) = NonNull::new(start.cast::<u8>()).filter(|_| start != libc::MAP_FAILED) else {
            PLACES[index].state.store(FREE, Ordering::Release);
            return Err(io::Error::last_os_error());
        };
        // SAFETY: inside the mapping: the records end where the second fence begins. A record's size is a multiple of
        // its alignment, and a page is a multiple of both.
        let records = unsafe { start.add(fence + inside - capacity * size_of::<Record>()) }.cast::<Record>();
        let place = &PLACES[index];
        place.touch.store(NO_TOUCH, Ordering::Release);
        place.records.store(records.as_ptr() as usize, Ordering::Release);
        place.records_end.store(start.as_ptr() as usize + fence + inside, Ordering::Release);
        place.end.store(start.as_ptr() as usize + len, Ordering::Release);
        place.start.store(start.as_ptr() as usize, Ordering::Release);
        Ok(Self { index, start, len, records, capacity, lent: false })
    }

    /// A batch here that holds these records. Fails if the last one did not come back, or if they are too many.
    pub(crate) fn lend(&mut self, records: &[Record], access: Access) -> io::Result<Batch> {
        if self.lent {
            return Err(io::Error::other("the batch that was lent before did not come back"));
        }
        self.protect(libc::PROT_READ | libc::PROT_WRITE)?;
        // SAFETY: `capacity` records lie in the mapping, readable and writable now, aligned; any bits are valid in
        // them; nobody else of ours refers to them: `lent` was false, so the slice of the last batch was given back.
        let memory = unsafe { std::slice::from_raw_parts_mut(self.records.as_ptr(), self.capacity) };
        let mut batch = Batch::placed(memory);
        let fits = batch.append(records);
        self.lent = true;
        if !fits {
            return Err(io::Error::other("more records than a probe's batch holds"));
        }
        if access == Access::Read {
            self.protect(libc::PROT_READ)?;
        }
        let state = if access == Access::Read { LENT_TO_READ } else { LENT };
        PLACES[self.index].state.store(state, Ordering::Release);
        Ok(batch)
    }

    /// Takes the batch back, and its memory out of reach; gives the records that are in it now.
    pub(crate) fn take_back(&mut self, batch: Batch) -> io::Result<Vec<Record>> {
        let records = batch.records().to_vec();
        let memory = batch.into_place().filter(|memory| memory.as_ptr() == self.records.as_ptr());
        if memory.is_none() {
            return Err(io::Error::other("another batch came back than was lent"));
        }
        self.lent = false;
        PLACES[self.index].state.store(RETURNED, Ordering::Release);
        self.protect(libc::PROT_NONE)?;
        Ok(records)
    }

    /// What was touched first, if anything was; forgotten by being asked.
    pub(crate) fn touched(&self) -> Option<Touch> {
        let place = &PLACES[self.index];
        let what = place.touch.swap(NO_TOUCH, Ordering::AcqRel);
        let distance = place.distance.load(Ordering::Acquire);
        let write = match place.way.load(Ordering::Acquire) {
            1 => Some(false),
            2 => Some(true),
            _ => None,
        };
        let at = match what {
            BEHIND => TouchedPlace::Behind(distance),
            BEFORE => TouchedPlace::Before(distance),
            AFTERWARDS => TouchedPlace::Returned,
            WRITTEN => TouchedPlace::ReadOnly,
            _ => return None,
        };
        Some(Touch { place: at, write })
    }

    /// Protects the pages of the records; the fences, which a fault may have opened, are closed.
    fn protect(&self, protection: i32) -> io::Result<()> {
        let place = &PLACES[self.index];
        let page = page_size();
        let end = place.records_end.load(Ordering::Acquire);
        let from = self.records.as_ptr() as usize / page * page;
        let fence = from - self.start.as_ptr() as usize;
        let opened = place.opened.swap(false, Ordering::AcqRel);
        // SAFETY: whole pages of this mapping, which is ours alone. Closing them under a batch that is lent is never
        // done: the callers hold `self` mutably and no slice of it.
        let changed = unsafe {
            if opened {
                libc::mprotect(self.start.as_ptr().cast(), self.len, libc::PROT_NONE);
            }
            libc::mprotect(self.start.as_ptr().add(fence).cast(), end - from, protection)
        };
        if changed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let place = &PLACES[self.index];
        if self.lent {
            // Its batch may still be somewhere; the place stays in use.
            return;
        }
        place.start.store(0, Ordering::Release);
        // SAFETY: the whole of our own mapping, to which nothing of ours refers: the last batch came back.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
        place.state.store(FREE, Ordering::Release);
    }
}

fn page_size() -> usize {
    // SAFETY: asks for a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// The handlers of the process from before; set while [`Watch`] exists.
static BEFORE_US: Mutex<()> = Mutex::new(());
static mut PREVIOUS: [Option<libc::sigaction>; 2] = [None, None];
const SIGNALS: [i32; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// While it exists, a fault in a guarded place is written down, and all others end the process as they would have.
pub(crate) struct Watch {
    #[expect(dead_code, reason = "one at a time")]
    alone: MutexGuard<'static, ()>,
}

impl Watch {
    /// Begins to watch.
    pub(crate) fn begin() -> io::Result<Self> {
        let alone = BEFORE_US.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, signal) in SIGNALS.into_iter().enumerate() {
            // SAFETY: zeroes are a valid sigaction; both structs live for the call; `PREVIOUS` is written under the
            // lock and before the handler that reads it can run.
            unsafe {
                let mut ours: libc::sigaction = std::mem::zeroed();
                let mut before: libc::sigaction = std::mem::zeroed();
                if libc::sigaction(signal, null_mut(), &raw mut before) != 0 {
                    return Err(io::Error::last_os_error());
                }
                let previous = &raw mut PREVIOUS;
                (*previous)[at] = Some(before);
                ours.sa_sigaction = on_fault as *const () as usize;
                ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&raw mut ours.sa_mask);
                if libc::sigaction(signal, &raw const ours, null_mut()) != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
        }
        Ok(Self { alone })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for (at, signal) in SIGNALS.into_iter().enumerate() {
            give_back(at, signal);
        }
    }
}

/// Puts the handler from before back.
fn give_back(at: usize, signal: i32) {
    // SAFETY: `PREVIOUS` was written before any handler of ours was set, and is not written while one is.
    unsafe {
        let all = &raw const PREVIOUS;
        if let Some(previous) = &(*all)[at] {
            libc::sigaction(signal, std::ptr::from_ref(previous), null_mut());
        }
    }
}

/// Runs at a fault, on any thread: only atomics and system calls.
extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands over a siginfo of a fault, which has an address.
    let address = unsafe { (*info).si_addr() } as usize;
    if let Some(place) = PLACES.iter().find(|place| place.holds(address)) {
        place.note(address, way(context));
        let (start, end) = (place.start.load(Ordering::Acquire), place.end.load(Ordering::Acquire));
        // SAFETY: the whole of one of our mappings, all of it anonymous memory that only the plugin reaches now.
        let opened = unsafe {
            libc::mprotect(start as *mut libc::c_void, end - start, libc::PROT_READ | libc::PROT_WRITE)
        };
        if opened == 0 {
            place.opened.store(true, Ordering::Release);
            return;
        }
    }
    // Not ours: as it would have been without us. The access is made again when this returns.
    let at = usize::from(signal != SIGNALS[0]);
    give_back(at, signal);
}

/// 1 for a read, 2 for a write, 0 if unknown.
#[cfg(target_arch = "x86_64")]
fn way(context: *mut libc::c_void) -> i32 {
    /// In the page fault's error code: the access was a write.
    const WRITE: i64 = 1 << 1;
    let error = usize::try_from(libc::REG_ERR).unwrap_or(0);
    // SAFETY: the kernel hands over the context of the interrupted thread.
    let error = unsafe { (&(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs)[error] };
    if error & WRITE == 0 { 1 } else { 2 }
}

#[cfg(not(target_arch = "x86_64"))]
fn way(_: *mut libc::c_void) -> i32 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: f64) -> Record {
        Record { value, ..Record::default() }
    }

    /// Touches a byte as a faulty plugin would.
    fn touch(at: *mut u8) {
        // SAFETY: the address lies in a guarded place while it is watched: a fault opens it.
        unsafe { at.write_volatile(at.read_volatile()) };
    }

    #[test]
    fn what_is_touched_beside_or_after_a_batch_is_seen() {
        let _turn = crate::loader::process_state::turn();
        let _watch = Watch::begin().unwrap();
        let mut guarded = Guarded::new(512).unwrap();
        let mut batch = guarded.lend(&[record(1.0), record(2.0)], Access::Write).unwrap();
        assert_eq!(guarded.touched(), None);
        let inside = batch.records().as_ptr().cast::<u8>().cast_mut();
        let size = 512 * size_of::<Record>();
        touch(inside.wrapping_add(size + 7));
        assert!(batch.append(&[record(3.0)]));
        let records = guarded.take_back(batch).unwrap();
        assert_eq!(records, [record(1.0), record(2.0), record(3.0)]);
        assert_eq!(guarded.touched().map(|touch| touch.place), Some(TouchedPlace::Behind(7)));

        let batch = guarded.lend(&[], Access::Write).unwrap();
        touch(inside.wrapping_sub(1));
        guarded.take_back(batch).unwrap();
        assert_eq!(guarded.touched().map(|touch| touch.place), Some(TouchedPlace::Before(1)));

        let batch = guarded.lend(&[], Access::Write).unwrap();
        guarded.take_back(batch).unwrap();
        touch(inside);
        assert_eq!(guarded.touched().map(|touch| touch.place), Some(TouchedPlace::Returned));

        let batch = guarded.lend(&[record(1.0)], Access::Read).unwrap();
        assert_eq!(batch.records(), [record(1.0)]);
        assert_eq!(guarded.touched(), None);
        touch(inside);
        assert_eq!(guarded.touched().map(|touch| touch.place), Some(TouchedPlace::ReadOnly));
        guarded.take_back(batch).unwrap();
    }

    #[test]
    fn a_batch_that_did_not_come_back_is_not_lent_again() {
        let mut guarded = Guarded::new(4).unwrap();
        let batch = guarded.lend(&[], Access::Write).unwrap();
        assert!(guarded.lend(&[], Access::Write).is_err());
        assert!(guarded.take_back(Batch::new(4)).is_err());
        assert!(guarded.take_back(batch).is_ok());
        assert!(guarded.lend(&[], Access::Write).is_ok());
    }
}
