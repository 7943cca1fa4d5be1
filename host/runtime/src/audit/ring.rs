//! News of writes on their way from the one thread that writes to the one that keeps the trail.
//!
//! Bounded, and never waited for: news that finds no room is left out, since each piece says where its cell stands and not
//! by how much it moved. So a piece left out only makes the next one stand for more writes (`settle`).

use crate::sync::{AtomicU64, Ordering};

/// One piece of news: four words that mean nothing to the ring.
pub(crate) type Item = [u64; 4];

/// After how many items that were taken out their room is given back.
const FREED_AT_ONCE: u64 = 64;

/// A queue from one thread to one other.
#[derive(Debug)]
pub(crate) struct Ring {
    slots: Box<[[AtomicU64; 4]]>,
    mask: u64,
    /// Items ever put in; written by the writing thread.
    head: Apart,
    /// Items ever taken out; written by the reading thread.
    tail: Apart,
    /// What the writing thread last saw of `tail`, so that it looks at the other's cache line only when it must.
    tail_seen: AtomicU64,
}

/// On a cache line of its own, so that the two threads don't slow each other down.
#[derive(Debug)]
#[repr(align(64))]
struct Apart(AtomicU64);

impl Ring {
    /// Room for `capacity` items, a power of two.
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.next_power_of_two();
        let slot = || [0; 4].map(AtomicU64::new);
        Self {
            slots: (0..capacity).map(|_| slot()).collect(),
            mask: capacity as u64 - 1,
            head: Apart(AtomicU64::new(0)),
            tail: Apart(AtomicU64::new(0)),
            tail_seen: AtomicU64::new(0),
        }
    }

    /// Puts an item in; returns how many ever were, or `None` if there is no room. One thread at a time.
    #[inline]
    pub(crate) fn push(&self, item: Item) -> Option<u64> {
        let head = self.head.0.load(Ordering::Relaxed);
        if head.wrapping_sub(self.tail_seen.load(Ordering::Relaxed)) > self.mask {
            let tail = self.tail.0.load(Ordering::Acquire);
            self.tail_seen.store(tail, Ordering::Relaxed);
            if head.wrapping_sub(tail) > self.mask {
                return None;
            }
        }
        let slot = self.slot(head);
        for (place, word) in slot.iter().zip(item) {
            place.store(word, Ordering::Relaxed);
        }
        self.head.0.store(head.wrapping_add(1), Ordering::Release);
        Some(head.wrapping_add(1))
    }

    /// Takes out everything that is there now. One thread at a time.
    pub(crate) fn drain(&self, mut each: impl FnMut(Item)) {
        let mut tail = self.tail.0.load(Ordering::Relaxed);
        let head = self.head.0.load(Ordering::Acquire);
        while tail != head {
            let slot = self.slot(tail);
            each([0, 1, 2, 3].map(|word| slot[word].load(Ordering::Relaxed)));
            tail = tail.wrapping_add(1);
            // Not for each item: the writing thread looks there while it finds no room.
            if tail == head || tail.is_multiple_of(FREED_AT_ONCE) {
                self.tail.0.store(tail, Ordering::Release);
            }
        }
    }

    /// Whether everything was taken out. For whoever knows that nothing is put in meanwhile.
    pub(crate) fn is_empty(&self) -> bool {
        self.head.0.load(Ordering::Acquire) == self.tail.0.load(Ordering::Acquire)
    }

    /// How many items there is room for.
    pub(crate) fn capacity(&self) -> u64 {
        self.mask + 1
    }

    #[inline]
    fn slot(&self, at: u64) -> &[AtomicU64; 4] {
        // The mask keeps it below the number of slots, which is a usize.
        &self.slots[usize::try_from(at & self.mask).unwrap_or(0)]
    }
}
