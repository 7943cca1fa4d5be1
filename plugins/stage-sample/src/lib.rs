//! Keeps every nth reading of each sensor.

#![forbid(unsafe_code)]

mod state;

use cardcage_plugin_api::prelude::*;

/// Settings of the stage.
#[settings]
#[derive(Clone, Debug)]
pub struct SampleSettings {
    /// Of how many readings of a sensor one is kept: the first, then every nth. 1 keeps all.
    #[schemars(range(min = 1), extend("examples" = [10]))]
    every: u32,
}

/// The stage.
pub struct Sample {
    every: u32,
    /// By sensor id: how many readings in a row are still to be dropped. Ids are dense, so the dictionary bounds this.
    to_skip: Vec<u32>,
    host: Host,
}

impl Stage for Sample {
    type Settings = SampleSettings;

    fn describe(settings: &SampleSettings) -> Description {
        let description = Description::stage()
            .drops("not_sampled")
            .does(Capability::Deterministic)
            .does(Capability::ParallelBySensor)
            .does(Capability::State);
        if settings.every == 0 {
            return description
                .problem("every", "0 would keep nothing; 1 keeps every reading, 10 every tenth");
        }
        description
    }

    fn open(settings: SampleSettings, host: &Host) -> Result<Self, PluginError> {
        Ok(Self { every: settings.every.max(1), to_skip: Vec::new(), host: host.clone() })
    }

    fn process(&mut self, batch: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        if self.every == 1 {
            return Ok(Flow::Done);
        }
        self.make_room(batch.records());
        let (last, to_skip) = (self.every - 1, &mut self.to_skip[..]);
        batch.retain("not_sampled", |record| {
            // A sensor that the dictionary does not know has no counter, and is not for this stage to judge.
            let Some(skip) = to_skip.get_mut(record.sensor.0 as usize) else {
                return true;
            };
            let keep = *skip == 0;
            *skip = if keep { last } else { *skip - 1 };
            keep
        });
        Ok(Flow::Done)
    }
}

impl Sample {
    /// Makes counters for the sensors of a batch, if they are in the dictionary: an id that a faulty component made up
    /// must not cost gigabytes.
    fn make_room(&mut self, records: &[Record]) {
        let highest = records.iter().map(|record| record.sensor.0).max().unwrap_or(0);
        if (highest as usize) < self.to_skip.len() {
            return;
        }
        let known = records
            .iter()
            .map(|record| record.sensor)
            .filter(|sensor| sensor.0 as usize >= self.to_skip.len())
            .filter(|sensor| self.host.sensor_entry(*sensor).is_some())
            .max();
        if let Some(sensor) = known {
            self.to_skip.resize(sensor.0 as usize + 1, 0);
        }
    }
}

export_plugin! {
    name: "sample",
    description: "keeps every nth reading of each sensor",
    components: [stage Sample { drops, deterministic, parallel_by_sensor, state }],
    probe: { every: 10 },
}

#[cfg(test)]
mod tests;
