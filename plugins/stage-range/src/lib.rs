//! Drops, diverts or flags readings outside a range.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;

/// What to do with a reading outside the range.
#[settings]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnViolation {
    /// Take it out: to the port `dropped` where something consumes it.
    #[default]
    Drop,
    /// Let it pass with the quality flag `out_of_range` and status bad.
    Flag,
}

/// Settings of the stage.
#[settings]
#[derive(Clone, Debug)]
pub struct RangeSettings {
    /// The smallest value that passes, whatever its unit; absent: no lower bound. At least one of `min` and `max` must be
    /// given. Readings of several dimensions need a stage each, or a `convert` in front.
    #[serde(default)]
    #[schemars(extend("examples" = [-50]))]
    min: Option<f64>,
    /// The largest value that passes; absent: no upper bound.
    #[serde(default)]
    #[schemars(extend("examples" = [400]))]
    max: Option<f64>,
    /// What to do with a reading outside. NaN is outside of every range.
    #[serde(default)]
    on_violation: OnViolation,
}

/// The stage.
pub struct Range {
    min: f64,
    max: f64,
    on_violation: OnViolation,
}

impl Stage for Range {
    type Settings = RangeSettings;

    fn describe(settings: &RangeSettings) -> Description {
        let mut description = match settings.on_violation {
            OnViolation::Drop => Description::stage().drops("out_of_range").port("dropped"),
            OnViolation::Flag => Description::stage().writes(Field::Quality),
        };
        if settings.min.is_none() && settings.max.is_none() {
            description =
                description.problem("", "neither `min` nor `max` is given, so nothing would be checked");
        }
        if let (Some(min), Some(max)) = (settings.min, settings.max)
            && min > max
        {
            description = description.problem("min", format!("`min` ({min}) is above `max` ({max})"));
        }
        description.does(Capability::Deterministic).does(Capability::ParallelBySensor)
    }

    fn open(settings: RangeSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self {
            min: settings.min.unwrap_or(f64::NEG_INFINITY),
            max: settings.max.unwrap_or(f64::INFINITY),
            on_violation: settings.on_violation,
        })
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
    /// False for NaN, whatever the bounds.
    #[inline]
    fn holds(&self, value: f64) -> bool {
        value >= self.min && value <= self.max
    }

    fn holds_all(&self, records: &[Record]) -> bool {
        records.iter().fold(true, |all, record| all & self.holds(record.value))
    }

    fn drop_outside(&self, batch: &mut Batch<'_>, mut port: Port<'_>) {
        let records = batch.records_mut();
        let (mut kept, mut dropped) = (0, 0);
        for start in (0..records.len()).step_by(CHUNK) {
            let end = (start + CHUNK).min(records.len());
            if self.holds_all(&records[start..end]) {
                if kept < start {
                    records.copy_within(start..end, kept);
                }
                kept += end - start;
                continue;
            }
            for index in start..end {
                let record = records[index];
                if self.holds(record.value) {
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

    fn flag_outside(&self, records: &mut [Record]) {
        for chunk in records.chunks_mut(CHUNK) {
            if self.holds_all(chunk) {
                continue;
            }
            for record in chunk.iter_mut().filter(|record| !self.holds(record.value)) {
                record.quality = record.quality.with(Quality::OUT_OF_RANGE).with_status(Status::Bad);
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
