//! Ids by the raw text of the data: what a sensor's name and tags look like in a line, before any unescaping.
//!
//! The text between two quotes is looked up as it stands. Only when it is new is it checked and unescaped, so that a
//! sensor that was seen before costs one hash and one comparison. An entry is therefore always valid text.

use crate::dictionary::Dictionary;
use crate::json::{self, Token, TokenKind};
use crate::pairs;
use crate::reject::Reason;
use cardcage_plugin_api::{SensorId, UnitId};
use std::collections::HashMap;
use std::sync::Arc;

/// The most bytes of a sensor's name and tags together, as written: a name longer than a page is a broken line.
const SENSOR_TEXT_MAX_BYTES: usize = 4 * 1024;
/// The most tags of a sensor.
const TAGS_MAX: usize = 64;
/// The most raw texts remembered; past it all are forgotten and learned again. One sensor can be written in many ways
/// (escapes, the order of tags), so the dictionary's limit does not bound this.
const TEXTS_MAX: usize = 1 << 20;
/// The most ways to write units that are remembered: each unit of the dictionary's default limit in some ways.
const UNIT_TEXTS_MAX: usize = 1 << 14;
/// The most bytes of raw text remembered, for the same reason.
const TEXT_BYTES_MAX: usize = 128 << 20;

/// Slots for each remembered text in the table in front of the hash map: few texts share a slot.
const SLOTS_PER_TEXT: usize = 8;
/// The most slots; more would not stay in a cache that is faster than the hash map.
const SLOTS_MAX: usize = 1 << 18;
const NO_SENSOR: u32 = u32::MAX;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// How names, tags and units stand in the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// The contents of JSON strings; tags are an object.
    Json,
    /// As they are; tags are `key=value` pairs with `;` between them, and a backslash takes the meaning from what
    /// follows it.
    Plain,
}

impl Spelling {
    /// Appends what a text means to `into`; `None` if it is no text of this spelling.
    fn decode(self, text: &[u8], into: &mut String) -> Option<()> {
        match self {
            Self::Json => json::unescape(text, into),
            Self::Plain => {
                into.push_str(std::str::from_utf8(text).ok()?);
                Some(())
            }
        }
    }

    fn tags(self, text: &[u8]) -> Result<Vec<(String, String)>, Reason> {
        match self {
            Self::Json => parse_tags(text),
            Self::Plain => pairs::parse(text, TAGS_MAX).ok_or(Reason::BadTags),
        }
    }

    /// Why a text that cannot be decoded is rejected.
    const fn fault(self) -> Reason {
        match self {
            Self::Json => Reason::BadJson,
            Self::Plain => Reason::BadCsv,
        }
    }
}

/// Remembers the ids of raw texts.
pub(crate) struct Interned {
    spelling: Spelling,
    sensors: Vec<Known>,
    /// Numbers in `sensors` by text.
    by_text: Map<Arc<[u8]>, u32>,
    /// Numbers in `sensors` by a few bits of the text: a guess, always compared. A text that somebody made to share
    /// another one's slot costs a look into the hash map, whose hash nobody outside can foresee.
    slots: Vec<u32>,
    bytes: usize,
    units: Map<Box<[u8]>, u32>,
    /// The units by the number in `units`: their raw text and id.
    unit_texts: Vec<(Box<[u8]>, UnitId)>,
    key: Vec<u8>,
}

struct Known {
    text: Arc<[u8]>,
    id: SensorId,
    /// Number of the unit that came with the sensor last: nearly always the next one, too.
    unit: u32,
}

impl Interned {
    pub(crate) fn new(spelling: Spelling) -> Self {
        Self {
            spelling,
            sensors: Vec::new(),
            by_text: Map::default(),
            slots: Vec::new(),
            bytes: 0,
            units: Map::default(),
            unit_texts: Vec::new(),
            key: Vec::new(),
        }
    }

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
        let text = if is_joined(name, tags) {
            join(&mut self.key, name, tags.unwrap_or_default());
            &self.key
        } else {
            name
        };
        let guess = self.slots.get(slot_of(text, self.slots.len())).copied().unwrap_or(NO_SENSOR);
        if let Some(known) = self.sensors.get(guess as usize)
            && equal(&known.text, text)
            && let Some((unit_text, unit_id)) = self.unit_texts.get(known.unit as usize)
            && equal(unit_text, unit)
        {
            return Ok((known.id, *unit_id));
        }
        self.ids_slowly(dictionary, name, tags, unit)
    }

    /// Where the guess is wrong: another sensor in the slot, a unit that changed, a text that is new.
    #[inline(never)]
    fn ids_slowly<D: Dictionary>(
        &mut self,
        dictionary: &D,
        name: &[u8],
        tags: Option<&[u8]>,
        unit: &[u8],
    ) -> Result<(SensorId, UnitId), Reason> {
        let text = if is_joined(name, tags) { &self.key[..] } else { name };
        let number = match self.by_text.get(text) {
            Some(number) => *number,
            None => self.learn(dictionary, name, tags)?,
        };
        let unit = self.unit_number(dictionary, unit)?;
        let slot = {
            let text = if is_joined(name, tags) { &self.key[..] } else { name };
            slot_of(text, self.slots.len())
        };
        self.slots[slot] = number;
        let known = &mut self.sensors[number as usize];
        known.unit = unit;
        Ok((known.id, self.unit_texts[unit as usize].1))
    }

    /// Interns a sensor and remembers its text, which is `name` or with tags `self.key`. Returns its number.
    #[cold]
    fn learn<D: Dictionary>(
        &mut self,
        dictionary: &D,
        name: &[u8],
        tags: Option<&[u8]>,
    ) -> Result<u32, Reason> {
        let text = if is_joined(name, tags) { &self.key[..] } else { name };
        if text.len() > SENSOR_TEXT_MAX_BYTES {
            return Err(Reason::TooLong);
        }
        let mut sensor_name = String::new();
        self.spelling.decode(name, &mut sensor_name).ok_or(self.spelling.fault())?;
        if sensor_name.is_empty() {
            return Err(Reason::NoSensor);
        }
        let sensor_tags = tags.map_or(Ok(Vec::new()), |tags| self.spelling.tags(tags))?;
        let borrowed: Vec<(&str, &str)> =
            sensor_tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let id = dictionary.sensor_id(&sensor_name, &borrowed).map_err(|_| Reason::SensorLimit)?;
        let text: Arc<[u8]> = text.into();
        if self.sensors.len() >= TEXTS_MAX || self.bytes + text.len() > TEXT_BYTES_MAX {
            self.sensors.clear();
            self.by_text.clear();
            self.slots.fill(NO_SENSOR);
            self.bytes = 0;
        }
        self.bytes += text.len();
        let number = u32::try_from(self.sensors.len()).map_err(|_| Reason::SensorLimit)?;
        self.by_text.insert(Arc::clone(&text), number);
        self.sensors.push(Known { text, id, unit: 0 });
        self.grow_slots();
        Ok(number)
    }

    /// Keeps the slots some times as many as the texts. They are few calls, each twice as far apart as the one before.
    fn grow_slots(&mut self) {
        let wanted = (self.sensors.len() * SLOTS_PER_TEXT).next_power_of_two().min(SLOTS_MAX);
        if wanted > self.slots.len() {
            self.slots = vec![NO_SENSOR; wanted];
            for (number, known) in (0..).zip(&self.sensors) {
                self.slots[slot_of(&known.text, wanted)] = number;
            }
        }
    }

    fn unit_number<D: Dictionary>(&mut self, dictionary: &D, text: &[u8]) -> Result<u32, Reason> {
        if let Some(number) = self.units.get(text) {
            return Ok(*number);
        }
        let mut code = String::new();
        self.spelling.decode(text, &mut code).ok_or(self.spelling.fault())?;
        let id = dictionary.unit_id(&code).map_err(|_| Reason::UnitLimit)?;
        // One unit can be written in many ways; past the bound no more are taken, as if the dictionary were full.
        if self.unit_texts.len() >= UNIT_TEXTS_MAX || text.len() > SENSOR_TEXT_MAX_BYTES {
            return Err(Reason::UnitLimit);
        }
        let number = u32::try_from(self.unit_texts.len()).map_err(|_| Reason::UnitLimit)?;
        self.unit_texts.push((text.into(), id));
        self.units.insert(text.into(), number);
        Ok(number)
    }
}

/// A slot below `slots`, which is 0 or a power of two: from the text's ends and its length, where names differ.
#[inline]
pub(crate) fn slot_of(text: &[u8], slots: usize) -> usize {
    let mixed =
        match (text.first_chunk::<8>(), text.last_chunk::<8>(), text[text.len() / 2..].first_chunk::<8>()) {
            (Some(first), Some(last), middle) => {
                u64::from_le_bytes(*first).wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    ^ u64::from_le_bytes(*last).wrapping_mul(0xC2B2_AE3D_27D4_EB4F)
                    ^ u64::from_le_bytes(*middle.unwrap_or(last)).wrapping_mul(0x1656_67B1_9E37_79F9)
            }
            _ => text
                .iter()
                .fold(text.len() as u64, |mixed, byte| mixed.rotate_left(8) ^ u64::from(*byte))
                .wrapping_mul(0x9E37_79B9_7F4A_7C15),
        };
    // The high bits of a product depend on all bits of its factors.
    let folded = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32;
    folded as usize & slots.wrapping_sub(1)
}

/// Whether two short texts are the same, without a call.
#[inline]
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    let len = a.len();
    if len != b.len() {
        return false;
    }
    let (Some(end_a), Some(end_b)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        // Units, mostly: two words of four bytes overlap likewise.
        return match (a.first_chunk::<4>(), b.first_chunk::<4>()) {
            (Some(start_a), Some(start_b)) => {
                start_a == start_b && a.last_chunk::<4>() == b.last_chunk::<4>()
            }
            _ => a.iter().zip(b).all(|(a, b)| a == b),
        };
    };
    // The last eight bytes overlap the words before them where the length is no multiple of eight.
    let (words_a, _) = a.as_chunks::<8>();
    let (words_b, _) = b.as_chunks::<8>();
    end_a == end_b && words_a.iter().zip(words_b).all(|(a, b)| a == b)
}

/// Whether the key is name and tags rather than the name alone: where there are tags, and where the name alone could pass for
/// such a key. Those begin with a length, whose eighth byte is 0.
#[inline]
fn is_joined(name: &[u8], tags: Option<&[u8]>) -> bool {
    tags.is_some() || name.get(7) == Some(&0)
}

/// A name and its tags as one key. The name's length in front keeps any other pair from giving the same key.
#[inline]
fn join(key: &mut Vec<u8>, name: &[u8], tags: &[u8]) {
    key.clear();
    key.extend_from_slice(&name.len().to_le_bytes());
    key.extend_from_slice(name);
    key.extend_from_slice(tags);
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
