//! What a pipeline does with records when all is well, and when components fail, lie, hold or hang.

mod dead_letters;
mod live;
mod support;

use cardcage_plugin_api::manifest::Capability;
use cardcage_runtime::{Ended, PipelineError};
use support::components::{commits_lost, kept, types};
use support::{Type, account, run, start};

/// `count` -> a stage that does `deed` -> `keep`, with further keys of the stage.
fn one_stage(name: &str, deed: &str, count: u64, keys: &str) -> String {
    format!(
        "version: 1
sources:
  numbers: {{ plugin: count, settings: {{ count: {count}, per_fill: 10 }}, batch: {{ records: 10 }} }}
stages:
  odd: {{ plugin: odd, inputs: [numbers], settings: {{ deed: {deed} }}{keys} }}
sinks:
  kept: {{ plugin: keep, inputs: [odd], settings: {{ name: {name} }} }}
"
    )
}

#[test]
fn every_record_of_a_finite_source_arrives_in_order() {
    let summary = run(&one_stage("drop", "drop", 1000, ""), &types());
    assert_eq!(summary.ended, Ended::Finished);
    assert!(summary.balances(), "{}", summary.books.render());
    let expected: Vec<f64> = (0..500).map(|i| f64::from(i) * 2.0).collect();
    assert_eq!(kept("drop"), expected);
    assert_eq!(account(&summary, "odd").dropped, [("odd".to_owned(), 500)]);
    assert_eq!(account(&summary, "kept").output, 500);
}

#[test]
fn ports_fan_out_and_fan_in_give_every_consumer_everything() {
    let yaml = "version: 1
sources:
  a: { plugin: count, settings: { count: 300, per_fill: 7 } }
  b: { plugin: count, settings: { count: 200, per_fill: 9 } }
stages:
  odd: { plugin: odd, inputs: [a, b], settings: { deed: port } }
sinks:
  even: { plugin: keep, inputs: [odd], settings: { name: even } }
  odds: { plugin: keep, inputs: [odd.odd], settings: { name: odds } }
  both: { plugin: keep, inputs: [odd, odd.odd, a], settings: { name: both } }
";
    let summary = run(yaml, &types());
    assert!(summary.balances(), "{}", summary.books.render());
    assert_eq!((kept("even").len(), kept("odds").len(), kept("both").len()), (250, 250, 800));
    assert!(kept("odds").iter().all(|value| value.rem_euclid(2.0) > 0.5));
}

#[test]
fn a_stage_may_hold_records_and_give_them_at_the_end() {
    let summary = run(&one_stage("hold", "hold", 95, ""), &types());
    assert!(summary.balances(), "{}", summary.books.render());
    assert_eq!(kept("hold").len(), 95);
    assert_eq!(account(&summary, "odd").held, 0);
}

#[test]
fn created_records_are_counted_as_created() {
    let summary = run(&one_stage("double", "double", 50, ""), &types());
    assert!(summary.balances(), "{}", summary.books.render());
    assert_eq!((account(&summary, "odd").created, kept("double").len()), (50, 100));
}

#[test]
fn more_is_asked_for_until_the_stage_is_done_and_nothing_is_counted_twice() {
    let summary = run(&one_stage("more", "swallow_into_more", 50, ""), &types());
    assert!(summary.balances(), "{}", summary.books.render());
    let odd = account(&summary, "odd");
    assert_eq!((odd.input, odd.output, kept("more").len()), (50, 50, 50));
}

#[test]
fn a_stage_that_loses_records_silently_is_named() {
    for (deed, name) in [("lose_silently", "lost"), ("drop_undeclared", "undeclared")] {
        let summary = run(&one_stage(name, deed, 100, ""), &types());
        assert!(!summary.balances(), "{deed}");
        let blamed: Vec<&str> =
            summary.components.iter().filter(|c| c.unexplained > 0).map(|c| c.name.as_str()).collect();
        assert_eq!(blamed, ["odd"], "{deed}");
        assert!(summary.books.imbalances().iter().any(|wrong| wrong.to_string().contains("`odd`")));
    }
}

#[test]
fn creating_without_declaring_it_is_an_imbalance() {
    let types =
        types().map(|of| if of.plugin == "odd" { Type { does: &[Capability::Drops], ..of } } else { of });
    let summary = run(&one_stage("double-undeclared", "double", 100, ""), &types);
    assert!(!summary.balances());
    assert_eq!(account(&summary, "odd").created, 0);
}

#[test]
fn a_panic_loses_its_batch_only_and_the_stage_is_restarted_until_it_has_failed_for_good() {
    let keys = ", restarts: { count: 2, window: 1m }";
    let summary = run(&one_stage("panic", "panic", 100, keys), &types());
    assert!(summary.balances(), "{}", summary.books.render());
    let odd = account(&summary, "odd");
    assert_eq!(odd.input, odd.failed, "each batch has an odd value");
    let failed = summary.components.iter().find(|c| c.name == "odd").and_then(|c| c.failed.clone());
    let why = failed.expect("it has failed for good");
    assert!(why.contains("an odd value"), "the panic's message: {why}");
    assert_eq!(summary.ended, Ended::Finished);
}

#[test]
fn a_failed_batch_goes_to_the_dead_letter_where_there_is_one() {
    let yaml = one_stage("good", "fail", 20, ", restarts: { count: 5, window: 1m }, dead_letter: letters")
        + "  letters: { plugin: keep, settings: { name: letters } }\n";
    let summary = run(&yaml, &types());
    assert!(summary.balances(), "{}", summary.books.render());
    let odd = account(&summary, "odd");
    assert_eq!((odd.dead_lettered, odd.failed), (20, 0));
    assert_eq!(kept("letters").len(), 20);
}

#[test]
fn a_branch_that_failed_for_good_ends_and_the_others_go_on() {
    let yaml = "version: 1
sources:
  numbers: { plugin: count, settings: { count: 5000, per_fill: 10 }, batch: { records: 10 } }
stages:
  bad: { plugin: odd, inputs: [numbers], settings: { deed: fail }, restarts: { count: 0, window: 1m } }
sinks:
  behind: { plugin: keep, inputs: [bad], settings: { name: behind } }
  beside: { plugin: keep, inputs: [numbers], settings: { name: beside } }
";
    let summary = run(yaml, &types());
    assert!(summary.balances(), "{}", summary.books.render());
    assert_eq!((kept("behind").len(), kept("beside").len()), (0, 5000));
    assert!(summary.any_failed());
}

#[test]
fn on_failure_stop_drains_an_endless_pipeline() {
    let yaml = "version: 1
sources:
  numbers: { plugin: count, settings: {} }
stages:
  bad: { plugin: odd, inputs: [numbers], settings: { deed: fail }, restarts: { count: 0, window: 1m }, on_failure: stop }
sinks:
  behind: { plugin: keep, inputs: [bad], settings: { name: stop-behind } }
  beside: { plugin: keep, inputs: [numbers], settings: { name: stop-beside } }
";
    let summary = run(yaml, &types());
    assert!(summary.balances(), "{}", summary.books.render());
    assert!(summary.any_failed());
}

#[test]
fn when_no_consumer_is_left_an_endless_source_stops() {
    let yaml = "version: 1
sources:
  numbers: { plugin: count, settings: {} }
sinks:
  kept: { plugin: keep, inputs: [numbers], settings: { name: no-consumer, fail_write: 1 }, restarts: { count: 0, window: 1m } }
";
    let summary = run(yaml, &types());
    assert!(summary.balances(), "{}", summary.books.render());
    assert!(summary.any_failed());
    assert_eq!(account(&summary, "kept").output, 0);
}

#[test]
fn a_failed_write_loses_its_batch_and_what_was_written_before_is_still_committed() {
    let yaml = "version: 1
checkpoint: { every: 1h }
sources:
  numbers: { plugin: count, settings: { count: 100, per_fill: 10 }, batch: { records: 10 } }
sinks:
  kept: { plugin: keep, inputs: [numbers], settings: { name: fail-write, fail_write: 3 }, restarts: { count: 50, window: 1m }, batch: { records: 10 } }
";
    let summary = run(yaml, &types());
    assert!(summary.balances(), "{}", summary.books.render());
    let account = account(&summary, "kept");
    assert!(account.failed >= 10 && account.output > 0, "{account:?}");
    assert_eq!(account.output, kept("fail-write").len() as u64);
}

#[test]
fn a_commit_that_is_put_off_is_tried_again_and_one_that_is_lost_is_counted() {
    let yaml = |name: &str, key: &str| {
        format!(
            "version: 1
checkpoint: {{ every: 1h }}
sources:
  numbers: {{ plugin: count, settings: {{ count: 100 }} }}
sinks:
  kept: {{ plugin: keep, inputs: [numbers], settings: {{ name: {name}, {key} }} }}
"
        )
    };
    let summary = run(&yaml("put-off", "put_off_commits: 3"), &types());
    assert!(summary.balances(), "{}", summary.books.render());
    assert_eq!((account(&summary, "kept").output, account(&summary, "kept").failed), (100, 0));
    let summary = run(&yaml("lose", "commits: are_lost"), &types());
    assert!(summary.balances(), "{}", summary.books.render());
    assert_eq!((account(&summary, "kept").output, account(&summary, "kept").failed), (0, 100));
}

#[test]
fn a_drain_delivers_everything_that_was_read() {
    let yaml = "version: 1
checkpoint: { every: 10ms }
sources:
  numbers: { plugin: count, settings: { per_fill: 10 } }
sinks:
  kept: { plugin: keep, inputs: [numbers], settings: { name: drain } }
";
    let (pipeline, every) = start(yaml, &types()).unwrap_or_else(|error| panic!("{error}"));
    let drain = pipeline.drain_handle();
    let asker = std::thread::spawn(move || {
        while kept("drain").len() < 1000 {
            std::thread::yield_now();
        }
        drain.drain();
    });
    let summary = pipeline.run(every);
    asker.join().expect("no panic");
    assert_eq!(summary.ended, Ended::Drained);
    assert!(summary.balances(), "{}", summary.books.render());
    assert_eq!(account(&summary, "numbers").output, account(&summary, "kept").output);
    let arrived = kept("drain");
    assert!(arrived.windows(2).all(|pair| pair[1] > pair[0]), "in order, nothing twice");
}

#[test]
fn barriers_pass_fan_ins_and_are_committed_while_data_flows() {
    let yaml = "version: 1
checkpoint: { every: 10ms }
sources:
  a: { plugin: count, settings: { per_fill: 3 } }
  b: { plugin: count, settings: { per_fill: 5 } }
stages:
  odd: { plugin: odd, inputs: [a, b], settings: { deed: drop } }
sinks:
  x: { plugin: keep, inputs: [odd, a], settings: { name: barrier-x } }
  y: { plugin: keep, inputs: [odd], settings: { name: barrier-y } }
";
    let (pipeline, every) = start(yaml, &types()).unwrap_or_else(|error| panic!("{error}"));
    let drain = pipeline.drain_handle();
    let asker = std::thread::spawn(move || {
        while kept("barrier-y").len() < 20_000 {
            std::thread::yield_now();
        }
        drain.drain();
    });
    let summary = pipeline.run(every);
    asker.join().expect("no panic");
    assert!(summary.balances(), "{}", summary.books.render());
    assert!(summary.committed_epochs > 0);
}

#[test]
fn a_hung_call_is_given_up_at_its_deadline_and_said_so() {
    let yaml = one_stage("hang", "hang", 100, ", deadline: 200ms");
    let summary = run(&yaml, &types());
    assert!(summary.balances(), "{}", summary.books.render());
    let odd = summary.components.iter().find(|c| c.name == "odd").expect("there");
    assert_eq!(odd.overdue_calls, 1);
    assert!(
        odd.failed.as_ref().is_some_and(|why| why.contains("`process` is still running")),
        "{:?}",
        odd.failed
    );
    assert_eq!(account(&summary, "odd").failed, 10);
}

#[test]
fn a_stage_that_wants_more_for_ever_has_failed() {
    let yaml = one_stage("endless", "endless_more", 100, ", restarts: { count: 1, window: 1m }");
    let summary = run(&yaml, &types());
    assert!(summary.balances(), "{}", summary.books.render());
    let odd = summary.components.iter().find(|c| c.name == "odd").expect("there");
    assert!(
        odd.failed.as_ref().is_some_and(|why| why.contains("without having taken or given")),
        "{:?}",
        odd.failed
    );
}

#[test]
fn a_source_that_can_start_over_is_not_restarted_from_nothing() {
    let yaml = "version: 1
sources:
  numbers: { plugin: count, settings: { count: 100, per_fill: 10, fail_at: 50 }, restarts: { count: 3, window: 1m } }
sinks:
  kept: { plugin: keep, inputs: [numbers], settings: { name: NAME } }
";
    // Without state to carry over, it would give the first 50 again: better to stop and say so.
    let finite =
        types().map(|of| if of.plugin == "count" { Type { does: &[Capability::Finite], ..of } } else { of });
    let summary = run(&yaml.replace("NAME", "not-again"), &finite);
    assert!(summary.balances(), "{}", summary.books.render());
    assert_eq!(kept("not-again").len(), 50);
    let why = summary.components[0].failed.clone().expect("failed for good");
    assert!(why.contains("would give again"), "{why}");
    // A source that cannot start over has nothing to give twice.
    let live = types();
    let summary = run(&yaml.replace("NAME", "live").replace("fail_at: 50", "fail_at: 0"), &live);
    assert_eq!((kept("live").len(), summary.any_failed()), (0, true), "it fails anew each time it is opened");
}

#[test]
fn a_stage_with_a_hung_one_behind_it_still_balances() {
    let yaml = "version: 1
sources:
  numbers: { plugin: count, settings: { count: 100, per_fill: 10 }, batch: { records: 10 } }
stages:
  double: { plugin: odd, inputs: [numbers], settings: { deed: double } }
  stuck: { plugin: odd, inputs: [double], settings: { deed: hang }, deadline: 200ms }
sinks:
  kept: { plugin: keep, inputs: [stuck], settings: { name: behind-hang } }
";
    let summary = run(yaml, &types());
    assert!(summary.balances(), "{}", summary.books.render());
    assert!(summary.any_failed());
}

#[test]
fn a_lost_commit_is_no_committed_epoch() {
    let yaml = "version: 1
checkpoint: { every: 10ms }
sources:
  numbers: { plugin: count, settings: { per_fill: 10 } }
sinks:
  kept: { plugin: keep, inputs: [numbers], settings: { name: lost-epochs, commits: are_lost } }
";
    let (pipeline, every) = start(yaml, &types()).unwrap_or_else(|error| panic!("{error}"));
    let drain = pipeline.drain_handle();
    let asker = std::thread::spawn(move || {
        // Long enough for some barriers to pass.
        let before = commits_lost();
        while commits_lost() < before + 3 {
            std::thread::yield_now();
        }
        drain.drain();
    });
    let summary = pipeline.run(every);
    asker.join().expect("no panic");
    assert!(summary.balances(), "{}", summary.books.render());
    assert_eq!(summary.committed_epochs, 0);
}

#[test]
fn a_batch_whose_rest_is_too_small_for_what_comes_next_does_not_linger() {
    let yaml = "version: 1
sources:
  threes: { plugin: threes, batch: { records: 4, linger: 1s } }
sinks:
  kept: { plugin: keep, inputs: [threes], settings: { name: threes } }
";
    let summary = run(yaml, &types());
    assert_eq!(account(&summary, "kept").output, 30);
}

#[test]
fn a_component_that_does_not_open_stops_the_start_and_is_named() {
    let yaml = "version: 1
sources:
  numbers: { plugin: count, settings: { count: 1 } }
sinks:
  good: { plugin: keep, inputs: [numbers], settings: { name: good-open } }
  bad: { plugin: keep, inputs: [numbers], settings: { name: bad-open, refuse_to_open: true } }
";
    let Err(PipelineError::Open(errors)) = start(yaml, &types()) else {
        panic!("it must not start");
    };
    assert_eq!(errors.len(), 1);
    assert_eq!((errors[0].0, errors[0].1.message.as_str()), (2, "there is no such place"));
}
