//! The batches that a probe feeds.

#![forbid(unsafe_code)]

use cardcage_plugin_api::record::{Quality, Record, SensorId, Status, UnitId};
use cardcage_runtime::{Batch, Dictionary};

/// Every probe batch with its name, the ordinary ones first.
pub(crate) fn all(dictionary: &Dictionary) -> Vec<(&'static str, Vec<Record>)> {
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
    vec![
        ("an empty batch", Vec::new()),
        ("one record", plain(1)),
        ("a full batch", plain(super::PROBE_RECORDS)),
        ("NaN and infinities", valued(&[f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
        ("extreme values", valued(&[f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -0.0, f64::EPSILON])),
        ("extreme times", timed(&[i64::MIN, -1, 0, 1, i64::MAX, i64::MAX - 1])),
        ("every quality flag", flagged),
        ("an empty batch after others", Vec::new()),
    ]
}

/// A batch with room for `capacity` records that holds these.
pub(crate) fn batch(records: &[Record], capacity: u32) -> Batch {
    let mut batch = Batch::new(capacity);
    let fits = batch.append(records);
    debug_assert!(fits, "probe batches fit");
    batch
}

/// Records of three sensors and two units, in order of time.
fn maker(dictionary: &Dictionary) -> impl Fn(u32, f64) -> Record {
    let sensors: Vec<u32> = ["probe-a", "probe-b", "probe-c"]
        .into_iter()
        .filter_map(|name| dictionary.sensor(name, &mut Vec::new()))
        .collect();
    let units: Vec<u16> = [dictionary.unit("Cel"), Some(0)].into_iter().flatten().collect();
    move |n, value| Record {
        timestamp_ns: 1_700_000_000_000_000_000 + i64::from(n) * 1_000_000,
        value,
        sensor: SensorId(sensors.get(n as usize % 3).copied().unwrap_or(0)),
        unit: UnitId(units.get(n as usize % 2).copied().unwrap_or(0)),
        quality: Quality::GOOD,
    }
}
