use super::*;
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{Failure, StageHarness, TestHost, contract, record};

fn reading(host: TestHost, value: f64, unit: &str) -> Record {
    Record { unit: host.unit(unit), ..record(value) }
}

/// Each reading's value with its unit's code.
fn shown(host: TestHost, records: &[Record]) -> Vec<(f64, &'static str)> {
    records.iter().map(|record| (record.value, host.unit_code(record.unit))).collect()
}

fn problems(settings: Value) -> Result<Vec<(String, String)>, Failure> {
    let description = StageHarness::<Convert>::describe(settings)?;
    Ok(description.problems.into_iter().map(|problem| (problem.setting, problem.message)).collect())
}

fn only_problem(settings: Value) -> Result<String, Failure> {
    let mut found = problems(settings)?;
    assert_eq!(found.len(), 1, "{found:?}");
    let (setting, message) = found.remove(0);
    Ok(format!("{setting}: {message}"))
}

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn readings_of_the_targets_dimension_are_converted() -> Result<(), Failure> {
    let host = TestHost::new();
    let mut stage = StageHarness::<Convert>::open_on(host, json!({ "to": "degF" }))?;
    let input = [
        reading(host, 37.0, "degC"),
        reading(host, 273.15, "K"),
        reading(host, 98.6, "degF"),
        reading(host, 98.6, "[degF]"),
    ];
    let out = stage.process(&input)?;
    assert_eq!(shown(host, &out.main), [(98.6, "degF"), (32.0, "degF"), (98.6, "degF"), (98.6, "degF")]);
    Ok(())
}

/// One unit says what all readings are; several pick among what comes; and the setting says it outright.
#[test]
fn a_reading_of_another_dimension_is_rejected_or_passes_as_the_settings_have_it() -> Result<(), Failure> {
    for (settings, rejects) in [
        (json!({ "to": "degF" }), true),
        (json!({ "to": "degF", "on_other_dimension": "pass" }), false),
        (json!({ "to": ["degF"] }), false),
        (json!({ "to": { "temperature": "degF" } }), false),
        (json!({ "to": { "temperature": "degF" }, "on_other_dimension": "reject" }), true),
    ] {
        let host = TestHost::new();
        let mut stage = StageHarness::<Convert>::open_on(host, settings.clone())?;
        // Readings without a unit, and with one that nobody knows, are another question.
        let input = [
            reading(host, 37.0, "degC"),
            reading(host, 1013.0, "hPa"),
            reading(host, 5.0, ""),
            reading(host, 6.0, "widgets"),
        ];
        let out = stage.process(&input)?;
        let mut wanted = vec![(98.6, "degF"), (1013.0, "hPa"), (5.0, ""), (6.0, "widgets")];
        if rejects {
            wanted.remove(1);
        }
        assert_eq!(shown(host, &out.main), wanted, "{settings}");
        if rejects {
            assert_eq!(out.rejected("wrong_dimension"), 1, "{settings}");
        }
    }
    Ok(())
}

#[test]
fn each_dimension_has_a_target_of_its_own() -> Result<(), Failure> {
    let host = TestHost::new();
    let settings = json!({ "to": { "temperature": "°F", "pressure": "kPa", "data": "MiB" } });
    let mut stage = StageHarness::<Convert>::open_on(host, settings)?;
    let input = [reading(host, 0.0, "Cel"), reading(host, 101_325.0, "Pa"), reading(host, 3_145_728.0, "By")];
    let out = stage.process(&input)?;
    assert_eq!(shown(host, &out.main), [(32.0, "°F"), (101.325, "kPa"), (3.0, "MiB")]);
    Ok(())
}

/// Chunks of one unit and chunks of several take different ways through the code.
#[test]
fn long_batches_of_one_and_of_mixed_units_convert_alike() -> Result<(), Failure> {
    let host = TestHost::new();
    let (celsius, kelvin) = (host.unit("degC"), host.unit("K"));
    let one_unit: Vec<Record> =
        (0..1000).map(|value| Record { unit: celsius, ..record(f64::from(value)) }).collect();
    let mut mixed = one_unit.clone();
    for record in mixed.iter_mut().step_by(3) {
        record.unit = kelvin;
    }
    let mut stage = StageHarness::<Convert>::open_on(host, json!({ "to": "degF" }))?;
    for input in [one_unit, mixed] {
        let out = stage.process(&input)?;
        for (before, after) in input.iter().zip(&out.main) {
            let celsius = if before.unit == kelvin { before.value - 273.15 } else { before.value };
            let expected = celsius * 1.8 + 32.0;
            assert!((after.value - expected).abs() < 1e-9, "{before:?} became {after:?}");
            assert_eq!(host.unit_code(after.unit), "degF");
            assert_eq!((after.timestamp_ns, after.quality), (before.timestamp_ns, before.quality));
        }
    }
    Ok(())
}

#[test]
fn unknown_units_pass_are_rejected_or_are_flagged() -> Result<(), Failure> {
    let host = TestHost::new();
    let input = [reading(host, 1.0, "furlong"), reading(host, 2.0, ""), reading(host, 0.0, "degC")];
    let open = |on_unknown: &str| {
        StageHarness::<Convert>::open_on(host, json!({ "to": "K", "on_unknown": on_unknown }))
    };

    let out = open("pass")?.process(&input)?;
    assert_eq!(shown(host, &out.main), [(1.0, "furlong"), (2.0, ""), (273.15, "K")]);
    assert_eq!(out.main[0].quality, Quality::GOOD);

    let out = open("reject")?.process(&input)?;
    assert_eq!(shown(host, &out.main), [(273.15, "K")]);
    assert_eq!(out.dropped("unknown_unit"), 2);

    let out = open("flag")?.process(&input)?;
    assert_eq!(out.main.len(), 3);
    assert!(out.main[0].quality.has(Quality::UNIT_UNKNOWN));
    assert_eq!(out.main[1].quality.status(), Status::Uncertain);
    assert_eq!(out.main[2].quality, Quality::GOOD);
    Ok(())
}

#[test]
fn flagging_does_not_make_a_bad_reading_better() {
    assert_eq!(flagged(Quality::GOOD.with_status(Status::Bad)).status(), Status::Bad);
}

#[test]
fn a_unit_that_appears_later_is_learned_then() -> Result<(), Failure> {
    let host = TestHost::new();
    let mut stage = StageHarness::<Convert>::open_on(host, json!({ "to": "kPa" }))?;
    // An id that no code has yet must not be remembered as unknown.
    let early = Record { unit: UnitId(2), ..record(5.0) };
    assert_eq!(stage.process(&[early])?.main, [early]);
    let bar = host.unit("bar");
    assert_eq!(bar, UnitId(2));
    let out = stage.process(&[early])?;
    assert_eq!(shown(host, &out.main), [(500.0, "kPa")]);
    Ok(())
}

#[test]
fn nan_and_infinities_stay_what_they_are() -> Result<(), Failure> {
    let host = TestHost::new();
    let mut stage = StageHarness::<Convert>::open_on(host, json!({ "to": "degF" }))?;
    let input = [reading(host, f64::NAN, "degC"), reading(host, f64::INFINITY, "degC")];
    let out = stage.process(&input)?;
    assert!(out.main[0].value.is_nan());
    assert!(out.main[1].value.is_infinite());
    Ok(())
}

#[test]
fn what_comes_out_is_described() -> Result<(), Failure> {
    let description = StageHarness::<Convert>::describe(json!({ "to": { "pressure": "kPa" } }))?;
    assert_eq!(description.units.converts_to, ["kPa"]);
    assert!(!description.capabilities.has(Capability::Drops));
    let description = StageHarness::<Convert>::describe(json!({ "to": "K", "on_unknown": "reject" }))?;
    assert!(description.capabilities.has(Capability::Drops));
    assert!(description.reasons[0].rejects);
    Ok(())
}

#[test]
fn wrong_targets_are_named_with_a_way_out() -> Result<(), Failure> {
    assert_eq!(
        only_problem(json!({ "to": "degf" }))?,
        "to: `degf` is not a known unit; did you mean `degF`?"
    );
    assert_eq!(
        only_problem(json!({ "to": { "presure": "kPa" } }))?,
        "to.presure: `presure` is not a known dimension; did you mean `pressure`?"
    );
    assert_eq!(
        only_problem(json!({ "to": { "temperature": "kPa" } }))?,
        "to.temperature: `kPa` measures pressure, not temperature"
    );
    assert!(only_problem(json!({ "to": {} }))?.contains("no unit is given"));
    Ok(())
}

#[test]
fn two_targets_for_one_dimension_are_a_problem() -> Result<(), Failure> {
    // Only text can hold a key twice.
    let settings: ConvertSettings =
        cardcage_plugin_api::serde_json::from_str(r#"{ "to": { "pressure": "kPa", "pressure": "bar" } }"#)
            .map_err(|error| Failure {
                outcome: cardcage_plugin_api::abi::Outcome::FAILED,
                message: error.to_string(),
            })?;
    let (targets, problems) = settings.targets();
    assert_eq!(targets.len(), 1);
    assert_eq!(problems[0].message, "`bar` is a second unit for pressure, after `kPa`; keep one");
    Ok(())
}

#[test]
fn a_target_of_the_wrong_type_says_what_is_expected() {
    let error = StageHarness::<Convert>::describe(json!({ "to": 5 })).err();
    assert!(error.is_some_and(|failure| failure.message.contains("a unit such as `degF`")));
}

#[test]
fn a_full_dictionary_is_refused_when_opening() {
    let host = TestHost::new().with_limits(10, 1);
    host.unit("K");
    let error = StageHarness::<Convert>::open_on(host, json!({ "to": "degF" })).err();
    assert!(error.is_some_and(|failure| failure.message.contains("limits.units")));
}

#[test]
fn compounds_are_converted_and_temperatures_in_them_are_differences() -> Result<(), Failure> {
    let host = TestHost::new();
    let settings = json!({ "to": ["W/(m2.K)", "K/m", "MJ/m3", "L/min"] });
    let mut stage = StageHarness::<Convert>::open_on(host, settings)?;
    let input = [
        reading(host, 5.0, "kW/m2/K"),
        reading(host, 1.0, "degF/m"),
        reading(host, 10.0, "kWh/m3"),
        reading(host, 6.0, "m3/h"),
        reading(host, 7.0, "kPa"),
        reading(host, 300.0, "K"),
    ];
    let out = stage.process(&input)?;
    assert_eq!(
        shown(host, &out.main),
        [
            (5000.0, "W/(m2.K)"),
            (5.0 / 9.0, "K/m"),
            (36.0, "MJ/m3"),
            (100.0, "L/min"),
            (7.0, "kPa"),
            (300.0, "K")
        ],
    );
    Ok(())
}

/// A torque is no energy, reactive energy no energy, and an energy in a volume no pressure.
#[test]
fn what_shares_its_powers_with_the_target_is_left_alone() -> Result<(), Failure> {
    let host = TestHost::new();
    let mut stage = StageHarness::<Convert>::open_on(host, json!({ "to": ["J", "kPa", "Hz"] }))?;
    let input = ["N.m", "kvarh", "kWh/m3", "Bq", "rpm", "%/h"].map(|unit| reading(host, 1.0, unit));
    assert_eq!(stage.process(&input)?.main, input);
    Ok(())
}

#[test]
fn a_list_is_checked_place_by_place() -> Result<(), Failure> {
    assert_eq!(
        only_problem(json!({ "to": ["K", "bra"] }))?,
        "to.1: `bra` is not a known unit; did you mean `bar`?"
    );
    assert_eq!(
        only_problem(json!({ "to": ["K", "W/m2.K"] }))?,
        "to.1: `W/m2.K` is not a known unit; did you mean `W/(m2.K)`?"
    );
    assert_eq!(
        only_problem(json!({ "to": ["W/(m2.K)", "kW/m2/K"] }))?,
        "to.1: `kW/m2/K` is a second unit for kg/(s3.K), after `W/(m2.K)`; keep one"
    );
    assert!(only_problem(json!({ "to": [] }))?.contains("no unit is given"));
    Ok(())
}

/// What people expect to read, to the last digit: no factor that was rounded beforehand.
#[test]
fn round_values_stay_round() -> Result<(), Failure> {
    for (value, from, to, expected) in [
        (20.0, "degC", "degF", 68.0),
        (98.6, "degF", "degC", 37.0),
        (21.5, "degC", "degF", 70.7),
        (101_325.0, "Pa", "kPa", 101.325),
        (1.0, "mg/dL", "g/L", 0.01),
        (72.0, "km/h", "m/s", 20.0),
        (0.1, "kWh", "MJ", 0.36),
    ] {
        let host = TestHost::new();
        let mut stage = StageHarness::<Convert>::open_on(host, json!({ "to": to }))?;
        let out = stage.process(&[reading(host, value, from)])?;
        assert_eq!(shown(host, &out.main), [(expected, to)], "{value} {from}");
    }
    Ok(())
}
