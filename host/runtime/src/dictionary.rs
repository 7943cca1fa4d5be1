//! Names of sensors and units, each interned once for the life of the process.
//!
//! Entries are leaked on purpose: ids are handed to plugins, which may look them up at any time until exit, and the
//! limits bound how much that is.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{PoisonError, RwLock};

/// How many entries the dictionary takes.
#[derive(Clone, Copy, Debug)]
pub struct DictionaryLimits {
    /// `limits.sensors`.
    pub sensors: u32,
    /// `limits.units`, at most 65,535.
    pub units: u32,
}

/// A sensor's name and tags, sorted by key.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct SensorText {
    /// The name.
    pub name: String,
    /// The tags.
    pub tags: Vec<(String, String)>,
}

/// Names of sensors and units.
#[derive(Debug)]
pub struct Dictionary {
    limits: DictionaryLimits,
    sensors: RwLock<Sensors>,
    units: RwLock<Units>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Sensors {
    by_id: Vec<&'static SensorText>,
    /// By the hash of name and tags; few share one, so the list is walked.
    by_hash: HashMap<u64, Vec<u32>>,
}

#[derive(Debug, Default)]
struct Units {
    /// Id 1 is the first entry: 0 is "no unit".
    by_id: Vec<&'static str>,
    by_code: HashMap<&'static str, u16>,
}

impl Dictionary {
    /// An empty dictionary.
    pub fn new(limits: DictionaryLimits) -> Self {
        Self { limits, sensors: RwLock::default(), units: RwLock::default(), hasher: RandomState::new() }
    }

    /// The id of a sensor; tags in any order, of a tag given twice the last counts. `None` when the limit is reached.
    pub fn sensor(&self, name: &str, tags: &mut Vec<(&str, &str)>) -> Option<u32> {
        // Stable, so that of two tags with one key the later one stays behind the earlier.
        tags.sort_by_key(|(key, _)| *key);
        tags.reverse();
        tags.dedup_by_key(|(key, _)| *key);
        tags.reverse();
        let hash = self.hasher.hash_one((name, &*tags));
        let find = |sensors: &Sensors| {
            let ids = sensors.by_hash.get(&hash)?;
            ids.iter()
                .copied()
                .find(|id| sensors.by_id.get(*id as usize).is_some_and(|text| text.is(name, tags)))
        };
        if let Some(id) = find(&self.sensors.read().unwrap_or_else(PoisonError::into_inner)) {
            return Some(id);
        }
        let mut sensors = self.sensors.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = find(&sensors) {
            return Some(id);
        }
        let id = u32::try_from(sensors.by_id.len()).ok().filter(|id| *id < self.limits.sensors)?;
        let text = SensorText {
            name: name.to_owned(),
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        };
        sensors.by_id.push(Box::leak(Box::new(text)));
        sensors.by_hash.entry(hash).or_default().push(id);
        Some(id)
    }

    /// The sensor behind an id.
    pub fn sensor_text(&self, id: u32) -> Option<&'static SensorText> {
        self.sensors.read().unwrap_or_else(PoisonError::into_inner).by_id.get(id as usize).copied()
    }

    /// The id of a unit code, 1 or more. `None` when the limit is reached.
    pub fn unit(&self, code: &str) -> Option<u16> {
        if let Some(id) = self.units.read().unwrap_or_else(PoisonError::into_inner).by_code.get(code) {
            return Some(*id);
        }
        let mut units = self.units.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = units.by_code.get(code) {
            return Some(*id);
        }
        let next = units.by_id.len() + 1;
        let id = u16::try_from(next).ok().filter(|id| u32::from(*id) <= self.limits.units)?;
        let code: &'static str = Box::leak(code.to_owned().into_boxed_str());
        units.by_id.push(code);
        units.by_code.insert(code, id);
        Some(id)
    }

    /// The unit code behind an id; nothing for 0.
    pub fn unit_code(&self, id: u16) -> Option<&'static str> {
        let units = self.units.read().unwrap_or_else(PoisonError::into_inner);
        units.by_id.get(usize::from(id).checked_sub(1)?).copied()
    }

    /// The most that it takes.
    pub fn limits(&self) -> DictionaryLimits {
        self.limits
    }

    /// How many sensors and units there are.
    pub fn len(&self) -> (usize, usize) {
        (
            self.sensors.read().unwrap_or_else(PoisonError::into_inner).by_id.len(),
            self.units.read().unwrap_or_else(PoisonError::into_inner).by_id.len(),
        )
    }
}

impl SensorText {
    fn is(&self, name: &str, tags: &[(&str, &str)]) -> bool {
        self.name == name
            && self.tags.len() == tags.len()
            && self.tags.iter().zip(tags).all(|((key, value), (k, v))| key == k && value == v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary() -> Dictionary {
        Dictionary::new(DictionaryLimits { sensors: 3, units: 2 })
    }

    #[test]
    fn the_order_of_tags_does_not_matter_and_the_last_of_a_key_counts() {
        let dictionary = dictionary();
        let id = dictionary.sensor("a", &mut vec![("x", "1"), ("y", "2")]);
        assert_eq!(id, Some(0));
        assert_eq!(dictionary.sensor("a", &mut vec![("y", "2"), ("x", "0"), ("x", "1")]), id);
        assert_ne!(dictionary.sensor("a", &mut vec![("x", "1")]), id);
        let tags = &dictionary.sensor_text(0).expect("interned").tags;
        assert_eq!(tags, &[("x".to_owned(), "1".to_owned()), ("y".to_owned(), "2".to_owned())]);
    }

    #[test]
    fn past_the_limit_new_names_are_refused_and_old_ones_still_found() {
        let dictionary = dictionary();
        for name in ["a", "b", "c"] {
            assert!(dictionary.sensor(name, &mut Vec::new()).is_some());
        }
        assert_eq!(dictionary.sensor("d", &mut Vec::new()), None);
        assert_eq!(dictionary.sensor("b", &mut Vec::new()), Some(1));
        assert_eq!(
            (dictionary.unit("K"), dictionary.unit("Cel"), dictionary.unit("Pa")),
            (Some(1), Some(2), None)
        );
        assert_eq!(dictionary.unit_code(2), Some("Cel"));
        assert_eq!((dictionary.unit_code(0), dictionary.unit_code(3)), (None, None));
        assert_eq!(dictionary.len(), (3, 2));
    }
}
