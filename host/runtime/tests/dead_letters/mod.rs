//! What a sink lost after it had taken it: to the dead letter where there is one, and counted in any case.

use crate::support::components::{kept, types};
use crate::support::{account, run};

/// `numbers` -> `main`, which keeps under `{name}` and has further settings and keys; dead letters under `{name}-dead`.
fn pipeline(name: &str, count: u64, settings: &str, keys: &str) -> String {
    format!(
        "version: 1
checkpoint: {{ every: 1h }}
sources:
  numbers: {{ plugin: count, settings: {{ count: {count}, per_fill: 10 }}, batch: {{ records: 10 }} }}
sinks:
  main: {{ plugin: keep, inputs: [numbers], settings: {{ name: {name}, {settings} }}{keys} }}
  dead: {{ plugin: keep, inputs: [], settings: {{ name: {name}-dead }} }}
"
    )
}

const WITH: &str = ", dead_letter: dead, restarts: { count: 0, window: 1m }";

fn numbers(range: std::ops::Range<u32>) -> Vec<f64> {
    range.map(f64::from).collect()
}

#[test]
fn a_commit_that_is_lost_or_fails_gives_everything_to_the_dead_letter_once_and_in_order() {
    for (name, settings) in [("lost", "commits: are_lost"), ("failed", "commits: fail")] {
        let summary = run(&pipeline(name, 100, settings, WITH), &types());
        assert!(summary.balances(), "{}", summary.books.render());
        let main = account(&summary, "main");
        assert_eq!((main.output, main.failed, main.dead_lettered), (0, 0, 100), "{name}");
        assert_eq!(kept(&format!("{name}-dead")), numbers(0..100), "{name}");
    }
}

#[test]
fn a_commit_that_is_lost_in_part_delivers_what_came_first() {
    let summary = run(&pipeline("partly", 100, "lose_last: 37", WITH), &types());
    assert!(summary.balances(), "{}", summary.books.render());
    let main = account(&summary, "main");
    assert_eq!((main.output, main.failed, main.dead_lettered), (63, 0, 37));
    assert_eq!(kept("partly-dead"), numbers(63..100));
    let without =
        pipeline("partly-without", 100, "lose_last: 37", "").replace("inputs: []", "inputs: [numbers]");
    let summary = run(&without, &types());
    assert!(summary.balances(), "{}", summary.books.render());
    let main = account(&summary, "main");
    assert_eq!((main.output, main.failed, main.dead_lettered), (63, 37, 0));
}

#[test]
fn a_failed_write_takes_nothing_from_the_dead_letter_of_what_was_written_before() {
    let summary = run(&pipeline("write", 100, "fail_write: 4, commits: fail", WITH), &types());
    assert!(summary.balances(), "{}", summary.books.render());
    let main = account(&summary, "main");
    assert_eq!((main.output, main.failed), (0, 0), "{main:?}");
    // What comes after it failed for good goes there, too, as far as it was sent.
    assert_eq!(kept("write-dead"), numbers(0..u32::try_from(main.dead_lettered).unwrap()));
    assert!(main.dead_lettered >= 40, "{main:?}");
}

#[test]
fn rejected_records_that_go_to_the_dead_letter_all_the_same_are_counted_as_more() {
    let summary = run(&pipeline("rejecting", 100, "reject_odd: true, commits: are_lost", WITH), &types());
    assert!(summary.balances(), "{}", summary.books.render());
    let main = account(&summary, "main");
    assert_eq!((main.rejected_total(), main.created, main.dead_lettered), (50, 50, 100));
}

#[test]
fn copies_have_a_bound_past_which_the_sink_must_commit() {
    let yaml = pipeline("bound", 400_000, "lose_last: 1", WITH)
        .replace("per_fill: 10", "per_fill: 4096")
        .replace("records: 10", "records: 4096");
    let summary = run(&yaml, &types());
    assert!(summary.balances(), "{}", summary.books.render());
    // Each commit loses one: there is one at the end, and one before that, since 262,144 are the most.
    assert_eq!(account(&summary, "main").dead_lettered, 2);
    assert_eq!(kept("bound-dead"), [262_143.0, 399_999.0]);
}
