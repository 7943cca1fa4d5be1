//! A dictionary in memory.

use cardcage_codec::Dictionary;
use cardcage_plugin_api::{DictionaryFull, SensorId, UnitId};
use std::cell::RefCell;

type Entry = (String, Vec<(String, String)>);

#[derive(Default)]
pub(crate) struct Names {
    pub(crate) sensors: RefCell<Vec<Entry>>,
    pub(crate) units: RefCell<Vec<String>>,
    /// The most sensors, if there is a bound.
    pub(crate) room: Option<usize>,
}

impl Dictionary for Names {
    fn sensor_id(&self, name: &str, tags: &[(&str, &str)]) -> Result<SensorId, DictionaryFull> {
        let mut tags: Vec<(String, String)> =
            tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        tags.sort();
        let entry = (name.to_owned(), tags);
        let mut sensors = self.sensors.borrow_mut();
        let at = sensors.iter().position(|known| *known == entry);
        if at.is_none() && self.room.is_some_and(|room| sensors.len() >= room) {
            return Err(DictionaryFull);
        }
        let at = at.unwrap_or_else(|| {
            sensors.push(entry);
            sensors.len() - 1
        });
        Ok(SensorId(u32::try_from(at).unwrap()))
    }

    fn unit_id(&self, code: &str) -> Result<UnitId, DictionaryFull> {
        if code.is_empty() {
            return Ok(UnitId::NONE);
        }
        let mut units = self.units.borrow_mut();
        let at = units.iter().position(|known| known == code).unwrap_or_else(|| {
            units.push(code.to_owned());
            units.len() - 1
        });
        Ok(UnitId(u16::try_from(at + 1).unwrap()))
    }

    fn with_sensor<R>(&self, id: SensorId, with: impl FnOnce(&str, &[(&str, &str)]) -> R) -> Option<R> {
        let sensors = self.sensors.borrow();
        let (name, tags) = sensors.get(id.0 as usize)?;
        let tags: Vec<(&str, &str)> = tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        Some(with(name, &tags))
    }

    fn with_unit<R>(&self, id: UnitId, with: impl FnOnce(&str) -> R) -> Option<R> {
        if id == UnitId::NONE {
            return Some(with(""));
        }
        self.units.borrow().get(usize::from(id.0) - 1).map(|code| with(code))
    }
}
