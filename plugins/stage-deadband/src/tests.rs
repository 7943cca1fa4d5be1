use super::*;
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{Failure, StageHarness, TestHost, contract, record};
use proptest::prelude::*;

const SECOND_NS: i64 = 1_000_000_000;

/// Readings of one sensor, a second apart.
fn readings(sensor: SensorId, values: &[f64]) -> Vec<Record> {
    let one =
        |(second, value): (i64, &f64)| Record { sensor, timestamp_ns: second * SECOND_NS, ..record(*value) };
    (0..).zip(values).map(one).collect()
}

fn values(records: &[Record]) -> Vec<f64> {
    records.iter().map(|record| record.value).collect()
}

fn passed(settings: Value, given: &[f64]) -> Result<Vec<f64>, Failure> {
    let host = TestHost::new();
    let mut stage = StageHarness::<Deadband>::open_on(host, settings)?;
    let out = stage.process(&readings(host.sensor("a"), given))?;
    assert_eq!(out.main.len() as u64 + out.dropped("within_deadband"), given.len() as u64);
    Ok(values(&out.main))
}

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn what_moved_by_more_than_the_band_passes_and_is_the_new_middle() -> Result<(), Failure> {
    let given = [10.0, 10.5, 10.6, 11.0, 11.1, 10.7, 10.0];
    assert_eq!(passed(json!({ "absolute": 0.5 }), &given)?, [10.0, 10.6, 10.0]);
    assert_eq!(passed(json!({ "absolute": 0 }), &[1.0, 1.0, 1.000_000_1, 1.0])?, [1.0, 1.000_000_1, 1.0]);
    Ok(())
}

/// Small steps in one direction must not go unseen: the band is around what passed, not around what came last.
#[test]
fn a_slow_drift_passes_in_the_end() -> Result<(), Failure> {
    let given: Vec<f64> = (0..100).map(|step| f64::from(step) * 0.25).collect();
    let out = passed(json!({ "absolute": 1 }), &given)?;
    assert_eq!(out.len(), 20);
    assert_eq!(out[..3], [0.0, 1.25, 2.5]);
    Ok(())
}

#[test]
fn a_percentage_is_of_the_last_that_passed_and_nothing_around_zero() -> Result<(), Failure> {
    let given = [100.0, 110.0, 111.0, 100.0, 0.0, 1e-9, 0.0, -100.0, -105.0];
    assert_eq!(
        passed(json!({ "percent": 10 }), &given)?,
        [100.0, 111.0, 0.0, 1e-9, 0.0, -100.0].as_slice(),
        "100 is within 10 % of 111"
    );
    Ok(())
}

#[test]
fn nan_always_passes_and_so_does_the_first_number_behind_it() -> Result<(), Failure> {
    let out = passed(json!({ "absolute": 5 }), &[1.0, f64::NAN, f64::NAN, 1.0, 1.0])?;
    assert_eq!(out.len(), 4);
    assert_eq!((out[0], out[1].is_nan(), out[2].is_nan(), out[3]), (1.0, true, true, 1.0));
    let infinite = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, 0.0];
    assert_eq!(passed(json!({ "absolute": 5 }), &infinite)?, [f64::INFINITY, f64::NEG_INFINITY, 0.0]);
    Ok(())
}

#[test]
fn a_change_of_quality_or_unit_passes() -> Result<(), Failure> {
    let host = TestHost::new();
    let mut stage = StageHarness::<Deadband>::open_on(host, json!({ "absolute": 5 }))?;
    let mut given = readings(host.sensor("a"), &[1.0, 1.0, 1.0, 1.0, 1.0]);
    given[1].quality = Quality::GOOD.with_status(Status::Bad);
    given[2].quality = given[1].quality;
    given[4].unit = host.unit("K");
    let out = stage.process(&given)?;
    assert_eq!(out.main, [given[0], given[1], given[3], given[4]]);
    Ok(())
}

#[test]
fn after_the_longest_silence_a_steady_sensor_is_heard() -> Result<(), Failure> {
    let settings = json!({ "absolute": 5, "longest_silence": "3s" });
    let host = TestHost::new();
    let mut stage = StageHarness::<Deadband>::open_on(host, settings)?;
    let given = readings(host.sensor("a"), &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(values(&stage.process(&given)?.main), [0.0, 3.0, 6.0]);
    Ok(())
}

/// A late reading is judged by its value; one from a clock that was set back ends the silence.
#[test]
fn time_that_goes_back_a_little_or_a_lot() -> Result<(), Failure> {
    let host = TestHost::new();
    let sensor = host.sensor("a");
    let at = |second: i64, value: f64| Record { sensor, timestamp_ns: second * SECOND_NS, ..record(value) };
    let mut stage =
        StageHarness::<Deadband>::open_on(host, json!({ "absolute": 5, "longest_silence": "1m" }))?;
    let given = [at(1000, 1.0), at(990, 2.0), at(980, 9.0), at(10, 9.0), at(20, 9.0)];
    assert_eq!(stage.process(&given)?.main, [given[0], given[2], given[3]]);
    let extremes = [i64::MIN, i64::MAX, 0].map(|timestamp_ns| Record { timestamp_ns, ..at(0, 9.0) });
    assert_eq!(stage.process(&extremes)?.main.len(), 3);
    Ok(())
}

#[test]
fn sensors_are_judged_apart_and_across_batches() -> Result<(), Failure> {
    let host = TestHost::new();
    let (a, b) = (host.sensor("a"), host.sensor("b"));
    let mut stage = StageHarness::<Deadband>::open_on(host, json!({ "absolute": 1 }))?;
    let mixed =
        [readings(a, &[0.0]), readings(b, &[10.0]), readings(a, &[0.5]), readings(b, &[12.0])].concat();
    assert_eq!(values(&stage.process(&mixed)?.main), [0.0, 10.0, 12.0]);
    assert_eq!(values(&stage.process(&readings(b, &[12.5, 0.0]))?.main), [0.0]);
    Ok(())
}

#[test]
fn a_made_up_sensor_id_costs_no_memory_and_passes() -> Result<(), Failure> {
    let mut stage = StageHarness::<Deadband>::open(json!({ "absolute": 1 }))?;
    assert_eq!(stage.process(&readings(SensorId(u32::MAX), &[1.0, 1.0]))?.main.len(), 2);
    Ok(())
}

/// Ids belong to one run: the state must find sensors and units again in a dictionary that numbers them otherwise.
#[test]
fn state_finds_its_sensors_and_units_in_another_run() -> Result<(), Failure> {
    let before = TestHost::new();
    let settings = json!({ "absolute": 1 });
    let mut stage = StageHarness::<Deadband>::open_on(before, settings.clone())?;
    let unit = before.unit("degC");
    let last = |sensor, value, unit| Record { sensor, unit, ..record(value) };
    let given = [last(before.sensor("a"), 5.0, unit), last(before.sensor("b"), f64::NAN, unit)];
    stage.process(&[given[0], given[1], last(before.sensor("c"), f64::INFINITY, UnitId::NONE)])?;
    let (version, saved) = stage.snapshot()?;
    assert_eq!(version, 2);

    let after = TestHost::new();
    after.unit("bar");
    let (c, b, a) = (after.sensor("c"), after.sensor("b"), after.sensor("a"));
    let unit = after.unit("degC");
    let mut stage = StageHarness::<Deadband>::open_on(after, settings)?;
    stage.restore(version, &saved)?;
    let given = [
        last(a, 5.5, unit),
        last(b, 1.0, unit),
        last(c, f64::INFINITY, UnitId::NONE),
        last(a, 5.5, UnitId::NONE),
    ];
    assert_eq!(stage.process(&given)?.main, [given[1], given[3]]);
    Ok(())
}

#[test]
fn an_older_state_is_read_and_a_newer_or_damaged_one_is_not() -> Result<(), Failure> {
    let host = TestHost::new();
    let sensor = host.sensor("a");
    let mut stage = StageHarness::<Deadband>::open_on(host, json!({ "absolute": 1 }))?;
    // Neither unit nor quality: what comes next is judged by its value, and the one after it by all.
    let old = br#"[{"sensor":"a","tags":[],"value":"20.5","timestamp_ns":5}]"#;
    stage.restore(1, old)?;
    let bad = Record { sensor, quality: Quality::GOOD.with_status(Status::Bad), ..record(21.0) };
    assert_eq!(stage.process(&[bad])?.main, []);
    assert_eq!(
        stage.process(&[Record { value: 30.0, ..bad }, Record { sensor, ..record(30.0) }])?.main.len(),
        2
    );
    let (version, saved) = stage.snapshot()?;
    assert!(stage.restore(version + 1, &saved).is_err());
    assert!(stage.restore(0, &saved).is_err());
    assert!(stage.restore(version, b"{").is_err());
    assert!(stage.restore(version, br#"[{"sensor":"a","value":"much","timestamp_ns":5}]"#).is_err());
    Ok(())
}

#[test]
fn settings_without_a_band_or_with_two_are_problems() -> Result<(), Failure> {
    let problems = |settings| -> Result<Vec<(String, String)>, Failure> {
        let found = StageHarness::<Deadband>::describe(settings)?.problems;
        Ok(found.into_iter().map(|problem| (problem.setting, problem.message)).collect())
    };
    let (setting, message) = problems(json!({}))?.remove(0);
    assert!(setting.is_empty() && message.contains("neither `absolute` nor `percent`"), "{message}");
    assert_eq!(problems(json!({ "absolute": 1, "percent": 1 }))?[0].0, "percent");
    assert_eq!(problems(json!({ "absolute": -1 }))?[0].1, "-1 is no width of a band; write 0 or more");
    assert_eq!(problems(json!({ "percent": 1, "longest_silence": "0s" }))?[0].0, "longest_silence");
    assert!(StageHarness::<Deadband>::open(json!({})).is_err());
    Ok(())
}

proptest! {
    /// Whatever comes: what is dropped is never further from what passed before it than the band.
    #[test]
    fn what_is_known_downstream_is_never_off_by_more_than_the_band(
        given in proptest::collection::vec((0..3_u32, -10.0..10.0_f64), 1..200), band in 0.0..5.0_f64,
    ) {
        let host = TestHost::new();
        let sensors = ["a", "b", "c"].map(|name| host.sensor(name));
        let opened = StageHarness::<Deadband>::open_on(host, json!({ "absolute": band }));
        let mut stage = opened.map_err(|failure| TestCaseError::fail(failure.message))?;
        let mut known = [f64::NAN; 3];
        for (sensor, value) in given {
            let at = sensor as usize;
            let out = stage.process(&[Record { sensor: sensors[at], ..record(value) }]);
            let out = out.map_err(|failure| TestCaseError::fail(failure.message))?;
            if let Some(passed) = out.main.first() {
                known[at] = passed.value;
            }
            prop_assert!((known[at] - value).abs() <= band, "{value} is unseen behind {}", known[at]);
        }
    }
}
