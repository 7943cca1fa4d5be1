use super::*;
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{Failure, START_NS, SourceHarness, TestHost, contract};

const MS: i64 = 1_000_000;

fn open(settings: Value) -> Result<SourceHarness<Generate>, Failure> {
    SourceHarness::open(settings)
}

fn values(settings: Value) -> Result<Vec<f64>, Failure> {
    let records = open(settings)?.until_finished()?;
    Ok(records.iter().map(|record| record.value).collect())
}

fn close_to(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }
}

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn a_count_ends_the_source_and_positions_are_records_made() -> Result<(), Failure> {
    let mut source = open(json!({ "count": 10, "waveform": "count" }))?.with_capacity(4);
    let mut seen = Vec::new();
    for (expected, position) in
        [(Fill::Produced, 4), (Fill::Produced, 8), (Fill::Finished, 10), (Fill::Finished, 0)]
    {
        let filled = source.fill()?;
        assert_eq!((filled.fill, filled.header.position), (expected, position));
        seen.extend(filled.records.iter().map(|record| record.value));
    }
    assert_eq!(seen, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    Ok(())
}

#[test]
fn sensors_take_turns_under_their_names() -> Result<(), Failure> {
    let host = TestHost::new();
    host.sensor("taken before");
    let settings = json!({ "count": 5, "sensors": 2, "unit": "degC" });
    let records = SourceHarness::<Generate>::open_on(host, settings)?.until_finished()?;
    let names: Vec<&str> = records.iter().map(|record| host.sensor_name(record.sensor)).collect();
    assert_eq!(names, ["generate-0", "generate-1", "generate-0", "generate-1", "generate-0"]);
    assert!(records.iter().all(|record| host.unit_code(record.unit) == "degC"));
    Ok(())
}

/// Turns are written out in runs; nobody may lose a turn where one run ends, or where a batch begins.
#[test]
fn nobody_loses_a_turn_in_a_long_run() -> Result<(), Failure> {
    for (sensors, waveform) in [(3, "count"), (7, "constant"), (1500, "noise"), (7, "square")] {
        let settings = json!({ "count": 9_000, "sensors": sensors, "waveform": waveform });
        let mut source = open(settings)?.with_capacity(4_001);
        for (number, record) in (0..).zip(source.until_finished()?) {
            assert_eq!(
                record.sensor,
                SensorId(number % sensors),
                "number {number} of {sensors} by {waveform}"
            );
        }
    }
    Ok(())
}

#[test]
fn each_waveform_has_its_shape() -> Result<(), Failure> {
    let wave = |waveform: &str| {
        values(
            json!({ "count": 8, "sensors": 1, "period": 8, "amplitude": 2, "offset": 1, "waveform": waveform }),
        )
    };
    let root = 2.0_f64.sqrt();
    close_to(&wave("sine")?, &[1.0, 1.0 + root, 3.0, 1.0 + root, 1.0, 1.0 - root, -1.0, 1.0 - root]);
    close_to(&wave("triangle")?, &[1.0, 2.0, 3.0, 2.0, 1.0, 0.0, -1.0, 0.0]);
    close_to(&wave("square")?, &[3.0, 3.0, 3.0, 3.0, -1.0, -1.0, -1.0, -1.0]);
    close_to(&wave("sawtooth")?, &[-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
    close_to(&wave("constant")?, &[3.0; 8]);
    close_to(&wave("count")?, &[1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0]);
    Ok(())
}

#[test]
fn noise_fills_its_band_evenly_and_follows_its_seed() -> Result<(), Failure> {
    let noise = |seed: u64| {
        values(json!({ "count": 10_000, "waveform": "noise", "amplitude": 2, "offset": 5, "seed": seed }))
    };
    let first = noise(1)?;
    assert_eq!(first, noise(1)?);
    assert_ne!(first, noise(2)?);
    assert!(first.iter().all(|value| (3.0..7.0).contains(value)));
    for quarter in [3.0, 4.0, 5.0, 6.0] {
        let inside = first.iter().filter(|value| (quarter..quarter + 1.0).contains(*value)).count();
        assert!((2_200..2_800).contains(&inside), "{inside} of 10000 from {quarter}");
    }
    Ok(())
}

#[test]
fn flat_out_every_reading_has_a_time_of_its_own_and_time_never_goes_back() -> Result<(), Failure> {
    let mut source = open(json!({}))?.with_capacity(100);
    let mut last = i64::MIN;
    // The clock stands still, jumps, and is set back.
    for now in [START_NS, START_NS, START_NS + MS, START_NS - MS] {
        source.host().set_now_ns(now);
        for record in source.fill()?.records {
            assert!(record.timestamp_ns > last);
            last = record.timestamp_ns;
        }
    }
    assert_eq!(last, START_NS + MS + 199);
    Ok(())
}

#[test]
fn a_rate_is_kept_without_a_wake_up_for_every_reading() -> Result<(), Failure> {
    let mut source = open(json!({ "rate": 10_000 }))?;
    let host = source.host();
    let (mut made, mut idles) = (0, 0);
    while host.now_ns() < START_NS + 1_000 * MS {
        let filled = source.fill()?;
        made += filled.records.len();
        match filled.fill {
            Fill::IdleUntil(at) => {
                assert!(at > host.now_ns());
                assert!(filled.records.is_empty());
                idles += 1;
                host.set_now_ns(at);
            }
            other => assert_eq!(other, Fill::Produced),
        }
    }
    assert_eq!(idles, 100);
    assert_eq!(made, 9_901, "one at once, then 100 each 10 ms up to 990 ms");
    Ok(())
}

#[test]
fn a_rate_is_kept_in_batches_that_hold_less_than_what_is_due() -> Result<(), Failure> {
    let mut source = open(json!({ "rate": 100_000 }))?.with_capacity(16);
    let host = source.host();
    let mut made = 0;
    while host.now_ns() < START_NS + 100 * MS {
        let filled = source.fill()?;
        made += filled.records.len();
        if let Fill::IdleUntil(at) = filled.fill {
            host.set_now_ns(at);
        }
    }
    assert!((9_000..=11_000).contains(&made), "{made} in a tenth of a second");
    Ok(())
}

#[test]
fn slow_rates_give_one_reading_at_its_time() -> Result<(), Failure> {
    let mut source = open(json!({ "rate": 0.5, "count": 3 }))?;
    let records = source.until_finished()?;
    let times: Vec<i64> = records.iter().map(|record| record.timestamp_ns - START_NS).collect();
    assert_eq!(times, [0, 2_000 * MS, 4_000 * MS]);
    assert_eq!(source.host().now_ns(), START_NS + 4_000 * MS);
    Ok(())
}

#[test]
fn a_blocked_pipeline_is_made_up_for_but_a_night_asleep_is_not() -> Result<(), Failure> {
    let mut source = open(json!({ "rate": 100 }))?;
    assert_eq!(source.fill()?.records.len(), 1);
    source.host().set_now_ns(START_NS + 5_000 * MS);
    assert_eq!(source.fill()?.records.len(), 500);
    source.host().set_now_ns(START_NS + 8 * 3_600_000 * MS);
    let after = source.fill()?;
    assert_eq!(after.records.len(), 1);
    assert_eq!(after.records[0].timestamp_ns, source.host().now_ns());
    Ok(())
}

#[test]
fn a_clock_that_is_set_back_does_not_silence_the_source() -> Result<(), Failure> {
    let mut source = open(json!({ "rate": 10 }))?;
    source.fill()?;
    source.host().set_now_ns(START_NS - 3_600_000 * MS);
    assert_eq!(source.fill()?.records.len(), 1);
    Ok(())
}

#[test]
fn with_a_start_every_run_gives_the_same_records_however_batches_are_cut() -> Result<(), Failure> {
    for rate in [json!(null), json!(3), json!(70_000)] {
        let settings = json!({ "count": 1000, "start": 5, "rate": rate, "waveform": "noise", "seed": 9 });
        let whole = open(settings.clone())?.until_finished()?;
        let mut cut = open(settings)?.with_capacity(7);
        cut.host().set_now_ns(START_NS + 77);
        assert_eq!(whole, cut.until_finished()?, "rate {rate}");
        assert_eq!(whole[0].timestamp_ns, 5);
    }
    Ok(())
}

#[test]
fn a_restored_source_goes_on_behind_the_last_record() -> Result<(), Failure> {
    let settings = json!({ "count": 100, "start": 0, "waveform": "noise" });
    let whole = open(settings.clone())?.until_finished()?;
    let mut first = open(settings.clone())?.with_capacity(30);
    first.fill()?;
    let (version, state) = first.snapshot()?;
    let mut second = open(settings)?;
    second.restore(version, &state)?;
    assert_eq!(second.until_finished()?, whole[30..]);
    assert!(second.restore(version + 1, &state).is_err());
    assert!(second.restore(version, &state[1..]).is_err());
    Ok(())
}

#[test]
fn a_restored_rate_goes_on_from_now() -> Result<(), Failure> {
    let mut first = open(json!({ "rate": 1, "count": 10 }))?;
    first.fill()?;
    let (version, state) = first.snapshot()?;
    let mut second = open(json!({ "rate": 1, "count": 3 }))?;
    second.restore(version, &state)?;
    second.host().set_now_ns(START_NS + 3_600_000 * MS);
    let records = second.until_finished()?;
    let times: Vec<i64> =
        records.iter().map(|record| record.timestamp_ns - START_NS - 3_600_000 * MS).collect();
    assert_eq!(times, [0, 1_000 * MS]);
    Ok(())
}

#[test]
fn what_it_will_do_is_described() -> Result<(), Failure> {
    let described = SourceHarness::<Generate>::describe(json!({ "count": 1, "unit": "kPa" }))?;
    assert!(described.capabilities.has(Capability::Finite));
    assert!(!described.capabilities.has(Capability::Deterministic), "the clock gives the times");
    assert_eq!(described.units.gives, Some(vec!["kPa".to_owned()]));
    let described = SourceHarness::<Generate>::describe(json!({ "start": 0 }))?;
    assert!(!described.capabilities.has(Capability::Finite));
    assert!(described.capabilities.has(Capability::Deterministic));
    Ok(())
}

#[test]
fn settings_that_make_no_sense_are_problems() -> Result<(), Failure> {
    for (settings, setting) in [
        (json!({ "rate": 0 }), "rate"),
        (json!({ "rate": -5 }), "rate"),
        (json!({ "rate": 1e10 }), "rate"),
        (json!({ "sensors": 0 }), "sensors"),
        (json!({ "sensors": 2_000_000 }), "sensors"),
        (json!({ "period": 0 }), "period"),
    ] {
        let problems = SourceHarness::<Generate>::describe(settings.clone())?.problems;
        assert_eq!(problems.len(), 1, "{settings}");
        assert_eq!(problems[0].setting, setting);
        assert!(open(settings).is_err());
    }
    Ok(())
}
