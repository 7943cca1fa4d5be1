//! The counters as they are saved: by sensor name and tags, since ids hold for one run only.

use crate::Sample;
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::{Sensor, serde_json};
use serde::Serialize;

/// One sensor's counter. Sensors that are due are left out: that is what a new one is.
#[derive(Serialize, Deserialize)]
struct Counter {
    sensor: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<(String, String)>,
    /// How many readings in a row are still to be dropped.
    skip: u32,
}

impl State for Sample {
    const VERSION: u32 = 1;

    fn snapshot(&mut self, version: u32) -> Result<Vec<u8>, PluginError> {
        supported(version)?;
        let counters: Vec<Counter> = (0..)
            .zip(&self.to_skip)
            .filter(|(_, skip)| **skip > 0)
            .filter_map(|(id, skip)| Some(counter(&self.host.sensor_entry(SensorId(id))?, *skip)))
            .collect();
        Ok(serde_json::to_vec(&counters)?)
    }

    fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), PluginError> {
        supported(version)?;
        let counters: Vec<Counter> = serde_json::from_slice(state)?;
        self.to_skip.clear();
        for counter in counters {
            let tags: Vec<(&str, &str)> =
                counter.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let id = self.host.tagged_sensor(&counter.sensor, &tags)?.0 as usize;
            if id >= self.to_skip.len() {
                self.to_skip.resize(id + 1, 0);
            }
            // `every` may be smaller than when the state was saved.
            self.to_skip[id] = counter.skip.min(self.every - 1);
        }
        Ok(())
    }
}

fn counter(sensor: &Sensor, skip: u32) -> Counter {
    Counter {
        sensor: sensor.name().to_owned(),
        tags: sensor.tags().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        skip,
    }
}

fn supported(version: u32) -> Result<(), PluginError> {
    if version == Sample::VERSION {
        return Ok(());
    }
    Err(PluginError::new(format!(
        "state version {version} was asked for; this plugin knows version {}",
        Sample::VERSION
    )))
}
