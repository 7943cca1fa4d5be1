//! What formats need of the host's dictionary.

use cardcage_plugin_api::{DictionaryFull, Host, SensorId, UnitId};

/// Names and ids of sensors and units. [`Host`] is the one in use; tests and benches bring their own.
pub trait Dictionary {
    /// The id of a sensor with these tags, in any order.
    fn sensor_id(&self, name: &str, tags: &[(&str, &str)]) -> Result<SensorId, DictionaryFull>;
    /// The id of a unit code; [`UnitId::NONE`] for the empty one.
    fn unit_id(&self, code: &str) -> Result<UnitId, DictionaryFull>;
    /// Calls `with` with the name and the tags of a sensor; `None` if the id is unknown.
    fn with_sensor<R>(&self, id: SensorId, with: impl FnOnce(&str, &[(&str, &str)]) -> R) -> Option<R>;
    /// Calls `with` with the code of a unit, empty for [`UnitId::NONE`]; `None` if the id is unknown.
    fn with_unit<R>(&self, id: UnitId, with: impl FnOnce(&str) -> R) -> Option<R>;
}

impl Dictionary for Host {
    fn sensor_id(&self, name: &str, tags: &[(&str, &str)]) -> Result<SensorId, DictionaryFull> {
        self.tagged_sensor(name, tags)
    }

    fn unit_id(&self, code: &str) -> Result<UnitId, DictionaryFull> {
        self.unit(code)
    }

    fn with_sensor<R>(&self, id: SensorId, with: impl FnOnce(&str, &[(&str, &str)]) -> R) -> Option<R> {
        let entry = self.sensor_entry(id)?;
        let tags: Vec<(&str, &str)> = entry.tags().collect();
        Some(with(entry.name(), &tags))
    }

    fn with_unit<R>(&self, id: UnitId, with: impl FnOnce(&str) -> R) -> Option<R> {
        self.unit_code(id).map(with)
    }
}
