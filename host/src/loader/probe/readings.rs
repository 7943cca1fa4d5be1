//! Readings as they come from a plant: several of one sensor, in a unit that the component takes, a second apart. A stage
//! that remembers has its main path run by these, first with sane values and then with what sensors do when they fail.

#![forbid(unsafe_code)]

use super::batches::START_NS;
use cardcage_plugin_api::describe::UnitRules;
use cardcage_plugin_api::record::{Quality, Record, SensorId, UnitId};
use cardcage_plugin_api::units;
use cardcage_runtime::Dictionary;

const SECOND_NS: i64 = 1_000_000_000;
/// Readings of each sensor where several take turns.
const ROUNDS: u32 = 8;
/// Units of several dimensions, and none: whatever a component is for, it meets what it is not for.
const UNITS: [&str; 6] = ["Cel", "Pa", "m/s", "W", "%", ""];
/// How many of the units that a component names are tried: each costs a sensor.
const OWN_UNITS: usize = 4;
/// The sensor of the first unit: those below are the ones of the other batches, with times and values of all kinds.
const FIRST_SENSOR: usize = 8;
/// Each sensor has values of another size, so that settings with bounds find some within.
const SIZES: [f64; 4] = [0.5, 20.0, 1_000.0, 101_325.0];

/// These batches with their names, ordinary readings first.
pub(super) fn all(dictionary: &Dictionary, rules: &UnitRules) -> Vec<(&'static str, Vec<Record>)> {
    let sensors = sensors(dictionary, rules);
    let Some(first) = sensors.first() else {
        return Vec::new();
    };
    let size = first.value;
    // What failing sensors send comes from two: one that was heard before, and one that speaks for the second time.
    let strange = |from_s: i64, seconds: &[i64], values: &[f64]| -> Vec<Record> {
        let fresh = Record { sensor: SensorId(first.sensor.0 + 1), ..*first };
        let readings = seconds.iter().zip(values);
        readings
            .flat_map(|(second, value)| [*first, fresh].map(|one| reading(one, from_s + second, *value)))
            .collect()
    };
    let in_turns = (0..ROUNDS).flat_map(|round| {
        sensors
            .iter()
            .map(move |one| reading(*one, i64::from(round) + 3, one.value * (1.0 + f64::from(round) / 16.0)))
    });
    vec![
        (
            "two readings of one sensor, a second apart",
            vec![reading(*first, 1, size), reading(*first, 2, size * 1.0625)],
        ),
        ("readings of several sensors in turns", in_turns.collect()),
        (
            "NaN as second and third reading of a sensor",
            strange(20, &[0, 1, 2, 3], &[size, f64::NAN, f64::NAN, size * 1.125]),
        ),
        (
            "infinities among the readings of a sensor",
            strange(30, &[0, 1, 2, 3], &[size, f64::INFINITY, f64::NEG_INFINITY, size * 1.25]),
        ),
        ("readings of one time", strange(40, &[0, 0, 0], &[size, size * 1.375, size * 1.5])),
        (
            "readings that go back in time",
            strange(50, &[3, 1, 2, 0], &[size, size * 1.625, size * 1.75, size * 1.875]),
        ),
    ]
}

fn reading(one: Record, second: i64, value: f64) -> Record {
    Record { timestamp_ns: START_NS + second * SECOND_NS, value, ..one }
}

/// One sensor for each unit, the component's own first; `value` is the size of its readings.
fn sensors(dictionary: &Dictionary, rules: &UnitRules) -> Vec<Record> {
    let own = own_units(rules);
    let others = UNITS.into_iter().map(str::to_owned).filter(|code| !own.contains(code));
    let codes: Vec<String> = own.iter().cloned().chain(others).collect();
    let of = |(n, code): (usize, &String)| {
        let unit = if code.is_empty() { 0 } else { dictionary.unit(code)? };
        let sensor = dictionary.sensor(&format!("probe-{}", FIRST_SENSOR + 2 * n), &mut Vec::new())?;
        Some(Record {
            timestamp_ns: START_NS,
            value: SIZES[n % SIZES.len()],
            sensor: SensorId(sensor),
            unit: UnitId(unit),
            quality: Quality::GOOD,
        })
    };
    codes.iter().enumerate().filter_map(of).collect()
}

/// Units that the component says it takes, by their codes or by dimension.
fn own_units(rules: &UnitRules) -> Vec<String> {
    let named = rules.accepts_units.iter().flatten().cloned();
    let of_dimension = rules.accepts_dimensions.iter().flatten().filter_map(|dimension| {
        units::names()
            .find(|code| units::parse(code).is_some_and(|unit| unit.dimension().name() == dimension))
    });
    named.chain(of_dimension).take(OWN_UNITS).collect()
}
