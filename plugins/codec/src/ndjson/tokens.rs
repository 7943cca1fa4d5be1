//! What the general parser found in a line, as the parts of a record.

use crate::assemble::{Part, Parts, Stamp};
use crate::json::{self, Token, TokenKind};
use crate::reject::{Reason, Rejection};
use std::ops::Range;

/// The values that the general parser found for the parts of a record.
pub(super) struct Tokens<'a> {
    pub(super) line: &'a [u8],
    pub(super) sensor: Option<&'a Token>,
    pub(super) timestamp: Option<&'a Token>,
    pub(super) value: Option<&'a Token>,
    pub(super) unit: Option<&'a Token>,
    pub(super) quality: Option<&'a Token>,
    pub(super) tags: Option<&'a Token>,
}

impl<'a> Tokens<'a> {
    /// The parts, if each value is of a type that its part can have. `null` is like absent. Timestamp and quality are
    /// unescaped into `text`; names stay raw, because they are looked up raw.
    pub(super) fn parts<'b>(&self, text: &'b mut String) -> Result<Parts<'b>, Rejection>
    where
        'a: 'b,
    {
        let value = match present(self.value) {
            None => None,
            Some(token) if token.kind == TokenKind::Number => Some(token.number),
            Some(token) => return Err(Rejection::new(Reason::BadNumber, token.span.start)),
        };
        let integer_or_text = [TokenKind::Text, TokenKind::Number];
        let sensor = self.raw(self.sensor, &integer_or_text, Reason::BadSensor)?;
        if let (Some(name), Some(token)) = (sensor, self.sensor)
            && token.kind == TokenKind::Number
            && name.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
        {
            return Err(Rejection::new(Reason::BadSensor, token.span.start));
        }
        let quality = self.unescaped(self.quality, &[TokenKind::Text], Reason::BadQuality, text)?;
        let number = present(self.timestamp).filter(|token| token.kind == TokenKind::Number);
        let time = match number {
            // Nothing in a number needs unescaping.
            Some(_) => None,
            None => self.unescaped(self.timestamp, &[TokenKind::Text], Reason::BadTimestamp, text)?,
        };
        let text: &'b str = text;
        let unescaped = |span: Range<usize>| &text.as_bytes()[span];
        Ok(Parts {
            timestamp: match (number, time) {
                (Some(token), _) => Stamp::Number(&self.line[token.span.clone()]),
                (None, Some(span)) => Stamp::Text(unescaped(span)),
                (None, None) => Stamp::Absent,
            },
            value,
            sensor,
            tags: self.raw(self.tags, &[TokenKind::Object], Reason::BadTags)?,
            unit: self.raw(self.unit, &[TokenKind::Text], Reason::BadUnit)?,
            quality: quality.map(unescaped),
        })
    }

    fn raw(
        &self,
        token: Option<&Token>,
        kinds: &[TokenKind],
        reason: Reason,
    ) -> Result<Option<&'a [u8]>, Rejection> {
        match present(token) {
            None => Ok(None),
            Some(token) if kinds.contains(&token.kind) => Ok(Some(&self.line[token.span.clone()])),
            Some(token) => Err(Rejection::new(reason, token.span.start)),
        }
    }

    /// Appends what a value means to `text`, and says where it stands there.
    fn unescaped(
        &self,
        token: Option<&Token>,
        kinds: &[TokenKind],
        reason: Reason,
        text: &mut String,
    ) -> Result<Option<Range<usize>>, Rejection> {
        let Some(raw) = self.raw(token, kinds, reason)? else {
            return Ok(None);
        };
        let start = text.len();
        let at = token.map_or(0, |token| token.span.start);
        json::unescape(raw, text).ok_or(Rejection::new(Reason::BadJson, at))?;
        Ok(Some(start..text.len()))
    }

    /// Where in the line the trouble is: at the value in question, else at the start.
    pub(super) fn offset_of(&self, reason: Reason) -> usize {
        let token = match reason.part() {
            Some(Part::Sensor) => self.sensor,
            Some(Part::Value) => self.value,
            Some(Part::Timestamp) => self.timestamp,
            Some(Part::Unit) => self.unit,
            Some(Part::Quality) => self.quality,
            Some(Part::Tags) => self.tags,
            // Too long is what names the sensor.
            None if reason == Reason::TooLong => self.sensor,
            None => None,
        };
        token.map_or(0, |token| token.span.start)
    }
}

fn present(token: Option<&Token>) -> Option<&Token> {
    token.filter(|token| token.kind != TokenKind::Null)
}
