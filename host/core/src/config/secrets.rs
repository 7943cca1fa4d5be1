//! What came into the settings from outside the file, taken out of texts that people and machines read.
//!
//! A plugin knows the password that it was given, and its messages may quote it. What it says goes into the log, into
//! errors and to whoever asks the daemon, so each of these texts is cleaned first. Only the text itself is known, and
//! its escaped form: a password that a plugin encodes in another way before it quotes it is not recognised.

use super::{Config, Substituted};
use crate::yaml::Brought;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// A shorter text stands in any sentence: nothing would be left to read.
const MIN_BYTES: usize = 3;
/// The same for the value of an environment variable, which holds a name, a number or a host's address as a rule.
const VARIABLE_MIN_BYTES: usize = 5;
/// From this length on, a line of a secret of several lines (a key, a certificate) is looked for by itself.
const LINE_MIN_BYTES: usize = 16;
/// The most texts that are looked for; of secrets of many lines those beyond are found as a whole only.
const TEXTS_MAX: usize = 1024;

/// Whether the text is to be hidden wherever it stands, and not only where a setting is shown. A variable may hold any
/// word of every day, and mostly does.
fn is_secret_anywhere(brought: &Brought) -> bool {
    let Brought { written, text } = brought;
    if written.starts_with("${file:") || written.starts_with("${credential:") {
        return text.len() >= MIN_BYTES;
    }
    text.len() >= VARIABLE_MIN_BYTES && text.parse::<f64>().is_err() && text != "false"
}

/// Texts that are not to be shown. `Debug` shows none.
#[derive(Clone, Default)]
pub struct Secrets {
    /// What is looked for and what is shown instead, the longest first.
    texts: Vec<Brought>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.texts.len())
    }
}

impl Secrets {
    /// What must not stand in a text about anything: credentials, contents of files, and values of environment variables
    /// that are no numbers and no short words.
    pub fn of(config: &Config) -> Self {
        let settings = config.components.iter().flat_map(|component| component.substituted.values());
        let brought = settings.flat_map(|substituted| &substituted.brought);
        Self::new(brought.filter(|brought| is_secret_anywhere(brought)))
    }

    /// What must not stand in a message about these settings: all that came from outside, except for texts so short
    /// that they stand in every sentence.
    pub fn of_settings(substituted: &BTreeMap<String, Substituted>) -> Self {
        let brought = substituted.values().flat_map(|substituted| &substituted.brought);
        Self::new(brought.filter(|brought| brought.text.len() >= MIN_BYTES))
    }

    fn new<'a>(brought: impl Iterator<Item = &'a Brought>) -> Self {
        let whole: Vec<&Brought> = brought.collect();
        let lines = whole.iter().flat_map(|brought| {
            let lines = brought.text.lines().map(str::trim).filter(|line| line.len() >= LINE_MIN_BYTES);
            lines.map(|line| (line.to_owned(), &brought.written))
        });
        let escaped = whole.iter().map(|brought| {
            let quoted = format!("{:?}", brought.text);
            (quoted[1..quoted.len() - 1].to_owned(), &brought.written)
        });
        let all =
            whole.iter().map(|brought| (brought.text.clone(), &brought.written)).chain(escaped).chain(lines);
        let mut seen = HashSet::new();
        let mut texts: Vec<Brought> = all
            .filter(|(text, _)| seen.insert(text.clone()))
            .take(TEXTS_MAX)
            .map(|(text, written)| Brought { written: written.clone(), text })
            .collect();
        texts.sort_by_key(|brought| std::cmp::Reverse(brought.text.len()));
        Self { texts }
    }

    /// The text with what was written in place of what came out of it.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let inside: Vec<&Brought> = self.texts.iter().filter(|one| text.contains(&one.text)).collect();
        if inside.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        // In one pass, so that what is put in is not searched again.
        while let Some(next) = rest.chars().next() {
            if let Some(found) = inside.iter().find(|one| rest.starts_with(&one.text)) {
                masked.push_str(&found.written);
                rest = &rest[found.text.len()..];
            } else {
                masked.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        Cow::Owned(masked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(brought: &[(&str, &str)]) -> Secrets {
        let brought: Vec<Brought> = brought
            .iter()
            .map(|(written, text)| Brought { written: (*written).to_owned(), text: (*text).to_owned() })
            .collect();
        Secrets::new(brought.iter().filter(|brought| is_secret_anywhere(brought)))
    }

    #[test]
    fn a_password_inside_an_address_is_found_by_itself_and_only_once_replaced() {
        let secrets = secrets(&[("${credential:token}", "token"), ("${file:long}", "token-of-the-press")]);
        let said = "no login as a:token@b, nor with token-of-the-press";
        assert_eq!(secrets.mask(said), "no login as a:${credential:token}@b, nor with ${file:long}");
        assert!(matches!(secrets.mask("nothing of it"), Cow::Borrowed(_)));
        assert_eq!(format!("{secrets:?}"), "2 secrets");
    }

    #[test]
    fn what_is_quoted_with_escapes_and_single_lines_of_a_key_are_found() {
        let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n-----END PRIVATE KEY-----";
        let secrets = secrets(&[("${file:key}", key), ("${credential:odd}", "a\"b\\c\u{1}")]);
        assert_eq!(secrets.mask("bad key MIIEvQIBADANBgkqhkiG9w0BAQ."), "bad key ${file:key}.");
        assert_eq!(secrets.mask(&format!("{key:?}")), "\"${file:key}\"");
        assert_eq!(secrets.mask(&format!("{:?}", "a\"b\\c\u{1}")), "\"${credential:odd}\"");
    }

    #[test]
    fn short_words_and_numbers_of_the_environment_stay_readable() {
        let secrets =
            secrets(&[("${A}", "1000"), ("${B}", "12345.5"), ("${C}", "info"), ("${D}", "hunter2")]);
        assert_eq!(secrets.mask("1000 12345.5 info hunter2"), "1000 12345.5 info ${D}");
        let secrets = self::secrets(&[("${credential:pin}", "0123"), ("${credential:x}", "ab")]);
        assert_eq!(secrets.mask("0123 ab"), "${credential:pin} ab");
    }

    #[test]
    fn there_is_a_bound_on_what_is_looked_for() {
        let lines: Vec<String> = (0..5000).map(|n| format!("a line of its own {n}")).collect();
        let lines = lines.join("\n");
        let secrets = secrets(&[("${file:long}", &lines)]);
        assert_eq!(secrets.texts.len(), TEXTS_MAX);
        assert_eq!(secrets.mask(&lines), "${file:long}");
    }
}
