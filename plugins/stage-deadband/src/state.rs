//! The last readings as they are saved: by sensor name and tags and by unit code, since ids hold for one run only.

use crate::{Deadband, Known, Last};
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::{Sensor, serde_json};
use serde::Serialize;

/// What is saved of one sensor.
#[derive(Serialize, Deserialize)]
struct Saved {
    sensor: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<(String, String)>,
    /// As text: JSON has neither NaN nor infinities.
    value: String,
    timestamp_ns: i64,
    /// From version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    /// From version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quality: Option<u16>,
}

/// The version without unit and quality: the first reading behind such a state is judged by value and time alone.
const WITHOUT_UNIT: u32 = 1;

impl State for Deadband {
    const VERSION: u32 = 2;

    fn snapshot(&mut self, version: u32) -> Result<Vec<u8>, PluginError> {
        supported(version)?;
        let heard = (0..).zip(&self.last).filter(|(_, last)| last.known != Known::Nothing);
        let saved: Vec<Saved> = heard
            .filter_map(|(id, last)| Some(self.saved(&self.host.sensor_entry(SensorId(id))?, last, version)))
            .collect();
        Ok(serde_json::to_vec(&saved)?)
    }

    fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), PluginError> {
        supported(version)?;
        let saved: Vec<Saved> = serde_json::from_slice(state)?;
        self.last.clear();
        for of_sensor in saved {
            let last = self.restored(&of_sensor)?;
            let tags: Vec<(&str, &str)> =
                of_sensor.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let id = self.host.tagged_sensor(&of_sensor.sensor, &tags)?.0 as usize;
            if id >= self.last.len() {
                self.last.resize(id + 1, Last::default());
            }
            self.last[id] = last;
        }
        Ok(())
    }
}

impl Deadband {
    fn saved(&self, sensor: &Sensor, last: &Last, version: u32) -> Saved {
        let all = version > WITHOUT_UNIT && last.known == Known::All;
        let unit = self.host.unit_code(last.unit).map(str::to_owned);
        Saved {
            sensor: sensor.name().to_owned(),
            tags: sensor.tags().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            value: last.value.to_string(),
            timestamp_ns: last.timestamp_ns,
            unit: unit.filter(|_| all),
            quality: all.then_some(last.quality.0),
        }
    }

    fn restored(&self, saved: &Saved) -> Result<Last, PluginError> {
        let value = saved.value.parse();
        let value =
            value.map_err(|_| PluginError::new(format!("`{}` is no value of a reading", saved.value)))?;
        let last =
            Last { value, timestamp_ns: saved.timestamp_ns, known: Known::ValueAndTime, ..Last::default() };
        Ok(match (&saved.unit, saved.quality) {
            (Some(unit), Some(quality)) => {
                Last { unit: self.host.unit(unit)?, quality: Quality(quality), known: Known::All, ..last }
            }
            _ => last,
        })
    }
}

fn supported(version: u32) -> Result<(), PluginError> {
    if (WITHOUT_UNIT..=Deadband::VERSION).contains(&version) {
        return Ok(());
    }
    Err(PluginError::new(format!(
        "state version {version} was asked for; this plugin knows versions {WITHOUT_UNIT} to {}",
        Deadband::VERSION
    )))
}
