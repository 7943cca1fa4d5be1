use super::*;
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{Failure, Processed, StageHarness, TestHost, contract, record};

fn reading(host: TestHost, sensor: &str) -> Record {
    Record { sensor: host.sensor(sensor), ..record(1.0) }
}

/// Names with their tags: `t{site=a}`.
fn shown(host: TestHost, records: &[Record]) -> Vec<String> {
    let name = |record: &Record| {
        let sensor = host.host().sensor_entry(record.sensor)?;
        let tags: Vec<String> = sensor.tags().map(|(key, value)| format!("{key}={value}")).collect();
        Some(if tags.is_empty() {
            sensor.name().to_owned()
        } else {
            format!("{}{{{}}}", sensor.name(), tags.join(","))
        })
    };
    records.iter().filter_map(name).collect()
}

fn run(host: TestHost, settings: Value, sensors: &[&str]) -> Result<Processed, Failure> {
    let input: Vec<Record> = sensors.iter().map(|sensor| reading(host, sensor)).collect();
    StageHarness::<Rename>::open_on(host, settings)?.process(&input)
}

fn renamed(settings: Value, sensors: &[&str]) -> Result<Vec<String>, Failure> {
    let host = TestHost::new();
    Ok(shown(host, &run(host, settings, sensors)?.main))
}

fn only_problem(settings: Value) -> Result<String, Failure> {
    let mut found = StageHarness::<Rename>::describe(settings)?.problems;
    assert_eq!(found.len(), 1, "{found:?}");
    let problem = found.remove(0);
    Ok(format!("{}: {}", problem.setting, problem.message))
}

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn listed_sensors_get_their_names_and_others_pass() -> Result<(), Failure> {
    let settings = json!({ "sensors": { "t1": "boiler", "t2": "t1" } });
    assert_eq!(renamed(settings, &["t1", "t2", "t3", "t1"])?, ["boiler", "t1", "t3", "boiler"]);
    Ok(())
}

#[test]
fn a_pattern_replaces_each_part_that_it_matches() -> Result<(), Failure> {
    let settings = json!({ "pattern": r"^plant/(?P<hall>\w+)/(\d+)$", "replace": "${hall}-$2" });
    assert_eq!(renamed(settings, &["plant/nörd/17", "plant/x", "other"])?, ["nörd-17", "plant/x", "other"]);
    let settings = json!({ "pattern": r"\.", "replace": "_" });
    assert_eq!(renamed(settings, &["a.b.c"])?, ["a_b_c"]);
    Ok(())
}

#[test]
fn a_listed_name_goes_before_the_pattern() -> Result<(), Failure> {
    let settings = json!({ "sensors": { "t1": "boiler" }, "pattern": "^t", "replace": "temp" });
    assert_eq!(renamed(settings, &["t1", "t2"])?, ["boiler", "temp2"]);
    Ok(())
}

#[test]
fn tags_are_added_replaced_and_dropped() -> Result<(), Failure> {
    let host = TestHost::new();
    let sensor = host.host().tagged_sensor("t", &[("rack", "7"), ("site", "old"), ("unit", "u")]);
    let sensor = sensor.map_err(|full| Failure {
        outcome: cardcage_plugin_api::abi::Outcome::FULL,
        message: full.to_string(),
    })?;
    let settings = json!({ "tags": { "site": "north" }, "drop_tags": ["rack"] });
    let mut stage = StageHarness::<Rename>::open_on(host, settings)?;
    let out = stage.process(&[Record { sensor, ..record(1.0) }, reading(host, "plain")])?;
    assert_eq!(shown(host, &out.main), ["t{site=north,unit=u}", "plain{site=north}"]);
    Ok(())
}

#[test]
fn tags_go_to_matched_sensors_only_and_the_others_can_be_dropped() -> Result<(), Failure> {
    let settings = json!({ "sensors": { "t1": "boiler" }, "tags": { "site": "a" } });
    assert_eq!(renamed(settings, &["t1", "t2"])?, ["boiler{site=a}", "t2"]);
    let host = TestHost::new();
    let settings = json!({ "pattern": "^t", "replace": "x", "on_unmatched": "drop" });
    let out = run(host, settings, &["t1", "p1", "t2", "p1"])?;
    assert_eq!(shown(host, &out.main), ["x1", "x2"]);
    assert_eq!(out.dropped("unmatched"), 2);
    Ok(())
}

#[test]
fn everything_but_the_sensor_stays_as_it_was() -> Result<(), Failure> {
    let host = TestHost::new();
    let given = Record {
        timestamp_ns: 7,
        quality: Quality::STALE,
        unit: host.unit("K"),
        value: f64::INFINITY,
        ..reading(host, "a")
    };
    let mut stage = StageHarness::<Rename>::open_on(host, json!({ "sensors": { "a": "b" } }))?;
    let out = stage.process(&[given])?;
    assert_eq!(out.main, [Record { sensor: host.sensor("b"), ..given }]);
    Ok(())
}

#[test]
fn two_sensors_that_become_one_are_mixed_and_warned_of_once() -> Result<(), Failure> {
    let host = TestHost::new();
    let settings = json!({ "sensors": { "a": "both", "b": "both" } });
    let out = run(host, settings, &["a", "b", "a", "b", "c"])?;
    assert_eq!(shown(host, &out.main), ["both", "both", "both", "both", "c"]);
    let warnings: Vec<String> = host.logs().into_iter().map(|line| line.message).collect();
    assert_eq!(warnings, ["`a` and `b` are both `both` now: their readings are mixed"]);
    Ok(())
}

/// The sensor that had the name all along counts as well.
#[test]
fn a_name_that_a_passing_sensor_has_is_warned_of() -> Result<(), Failure> {
    let host = TestHost::new();
    run(host, json!({ "sensors": { "a": "b" } }), &["a", "b"])?;
    assert_eq!(host.logs().len(), 1, "{:?}", host.logs());
    let host = TestHost::new();
    let names: Vec<String> = (0..100).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    run(host, json!({ "pattern": r"\d+", "replace": "" }), &names)?;
    assert_eq!(host.logs().len(), 11, "ten, and that there are more");
    Ok(())
}

#[test]
fn past_the_limit_of_sensors_readings_are_rejected_and_counted() -> Result<(), Failure> {
    let host = TestHost::new().with_limits(3, 10);
    let out = run(host, json!({ "pattern": "^", "replace": "new-" }), &["a", "b", "a", "b"])?;
    assert_eq!(shown(host, &out.main), ["new-a", "new-a"]);
    assert_eq!(out.rejected("sensor_limit"), 2);
    Ok(())
}

#[test]
fn a_name_of_which_nothing_is_left_is_rejected() -> Result<(), Failure> {
    let out = run(TestHost::new(), json!({ "pattern": "^x+$", "replace": "" }), &["xx", "y"])?;
    assert_eq!((out.main.len(), out.rejected("no_name")), (1, 1));
    Ok(())
}

#[test]
fn an_id_that_is_no_sensor_yet_is_learned_when_it_is_one() -> Result<(), Failure> {
    let host = TestHost::new();
    let mut stage = StageHarness::<Rename>::open_on(host, json!({ "sensors": { "late": "renamed" } }))?;
    let early = Record { sensor: SensorId(0), ..record(1.0) };
    assert_eq!(stage.process(&[early])?.main, [early]);
    assert_eq!(host.sensor("late"), SensorId(0));
    assert_eq!(shown(host, &stage.process(&[early])?.main), ["renamed"]);
    let made_up = Record { sensor: SensorId(u32::MAX), ..record(1.0) };
    assert_eq!(stage.process(&[made_up])?.main, [made_up]);
    Ok(())
}

#[test]
fn settings_that_change_nothing_or_cannot_work_are_problems() -> Result<(), Failure> {
    assert!(only_problem(json!({}))?.contains("nothing would change"));
    assert!(only_problem(json!({ "pattern": "a" }))?.starts_with("pattern: `replace` is missing"));
    assert!(only_problem(json!({ "replace": "a" }))?.starts_with("replace: `pattern` is missing"));
    assert!(only_problem(json!({ "sensors": { "a": "" } }))?.starts_with("sensors.a: the new name is empty"));
    assert_eq!(
        only_problem(json!({ "pattern": "(", "replace": "" }))?,
        "pattern: no regular expression: unclosed group"
    );
    assert!(only_problem(json!({ "pattern": r"(\w{999}){999}", "replace": "" }))?.contains("1048576 bytes"));
    assert_eq!(
        only_problem(json!({ "pattern": "(a)", "replace": "$1_x" }))?,
        "replace: `$1_x` names a group `1_x`; for group 1 write `${1}_x` (in pipeline.yaml `$${1}_x`)"
    );
    assert_eq!(
        only_problem(json!({ "pattern": "(a)", "replace": "$2" }))?,
        "replace: `pattern` has no group `2`; it has 1 beside the whole, `$0`"
    );
    assert_eq!(StageHarness::<Rename>::describe(json!({ "pattern": "a", "replace": "$$x" }))?.problems, []);
    assert!(only_problem(json!({ "tags": { "a": "1" }, "drop_tags": ["a"] }))?.starts_with("drop_tags: `a`"));
    Ok(())
}
