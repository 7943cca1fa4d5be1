//! The source as the host drives it, on the machine that the tests run on.

use super::{CardcagePlugin, HostSource, next_due_ns};
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::{START_NS, SourceHarness, TestHost, contract};
use cardcage_plugin_api::{Fill, Record};

const SECOND_NS: i64 = 1_000_000_000;

fn open(settings: cardcage_plugin_api::serde_json::Value) -> SourceHarness<HostSource> {
    SourceHarness::open(settings).unwrap()
}

fn value(host: TestHost, records: &[Record], name: &str) -> Option<(f64, &'static str)> {
    let found = records.iter().find(|record| host.sensor_name(record.sensor) == name)?;
    Some((found.value, host.unit_code(found.unit)))
}

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn the_first_round_comes_at_once_and_the_next_when_it_is_due() {
    let mut source = open(json!({ "every": "1s" }));
    let host = source.host();
    let first = source.fill().unwrap();
    assert_eq!(first.fill, Fill::Produced);
    assert!(first.records.iter().all(|record| record.timestamp_ns == START_NS));
    let (total, unit) = value(host, &first.records, "memory.total").unwrap();
    assert!(total > 1e6 && unit == "By", "{total} {unit}");
    let (used, _) = value(host, &first.records, "memory.used").unwrap();
    assert!(used > 0.0 && used < total);
    assert!(value(host, &first.records, "uptime").unwrap().0 > 0.0);
    assert_eq!(source.fill().unwrap().fill, Fill::IdleUntil(START_NS + SECOND_NS));
    host.set_now_ns(START_NS + SECOND_NS);
    let second = source.fill().unwrap();
    let (usage, unit) = value(host, &second.records, "cpu.usage").unwrap();
    assert!((0.0..=100.0).contains(&usage) && unit == "%", "{usage} {unit}");
}

#[test]
fn a_round_that_does_not_fit_a_batch_comes_in_several() {
    let settings = json!({ "groups": ["memory", "load"] });
    let whole = open(settings.clone()).fill().unwrap().records.len();
    let mut source = open(settings).with_capacity(2);
    let mut taken = 0;
    while let filled = source.fill().unwrap()
        && filled.fill == Fill::Produced
    {
        taken += filled.records.len();
    }
    assert_eq!(taken, whole);
}

#[test]
fn a_full_dictionary_rejects_readings_and_goes_on() {
    let host = TestHost::new().with_limits(2, 100);
    let mut source = SourceHarness::<HostSource>::open_on(host, json!({ "groups": ["load"] })).unwrap();
    let filled = source.fill().unwrap();
    assert_eq!((filled.records.len(), filled.rejected("sensor_limit")), (2, 1));
}

#[test]
fn missed_rounds_are_not_made_up_for() {
    assert_eq!(next_due_ns(0, 0, 10), 10);
    assert_eq!(next_due_ns(10, 12, 10), 20);
    assert_eq!(next_due_ns(10, 45, 10), 50);
    assert_eq!(next_due_ns(10, 5, 10), 20);
}

#[test]
fn settings_that_cannot_work_are_problems() {
    for (settings, setting) in [
        (json!({ "every": "10ms" }), "every"),
        (json!({ "groups": [] }), "groups"),
        (json!({ "groups": ["cpu", "cpu"] }), "groups"),
    ] {
        let description = SourceHarness::<HostSource>::describe(settings).unwrap();
        assert_eq!(description.problems[0].setting, setting);
    }
    let failure = SourceHarness::<HostSource>::describe(json!({ "every": "1" })).unwrap_err();
    assert!(failure.message.contains("`every`: `1` has no unit; write `1s`"), "{failure}");
}
