//! Drops, diverts or flags readings outside a range.

#![forbid(unsafe_code)]

mod bounds;
mod settings;

use bounds::AllBounds;
use cardcage_plugin_api::prelude::*;
use settings::Fault;
pub use settings::{OnViolation, RangeSettings};

/// The stage.
pub struct Range {
    bounds: AllBounds,
    on_violation: OnViolation,
}

impl Stage for Range {
    type Settings = RangeSettings;

    fn describe(settings: &RangeSettings) -> Description {
        let description = match settings.on_violation {
            OnViolation::Drop => Description::stage().drops("out_of_range").port("dropped"),
            OnViolation::Flag => Description::stage().writes(Field::Quality),
        };
        let description = description.does(Capability::Deterministic).does(Capability::ParallelBySensor);
        let (_, faults) = settings.limited();
        faults.into_iter().fold(description, |description, Fault { setting, message, at_key }| {
            if at_key {
                description.problem_with_key(&setting, message)
            } else {
                description.problem(&setting, message)
            }
        })
    }

    fn open(settings: RangeSettings, host: &Host) -> Result<Self, PluginError> {
        let (limits, faults) = settings.limited();
        if let Some(fault) = faults.into_iter().next() {
            return Err(PluginError::new(fault.message).context(fault.setting));
        }
        let bounds = AllBounds::new(settings.min, settings.max, limits, host);
        Ok(Self { bounds, on_violation: settings.on_violation })
    }

    fn process(&mut self, batch: &mut Batch<'_>, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        match self.on_violation {
            OnViolation::Drop => self.drop_outside(batch, out.port("dropped")),
            OnViolation::Flag => self.flag_outside(batch.records_mut()),
        }
        Ok(Flow::Done)
    }
}

/// How many records are looked at together. Nearly all readings lie inside, so whole chunks are passed after one test
/// without a branch in it; a chunk with a reading outside is gone through record by record.
const CHUNK: usize = 64;

impl Range {
    fn drop_outside(&mut self, batch: &mut Batch<'_>, mut port: Port<'_>) {
        let records = batch.records_mut();
        let (mut kept, mut dropped) = (0, 0);
        for start in (0..records.len()).step_by(CHUNK) {
            let end = (start + CHUNK).min(records.len());
            let shared = self.bounds.shared(&records[start..end]);
            if shared.is_some_and(|bounds| bounds.hold_all(&records[start..end])) {
                if kept < start {
                    records.copy_within(start..end, kept);
                }
                kept += end - start;
                continue;
            }
            for index in start..end {
                let record = records[index];
                let bounds = shared.unwrap_or_else(|| self.bounds.of(record.unit));
                if bounds.hold(record.value) {
                    records[kept] = record;
                    kept += 1;
                } else {
                    dropped += u64::from(!port.push(record));
                }
            }
        }
        batch.truncate(kept);
        batch.reject("out_of_range", dropped);
    }

    fn flag_outside(&mut self, records: &mut [Record]) {
        for chunk in records.chunks_mut(CHUNK) {
            let shared = self.bounds.shared(chunk);
            if shared.is_some_and(|bounds| bounds.hold_all(chunk)) {
                continue;
            }
            for record in chunk {
                let bounds = shared.unwrap_or_else(|| self.bounds.of(record.unit));
                if !bounds.hold(record.value) {
                    record.quality = record.quality.with(Quality::OUT_OF_RANGE).with_status(Status::Bad);
                }
            }
        }
    }
}

export_plugin! {
    name: "range",
    description: "drops, diverts or flags readings outside a range",
    components: [stage Range { drops, deterministic, parallel_by_sensor, writes: [quality] }],
    probe: { min: 0, max: 1 },
}

#[cfg(test)]
mod tests;
