//! What waits for a lane: one bounded queue per incoming edge, and the alignment of barriers over all of them.
//!
//! A lock is taken once a batch on each side, never per record. Who waits is woken late on purpose: a consumer when its
//! producer says so ([`Inbox::announce`]) or has to wait itself, a producer when half of its room is free again. Waking
//! for each batch would make two threads on one core change places for each batch. Small batches are put together while they wait, so that
//! the bound, which counts capacity, is not spent on air.

use crate::batch::{Batch, Pool};
use crate::latency::bump;
use cardcage_core::ledger::EdgeAccount;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What travels along an edge.
#[derive(Debug)]
enum Item {
    Batch(Batch),
    Barrier(u64),
}

/// What a consumer gets.
#[derive(Debug)]
pub(crate) enum Popped {
    /// Records, from the edge with this index.
    Batch(usize, Batch),
    /// A barrier that has come on every edge that is still open.
    Barrier(u64),
    /// Every edge has ended.
    Ended,
    /// Nothing came in time.
    TimedOut,
}

/// One incoming edge.
#[derive(Debug, Default)]
struct Input {
    items: VecDeque<Item>,
    /// Capacity of the batches that wait, in records.
    waiting_capacity: u64,
    /// The barrier that this edge waits behind until the others have it too.
    barrier: Option<u64>,
    ended: bool,
    /// Records of a batch whose producer waits for room.
    blocked: u64,
    writer_waits: bool,
}

#[derive(Debug)]
struct State {
    inputs: Vec<Input>,
    next: usize,
    /// The consumer is gone; nothing is taken any more.
    closed: bool,
    reader_waits: bool,
}

/// Counts of one edge, for the books and for seeing where a pipeline waits. The lanes at its ends count, in entries of
/// their pages; the queue itself counts nothing but the waiting.
#[derive(Debug, Default)]
pub(crate) struct EdgeCounts {
    sent: AtomicU64,
    received: AtomicU64,
    /// Sent, and neither received nor discarded: counted by both ends.
    queued: AtomicU64,
    /// Records that could not be handed over because the consumer is gone.
    discarded: AtomicU64,
    blocked_ns: AtomicU64,
}

impl EdgeCounts {
    /// The producer hands over so many.
    pub(crate) fn sends(&self, records: u64) {
        bump(&self.sent, records);
        self.queued.fetch_add(records, Ordering::Relaxed);
    }

    /// The producer got so many back, since the consumer is gone.
    pub(crate) fn gets_back(&self, records: u64) {
        bump(&self.discarded, records);
        self.queued.fetch_sub(records, Ordering::Relaxed);
    }

    /// The consumer took so many.
    pub(crate) fn receives(&self, records: u64) {
        bump(&self.received, records);
        self.queued.fetch_sub(records, Ordering::Relaxed);
    }

    /// How long the producer waited for room, in nanoseconds.
    pub(crate) fn blocked_ns(&self) -> u64 {
        self.blocked_ns.load(Ordering::Relaxed)
    }

    /// What passed over the edge.
    pub(crate) fn account(&self) -> EdgeAccount {
        EdgeAccount {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            queued: self.queued.load(Ordering::Relaxed),
            discarded: self.discarded.load(Ordering::Relaxed),
        }
    }
}

/// The queues in front of a lane.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    readable: Condvar,
    writable: Condvar,
    counts: Vec<EdgeCounts>,
    /// The most capacity that may wait on one edge, in records.
    bound: u64,
    pool: Pool,
    /// What `State::closed` says, to be read without the lock.
    gone: AtomicBool,
}

impl Inbox {
    /// An inbox for `edges` incoming edges, each with room for `bound` records (at least one batch).
    pub(crate) fn new(edges: usize, bound: u64, pool: Pool) -> Self {
        Self {
            state: Mutex::new(State {
                inputs: (0..edges).map(|_| Input::default()).collect(),
                next: 0,
                closed: false,
                reader_waits: false,
            }),
            readable: Condvar::new(),
            writable: Condvar::new(),
            counts: (0..edges).map(|_| EdgeCounts::default()).collect(),
            bound: bound.max(u64::from(pool.capacity())),
            pool,
            gone: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most capacity that may wait on one edge, in records.
    pub(crate) fn bound(&self) -> u64 {
        self.bound
    }

    /// Records that wait on all edges, by their counts.
    pub(crate) fn queued(&self) -> u64 {
        self.counts.iter().map(|counts| counts.account().queued).sum()
    }

    /// What is counted on an edge.
    pub(crate) fn counts(&self, edge: usize) -> &EdgeCounts {
        &self.counts[edge]
    }

    /// Records that really wait on an edge.
    pub(crate) fn waiting(&self, edge: usize) -> u64 {
        let state = self.lock();
        let input = &state.inputs[edge];
        input.blocked + input.items.iter().map(Item::records).sum::<u64>()
    }

    /// Wakes the consumer, if it waits, for what was handed over since.
    pub(crate) fn announce(&self) {
        let state = self.lock();
        self.wake_reader(state);
    }

    fn wake_reader(&self, mut state: MutexGuard<'_, State>) {
        let waits = std::mem::take(&mut state.reader_waits);
        drop(state);
        if waits {
            self.readable.notify_one();
        }
    }

    /// Hands over a batch, which its producer has counted as sent, waiting for room. Gives back what was not taken if
    /// the consumer is gone. The consumer is not
    /// woken before [`Inbox::announce`], unless there is no room.
    pub(crate) fn push(&self, edge: usize, mut batch: Batch, before_waiting: impl Fn()) -> Result<(), Batch> {
        let mut state = self.lock();
        let mut blocked: Option<Instant> = None;
        loop {
            if state.closed || state.inputs[edge].ended {
                state.inputs[edge].blocked = 0;
                return Err(batch);
            }
            let input = &mut state.inputs[edge];
            if let Some(Item::Batch(last)) = input.items.back_mut()
                && same_origin(last, &batch)
            {
                last.fill_from(&mut batch);
                if batch.is_empty() {
                    last.header = batch.header;
                    self.pool.give(batch);
                    break;
                }
            }
            if input.waiting_capacity + u64::from(batch.capacity()) <= self.bound {
                input.waiting_capacity += u64::from(batch.capacity());
                input.items.push_back(Item::Batch(batch));
                break;
            }
            // What has left its producer is found here while it waits.
            input.blocked = u64::from(batch.len());
            if blocked.is_none() {
                blocked = Some(Instant::now());
                // Without the lock: it takes those of other inboxes.
                drop(state);
                self.announce();
                before_waiting();
                state = self.lock();
                continue;
            }
            input.writer_waits = true;
            state = self.writable.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.inputs[edge].blocked = 0;
        drop(state);
        if let Some(since) = blocked {
            let waited = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
            bump(&self.counts[edge].blocked_ns, waited);
        }
        Ok(())
    }

    /// Sends a barrier behind everything sent so far. Barriers take no room: there is one epoch under way at a time.
    pub(crate) fn barrier(&self, edge: usize, epoch: u64) {
        let mut state = self.lock();
        if !state.closed && !state.inputs[edge].ended {
            state.inputs[edge].items.push_back(Item::Barrier(epoch));
        }
        self.wake_reader(state);
    }

    /// Nothing will come on this edge any more; what waits is still delivered.
    pub(crate) fn end(&self, edge: usize) {
        let mut state = self.lock();
        state.inputs[edge].ended = true;
        self.wake_reader(state);
        self.writable.notify_all();
    }

    /// Whether a batch sent on this edge would still be taken.
    pub(crate) fn is_open(&self) -> bool {
        !self.gone.load(Ordering::Acquire)
    }

    /// The consumer is gone: returns what waits, to be counted as received, and refuses what comes.
    pub(crate) fn close(&self) -> Vec<(usize, Batch)> {
        let mut state = self.lock();
        state.closed = true;
        self.gone.store(true, Ordering::Release);
        let mut left = Vec::new();
        for (edge, input) in state.inputs.iter_mut().enumerate() {
            input.waiting_capacity = 0;
            for item in input.items.drain(..) {
                if let Item::Batch(batch) = item {
                    left.push((edge, batch));
                }
            }
        }
        drop(state);
        self.writable.notify_all();
        self.readable.notify_all();
        left
    }

    /// The next thing to do, waiting for it at most `timeout`. Whoever takes a batch counts it as received.
    pub(crate) fn pop(&self, timeout: Option<Duration>) -> Popped {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.lock();
        loop {
            if let Some(popped) = state.take() {
                let writer_waits = match &popped {
                    Popped::Batch(edge, _) => state.inputs[*edge].has_half_its_room(self.bound),
                    _ => false,
                };
                drop(state);
                if writer_waits {
                    self.writable.notify_all();
                }
                return popped;
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Popped::TimedOut;
            }
            state.reader_waits = true;
            state = match deadline {
                None => self.readable.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    self.readable.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Input {
    /// Whether a producer waits that should be woken now; it is woken once.
    fn has_half_its_room(&mut self, bound: u64) -> bool {
        let wake = self.writer_waits && self.waiting_capacity <= bound / 2;
        self.writer_waits &= !wake;
        wake
    }
}

impl Item {
    fn records(&self) -> u64 {
        match self {
            Self::Batch(batch) => u64::from(batch.len()),
            Self::Barrier(_) => 0,
        }
    }
}

/// Whether two batches may be one: then the later position speaks for both, once all of the later one is in.
fn same_origin(a: &Batch, b: &Batch) -> bool {
    let key = |batch: &Batch| {
        let header = batch.header;
        (header.source, header.stream, header.epoch, header.config_generation)
    };
    key(a) == key(b)
}

impl State {
    /// The next batch, fairly over the edges; else an aligned barrier; else the end; else nothing.
    fn take(&mut self) -> Option<Popped> {
        let count = self.inputs.len();
        for step in 0..count {
            let edge = (self.next + step) % count;
            let input = &mut self.inputs[edge];
            if input.barrier.is_some() {
                continue;
            }
            match input.items.pop_front() {
                Some(Item::Batch(batch)) => {
                    input.waiting_capacity =
                        input.waiting_capacity.saturating_sub(u64::from(batch.capacity()));
                    self.next = (edge + 1) % count;
                    return Some(Popped::Batch(edge, batch));
                }
                Some(Item::Barrier(epoch)) => input.barrier = Some(epoch),
                None => {}
            }
        }
        let open = |input: &&mut Input| !(input.ended && input.items.is_empty() && input.barrier.is_none());
        let mut waiting = 0;
        let mut aligned: Option<u64> = None;
        for input in self.inputs.iter_mut().filter(open) {
            match input.barrier {
                Some(epoch) => aligned = Some(aligned.unwrap_or(0).max(epoch)),
                None => waiting += 1,
            }
        }
        match (waiting, aligned) {
            (0, Some(epoch)) => {
                self.inputs.iter_mut().for_each(|input| input.barrier = None);
                Some(Popped::Barrier(epoch))
            }
            (0, None) => Some(Popped::Ended),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
