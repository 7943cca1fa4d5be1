use super::*;
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{Failure, StageHarness, TestHost, contract, record};

fn records(values: &[f64]) -> Vec<Record> {
    values.iter().map(|value| record(*value)).collect()
}

fn values(records: &[Record]) -> Vec<f64> {
    records.iter().map(|record| record.value).collect()
}

fn problems(settings: Value) -> Result<Vec<String>, Failure> {
    let description = StageHarness::<Range>::describe(settings)?;
    Ok(description.problems.into_iter().map(|problem| problem.message).collect())
}

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn readings_outside_go_to_the_port_and_the_bounds_are_inside() -> Result<(), Failure> {
    let mut stage = StageHarness::<Range>::open(json!({ "min": 0, "max": 1 }))?;
    let out = stage.process(&records(&[0.0, -0.1, 1.0, 1.1, 0.5]))?;
    assert_eq!(values(&out.main), [0.0, 1.0, 0.5]);
    assert_eq!(values(out.port("dropped")), [-0.1, 1.1]);
    assert_eq!(out.dropped("out_of_range"), 0, "given to the port is not dropped");
    Ok(())
}

#[test]
fn without_a_consumer_on_the_port_they_are_dropped_with_a_reason() -> Result<(), Failure> {
    let mut stage = StageHarness::<Range>::open(json!({ "max": 1 }))?.without_consumer("dropped");
    let out = stage.process(&records(&[5.0, 0.5, 7.0]))?;
    assert_eq!(values(&out.main), [0.5]);
    assert_eq!(out.dropped("out_of_range"), 2);
    Ok(())
}

#[test]
fn flagging_keeps_every_reading() -> Result<(), Failure> {
    let mut stage = StageHarness::<Range>::open(json!({ "min": 0, "on_violation": "flag" }))?;
    let out = stage.process(&records(&[1.0, -1.0]))?;
    assert_eq!(values(&out.main), [1.0, -1.0]);
    assert_eq!(out.main[0].quality, Quality::GOOD);
    assert!(out.main[1].quality.has(Quality::OUT_OF_RANGE));
    assert_eq!(out.main[1].quality.status(), Status::Bad);
    Ok(())
}

#[test]
fn nan_is_outside_and_infinity_is_inside_an_open_end() -> Result<(), Failure> {
    let mut stage = StageHarness::<Range>::open(json!({ "min": 0 }))?.without_consumer("dropped");
    let out = stage.process(&records(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]))?;
    assert_eq!(values(&out.main), [f64::INFINITY]);
    assert_eq!(out.dropped("out_of_range"), 2);
    Ok(())
}

/// Violations at every place of a chunk, and chunks of all kinds one after the other.
#[test]
fn whatever_the_pattern_order_and_counts_are_those_of_a_plain_filter() -> Result<(), Failure> {
    for (length, step) in
        [(1, 1), (63, 7), (64, 64), (65, 64), (200, 3), (4096, 130), (500, 499), (300, 1000)]
    {
        let input: Vec<Record> = (0..length)
            .map(|index| record(if index % step == step - 1 { -1.0 } else { f64::from(index) }))
            .collect();
        let expected: Vec<Record> = input.iter().copied().filter(|record| record.value >= 0.0).collect();
        let mut stage = StageHarness::<Range>::open(json!({ "min": 0 }))?.without_consumer("dropped");
        let out = stage.process(&input)?;
        assert_eq!(out.main, expected, "{length} records, every {step}th outside");
        assert_eq!(out.dropped("out_of_range"), (input.len() - expected.len()) as u64);
    }
    Ok(())
}

#[test]
fn bounds_that_check_nothing_or_exclude_everything_are_problems() -> Result<(), Failure> {
    assert!(problems(json!({}))?[0].contains("none of `min`, `max` and `limits`"));
    assert!(problems(json!({ "min": 2, "max": 1 }))?[0].contains("`min` (2) is above `max` (1)"));
    assert_eq!(problems(json!({ "min": 1, "max": 1 }))?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_misspelt_setting_is_named() {
    let error = StageHarness::<Range>::describe(json!({ "minimum": 1 })).err();
    assert!(error.is_some_and(|failure| failure.message.contains("unknown field `minimum`")));
}

fn reading(host: TestHost, value: f64, unit: &str) -> Record {
    Record { unit: host.unit(unit), ..record(value) }
}

fn limits() -> Value {
    json!({ "limits": {
        "temperature": { "min": "-50 degC", "max": "200 degC" },
        "pressure": { "max": "1.2 MPa" },
        "K": { "min": 250 },
    } })
}

#[test]
fn each_dimension_has_bounds_that_are_converted_to_the_readings_unit() -> Result<(), Failure> {
    let host = TestHost::new();
    let mut stage = StageHarness::<Range>::open_on(host, limits())?.without_consumer("dropped");
    let inside = [
        reading(host, -50.0, "degC"),
        reading(host, 392.0, "degF"),
        reading(host, 12.0, "bar"),
        reading(host, 1e9, "W"),
        reading(host, 1e9, ""),
        reading(host, 1e9, "furlong"),
    ];
    let outside = [
        reading(host, -50.1, "degC"),
        reading(host, 392.1, "degF"),
        reading(host, 12.1, "bar"),
        reading(host, f64::NAN, "Pa"),
    ];
    let out = stage.process(&[&inside[..], &outside[..]].concat())?;
    assert_eq!(out.main, inside);
    assert_eq!(out.dropped("out_of_range"), outside.len() as u64);
    Ok(())
}

#[test]
fn a_unit_goes_before_its_dimension_and_min_and_max_are_for_the_others() -> Result<(), Failure> {
    let host = TestHost::new();
    let mut settings = limits();
    settings["min"] = json!(0);
    let mut stage = StageHarness::<Range>::open_on(host, settings)?;
    let given = [
        reading(host, 240.0, "K"),
        reading(host, 1e6, "K"),
        reading(host, -40.0, "degC"),
        reading(host, -1.0, "W"),
        reading(host, -1.0, "bar"),
    ];
    let out = stage.process(&given)?;
    assert_eq!(out.main, [given[1], given[2], given[4]]);
    assert_eq!(out.port("dropped"), [given[0], given[3]]);
    Ok(())
}

/// Of readings that no setting speaks of, nothing is judged, not even NaN.
#[test]
fn what_has_no_bounds_passes_whatever_it_is() -> Result<(), Failure> {
    let host = TestHost::new();
    let mut stage = StageHarness::<Range>::open_on(host, limits())?;
    assert_eq!(stage.process(&[reading(host, f64::NAN, "W")])?.main.len(), 1);
    Ok(())
}

/// Chunks of one unit and chunks of several take different ways through the code.
#[test]
fn long_batches_of_one_and_of_mixed_units_are_judged_alike() -> Result<(), Failure> {
    for on_violation in ["drop", "flag"] {
        let host = TestHost::new();
        let mut settings = limits();
        settings["on_violation"] = json!(on_violation);
        let (celsius, watt) = (host.unit("degC"), host.unit("W"));
        let one_unit: Vec<Record> =
            (0..500).map(|value| Record { unit: celsius, ..record(f64::from(value)) }).collect();
        let mut mixed = one_unit.clone();
        for record in mixed.iter_mut().step_by(3) {
            record.unit = watt;
        }
        let mut stage = StageHarness::<Range>::open_on(host, settings)?;
        for input in [one_unit, mixed] {
            let fits = |record: &&Record| record.unit == watt || record.value <= 200.0;
            let expected: Vec<f64> = input.iter().filter(fits).map(|record| record.value).collect();
            let out = stage.process(&input)?;
            let good: Vec<f64> =
                out.main.iter().filter(|r| r.quality == Quality::GOOD).map(|r| r.value).collect();
            assert_eq!(good, expected, "{on_violation}");
        }
    }
    Ok(())
}

#[test]
fn wrong_limits_are_named_with_a_way_out() -> Result<(), Failure> {
    let only = |limits: Value| -> Result<String, Failure> {
        let mut found = StageHarness::<Range>::describe(json!({ "limits": limits }))?.problems;
        assert_eq!(found.len(), 1, "{found:?}");
        let problem = found.remove(0);
        Ok(format!("{}: {}", problem.setting, problem.message))
    };
    assert_eq!(
        only(json!({ "temprature": { "min": 1 } }))?,
        "limits.temprature: `temprature` is neither a dimension nor a unit; did you mean `temperature`?"
    );
    assert_eq!(
        only(json!({ "temperature": { "min": "5 kPa" } }))?,
        "limits.temperature.min: `kPa` measures pressure, not temperature"
    );
    assert_eq!(
        only(json!({ "temperature": { "max": "5 dgeC" } }))?,
        "limits.temperature.max: `dgeC` is not a known unit; did you mean `5 degC`?"
    );
    assert!(only(json!({ "temperature": { "max": "hot" } }))?.contains("does not begin with a number"));
    assert!(only(json!({ "temperature": { "max": "20" } }))?.contains("has no unit"));
    assert!(only(json!({ "temperature": { "max": "inf degC" } }))?.contains("does not begin with a number"));
    assert!(only(json!({ "temperature": {} }))?.contains("neither `min` nor `max`"));
    for upside_down in [
        json!({ "temperature": { "min": "0 degC", "max": "20 degF" } }),
        json!({ "temperature": { "min": 2, "max": 1 } }),
        json!({ "degC": { "min": 0, "max": "20 degF" } }),
    ] {
        assert!(only(upside_down)?.ends_with("nothing would pass"));
    }
    assert_eq!(
        problems(json!({ "limits": { "pressure": { "min": "1e3 Pa", "max": "2 bar" } } }))?,
        Vec::<String>::new()
    );
    let error = StageHarness::<Range>::describe(json!({ "limits": { "K": { "min": true } } })).err();
    assert!(error.is_some_and(|failure| failure.message.contains("a number with its unit")));
    Ok(())
}
