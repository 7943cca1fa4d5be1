//! What others see of a pipeline while it runs: books that balance at every moment, and components that hang or fail.

use crate::support::components::types;
use crate::support::start;
use cardcage_runtime::{ComponentState, Health, Live, Phase, Pipeline, Ruling};
use std::time::{Duration, Instant};

/// A fan-out into stages that do what `deeds` say, and a fan-in behind them.
fn several(count: u64, deeds: [&str; 2], keys: &str) -> String {
    format!(
        "version: 1
sources:
  a: {{ plugin: count, settings: {{ count: {count}, per_fill: 7 }}, batch: {{ records: 32 }} }}
  b: {{ plugin: count, settings: {{ count: {count}, per_fill: 9 }}, batch: {{ records: 16 }} }}
stages:
  one: {{ plugin: odd, inputs: [a, b], settings: {{ deed: {} }}{keys} }}
  two: {{ plugin: odd, inputs: [a], settings: {{ deed: {} }}{keys} }}
sinks:
  here: {{ plugin: keep, inputs: [one, two], settings: {{ name: live }} }}
  there: {{ plugin: keep, inputs: [two, b], settings: {{ name: live }} }}
",
        deeds[0], deeds[1]
    )
}

/// Runs the pipeline while `look` looks at it, until it has ended; returns how often the books were of one moment.
fn look_on(pipeline: Pipeline, every: Duration, mut look: impl FnMut(&Live)) -> u32 {
    let live = pipeline.live();
    let mut exact = 0;
    std::thread::scope(|scope| {
        let run = scope.spawn(move || pipeline.run(every));
        while !run.is_finished() {
            let (books, of_one_moment) = live.books();
            if of_one_moment {
                exact += 1;
                assert_eq!(books.imbalances(), [], "{}", books.render());
            }
            look(&live);
        }
        let summary = run.join().expect("no panic");
        assert!(summary.balances(), "{}", summary.books.render());
    });
    exact
}

#[test]
fn books_taken_at_any_moment_balance_whatever_goes_wrong_meanwhile() {
    let restarts = ", restarts: { count: 1000, window: 1m }";
    let cases = [
        (20_000, ["drop", "double"], ""),
        (20_000, ["port", "drop"], ""),
        (5_000, ["hold", "swallow_into_more"], ""),
        // Each panic costs a tenth of a second, which a drain cuts short.
        (200, ["double", "panic"], ", restarts: { count: 2, window: 1m }"),
        (200, ["fail", "drop"], restarts),
    ];
    for (count, deeds, keys) in cases {
        let (pipeline, every) = start(&several(count, deeds, keys), &types()).expect("starts");
        let drain = pipeline.drain_handle();
        let since = Instant::now();
        let exact = look_on(pipeline, every, |_| {
            if since.elapsed() > Duration::from_secs(1) {
                drain.drain();
            }
        });
        assert!(exact > 10, "{deeds:?}: {exact} readings were of one moment");
    }
}

#[test]
fn a_hung_call_is_seen_as_hung_before_and_after_the_lane_is_given_up() {
    let yaml = "version: 1
sources:
  numbers: { plugin: count, settings: { count: 10 } }
  others: { plugin: count }
stages:
  stuck: { plugin: odd, inputs: [numbers], settings: { deed: hang }, deadline: 100ms }
sinks:
  kept: { plugin: keep, inputs: [stuck], settings: { name: hung } }
  rest: { plugin: keep, inputs: [others], settings: { name: hung } }
";
    let (pipeline, every) = start(yaml, &types()).expect("starts");
    let drain = pipeline.drain_handle();
    let mut seen = None;
    look_on(pipeline, every, |live| {
        let view = live.view();
        let health = Health::of(&view);
        if matches!(view.components[2].state, ComponentState::Hung { call: "process", .. }) && seen.is_none()
        {
            assert!(!health.live && !health.ready && health.ruling == Ruling::Failing, "{health:?}");
            assert_eq!(health.reasons[0].component.as_deref(), Some("stuck"));
            seen = Some(view.components[1].state.clone());
        }
        // Given up: its records are counted as failed, and it still shows as hung.
        if view.books.components[2].account.failed > 0 {
            assert!(matches!(view.components[2].state, ComponentState::Hung { .. }));
            drain.drain();
        }
    });
    assert_eq!(seen, Some(ComponentState::Running), "the healthy one is told from the hung one");
}

#[test]
fn a_component_that_failed_for_good_makes_the_pipeline_not_ready_but_live() {
    let yaml = "version: 1
sources:
  numbers: { plugin: count, settings: { count: 10 } }
  others: { plugin: count }
stages:
  bad: { plugin: odd, inputs: [numbers], settings: { deed: fail }, restarts: { count: 0, window: 1m } }
sinks:
  kept: { plugin: keep, inputs: [bad], settings: { name: bad } }
  rest: { plugin: keep, inputs: [others], settings: { name: bad } }
";
    let (pipeline, every) = start(yaml, &types()).expect("starts");
    let (drain, live) = (pipeline.drain_handle(), pipeline.live());
    let mut seen = false;
    look_on(pipeline, every, |live| {
        let view = live.view();
        if let ComponentState::Failed(why) = &view.components[2].state {
            assert!(why.contains("odd values are not for me"), "{why}");
            let health = Health::of(&view);
            assert!(health.live && !health.ready && health.ruling == Ruling::Failing, "{health:?}");
            seen = true;
            drain.drain();
        }
    });
    assert!(seen);
    let view = live.view();
    assert_eq!((view.phase, view.lanes_running), (Phase::Ended, 0));
}

#[test]
fn lost_records_degrade_the_health_and_name_the_component() {
    let yaml = "version: 1
sources:
  numbers: { plugin: count, settings: { count: 100, per_fill: 10 }, batch: { records: 10 } }
stages:
  thief: { plugin: odd, inputs: [numbers], settings: { deed: lose_silently } }
sinks:
  kept: { plugin: keep, inputs: [thief], settings: { name: thief } }
";
    let (pipeline, every) = start(yaml, &types()).expect("starts");
    let live = pipeline.live();
    assert!(!pipeline.run(every).balances());
    let health = Health::of(&live.view());
    assert_eq!(health.ruling, Ruling::Degraded);
    let named: Vec<_> = health.reasons.iter().map(|r| (r.component.as_deref(), r.what)).collect();
    assert_eq!(named, [(Some("thief"), "unexplained")], "{health:?}");
}

#[test]
fn calls_are_timed_by_component_and_call() {
    let (pipeline, every) = start(&several(100, ["drop", "drop"], ""), &types()).expect("starts");
    let live = pipeline.live();
    pipeline.run(every);
    let view = live.view();
    let of = |name: &str, call: &str| {
        let component = view.components.iter().find(|component| component.name == name).expect("there");
        component.calls.iter().find(|times| times.call == call).map_or(0, cardcage_runtime::CallTimes::count)
    };
    assert!(
        of("a", "fill") > 0
            && of("one", "process") > 0
            && of("here", "write") > 0
            && of("here", "commit") > 0
    );
    assert_eq!(of("one", "write"), 0);
}
