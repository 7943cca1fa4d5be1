//! What came into the settings from outside the file, taken out of texts that people and machines read.
//!
//! A plugin knows the password that it was given, and its messages may quote it. What it says goes into the log, into
//! errors and to whoever asks the daemon, so each of these texts is cleaned first. Only the text itself is known, its
//! lines and its escaped form: a password that a plugin encodes in another way before it quotes it is not recognised.
//!
//! Whoever cuts a text marks the place with [`CUT`], so that what was left of a secret there is found, too.

use super::{Config, Substituted};
use crate::yaml::Brought;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;

/// A shorter text stands in any sentence: nothing would be left to read.
const MIN_BYTES: usize = 3;
/// The same for the value of an environment variable, which holds a name, a number or a host's address as a rule.
const VARIABLE_MIN_BYTES: usize = 5;
/// What stands where a text was cut.
pub const CUT: char = '…';
/// Such places of one text that are looked at: more than the fields that a line of the log has.
const CUTS_MAX: usize = 32;
/// The most texts that are looked for; of secrets of many lines those beyond are found as a whole only.
const TEXTS_MAX: usize = 1024;

/// Whether the text is to be hidden wherever it stands, and not only where a setting is shown. A variable may hold any
/// word of every day, and mostly does.
fn is_secret_anywhere(written: &str, text: &str) -> bool {
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
        Self::new(brought, is_secret_anywhere)
    }

    /// What must not stand in a message about these settings: all that came from outside, except for texts so short
    /// that they stand in every sentence.
    pub fn of_settings(substituted: &BTreeMap<String, Substituted>) -> Self {
        let brought = substituted.values().flat_map(|substituted| &substituted.brought);
        Self::new(brought, |_, text| text.len() >= MIN_BYTES)
    }

    /// With what a plugin may quote of each: the whole, without the white space around it, each of its lines, and each of
    /// these with escapes; as far as it is a secret by itself, by what was written and the text.
    fn new<'a>(brought: impl Iterator<Item = &'a Brought>, is_secret: fn(&str, &str) -> bool) -> Self {
        let brought: Vec<&Brought> = brought.collect();
        let all = brought.iter().map(|one| (one.text.as_str(), &one.written));
        let lines =
            brought.iter().flat_map(|one| one.text.lines().map(move |line| (line.trim(), &one.written)));
        let forms = all.clone().chain(all.map(|(text, written)| (text.trim(), written))).chain(lines);
        let forms = forms.filter(|(text, written)| is_secret(written, text));
        let escaped = |(text, written): (&'a str, &'a String)| {
            let quoted = format!("{text:?}");
            [(text.to_owned(), written), (quoted[1..quoted.len() - 1].to_owned(), written)]
        };
        let mut seen = HashSet::new();
        let mut texts: Vec<Brought> = forms
            .flat_map(escaped)
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
        let begun = self.begun_before_cuts(text);
        if inside.is_empty() && begun.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut at = 0;
        // In one pass, so that what is put in is not searched again.
        while let Some(next) = text[at..].chars().next() {
            if let Some(found) = inside.iter().find(|one| text[at..].starts_with(&one.text)) {
                masked.push_str(&found.written);
                at += found.text.len();
            } else if let Some((place, written)) = begun.iter().find(|(place, _)| place.start == at) {
                masked.push_str(written);
                at = place.end;
            } else {
                masked.push(next);
                at += next.len_utf8();
            }
        }
        Cow::Owned(masked)
    }

    /// Where a secret begins that a cut has ended, and what was written for it: the longest at each cut.
    fn begun_before_cuts(&self, text: &str) -> Vec<(Range<usize>, &str)> {
        let cuts = text.match_indices(CUT).map(|(at, _)| at).take(CUTS_MAX);
        let longest = |end: usize| {
            let begun = |one: &Brought| {
                let lengths = (MIN_BYTES..=one.text.len().min(end)).rev();
                let length = lengths.into_iter().find(|length| {
                    one.text.is_char_boundary(*length) && text[..end].ends_with(&one.text[..*length])
                });
                length.unwrap_or(0)
            };
            let each = self.texts.iter().map(|one| (begun(one), one));
            let (length, one) = each.max_by_key(|(length, _)| *length).filter(|(length, _)| *length > 0)?;
            Some((end - length..end, one.written.as_str()))
        };
        cuts.filter_map(longest).collect()
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
        Secrets::new(brought.iter(), is_secret_anywhere)
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
    fn lines_of_a_file_and_what_is_left_without_white_space_are_secrets_like_a_whole() {
        let secrets =
            secrets(&[("${file:creds}", "operator\nhunter2-pass\n\nab\n"), ("${file:ws}", "  wssecret  ")]);
        assert_eq!(secrets.mask("got [hunter2-pass] of operator"), "got [${file:creds}] of ${file:creds}");
        assert_eq!(secrets.mask("got [wssecret] ab"), "got [${file:ws}] ab");
        assert_eq!(secrets.mask("got [  wssecret  ]"), "got [${file:ws}]");
    }

    #[test]
    fn what_a_cut_left_of_a_secret_is_found() {
        let secrets =
            secrets(&[("${credential:token}", "S3CRETPREFIX-and-more"), ("${credential:odd}", "päßwörd\"x")]);
        assert_eq!(secrets.mask("0000S3CRETPREFIX… n=1"), "0000${credential:token}… n=1");
        assert_eq!(
            secrets.mask("a päß… b S3C… c S3CRETPREFIX-and-more… d"),
            "a ${credential:odd}… b ${credential:token}… c ${credential:token}… d"
        );
        assert_eq!(secrets.mask("päßwörd\\…"), "${credential:odd}…", "within an escape");
        assert_eq!(secrets.mask("loading S3… and p…"), "loading S3… and p…", "so little tells nothing");
        assert_eq!(
            secrets.mask("S3CRETPREFIX is no secret by itself"),
            "S3CRETPREFIX is no secret by itself"
        );
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
