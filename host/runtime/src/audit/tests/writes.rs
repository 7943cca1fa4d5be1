//! What becomes of writes.

use super::*;
use crate::audit::thread;
use cardcage_core::audit::{Rule, Writer};

#[test]
fn each_write_is_an_entry_with_old_and_new_and_the_time_of_its_call() {
    let bench = Bench::new();
    let run = bench.run();
    let gauge = open(&run.cells("tank"), MetricKind::Gauge, "level");
    for (at, value) in [(5, 1.5), (6, -2.0), (7, -2.0)] {
        thread::at(at);
        assert!(gauge.set(value));
    }
    thread::at(0);
    assert!(gauge.set(9.0));
    let found = entries(&bench.proven(run.end()), "level");
    let values: Vec<_> =
        found.iter().map(|entry| (f64::from_bits(entry.old), f64::from_bits(entry.new))).collect();
    assert_eq!(format!("{values:?}"), "[(0.0, 1.5), (1.5, -2.0), (-2.0, -2.0), (-2.0, 9.0)]");
    assert_eq!(found.iter().map(|entry| entry.time_ns).take(3).collect::<Vec<_>>(), [5, 6, 7]);
    let age = crate::clock::now_ns() - found[3].time_ns;
    assert!((-20_000_000..60_000_000_000).contains(&age), "a thread that is in no call has the coarse clock");
}

#[test]
fn more_than_the_ring_holds_is_merged_and_every_write_is_counted() {
    let bench = Bench::new();
    let run = bench.run();
    let cells = run.cells("busy");
    std::thread::scope(|scope| {
        for name in ["one", "two"] {
            let cells = &cells;
            let work = move || {
                thread::at(1);
                let counter = open(cells, MetricKind::Counter, "n");
                (0..300_000).for_each(|_| assert!(counter.add(1.0)));
            };
            std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work).expect("a thread");
        }
    });
    let status = run.trail.status();
    assert!(status.entries <= 600_000);
    let records = bench.proven(run.end());
    let found = entries(&records, "n");
    assert_eq!(writes(&found), 600_000);
    let threads: Vec<&str> = records
        .iter()
        .filter_map(|record| {
            if let Record::Writer(Writer { thread, .. }) = record { Some(thread.as_str()) } else { None }
        })
        .collect();
    assert!(threads.contains(&"one") && threads.contains(&"two"), "{threads:?}");
}

#[test]
fn a_refused_write_is_an_entry_that_changes_nothing() {
    let bench = Bench::new();
    let run = bench.run();
    let counter = open(&run.cells("liar"), MetricKind::Counter, "n");
    assert!(counter.add(3.0));
    assert!(!counter.add(-1.0));
    assert!(!counter.add(f64::NAN));
    assert!(!counter.add(2e12));
    assert!(counter.add(1.0));
    let trail = run.trail;
    let found = entries(&bench.proven(run.end()), "n");
    let rules = found
        .iter()
        .filter_map(|entry| if let What::Violation { rule, .. } = entry.what { Some(rule) } else { None });
    let rules: Vec<_> = rules.collect();
    assert_eq!(rules, [Rule::Monotonic, Rule::NotANumber, Rule::Max]);
    assert_eq!(writes(&found), 2);
    assert_eq!(trail.status().violations, 3);
}

#[test]
fn asking_for_an_undeclared_metric_is_in_the_trail() {
    let bench = Bench::new();
    let run = bench.run();
    let cells = run.cells("liar");
    (0..3).for_each(|_| cells.undeclared("secret"));
    (0..200).for_each(|n| cells.undeclared(&format!("m{n}")));
    let records = bench.proven(run.end());
    let told: Vec<_> = notes(&records)
        .into_iter()
        .filter_map(|note| {
            if let Note::Undeclared { metric, count, .. } = note {
                Some((metric.as_str(), *count))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(told[0], ("secret", 3));
    assert_eq!(
        told.iter().map(|(_, count)| count).sum::<u64>(),
        203,
        "their number is bounded, their count is not"
    );
    assert!(told.len() <= 64);
}

#[test]
fn a_restarted_component_goes_on_in_its_chain_as_another_generation() {
    let bench = Bench::new();
    let run = bench.run();
    let cells = run.cells("weak");
    for _ in 0..3 {
        assert!(open(&cells, MetricKind::Counter, "n").add(1.0));
        cells.retire();
    }
    let records = bench.proven(run.end());
    let found = entries(&records, "n");
    assert_eq!(found.iter().map(|entry| entry.writer).collect::<Vec<_>>(), [0, 0, 0]);
    assert_eq!(
        found.iter().map(|entry| f64::from_bits(entry.old)).map(f64::to_bits).collect::<Vec<_>>(),
        [0f64.to_bits(), 1f64.to_bits(), 2f64.to_bits()]
    );
    let generations: Vec<u32> = records
        .iter()
        .filter_map(|record| if let Record::Writer(writer) = record { Some(writer.generation) } else { None })
        .collect();
    assert!([0, 1, 2].iter().all(|generation| generations.contains(generation)), "{generations:?}");
}

/// Does something in a thread of this name.
fn in_thread(name: &str, work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work);
        thread.expect("a thread").join().expect("it ends");
    });
}

/// The threads that are said to write a metric, in their order.
fn threads(records: &[Record], metric: &str) -> Vec<String> {
    let mut cell = None;
    let mut found = Vec::new();
    for record in records {
        match record {
            Record::Declaration(of) if of.metric == metric => cell = Some(of.cell),
            Record::Writer(of) if Some(of.cell) == cell => found.push(of.thread.clone()),
            _ => {}
        }
    }
    found
}

#[test]
fn the_thread_that_wrote_is_named_and_not_the_one_that_opened_whatever_is_kept() {
    let details = [AuditDetail::Write, AuditDetail::Batch, AuditDetail::Interval];
    for (detail, most) in details.into_iter().flat_map(|detail| [(detail, 0), (detail, 1), (detail, 1 << 30)])
    {
        let mut bench = Bench::new();
        (bench.policy.detail, bench.policy.max_entries_per_second) = (detail, most);
        let run = bench.run();
        let cells = run.cells("c");
        let (n, h) = (open(&cells, MetricKind::Counter, "n"), open(&cells, MetricKind::Histogram, "h"));
        let refused = open(&cells, MetricKind::Gauge, "refused");
        in_thread("lane", || {
            (0..5000).for_each(|_| assert!(n.add(1.0) && h.observe(1.0) && !refused.set(f64::NAN)));
        });
        let records = bench.proven(run.end());
        for metric in ["n", "h", "refused"] {
            assert_eq!(threads(&records, metric), ["lane"], "{detail:?}, at most {most}: {metric}");
        }
        let own: Vec<_> = records.iter().filter(|record| matches!(record, Record::Writer(_))).collect();
        assert!(own.iter().any(|of| matches!(of, Record::Writer(of) if of.thread == "audit")), "{own:?}");
    }
}

#[test]
fn where_writes_of_several_threads_are_told_as_one_it_says_so() {
    let mut bench = Bench::new();
    bench.policy.detail = AuditDetail::Interval;
    fs::create_dir(&bench.policy.folder).expect("made");
    let (trail, mut collector) = ends::collector(&bench, 1);
    let cells = Cells::new("c", trail, Arc::default());
    let n = open(&cells, MetricKind::Counter, "n");
    for writers in [&["one"][..], &["one", "two"], &["two", "two"], &["one", "two"], &[], &["one"]] {
        for name in writers {
            in_thread(name, || assert!(n.add(1.0)));
        }
        collector.pass(true, 2);
    }
    // What was not told before a restart is not all of the generation after it.
    in_thread("one", || assert!(n.add(1.0)));
    cells.retire();
    open(&cells, MetricKind::Counter, "n");
    collector.end(3);
    let found = threads(&bench.proven(trail.status().head), "n");
    // The last but one is the generation, which is told of before it writes.
    assert_eq!(found, ["one", "two and others", "two", "two and others", "one", "one", "one and others"]);
}

#[test]
fn a_cell_that_moves_between_threads_loses_no_write() {
    let bench = Bench::new();
    let run = bench.run();
    let counter = open(&run.cells("mover"), MetricKind::Counter, "n");
    for _ in 0..50 {
        let work = || (0..10).for_each(|_| assert!(counter.add(1.0)));
        work();
        std::thread::scope(|scope| _ = scope.spawn(work));
    }
    assert_eq!(writes(&entries(&bench.proven(run.end()), "n")), 1000);
}

#[test]
fn one_entry_a_batch_or_an_interval_counts_all_writes_too() {
    for (detail, most) in [(AuditDetail::Batch, 12), (AuditDetail::Interval, 3)] {
        let mut bench = Bench::new();
        bench.policy.detail = detail;
        let run = bench.run();
        let counter = open(&run.cells("c"), MetricKind::Counter, "n");
        for batch in 1..=10 {
            thread::at(batch);
            (0..50).for_each(|_| assert!(counter.add(1.0)));
        }
        let found = entries(&bench.proven(run.end()), "n");
        assert_eq!(writes(&found), 500, "{detail:?}");
        assert!(found.len() <= most, "{detail:?}: {} entries", found.len());
    }
}

#[test]
fn past_the_bound_of_a_second_entries_are_merged() {
    let mut bench = Bench::new();
    bench.policy.max_entries_per_second = 5;
    let run = bench.run();
    let cells = run.cells("c");
    let (a, b) = (open(&cells, MetricKind::Counter, "a"), open(&cells, MetricKind::Counter, "b"));
    for _ in 0..200 {
        assert!(a.add(1.0) && b.add(1.0) && !a.add(-1.0));
    }
    let trail = run.trail;
    let records = bench.proven(run.end());
    let (found_a, found_b) = (entries(&records, "a"), entries(&records, "b"));
    assert_eq!((writes(&found_a), writes(&found_b)), (200, 200));
    assert_eq!(trail.status().violations, 200);
    assert!(found_a.len() + found_b.len() < 50, "{} and {}", found_a.len(), found_b.len());
}

#[test]
fn observations_are_audited_by_bucket() {
    let bench = Bench::new();
    let run = bench.run();
    let histogram = open(&run.cells("c"), MetricKind::Histogram, "h");
    for value in [0.5e-6, 1e-6, 1e9, -3.0] {
        assert!(histogram.observe(value));
    }
    assert!(!histogram.observe(f64::NAN));
    let found = entries(&bench.proven(run.end()), "h");
    assert_eq!(writes(&found), 4);
    let first = found.iter().map(|entry| entry.cell).min().expect("entries");
    let offsets: Vec<u32> = found.iter().map(|entry| entry.cell - first).collect();
    assert_eq!(offsets, [0, 0, 16, 0, 0], "the last is the refused one");
}

#[test]
fn the_hosts_own_metrics_are_audited_and_an_idle_trail_does_not_feed_itself() {
    let bench = Bench::new();
    let run = bench.run();
    let readings = run.metrics.read();
    assert!(readings.iter().any(|reading| reading.name == "cardcage_dictionary_sensors"));
    let records = bench.proven(run.end());
    let own = |record: &&Record| matches!(record, Record::Entry(_));
    assert!(records.iter().filter(own).count() <= 12, "{records:?}");
    assert_eq!(notes(&records).last(), Some(&&Note::Ended));
}
