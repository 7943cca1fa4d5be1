//! Alignment of barriers, bounds, and what becomes of batches that wait when the consumer goes.

use super::*;
use cardcage_plugin_api::record::Record;
use std::sync::Arc;

fn batch(pool: &Pool, epoch: u64, values: &[f64]) -> Batch {
    let mut batch = pool.take();
    batch.header.epoch = epoch;
    let records: Vec<Record> =
        values.iter().map(|value| Record { value: *value, ..Record::default() }).collect();
    assert!(batch.append(&records));
    batch
}

fn push(inbox: &Inbox, edge: usize, batch: Batch) -> Result<(), Batch> {
    inbox.push(edge, batch, || ()).inspect(|()| inbox.announce())
}

const NOW: Option<Duration> = Some(Duration::ZERO);

fn values(popped: &Popped) -> Vec<f64> {
    match popped {
        Popped::Batch(_, batch) => values_of(batch),
        other => panic!("a batch is expected, not {other:?}"),
    }
}

fn values_of(batch: &Batch) -> Vec<f64> {
    batch.records().iter().map(|record| record.value).collect()
}

#[test]
fn a_barrier_holds_an_edge_back_until_the_others_have_it_too() {
    let pool = Pool::new(4, 8);
    let inbox = Inbox::new(2, 64, pool.clone());
    push(&inbox, 0, batch(&pool, 1, &[1.0])).expect("open");
    inbox.barrier(0, 1);
    push(&inbox, 0, batch(&pool, 2, &[2.0])).expect("open");
    assert_eq!(values(&inbox.pop(NOW)), [1.0]);
    assert!(matches!(inbox.pop(NOW), Popped::TimedOut), "edge 1 has not had the barrier");
    push(&inbox, 1, batch(&pool, 1, &[3.0])).expect("open");
    inbox.barrier(1, 1);
    assert_eq!(values(&inbox.pop(NOW)), [3.0]);
    assert!(matches!(inbox.pop(NOW), Popped::Barrier(1)));
    assert_eq!(values(&inbox.pop(NOW)), [2.0]);
}

#[test]
fn an_ended_edge_does_not_hold_a_barrier_back() {
    let pool = Pool::new(4, 8);
    let inbox = Inbox::new(2, 64, pool.clone());
    push(&inbox, 0, batch(&pool, 1, &[1.0])).expect("open");
    inbox.end(0);
    inbox.barrier(1, 1);
    assert_eq!(values(&inbox.pop(NOW)), [1.0]);
    assert!(matches!(inbox.pop(NOW), Popped::Barrier(1)));
    assert!(matches!(inbox.pop(NOW), Popped::TimedOut));
    inbox.end(1);
    assert!(matches!(inbox.pop(NOW), Popped::Ended));
}

#[test]
fn small_batches_are_put_together_but_never_across_a_barrier_or_an_epoch() {
    let pool = Pool::new(4, 8);
    let inbox = Inbox::new(1, 64, pool.clone());
    push(&inbox, 0, batch(&pool, 1, &[1.0])).expect("open");
    push(&inbox, 0, batch(&pool, 1, &[2.0, 3.0])).expect("open");
    push(&inbox, 0, batch(&pool, 1, &[4.0, 5.0])).expect("open");
    inbox.barrier(0, 1);
    push(&inbox, 0, batch(&pool, 2, &[6.0])).expect("open");
    assert_eq!(inbox.waiting(0), 6);
    assert_eq!(values(&inbox.pop(NOW)), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(values(&inbox.pop(NOW)), [5.0]);
    assert!(matches!(inbox.pop(NOW), Popped::Barrier(1)));
    assert_eq!(values(&inbox.pop(NOW)), [6.0]);
    assert_eq!(inbox.waiting(0), 0);
}

#[test]
fn a_full_edge_blocks_its_producer_until_the_consumer_takes() {
    let pool = Pool::new(2, 8);
    let inbox = Arc::new(Inbox::new(1, 2, pool.clone()));
    push(&inbox, 0, batch(&pool, 1, &[1.0, 2.0])).expect("open");
    let producer = {
        let (inbox, pool) = (Arc::clone(&inbox), pool.clone());
        std::thread::spawn(move || push(&inbox, 0, batch(&pool, 1, &[3.0, 4.0])).is_ok())
    };
    assert_eq!(values(&inbox.pop(None)), [1.0, 2.0]);
    assert_eq!(values(&inbox.pop(None)), [3.0, 4.0]);
    assert!(producer.join().unwrap_or(false));
}

#[test]
fn a_batch_whose_producer_waits_is_found_on_the_edge() {
    let pool = Pool::new(2, 8);
    let inbox = Arc::new(Inbox::new(1, 2, pool.clone()));
    push(&inbox, 0, batch(&pool, 1, &[1.0, 2.0])).expect("open");
    let producer = {
        let (inbox, pool) = (Arc::clone(&inbox), pool.clone());
        std::thread::spawn(move || push(&inbox, 0, batch(&pool, 1, &[3.0, 4.0])).is_ok())
    };
    while inbox.waiting(0) < 4 {
        std::thread::yield_now();
    }
    assert_eq!(values(&inbox.pop(None)), [1.0, 2.0]);
    assert!(producer.join().unwrap_or(false));
    assert_eq!(inbox.waiting(0), 2);
}

#[test]
fn half_of_a_batch_that_waits_at_the_end_is_accounted_for() {
    let pool = Pool::new(4, 8);
    let inbox = Arc::new(Inbox::new(1, 4, pool.clone()));
    push(&inbox, 0, batch(&pool, 1, &[1.0, 2.0, 3.0])).expect("open");
    let producer = {
        let (inbox, pool) = (Arc::clone(&inbox), pool.clone());
        std::thread::spawn(move || {
            push(&inbox, 0, batch(&pool, 1, &[4.0, 5.0, 6.0])).map_err(|batch| values_of(&batch))
        })
    };
    while inbox.waiting(0) < 6 {
        std::thread::yield_now();
    }
    let left = inbox.close();
    assert_eq!(left.iter().flat_map(|(_, batch)| values_of(batch)).collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(producer.join().expect("no panic"), Err(vec![5.0, 6.0]));
    assert_eq!(inbox.waiting(0), 0);
}

#[test]
fn closing_frees_a_blocked_producer_and_gives_back_what_waits() {
    let pool = Pool::new(2, 8);
    let inbox = Arc::new(Inbox::new(1, 2, pool.clone()));
    push(&inbox, 0, batch(&pool, 1, &[1.0, 2.0])).expect("open");
    let producer = {
        let (inbox, pool) = (Arc::clone(&inbox), pool.clone());
        std::thread::spawn(move || push(&inbox, 0, batch(&pool, 1, &[3.0, 4.0])).map_err(|batch| batch.len()))
    };
    // Whether the producer blocks already or comes later, it must be told.
    let left = inbox.close();
    assert_eq!(left.len(), 1);
    assert_eq!(producer.join().expect("no panic"), Err(2));
    assert!(!inbox.is_open());
}
