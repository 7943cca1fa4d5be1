//! A record's quality as text: a status, then flags, joined by `|`: `uncertain|clamped`.

use cardcage_plugin_api::{Quality, Status};

/// The quality as text: `good`, `bad|out_of_range`. The value kind is not part of it.
pub fn quality_text(quality: Quality) -> String {
    let mut text = quality.status().name().to_owned();
    for (flag, name) in Quality::FLAGS {
        if quality.has(flag) {
            text.push('|');
            text.push_str(name);
        }
    }
    text
}

/// Reads what [`quality_text`] writes; the status may be left out (good) and stand anywhere, but only once.
pub(crate) fn parse_quality(text: &[u8]) -> Option<Quality> {
    let (mut quality, mut status) = (Quality::GOOD, None);
    for word in text.split(|byte| *byte == b'|') {
        if let Some((flag, _)) = Quality::FLAGS.iter().find(|(_, name)| name.as_bytes() == word) {
            quality = quality.with(*flag);
        } else {
            let named = std::str::from_utf8(word).ok().and_then(Status::from_name)?;
            if status.replace(named).is_some() {
                return None;
            }
        }
    }
    Some(quality.with_status(status.unwrap_or(Status::Good)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quality_reads_back() {
        for bits in (0..256).filter(|bits| bits & 0b11 != 3) {
            let quality = Quality(bits);
            assert_eq!(parse_quality(quality_text(quality).as_bytes()), Some(quality));
        }
    }

    #[test]
    fn an_unknown_word_or_two_statuses_are_no_quality() {
        for text in ["", "fine", "good|bad", "good|", "Good", "clamped|clampe"] {
            assert_eq!(parse_quality(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_quality(b"clamped"), Some(Quality::CLAMPED));
    }
}
