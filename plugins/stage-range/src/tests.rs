use super::*;
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{Failure, StageHarness, contract, record};

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
    assert!(problems(json!({}))?[0].contains("neither `min` nor `max`"));
    assert!(problems(json!({ "min": 2, "max": 1 }))?[0].contains("`min` (2) is above `max` (1)"));
    assert_eq!(problems(json!({ "min": 1, "max": 1 }))?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_misspelt_setting_is_named() {
    let error = StageHarness::<Range>::describe(json!({ "minimum": 1 })).err();
    assert!(error.is_some_and(|failure| failure.message.contains("unknown field `minimum`")));
}
