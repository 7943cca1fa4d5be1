//! Every order in which a writing thread and the trail's thread can meet, tried by the model checker `loom`.
//!
//! The files under test are compiled a second time here, with loom's atomics in place of the system's. What is held,
//! whatever happens when: the changes that are told add up to the writes, each begins where the one before ended, and each
//! value is the one that this many writes led to.

#![forbid(unsafe_code)]

/// What `crate::sync` is here.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
}

#[path = "../src/audit/ring.rs"]
#[expect(dead_code, reason = "not every function has a part in the model")]
mod ring;
#[path = "../src/audit/settle.rs"]
mod settle;
#[path = "../src/cells/state.rs"]
mod state;

use loom::sync::Arc;
use ring::Ring;
use settle::Told;
use state::State;

/// What the threads share: a cell whose value after n writes is 10 n, and the way to the trail.
struct Shared {
    cell: State,
    ring: Ring,
    missed: sync::AtomicU64,
}

impl Shared {
    fn new(room: usize) -> Arc<Self> {
        let missed = sync::AtomicU64::new(0);
        Arc::new(Self { cell: State::new(0), ring: Ring::new(room), missed })
    }

    /// As `cells::Cell` does it.
    fn write(&self) {
        let writes = self.cell.write(self.cell.value() + 10);
        if self.ring.push([0, self.cell.value(), writes, 0]).is_none() {
            self.miss();
        }
    }

    fn miss(&self) {
        self.missed.store(self.missed.load(sync::Ordering::Relaxed) + 1, sync::Ordering::Release);
    }

    /// As `audit::collect` does it: the news, then a look at the cell if some was left out.
    fn collect(&self, told: &mut Trail) {
        self.ring.drain(|[_, value, writes, _]| told.take(value, writes));
        let missed = self.missed.load(sync::Ordering::Acquire);
        if missed != told.missed
            && let Some((value, writes)) = self.cell.read()
        {
            told.take(value, writes);
            told.missed = missed;
        }
    }
}

/// What was told, checked as it comes.
#[derive(Default)]
struct Trail {
    told: Told,
    counted: u64,
    missed: u64,
}

impl Trail {
    fn take(&mut self, value: u64, writes: u64) {
        let before = self.told.value;
        if let Some(change) = self.told.change(value, writes) {
            self.counted += change.count;
            assert_eq!(change.old, before, "it begins where the one before ended");
            assert_eq!(change.new, 10 * self.counted, "as many writes as it counts led to this value");
        }
    }
}

/// All orders, with at most so many places where a thread is stopped though it could go on.
fn model(stops: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(stops);
    builder.check(run);
}

fn writer_and_reader(room: usize, count: u64) {
    model(3, move || {
        let shared = Shared::new(room);
        let writer = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || (0..count).for_each(|_| writer.write()));
        let mut trail = Trail::default();
        shared.collect(&mut trail);
        shared.collect(&mut trail);
        thread.join().expect("the writer does not panic");
        shared.collect(&mut trail);
        assert_eq!(trail.counted, count, "no write goes uncounted");
    });
}

/// The same with the reader in the thread that is spawned, which is no repetition: loom runs the spawning thread first, and
/// of each atomic it remembers only who touched it last. A writer looks at its own `head` before it stores to it; where the
/// reader had looked there before, that is forgotten then, and a look after the store is never tried.
fn writer_and_spawned_reader(room: usize, count: u64) {
    model(3, move || {
        let shared = Shared::new(room);
        let reader = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || {
            let mut trail = Trail::default();
            reader.collect(&mut trail);
            reader.collect(&mut trail);
            trail
        });
        (0..count).for_each(|_| shared.write());
        let mut trail = thread.join().expect("the reader does not panic");
        shared.collect(&mut trail);
        assert_eq!(trail.counted, count, "no write goes uncounted");
    });
}

#[test]
fn with_room_for_all_news_every_write_is_counted() {
    writer_and_reader(4, 3);
    writer_and_spawned_reader(4, 2);
}

#[test]
fn with_a_full_ring_every_write_is_counted_all_the_same() {
    writer_and_reader(1, 4);
    writer_and_spawned_reader(1, 2);
}

#[test]
fn an_item_that_is_taken_out_is_whole_and_in_its_turn() {
    // Fails with `head` stored or loaded `Relaxed`. Room for one, so that slots are used again.
    for (room, count) in [(1, 3), (2, 3)] {
        model(3, move || {
            let ring = Arc::new(Ring::new(room));
            let reader = Arc::clone(&ring);
            let take_all = |ring: &Ring, last: &mut u64| {
                ring.drain(|item| {
                    assert_eq!(item, [item[0]; 4], "the words of one item");
                    assert!(item[0] > *last, "{item:?} after {last}");
                    *last = item[0];
                });
            };
            let thread = loom::thread::spawn(move || {
                let mut last = 0;
                take_all(&reader, &mut last);
                take_all(&reader, &mut last);
                last
            });
            let mut put = 0;
            for number in 1..=count {
                if ring.push([number; 4]).is_some() {
                    put = number;
                }
            }
            let mut last = thread.join().expect("the reader does not panic");
            take_all(&ring, &mut last);
            assert_eq!(last, put, "what was put in last is taken out last");
        });
    }
}

#[test]
fn a_cell_that_moves_to_another_thread_loses_nothing() {
    model(2, || {
        let (shared, second_ring) = (Shared::new(1), Arc::new(Ring::new(1)));
        let (first, other) = (Arc::clone(&shared), Arc::clone(&second_ring));
        let thread = loom::thread::spawn(move || {
            first.write();
            let (cell, ring) = (Arc::clone(&first), other);
            let next = loom::thread::spawn(move || {
                let writes = cell.cell.write(cell.cell.value() + 10);
                if ring.push([0, cell.cell.value(), writes, 0]).is_none() {
                    cell.miss();
                }
            });
            next.join().expect("the second writer does not panic");
        });
        let mut trail = Trail::default();
        // The second thread's news first: what the first one told then comes late.
        second_ring.drain(|[_, value, writes, _]| trail.take(value, writes));
        shared.collect(&mut trail);
        thread.join().expect("the first writer does not panic");
        second_ring.drain(|[_, value, writes, _]| trail.take(value, writes));
        shared.collect(&mut trail);
        assert_eq!(trail.counted, 2);
    });
}

#[test]
fn a_pair_that_is_read_is_one_that_was_written() {
    model(3, || {
        let state = Arc::new(State::new(0));
        let writer = Arc::clone(&state);
        let thread = loom::thread::spawn(move || (1..=3).for_each(|n| _ = writer.write(10 * n)));
        for _ in 0..2 {
            if let Some((value, writes)) = state.read() {
                assert_eq!(value, 10 * writes);
            }
        }
        thread.join().expect("the writer does not panic");
        assert_eq!(state.read(), Some((30, 3)));
    });
}
