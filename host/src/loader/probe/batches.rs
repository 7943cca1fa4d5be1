//! The batches that a probe feeds.

#![forbid(unsafe_code)]

use super::{PROBE_RECORDS, PROBE_SENSORS, PROBE_UNITS, readings};
use cardcage_plugin_api::describe::UnitRules;
use cardcage_plugin_api::record::{Quality, Record, SensorId, Status, UnitId};
use cardcage_runtime::Dictionary;

/// The time of the first call and of the first record, 2023-11-14: the same in every life of an instance.
pub(super) const START_NS: i64 = 1_700_000_000_000_000_000;

/// Records of a batch that is neither short nor full.
const SOME_RECORDS: u32 = 64;

/// Every probe batch with its name, the ordinary ones first; `rules` are the units that the component takes.
pub(super) fn all(dictionary: &Dictionary, rules: &UnitRules) -> Vec<(&'static str, Vec<Record>)> {
    let record = maker(dictionary);
    let plain = |count: u32| (0..count).map(|n| record(n, f64::from(n) * 0.25)).collect::<Vec<_>>();
    let valued = |values: &[f64]| (0..).zip(values).map(|(n, value)| record(n, *value)).collect::<Vec<_>>();
    let timed = |times: &[i64]| {
        (0..).zip(times).map(|(n, time)| Record { timestamp_ns: *time, ..record(n, 1.0) }).collect::<Vec<_>>()
    };
    let flagged = Quality::FLAGS
        .iter()
        .zip([Status::Good, Status::Uncertain, Status::Bad].into_iter().cycle())
        .zip(0..)
        .map(|(((flag, _), status), n)| Record {
            quality: Quality::GOOD.with(*flag).with_status(status),
            ..record(n, 1.0)
        })
        .collect();
    let one_sensor =
        (0..SOME_RECORDS).map(|n| Record { sensor: record(0, 0.0).sensor, ..record(n, 1.0) }).collect();
    let known = u32::try_from(dictionary.len().0).unwrap_or(u32::MAX);
    let all_different =
        (0..SOME_RECORDS).map(|n| Record { sensor: SensorId(n % known.max(1)), ..record(n, 1.0) }).collect();
    // Ids that nobody was given yet, up to the largest that the limits allow: ids are dense, and a plugin may count on
    // that.
    let strange = [(known, 0), (PROBE_SENSORS - 1, PROBE_UNITS - 1), (0, PROBE_UNITS - 1)]
        .into_iter()
        .zip(0..)
        .map(|((sensor, unit), n)| Record {
            sensor: SensorId(sensor),
            unit: UnitId(u16::try_from(unit).unwrap_or(u16::MAX)),
            ..record(n, 1.0)
        })
        .collect();
    let mut all = vec![("an empty batch", Vec::new()), ("one record", plain(1))];
    // Before what is strange, which a stage with memory would remember.
    all.extend(readings::all(dictionary, rules));
    all.extend([
        ("a full batch", plain(PROBE_RECORDS)),
        ("NaN and infinities", valued(&[f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
        (
            "extreme values",
            valued(&[
                f64::MAX,
                f64::MIN,
                f64::MIN_POSITIVE,
                f64::MIN_POSITIVE / 2.0,
                5e-324,
                -0.0,
                f64::EPSILON,
            ]),
        ),
        ("extreme times", timed(&[i64::MIN, -1, 0, 1, i64::MAX, i64::MAX - 1])),
        ("one sensor only", one_sensor),
        ("a sensor for each record", all_different),
        ("sensors and units that nobody named", strange),
        ("every quality flag", flagged),
        ("an empty batch after others", Vec::new()),
    ]);
    all
}

/// Names a sensor for each record of the batch that has as many.
pub(super) fn name_sensors(dictionary: &Dictionary) {
    for n in 0..SOME_RECORDS {
        dictionary.sensor(&format!("probe-{n}"), &mut Vec::new());
    }
}

/// Records of three sensors and two units, in order of time.
fn maker(dictionary: &Dictionary) -> impl Fn(u32, f64) -> Record {
    let sensors: Vec<u32> = ["probe-0", "probe-1", "probe-2"]
        .into_iter()
        .filter_map(|name| dictionary.sensor(name, &mut Vec::new()))
        .collect();
    let units: Vec<u16> = [dictionary.unit("Cel"), Some(0)].into_iter().flatten().collect();
    move |n, value| Record {
        timestamp_ns: START_NS + i64::from(n) * 1_000_000,
        value,
        sensor: SensorId(sensors.get(n as usize % 3).copied().unwrap_or(0)),
        unit: UnitId(units.get(n as usize % 2).copied().unwrap_or(0)),
        quality: Quality::GOOD,
    }
}
