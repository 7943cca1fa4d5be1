//! Batch memory: owned by the host, lent to plugins, used again.

use cardcage_plugin_api::abi::{BatchHeader, RawBatch};
use cardcage_plugin_api::record::Record;
use crossbeam_queue::ArrayQueue;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A batch of records in memory that belongs to the host.
#[derive(Debug)]
pub struct Batch {
    /// Origin and position.
    pub header: BatchHeader,
    records: Memory,
    len: u32,
}

/// Where a batch's records are.
#[derive(Debug)]
enum Memory {
    /// On the heap.
    Own(Box<[Record]>),
    /// Somewhere that outlives every batch.
    Placed(&'static mut [Record]),
}

impl Deref for Memory {
    type Target = [Record];

    fn deref(&self) -> &[Record] {
        match self {
            Self::Own(records) => records,
            Self::Placed(records) => records,
        }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [Record] {
        match self {
            Self::Own(records) => records,
            Self::Placed(records) => records,
        }
    }
}

impl Batch {
    /// An empty batch with room for `capacity` records.
    pub fn new(capacity: u32) -> Self {
        let records = vec![Record::default(); capacity as usize].into_boxed_slice();
        Self { header: BatchHeader::default(), records: Memory::Own(records), len: 0 }
    }

    /// An empty batch in memory of the caller's choice: the contract probe puts it between guard pages.
    pub fn placed(records: &'static mut [Record]) -> Self {
        Self { header: BatchHeader::default(), records: Memory::Placed(records), len: 0 }
    }

    /// The memory of a placed batch, given back; `None` for any other.
    pub fn into_place(self) -> Option<&'static mut [Record]> {
        match self.records {
            Memory::Own(_) => None,
            Memory::Placed(records) => Some(records),
        }
    }

    /// How many records are in it.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Room, in records.
    pub fn capacity(&self) -> u32 {
        // `new` takes a u32.
        u32::try_from(self.records.len()).unwrap_or(u32::MAX)
    }

    /// The records.
    pub fn records(&self) -> &[Record] {
        &self.records[..self.len as usize]
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds all of `records` if they fit, else none.
    pub fn append(&mut self, records: &[Record]) -> bool {
        let start = self.len as usize;
        let Some(room) = self.records.get_mut(start..start + records.len()) else {
            return false;
        };
        room.copy_from_slice(records);
        self.set_len(start + records.len());
        true
    }

    /// Moves records from the front of `other` behind its own, as many as there is room for.
    pub(crate) fn fill_from(&mut self, other: &mut Self) {
        let start = self.len as usize;
        let records = other.records();
        let count = records.len().min(self.records.len() - start);
        self.records[start..start + count].copy_from_slice(&records[..count]);
        self.set_len(start + count);
        let left = other.len as usize - count;
        other.records.copy_within(count..count + left, 0);
        other.set_len(left);
    }

    /// Cuts off and returns a copy of the records from `at` on, as a batch from `pool`.
    #[must_use]
    pub fn split_off(&mut self, at: u32, pool: &Pool) -> Self {
        let mut tail = pool.take();
        tail.header = self.header;
        let moved = tail.append(&self.records()[at.min(self.len) as usize..]);
        debug_assert!(moved, "batches of one pool have one capacity");
        self.len = self.len.min(at);
        tail
    }

    /// A view to lend to a plugin: all of the batch.
    pub(crate) fn lend(&mut self) -> RawBatch {
        RawBatch {
            header: self.header,
            records: self.records.as_mut_ptr(),
            len: self.len,
            capacity: self.capacity(),
        }
    }

    /// A view to lend to a source: at most `most` records of the room behind what is already in the batch.
    pub(crate) fn lend_room(&mut self, most: u32) -> RawBatch {
        let room = &mut self.records[self.len as usize..];
        let capacity = most.min(u32::try_from(room.len()).unwrap_or(u32::MAX));
        RawBatch { header: self.header, records: room.as_mut_ptr(), len: 0, capacity }
    }

    /// Takes over the length that a plugin left in a view of the whole batch (see `instance`, which checked it).
    pub(crate) fn set_len(&mut self, len: usize) {
        self.len = u32::try_from(len.min(self.records.len())).unwrap_or(u32::MAX);
    }
}

/// Batches to be used again. All of one capacity, so that any can take what another holds.
#[derive(Clone, Debug)]
pub struct Pool {
    free: Arc<ArrayQueue<Batch>>,
    capacity: u32,
}

impl Pool {
    /// A pool of batches of `capacity` records that keeps at most `keep` free ones; more are freed. Nothing is
    /// allocated before it is needed.
    pub fn new(capacity: u32, keep: usize) -> Self {
        Self { free: Arc::new(ArrayQueue::new(keep.max(1))), capacity: capacity.max(1) }
    }

    /// The capacity of each batch, in records.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// An empty batch.
    pub fn take(&self) -> Batch {
        self.free.pop().unwrap_or_else(|| Batch::new(self.capacity))
    }

    /// Gives a batch back; what is still in it is forgotten.
    pub fn give(&self, mut batch: Batch) {
        if batch.capacity() == self.capacity {
            batch.clear();
            batch.header = BatchHeader::default();
            // A full pool frees the batch: the bound on free memory.
            let _ = self.free.push(batch);
        }
    }

    /// A copy of a batch.
    pub fn copy(&self, batch: &Batch) -> Batch {
        let mut copy = self.take();
        copy.header = batch.header;
        let fits = copy.append(batch.records());
        debug_assert!(fits, "batches of one pool have one capacity");
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: f64) -> Record {
        Record { value, ..Record::default() }
    }

    #[test]
    fn appending_is_all_or_nothing() {
        let mut batch = Batch::new(3);
        assert!(batch.append(&[record(1.0), record(2.0)]));
        assert!(!batch.append(&[record(3.0), record(4.0)]));
        assert_eq!(batch.records(), [record(1.0), record(2.0)]);
        assert!(batch.append(&[record(3.0)]));
        assert_eq!(batch.len(), 3);
    }

    #[test]
    fn a_batch_comes_back_empty_and_its_memory_is_used_again() {
        let pool = Pool::new(4, 2);
        let mut batch = pool.take();
        batch.append(&[record(1.0)]);
        let memory = batch.records().as_ptr();
        pool.give(batch);
        let again = pool.take();
        assert!(again.is_empty());
        assert_eq!(again.header, BatchHeader::default());
        assert_eq!(again.records.as_ptr(), memory);
    }

    #[test]
    fn splitting_keeps_order_and_loses_nothing() {
        let pool = Pool::new(4, 2);
        let mut head = pool.take();
        head.append(&[record(1.0), record(2.0), record(3.0)]);
        let tail = head.split_off(1, &pool);
        assert_eq!(head.records(), [record(1.0)]);
        assert_eq!(tail.records(), [record(2.0), record(3.0)]);
    }
}
