//! The settings, checked: which sensor gets which name and tags.

use crate::RenameSettings;
use regex::{Captures, Regex, RegexBuilder};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a compiled pattern may take: enough for hundreds of alternatives, and too little for `(\w{1000}){1000}`.
const PATTERN_MAX_BYTES: usize = 1 << 20;

/// What is wrong with a setting.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Its dotted path; empty for the settings as a whole.
    pub(crate) setting: String,
    pub(crate) message: String,
}

fn fault(setting: impl Into<String>, message: impl Into<String>) -> Fault {
    Fault { setting: setting.into(), message: message.into() }
}

/// What a sensor's new name and tags are.
pub(crate) struct Rules {
    names: BTreeMap<String, String>,
    pattern: Option<(Regex, String)>,
    tags: BTreeMap<String, String>,
    drop_tags: Vec<String>,
}

/// A sensor as it will be called.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Renamed<'a> {
    pub(crate) name: Cow<'a, str>,
    /// Sorted by key.
    pub(crate) tags: Vec<(&'a str, &'a str)>,
}

impl Rules {
    /// The rules, or everything that is wrong with them.
    pub(crate) fn new(settings: &RenameSettings) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        for (old, new) in &settings.sensors {
            if new.is_empty() {
                faults.push(fault(format!("sensors.{old}"), "the new name is empty"));
            }
        }
        if settings.tags.contains_key("") {
            faults.push(fault("tags", "a tag without a name"));
        }
        for both in settings.drop_tags.iter().filter(|tag| settings.tags.contains_key(*tag)) {
            let message = format!("`{both}` is in `tags` as well, which replaces it; keep it in one of them");
            faults.push(fault("drop_tags", message));
        }
        let nothing =
            settings.sensors.is_empty() && settings.tags.is_empty() && settings.drop_tags.is_empty();
        if nothing && settings.pattern.is_none() && settings.replace.is_none() {
            faults.push(fault(
                "",
                "none of `sensors`, `pattern`, `tags` and `drop_tags` is given, so nothing would change",
            ));
        }
        let pattern = match pattern(settings) {
            Ok(pattern) => pattern,
            Err(wrong) => {
                faults.push(wrong);
                None
            }
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            names: settings.sensors.clone(),
            pattern,
            tags: settings.tags.clone(),
            drop_tags: settings.drop_tags.clone(),
        })
    }

    /// What becomes of a sensor; `None` if nothing matches it.
    pub(crate) fn apply<'a>(
        &'a self,
        name: &'a str,
        tags: impl Iterator<Item = (&'static str, &'static str)>,
    ) -> Option<Renamed<'a>> {
        let name = self.name(name)?;
        let kept = tags.filter(|(key, _)| !self.drop_tags.iter().any(|dropped| dropped == key));
        let mut all: BTreeMap<&'a str, &'a str> =
            kept.map(|(key, value)| -> (&'a str, &'a str) { (key, value) }).collect();
        all.extend(self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        Some(Renamed { name, tags: all.into_iter().collect() })
    }

    fn name<'a>(&'a self, name: &'a str) -> Option<Cow<'a, str>> {
        if let Some(new) = self.names.get(name) {
            return Some(Cow::Borrowed(new));
        }
        match &self.pattern {
            Some((pattern, replace)) => {
                pattern.is_match(name).then(|| pattern.replace_all(name, replace.as_str()))
            }
            None => self.names.is_empty().then_some(Cow::Borrowed(name)),
        }
    }
}

fn pattern(settings: &RenameSettings) -> Result<Option<(Regex, String)>, Fault> {
    let (text, replace) = match (&settings.pattern, &settings.replace) {
        (None, None) => return Ok(None),
        (Some(_), None) => {
            return Err(fault(
                "pattern",
                "`replace` is missing: it says what becomes of what `pattern` matches",
            ));
        }
        (None, Some(_)) => return Err(fault("replace", "`pattern` is missing: there is nothing to replace")),
        (Some(pattern), Some(replace)) => (pattern, replace),
    };
    let compiled = RegexBuilder::new(text).size_limit(PATTERN_MAX_BYTES).build();
    let compiled = compiled.map_err(|error| fault("pattern", explained(&error)))?;
    match unknown_group(&compiled, replace) {
        Some(message) => Err(fault("replace", message)),
        None => Ok(Some((compiled, replace.clone()))),
    }
}

/// The error in one line: the crate draws the place over several.
fn explained(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("needs more than {limit} bytes when compiled; write smaller repetitions")
        }
        other => {
            let drawn = other.to_string();
            let last = drawn.lines().next_back().unwrap_or_default();
            format!("no regular expression: {}", last.trim_start_matches("error: "))
        }
    }
}

/// A group in the replacement that the pattern lacks: it would become nothing, without a word.
fn unknown_group(pattern: &Regex, replace: &str) -> Option<String> {
    // The references are found as the replacing itself finds them.
    let reference = Regex::new(r"\$(?:(\$)|\{([^}]*)\}|([0-9A-Za-z_]+))").ok()?;
    let name_of = |found: &Captures<'_>| -> Option<String> {
        let group = found.get(2).or_else(|| found.get(3))?;
        Some(group.as_str().to_owned())
    };
    let known = |name: &str| match name.parse::<usize>() {
        Ok(number) => number < pattern.captures_len(),
        Err(_) => pattern.capture_names().flatten().any(|group| group == name),
    };
    let unknown =
        reference.captures_iter(replace).filter_map(|found| name_of(&found)).find(|name| !known(name))?;
    let digits = unknown.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && digits < unknown.len() && known(&unknown[..digits]) {
        let (number, rest) = unknown.split_at(digits);
        return Some(format!(
            "`${unknown}` names a group `{unknown}`; for group {number} write `${{{number}}}{rest}` \
             (in pipeline.yaml `$${{{number}}}{rest}`)"
        ));
    }
    Some(format!(
        "`pattern` has no group `{unknown}`; it has {} beside the whole, `$0`",
        pattern.captures_len() - 1
    ))
}
