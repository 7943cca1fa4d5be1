//! The probe of `parallel_by_sensor`: two instances that share the sensors among them must give what one gives that has
//! them all. What threads do to each other beyond that, no probe on one thread can see.

#![forbid(unsafe_code)]

use super::stage::{Books, StagePlaces, bits};
use super::{Trial, Tried, batches};
use cardcage_plugin_api::record::Record;
use std::collections::BTreeMap;

/// Instances that share the sensors.
const SHARES: u32 = 2;

impl Trial<'_> {
    /// `whole` is what one instance gave for the same batches; the stage is deterministic.
    pub(super) fn by_sensor(&mut self, places: &mut StagePlaces, whole: &Books) -> Tried<()> {
        let mut shares = (0..SHARES).map(|_| self.open_stage()).collect::<Tried<Vec<_>>>()?;
        for (name, records) in batches::all(&self.environment.dictionary, &self.description.units) {
            for (share, instance) in (0..SHARES).zip(&mut shares) {
                // One without records is given as well, so that all are told the same times.
                let own = records.iter().filter(|record| record.sensor.0 % SHARES == share).copied();
                self.give(instance, places, name, own.collect())?;
            }
        }
        for instance in &mut shares {
            self.ticked(instance, places)?;
        }
        let ended = shares.into_iter().map(|instance| self.ended(instance, places));
        let ended = ended.collect::<Tried<Vec<_>>>()?;
        for (output, records) in whole.outputs() {
            let together = ended.iter().flat_map(|books| {
                books.outputs().filter(|(other, _)| *other == output).flat_map(|(_, records)| records)
            });
            if let Some(differing) = differing(records, together) {
                let output = output.map_or("the main output".to_owned(), |port| {
                    format!("port `{}`", self.description.ports[port])
                });
                let found =
                    format!("with the sensors shared between {SHARES} instances, {output} has {differing}");
                return Err(self.no("by-sensor", found, "what one instance with all sensors gives"));
            }
        }
        Ok(())
    }
}

/// What the shares gave too much or too little, by the sensor of the first such record. Order is not compared: records
/// of different sensors may become those of one.
fn differing<'r>(whole: &'r [Record], together: impl Iterator<Item = &'r Record>) -> Option<String> {
    let mut balance: BTreeMap<[u64; 5], (i64, &Record)> = BTreeMap::new();
    for record in whole {
        balance.entry(bits(record)).or_insert((0, record)).0 -= 1;
    }
    for record in together {
        balance.entry(bits(record)).or_insert((0, record)).0 += 1;
    }
    let off = |sign: i64| balance.values().map(|(count, _)| (count * sign).max(0)).sum::<i64>();
    let (_, first) = balance.values().find(|(count, _)| *count != 0)?;
    Some(format!(
        "{} records that one instance does not give, and lacks {}; the first is of sensor {} with value {}",
        off(1),
        off(-1),
        first.sensor.0,
        first.value
    ))
}
