//! Drops, diverts or flags readings outside a range.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;

/// What to do with a reading outside the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnViolation {
    /// Take it out: to the port `dropped` where something consumes it.
    #[default]
    Drop,
    /// Let it pass with the quality flag `out_of_range` and status bad.
    Flag,
}

/// Settings of the stage.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RangeSettings {
    /// The smallest value that passes; absent: no lower bound.
    #[serde(default)]
    min: Option<f64>,
    /// The largest value that passes; absent: no upper bound.
    #[serde(default)]
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
            description = description.problem(
                "",
                "neither `min` nor `max` is given, so nothing would be checked",
            );
        }
        if let (Some(min), Some(max)) = (settings.min, settings.max)
            && min > max
        {
            description = description.problem("min", format!("`min` ({min}) is above `max` ({max})"));
        }
        description
            .does(Capability::Deterministic)
            .does(Capability::ParallelBySensor)
    }

    fn open(settings: RangeSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self {
            min: settings.min.unwrap_or(f64::NEG_INFINITY),
            max: settings.max.unwrap_or(f64::INFINITY),
            on_violation: settings.on_violation,
        })
    }

    fn process(&mut self, batch: &mut Batch<'_>, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        let inside = self.min..=self.max;
        match self.on_violation {
            OnViolation::Drop => {
                batch.retain_or(out.port("dropped"), "out_of_range", |record| {
                    inside.contains(&record.value)
                });
            }
            OnViolation::Flag => {
                for record in batch
                    .records_mut()
                    .iter_mut()
                    .filter(|record| !inside.contains(&record.value))
                {
                    record.quality = record
                        .quality
                        .with(Quality::OUT_OF_RANGE)
                        .with_status(Status::Bad);
                }
            }
        }
        Ok(Flow::Done)
    }
}

export_plugin! {
    name: "range",
    description: "drops, diverts or flags readings outside a range",
    components: [stage Range { drops, deterministic, parallel_by_sensor, writes: [quality] }],
    probe: { min: 0, max: 1 },
}
