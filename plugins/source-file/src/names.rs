//! Which sensors and units the source has met, for threads that parse.
//!
//! Those threads only look up: a name that is new is given its id by the source's own thread, in the order of the file.
//! So which sensors still fit under `limits.sensors` does not depend on which thread is faster.

use cardcage_codec::Dictionary;
use cardcage_plugin_api::{DictionaryFull, Host, SensorId, UnitId};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The names met so far: as many as the host's dictionary holds at most.
#[derive(Default)]
pub(crate) struct Names {
    sensors: RwLock<HashMap<Box<str>, SensorId>>,
    units: RwLock<HashMap<Box<str>, UnitId>>,
}

/// The dictionary of the source's own thread.
pub(crate) struct Learning {
    pub(crate) host: Host,
    /// Absent where no thread looks anything up.
    pub(crate) names: Option<Arc<Names>>,
}

impl Dictionary for Learning {
    fn sensor_id(&self, name: &str, tags: &[(&str, &str)]) -> Result<SensorId, DictionaryFull> {
        let id = self.host.sensor_id(name, tags)?;
        if let Some(names) = &self.names {
            let mut sensors = names.sensors.write().unwrap_or_else(PoisonError::into_inner);
            sensors.insert(key(name, tags), id);
        }
        Ok(id)
    }

    fn unit_id(&self, code: &str) -> Result<UnitId, DictionaryFull> {
        let id = self.host.unit_id(code)?;
        if let Some(names) = &self.names {
            names.units.write().unwrap_or_else(PoisonError::into_inner).insert(code.into(), id);
        }
        Ok(id)
    }

    fn with_sensor<R>(&self, id: SensorId, with: impl FnOnce(&str, &[(&str, &str)]) -> R) -> Option<R> {
        self.host.with_sensor(id, with)
    }

    fn with_unit<R>(&self, id: UnitId, with: impl FnOnce(&str) -> R) -> Option<R> {
        self.host.with_unit(id, with)
    }
}

/// The dictionary of a thread that parses: what is not there yet counts as not fitting.
pub(crate) struct Lookup {
    pub(crate) host: Host,
    pub(crate) names: Arc<Names>,
}

impl Dictionary for Lookup {
    fn sensor_id(&self, name: &str, tags: &[(&str, &str)]) -> Result<SensorId, DictionaryFull> {
        let sensors = self.names.sensors.read().unwrap_or_else(PoisonError::into_inner);
        sensors.get(&*key(name, tags)).copied().ok_or(DictionaryFull)
    }

    fn unit_id(&self, code: &str) -> Result<UnitId, DictionaryFull> {
        let units = self.names.units.read().unwrap_or_else(PoisonError::into_inner);
        if code.is_empty() { Ok(UnitId::NONE) } else { units.get(code).copied().ok_or(DictionaryFull) }
    }

    fn with_sensor<R>(&self, id: SensorId, with: impl FnOnce(&str, &[(&str, &str)]) -> R) -> Option<R> {
        self.host.with_sensor(id, with)
    }

    fn with_unit<R>(&self, id: UnitId, with: impl FnOnce(&str) -> R) -> Option<R> {
        self.host.with_unit(id, with)
    }
}

/// A sensor as one text: lengths first, so that no other sensor gives the same.
fn key(name: &str, tags: &[(&str, &str)]) -> Box<str> {
    let parts = std::iter::once(name).chain(tags.iter().flat_map(|(tag, value)| [*tag, *value]));
    let mut key = String::new();
    for part in parts {
        key.push_str(&part.len().to_string());
        key.push(':');
        key.push_str(part);
    }
    key.into_boxed_str()
}
