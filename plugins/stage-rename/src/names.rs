//! What becomes of each sensor: found out once, then kept by its id.

use crate::OnUnmatched;
use crate::rules::Rules;
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::tracing::warn;

/// Names that two sensors got and that are warned of; with a careless pattern all sensors get one, and one more line
/// about it helps nobody.
const WARNED_MAX: usize = 10;

/// What becomes of the readings of a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They go on as this sensor's.
    Becomes(SensorId),
    /// Nothing matches the sensor, and such are taken out.
    Unmatched,
    /// Its new name is one sensor more than `limits.sensors` allows.
    Full,
    /// Nothing is left of its name.
    Nameless,
}

/// The fates by sensor id. Ids are dense, so the dictionary's bound (`limits.sensors`) bounds this, too.
pub(crate) struct Names {
    by_sensor: Vec<Option<Fate>>,
    /// By the id of a new sensor: which one became it first.
    origins: Vec<Option<SensorId>>,
    warned: usize,
    rules: Rules,
    on_unmatched: OnUnmatched,
    host: Host,
}

impl Names {
    pub(crate) fn new(rules: Rules, on_unmatched: OnUnmatched, host: &Host) -> Self {
        Self {
            by_sensor: Vec::new(),
            origins: Vec::new(),
            warned: 0,
            rules,
            on_unmatched,
            host: host.clone(),
        }
    }

    #[inline]
    pub(crate) fn of(&mut self, sensor: SensorId) -> Fate {
        match self.by_sensor.get(sensor.0 as usize) {
            Some(Some(fate)) => *fate,
            _ => self.learn(sensor),
        }
    }

    #[cold]
    fn learn(&mut self, sensor: SensorId) -> Fate {
        // An id that the dictionary does not have is not remembered: it may be given to a sensor later.
        let Some(entry) = self.host.sensor_entry(sensor) else {
            return self.unmatched(sensor);
        };
        let fate = match self.rules.apply(entry.name(), entry.tags()) {
            None => self.unmatched(sensor),
            Some(renamed) if renamed.name.is_empty() => Fate::Nameless,
            Some(renamed) => match self.host.tagged_sensor(&renamed.name, &renamed.tags) {
                Ok(new) => Fate::Becomes(new),
                Err(_) => Fate::Full,
            },
        };
        put(&mut self.by_sensor, sensor, fate);
        if let Fate::Becomes(new) = fate {
            self.note_origin(sensor, new);
        }
        fate
    }

    fn unmatched(&self, sensor: SensorId) -> Fate {
        match self.on_unmatched {
            OnUnmatched::Pass => Fate::Becomes(sensor),
            OnUnmatched::Drop => Fate::Unmatched,
        }
    }

    /// Warns where two sensors become one.
    fn note_origin(&mut self, old: SensorId, new: SensorId) {
        let first = self.origins.get(new.0 as usize).copied().flatten();
        let Some(first) = first else {
            put(&mut self.origins, new, old);
            return;
        };
        let name = |id| self.host.sensor_entry(id).map_or("", |sensor| sensor.name());
        if self.warned < WARNED_MAX {
            warn!(
                "`{}` and `{}` are both `{}` now: their readings are mixed",
                name(first),
                name(old),
                name(new)
            );
        } else if self.warned == WARNED_MAX {
            warn!("more sensors become one; they are not listed");
        }
        self.warned += 1;
    }
}

fn put<T: Clone>(places: &mut Vec<Option<T>>, sensor: SensorId, value: T) {
    let index = sensor.0 as usize;
    if index >= places.len() {
        places.resize(index + 1, None);
    }
    places[index] = Some(value);
}
