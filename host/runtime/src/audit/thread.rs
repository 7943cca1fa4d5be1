//! The writing thread's side of the trail: its ring, and the time that its news carries.
//!
//! A thread gets a ring with its first write and gives it back when it ends. The time is that at which the running call
//! into the plugin began, since a clock costs more than the write: it is taken once a batch. A thread that a plugin started
//! is in no such call; its news carries the system's coarse clock, which is cheap and at most 10 ms behind.

use super::ring::Ring;
use super::trail::Trail;
use rustix::time::{ClockId, clock_gettime};
use std::cell::{Cell, RefCell};

/// Which cell, which generation of its component, and which rule if it is a refusal, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// The cell's place in the trail's list.
    pub(crate) slot: usize,
    /// The number of the rule that forbade the write; 0 for a write that was done.
    pub(crate) rule: u64,
    /// Modulo 2^24.
    pub(crate) generation: u32,
}

const RULE_SHIFT: u32 = 32;
const GENERATION_SHIFT: u32 = 40;
/// The most generations that can be told apart: a component that is restarted every second gets there in half a year.
const GENERATIONS: u32 = 1 << 24;

impl Tag {
    pub(crate) fn of(word: u64) -> Self {
        Self {
            slot: usize::try_from(word & u64::from(u32::MAX)).unwrap_or(usize::MAX),
            rule: (word >> RULE_SHIFT) & 0xFF,
            generation: u32::try_from(word >> GENERATION_SHIFT).unwrap_or(0),
        }
    }
}

/// The word for a write to the cell at `slot`.
pub(crate) fn tag(slot: u32, generation: u32) -> u64 {
    of_generation(u64::from(slot), generation)
}

/// The same cell, written by another generation.
pub(crate) fn of_generation(tag: u64, generation: u32) -> u64 {
    (tag & u64::from(u32::MAX)) | u64::from(generation % GENERATIONS) << GENERATION_SHIFT
}

/// The same cell and generation, for a write that this rule forbade.
pub(crate) fn refusal(tag: u64, rule: u64) -> u64 {
    tag | rule << RULE_SHIFT
}

/// What a writing thread knows. Plain cells without a destructor, so that a write finds them without a check.
struct Here {
    held: Cell<Option<Held>>,
    now_ns: Cell<i64>,
}

#[derive(Clone, Copy)]
struct Held {
    ring: &'static Ring,
    trail: &'static Trail,
    /// After how many pieces of news, less one, the reader is woken; all of its bits are set.
    wake_mask: u64,
}

thread_local! {
    static HERE: Here = const { Here { held: Cell::new(None), now_ns: Cell::new(0) } };
    /// Gives the ring back when the thread ends.
    static LEAVES: RefCell<Option<Leaves>> = const { RefCell::new(None) };
}

struct Leaves {
    trail: &'static Trail,
    ring: &'static Ring,
}

impl Drop for Leaves {
    fn drop(&mut self) {
        HERE.with(|here| here.held.set(None));
        self.trail.give_back(self.ring);
    }
}

/// From now on what this thread writes happened then (UTC nanoseconds); 0 for "whenever it is written".
#[inline]
pub(crate) fn at(now_ns: i64) {
    HERE.with(|here| here.now_ns.set(now_ns));
}

/// Sends news of a cell; `false` if there was no room for it.
#[inline]
pub(crate) fn tell(trail: &'static Trail, tag: u64, value: u64, count: u64) -> bool {
    if !trail.listens() {
        return false;
    }
    let (held, now_ns) = HERE.with(|here| (here.held.get(), here.now_ns.get()));
    let Some(held) = held.filter(|held| std::ptr::eq(held.trail, trail)).or_else(|| hold(trail)) else {
        return false;
    };
    let now_ns = if now_ns == 0 { coarse_ns() } else { now_ns };
    let Some(pushed) = held.ring.push([tag, value, count, now_ns.cast_unsigned()]) else {
        return false;
    };
    if pushed & held.wake_mask == 0 {
        trail.wake();
    }
    true
}

/// Takes a ring for this thread, which writes for the first time (or for another trail than before).
#[cold]
fn hold(trail: &'static Trail) -> Option<Held> {
    // A thread that is past its destructors could not give it back.
    LEAVES
        .try_with(|leaves| {
            let mut leaves = leaves.borrow_mut();
            *leaves = None;
            let ring = trail.lend()?;
            *leaves = Some(Leaves { trail, ring });
            let held = Held { ring, trail, wake_mask: ring.capacity() / 2 - 1 };
            HERE.with(|here| here.held.set(Some(held)));
            Some(held)
        })
        .ok()
        .flatten()
}

/// UTC nanoseconds by the system's coarse clock.
fn coarse_ns() -> i64 {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec)
}
