//! Ids by the raw text of the data: what a sensor's name and tags look like in a line, before any unescaping.
//!
//! The text between two quotes is looked up as it stands. Only when it is new is it checked and unescaped, so that a
//! sensor that was seen before costs one hash and one comparison. An entry is therefore always valid text.

use crate::dictionary::Dictionary;
use crate::json::{self, Token, TokenKind};
use crate::reject::Reason;
use cardcage_plugin_api::{SensorId, UnitId};
use std::collections::HashMap;

/// The most bytes of a sensor's name and tags together, as written: a name longer than a page is a broken line.
const SENSOR_TEXT_MAX_BYTES: usize = 4 * 1024;
/// The most tags of a sensor.
const TAGS_MAX: usize = 64;
/// The most raw texts remembered; past it all are forgotten and learned again. One sensor can be written in many ways
/// (escapes, the order of tags), so the dictionary's limit does not bound this.
const TEXTS_MAX: usize = 1 << 20;
/// The most bytes of raw text remembered, for the same reason.
const TEXT_BYTES_MAX: usize = 128 << 20;

type Map<V> = HashMap<Box<[u8]>, V, foldhash::fast::RandomState>;

/// Remembers the ids of raw texts.
#[derive(Default)]
pub(crate) struct Interned {
    sensors: Map<Known>,
    bytes: usize,
    units: Map<u32>,
    /// The units by the number in `units`: their raw text and id.
    unit_texts: Vec<(Box<[u8]>, UnitId)>,
    key: Vec<u8>,
}

struct Known {
    id: SensorId,
    /// Number of the unit that came with the sensor last: nearly always the next one, too.
    unit: u32,
}

impl Interned {
    /// The ids of a sensor, its tags (an object, with its braces) and its unit, all as they stand in the data.
    /// The empty unit is [`UnitId::NONE`].
    #[inline]
    pub(crate) fn ids<D: Dictionary>(
        &mut self,
        dictionary: &D,
        name: &[u8],
        tags: Option<&[u8]>,
        unit: &[u8],
    ) -> Result<(SensorId, UnitId), Reason> {
        let known = match tags {
            None => self.sensors.get_mut(name),
            Some(tags) => {
                join(&mut self.key, name, tags);
                self.sensors.get_mut(&self.key[..])
            }
        };
        let Some(known) = known else {
            return self.learn(dictionary, name, tags, unit);
        };
        if let Some((text, id)) = self.unit_texts.get(known.unit as usize)
            && **text == *unit
        {
            return Ok((known.id, *id));
        }
        let sensor = known.id;
        let number = unit_number(&mut self.units, &mut self.unit_texts, dictionary, unit)?;
        known.unit = number;
        Ok((sensor, self.unit_texts[number as usize].1))
    }

    #[cold]
    fn learn<D: Dictionary>(
        &mut self,
        dictionary: &D,
        name: &[u8],
        tags: Option<&[u8]>,
        unit: &[u8],
    ) -> Result<(SensorId, UnitId), Reason> {
        if name.len() + tags.map_or(0, <[u8]>::len) > SENSOR_TEXT_MAX_BYTES {
            return Err(Reason::TooLong);
        }
        let mut sensor_name = String::new();
        json::unescape(name, &mut sensor_name).ok_or(Reason::BadJson)?;
        if sensor_name.is_empty() {
            return Err(Reason::NoSensor);
        }
        let sensor_tags = tags.map_or(Ok(Vec::new()), parse_tags)?;
        let borrowed: Vec<(&str, &str)> = sensor_tags
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let id = dictionary
            .sensor_id(&sensor_name, &borrowed)
            .map_err(|_| Reason::SensorLimit)?;
        let unit = unit_number(&mut self.units, &mut self.unit_texts, dictionary, unit)?;
        let key: Box<[u8]> = match tags {
            None => name.into(),
            Some(tags) => {
                join(&mut self.key, name, tags);
                self.key.as_slice().into()
            }
        };
        if self.sensors.len() >= TEXTS_MAX || self.bytes + key.len() > TEXT_BYTES_MAX {
            self.sensors.clear();
            self.bytes = 0;
        }
        self.bytes += key.len();
        self.sensors.insert(key, Known { id, unit });
        Ok((id, self.unit_texts[unit as usize].1))
    }
}

/// A name and its tags as one key. A name as written never ends before a quote, so no other pair gives the same key.
fn join(key: &mut Vec<u8>, name: &[u8], tags: &[u8]) {
    key.clear();
    key.extend_from_slice(name);
    key.push(b'"');
    key.extend_from_slice(tags);
}

fn unit_number<D: Dictionary>(
    units: &mut Map<u32>,
    texts: &mut Vec<(Box<[u8]>, UnitId)>,
    dictionary: &D,
    text: &[u8],
) -> Result<u32, Reason> {
    if let Some(number) = units.get(text) {
        return Ok(*number);
    }
    let mut code = String::new();
    json::unescape(text, &mut code).ok_or(Reason::BadJson)?;
    let id = dictionary.unit_id(&code).map_err(|_| Reason::UnitLimit)?;
    // One unit can be written in many ways; past the bound no more are taken, as if the dictionary were full.
    if texts.len() >= TEXTS_MAX {
        return Err(Reason::UnitLimit);
    }
    let number = u32::try_from(texts.len()).map_err(|_| Reason::UnitLimit)?;
    texts.push((text.into(), id));
    units.insert(text.into(), number);
    Ok(number)
}

/// The tags of an object as written; a `null` is no tag, and of a key that comes twice the last wins.
fn parse_tags(text: &[u8]) -> Result<Vec<(String, String)>, Reason> {
    // A raw line end is white space to JSON but the end of the line here.
    if text.contains(&b'\n') || std::str::from_utf8(text).is_err() {
        return Err(Reason::BadJson);
    }
    let mut tags: Vec<(String, String)> = Vec::new();
    let mut bad = false;
    json::whole_object(text, |key, token| {
        let mut name = String::new();
        // The object was scanned, so its strings are whole.
        let _ = json::unescape(&text[key], &mut name);
        tags.retain(|(earlier, _)| *earlier != name);
        match tag_text(text, &token) {
            Ok(Some(value)) => tags.push((name, value)),
            Ok(None) => {}
            Err(()) => bad = true,
        }
        bad |= tags.len() > TAGS_MAX;
    })
    .map_err(|_| Reason::BadJson)?;
    if bad { Err(Reason::BadTags) } else { Ok(tags) }
}

fn tag_text(text: &[u8], token: &Token) -> Result<Option<String>, ()> {
    let raw = &text[token.span.clone()];
    match token.kind {
        TokenKind::Null => Ok(None),
        TokenKind::Object | TokenKind::Array => Err(()),
        _ => {
            let mut value = String::new();
            json::unescape(raw, &mut value).ok_or(())?;
            Ok(Some(value))
        }
    }
}
