use super::*;
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::{Failure, StageHarness, TestHost, contract, record};

fn of(sensor: SensorId, values: std::ops::Range<u32>) -> Vec<Record> {
    let reading = |value| Record { sensor, ..record(f64::from(value)) };
    values.map(reading).collect()
}

fn values(records: &[Record]) -> Vec<f64> {
    records.iter().map(|record| record.value).collect()
}

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn the_first_and_every_nth_reading_of_a_sensor_is_kept_across_batches() -> Result<(), Failure> {
    let host = TestHost::new();
    let sensor = host.sensor("a");
    let mut stage = StageHarness::<Sample>::open_on(host, json!({ "every": 3 }))?;
    let out = stage.process(&of(sensor, 0..4))?;
    assert_eq!((values(&out.main), out.dropped("not_sampled")), (vec![0.0, 3.0], 2));
    let out = stage.process(&of(sensor, 4..10))?;
    assert_eq!(values(&out.main), [6.0, 9.0]);
    Ok(())
}

#[test]
fn sensors_are_counted_apart() -> Result<(), Failure> {
    let host = TestHost::new();
    let (a, b) = (host.sensor("a"), host.sensor("b"));
    let mut stage = StageHarness::<Sample>::open_on(host, json!({ "every": 2 }))?;
    let mixed = [of(a, 0..1), of(b, 10..13), of(a, 1..3)].concat();
    assert_eq!(values(&stage.process(&mixed)?.main), [0.0, 10.0, 12.0, 2.0]);
    Ok(())
}

#[test]
fn every_one_keeps_all_and_every_zero_is_a_problem() -> Result<(), Failure> {
    let mut stage = StageHarness::<Sample>::open(json!({ "every": 1 }))?;
    assert_eq!(stage.process(&of(SensorId(0), 0..5))?.main.len(), 5);
    let problems = StageHarness::<Sample>::describe(json!({ "every": 0 }))?.problems;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].setting, "every");
    Ok(())
}

#[test]
fn a_made_up_sensor_id_costs_no_memory_and_passes() -> Result<(), Failure> {
    let mut stage = StageHarness::<Sample>::open(json!({ "every": 10 }))?;
    let out = stage.process(&of(SensorId(u32::MAX), 0..3))?;
    assert_eq!(out.main.len(), 3);
    Ok(())
}

/// Ids belong to one run: the state must find its sensors again in a dictionary that numbers them otherwise.
#[test]
fn state_finds_its_sensors_by_name_and_tags_in_another_run() -> Result<(), Failure> {
    let before = TestHost::new();
    let tagged = |host: TestHost, site| {
        host.host().tagged_sensor("t", &[("site", site)]).map_err(|full| Failure {
            outcome: cardcage_plugin_api::abi::Outcome::FULL,
            message: full.to_string(),
        })
    };
    let (first, second) = (tagged(before, "one")?, tagged(before, "two")?);
    let mut stage = StageHarness::<Sample>::open_on(before, json!({ "every": 4 }))?;
    stage.process(&[of(first, 0..1), of(second, 0..3)].concat())?;
    let (version, saved) = stage.snapshot()?;

    let after = TestHost::new();
    let (second, first) = (tagged(after, "two")?, tagged(after, "one")?);
    let mut stage = StageHarness::<Sample>::open_on(after, json!({ "every": 4 }))?;
    stage.restore(version, &saved)?;
    assert_eq!(values(&stage.process(&of(first, 1..6))?.main), [4.0]);
    assert_eq!(values(&stage.process(&of(second, 3..6))?.main), [4.0]);
    Ok(())
}

#[test]
fn a_state_from_a_larger_interval_or_a_newer_version_is_handled() -> Result<(), Failure> {
    let host = TestHost::new();
    let sensor = host.sensor("a");
    let mut stage = StageHarness::<Sample>::open_on(host, json!({ "every": 100 }))?;
    stage.process(&of(sensor, 0..1))?;
    let (version, saved) = stage.snapshot()?;
    let mut stage = StageHarness::<Sample>::open_on(host, json!({ "every": 2 }))?;
    stage.restore(version, &saved)?;
    assert_eq!(values(&stage.process(&of(sensor, 1..4))?.main), [2.0]);
    assert!(stage.restore(version + 1, &saved).is_err());
    assert!(stage.restore(version, b"{").is_err());
    Ok(())
}
