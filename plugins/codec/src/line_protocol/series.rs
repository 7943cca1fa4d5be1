//! The ids of a line's sensors by its raw text: a measurement with tags is looked up as it stands, its fields are
//! expected in the order in which they came before.

use super::syntax::{decode_name, split_name};
use crate::dictionary::Dictionary;
use crate::intern::{equal, slot_of};
use crate::reject::Reason;
use cardcage_plugin_api::{SensorId, UnitId};
use std::collections::HashMap;
use std::sync::Arc;

/// The most bytes of a measurement and its tags, as written, and of a field's key: longer than a page is no name.
const NAME_MAX_BYTES: usize = 4 * 1024;
/// The most tags of a sensor.
const TAGS_MAX: usize = 64;
/// The most series and fields that are remembered; past it all are forgotten and learned again. One series can be
/// written in many ways, so the dictionary's limit does not bound this.
const REMEMBERED_MAX: usize = 1 << 20;
/// The most bytes of raw text remembered, for the same reason.
const TEXT_BYTES_MAX: usize = 128 << 20;
/// Fields looked through for one that is out of order; past it the general way does.
const FIELDS_SEARCHED_MAX: usize = 64;

/// Slots for each series in the table in front of the hash map, and the most of them (see `intern`).
const SLOTS_PER_SERIES: usize = 8;
const SLOTS_MAX: usize = 1 << 18;
const NO_SERIES: u32 = u32::MAX;

/// Remembers series and their fields.
#[derive(Default)]
pub(super) struct SeriesTable {
    by_text: HashMap<Arc<[u8]>, u32, foldhash::fast::RandomState>,
    slots: Vec<u32>,
    series: Vec<Series>,
    remembered: usize,
    bytes: usize,
}

/// A measurement with its tags.
pub(super) struct Series {
    text: Arc<[u8]>,
    measurement: String,
    tags: Box<[(String, String)]>,
    pub(super) unit: UnitId,
    /// In the order in which they were met.
    fields: Vec<KnownField>,
}

struct KnownField {
    /// The key as written, with the equals sign.
    text: Box<[u8]>,
    sensor: SensorId,
}

impl Series {
    /// The sensor of the field at the start of `text`, which is probably the `expected`th, and the length of its key
    /// with the equals sign.
    #[inline]
    pub(super) fn field(&self, text: &[u8], expected: usize) -> Option<(SensorId, usize)> {
        let matches =
            |field: &&KnownField| text.get(..field.text.len()).is_some_and(|start| equal(start, &field.text));
        let field = match self.fields.get(expected).filter(matches) {
            Some(field) => field,
            None => self.fields.iter().take(FIELDS_SEARCHED_MAX).find(matches)?,
        };
        Some((field.sensor, field.text.len()))
    }
}

impl SeriesTable {
    /// The series of this raw text, if it is known.
    #[inline]
    pub(super) fn known(&mut self, text: &[u8]) -> Option<&Series> {
        let slot = slot_of(text, self.slots.len());
        let guess = *self.slots.get(slot)?;
        let is_right = self.series.get(guess as usize).is_some_and(|series| equal(&series.text, text));
        let number = if is_right {
            guess
        } else {
            let number = *self.by_text.get(text)?;
            self.slots[slot] = number;
            number
        };
        self.series.get(number as usize)
    }

    /// The number of the series of this raw text, learned if it is new. `unit_key`: the tag that is the unit.
    pub(super) fn number<D: Dictionary>(
        &mut self,
        text: &[u8],
        dictionary: &D,
        unit_key: &str,
        default_unit: &str,
    ) -> Result<usize, Reason> {
        if let Some(number) = self.by_text.get(text) {
            return Ok(*number as usize);
        }
        if text.len() > NAME_MAX_BYTES {
            return Err(Reason::TooLong);
        }
        let (measurement, mut tags) = parse(text).ok_or(Reason::BadLine)?;
        if tags.len() > TAGS_MAX {
            return Err(Reason::BadTags);
        }
        let unit = tags.iter().position(|(key, _)| key == unit_key).map(|index| tags.remove(index).1);
        let unit =
            dictionary.unit_id(unit.as_deref().unwrap_or(default_unit)).map_err(|_| Reason::UnitLimit)?;
        self.make_room(text.len());
        let number = u32::try_from(self.series.len()).map_err(|_| Reason::SensorLimit)?;
        let text: Arc<[u8]> = text.into();
        self.by_text.insert(Arc::clone(&text), number);
        self.series.push(Series { text, measurement, tags: tags.into(), unit, fields: Vec::new() });
        self.grow_slots();
        Ok(number as usize)
    }

    /// Unit of a series and sensor of one of its fields, learned if it is new.
    pub(super) fn sensor<D: Dictionary>(
        &mut self,
        number: usize,
        key: &[u8],
        dictionary: &D,
    ) -> Result<(UnitId, SensorId), Reason> {
        let Some(series) = self.series.get_mut(number) else {
            return Err(Reason::BadLine);
        };
        let is_field = |field: &&KnownField| field.text.strip_suffix(b"=") == Some(key);
        if let Some(field) = series.fields.iter().take(FIELDS_SEARCHED_MAX).find(is_field) {
            return Ok((series.unit, field.sensor));
        }
        if key.len() > NAME_MAX_BYTES {
            return Err(Reason::TooLong);
        }
        let mut name = format!("{}.", series.measurement);
        decode_name(key, &mut name).ok_or(Reason::BadLine)?;
        let tags: Vec<(&str, &str)> = series.tags.iter().map(|(key, value)| (&**key, &**value)).collect();
        let sensor = dictionary.sensor_id(&name, &tags).map_err(|_| Reason::SensorLimit)?;
        let unit = series.unit;
        if series.fields.len() < FIELDS_SEARCHED_MAX {
            series.fields.push(KnownField { text: [key, b"="].concat().into(), sensor });
            self.remembered += 1;
            self.bytes += key.len();
        }
        Ok((unit, sensor))
    }

    /// Forgets everything if there is no room for another series.
    fn make_room(&mut self, bytes: usize) {
        if self.remembered >= REMEMBERED_MAX || self.bytes + bytes > TEXT_BYTES_MAX {
            self.by_text.clear();
            self.series.clear();
            self.slots.fill(NO_SERIES);
            (self.remembered, self.bytes) = (0, 0);
        }
        self.remembered += 1;
        self.bytes += bytes;
    }

    fn grow_slots(&mut self) {
        let wanted = (self.series.len() * SLOTS_PER_SERIES).next_power_of_two().min(SLOTS_MAX);
        if wanted > self.slots.len() {
            self.slots = vec![NO_SERIES; wanted];
            for (number, series) in (0..).zip(&self.series) {
                self.slots[slot_of(&series.text, wanted)] = number;
            }
        }
    }
}

/// Measurement and tags; of a tag that comes twice the last wins. `None` if a part is missing.
fn parse(text: &[u8]) -> Option<(String, Vec<(String, String)>)> {
    let decoded = |name: &[u8]| {
        let mut text = String::new();
        decode_name(name, &mut text)?;
        (!text.is_empty()).then_some(text)
    };
    let mut parts = split_name(text, b',');
    let measurement = decoded(parts.next()?)?;
    let mut tags: Vec<(String, String)> = Vec::new();
    for part in parts {
        let mut pair = split_name(part, b'=');
        let (key, value) = (decoded(pair.next()?)?, decoded(pair.next()?)?);
        if pair.next().is_some() {
            return None;
        }
        tags.retain(|(earlier, _)| *earlier != key);
        tags.push((key, value));
    }
    Some((measurement, tags))
}
