//! What `serde_yaml` says: whether a text is YAML, and what type a plain scalar has.

use super::{Span, Typed};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A longer plain scalar is text: the longest exact float has some 770 digits, and nobody writes it.
const NUMBER_MAX_BYTES: usize = 1024;

/// The type of a scalar that is written plain, without quotes.
pub fn type_of(text: &str) -> Typed {
    if text.is_empty() {
        return Typed::Null;
    }
    if !may_be_typed(text) {
        return Typed::Text;
    }
    match serde_yaml::from_str::<serde_yaml::Value>(text) {
        // Alone in a text, `---` is a document with nothing in it; as a scalar it is text.
        Ok(serde_yaml::Value::Null) if !text.starts_with(['-', '.']) => Typed::Null,
        Ok(serde_yaml::Value::Bool(value)) => Typed::Bool(value),
        Ok(serde_yaml::Value::Number(number)) => number
            .as_i64()
            .map(Typed::Integer)
            .or_else(|| number.as_u64().map(Typed::Unsigned))
            .or_else(|| number.as_f64().map(Typed::Float))
            .unwrap_or(Typed::Text),
        _ => Typed::Text,
    }
}

/// Whether a text can be anything but text. Also keeps YAML's own signs (quotes, `: `, ` #`, `- `) away from the
/// parser, to which a substituted text would otherwise be more than one scalar.
fn may_be_typed(text: &str) -> bool {
    let number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    let word = text.len() <= "false".len();
    (number || word)
        && text.len() <= NUMBER_MAX_BYTES
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_' | b'~'))
}

/// What `serde_yaml` has against a text that the event parser took.
pub(super) fn refusal(text: &str) -> Option<(Span, String)> {
    let error = serde_yaml::from_str::<Anything>(text).err()?;
    let count = |index: usize| u32::try_from(index).unwrap_or(u32::MAX).max(1);
    let (line, column) =
        error.location().map_or((1, 1), |place| (count(place.line()), count(place.column())));
    let message = error.to_string();
    // The place is in the diagnostic; serde_yaml repeats it in its text.
    let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
    Some((Span { line, column, end_column: column }, message))
}

/// Takes every YAML and keeps nothing. Serde's own `IgnoredAny` refuses whole numbers beyond 64 bits, which are text
/// here, to be refused by whoever wanted a number.
struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Anything {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_none<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}
