//! One event as values, bounded: what every form of the log is written from.

use super::filter::{ALWAYS_WRITTEN, PLUGINS};
use cardcage_core::config::{CUT, Secrets};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::time::SystemTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// The longest message; what is longer is cut and says so. Plugins' messages are cut to the half of it before.
const MESSAGE_MAX_BYTES: usize = 16 * 1024;
/// The longest text of a field.
const FIELD_MAX_BYTES: usize = 2 * 1024;
/// The most fields of an event beside its message; our own have at most five.
const FIELDS_MAX: usize = 16;

/// An event.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) time: SystemTime,
    pub(super) level: Level,
    /// The component that it is about.
    pub(super) component: Option<String>,
    /// The plugin that said it; `None` where the host did.
    pub(super) plugin: Option<String>,
    /// Which of `tracing`'s targets it has: the host's module, or `plugin`.
    pub(super) target: &'static str,
    /// The plugin's module.
    pub(super) module: Option<String>,
    /// The file of the host's code.
    pub(super) source: Option<&'static str>,
    /// The line of the code, be it the host's or the plugin's.
    pub(super) row: Option<u32>,
    pub(super) message: String,
    /// The other fields, in the order of the code.
    pub(super) fields: Vec<(&'static str, Value)>,
}

impl Line {
    /// What an event says.
    pub(super) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut line = Self {
            time: SystemTime::now(),
            level: *metadata.level(),
            component: None,
            plugin: None,
            target: metadata.target(),
            module: None,
            source: metadata.file(),
            row: metadata.line(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut Reading(&mut line));
        if line.target == PLUGINS {
            // Where in the host a plugin's event passed through helps nobody.
            line.source = None;
            line.row = line.module.as_mut().and_then(split_line);
        }
        line
    }

    /// Whether no filter leaves it out and no count stands for it.
    pub(super) fn is_always_written(&self) -> bool {
        ALWAYS_WRITTEN.contains(&self.target)
    }

    /// About how many bytes it takes while it waits to be written.
    pub(super) fn weight(&self) -> usize {
        let own = [&self.component, &self.plugin, &self.module].into_iter().flatten();
        let texts = own.map(String::len).sum::<usize>() + self.message.len();
        let fields = self.fields.iter().map(|(_, value)| {
            size_of::<(&str, Value)>() + if let Value::String(text) = value { text.len() } else { 0 }
        });
        size_of::<Self>() + texts + fields.sum::<usize>()
    }

    /// Takes out what is not to be shown, also what a cut has left of it.
    pub(super) fn mask(&mut self, secrets: &Secrets) {
        let own = [Some(&mut self.message), self.module.as_mut()].into_iter().flatten();
        let fields = self.fields.iter_mut().filter_map(|(_, value)| match value {
            Value::String(text) => Some(text),
            _ => None,
        });
        for text in own.chain(fields) {
            if let Cow::Owned(masked) = secrets.mask(text) {
                *text = masked;
            }
        }
    }

    /// A line that the log itself has to say.
    #[track_caller]
    pub(super) fn own(level: Level, message: String) -> Self {
        let place = Location::caller();
        Self {
            time: SystemTime::now(),
            level,
            component: None,
            plugin: None,
            target: module_path!(),
            module: None,
            source: Some(place.file()),
            row: Some(place.line()),
            message,
            fields: Vec::new(),
        }
    }
}

/// Splits `module:12`, as the SDK names the place of an event, into the module and the line.
fn split_line(module: &mut String) -> Option<u32> {
    let (name, line) = module.rsplit_once(':')?;
    let line = line.parse().ok()?;
    let length = name.len();
    module.truncate(length);
    Some(line)
}

/// Cuts a text at a character's end, and marks it as cut for [`Line::mask`].
pub(super) fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push(CUT);
    }
}

struct Reading<'a>(&'a mut Line);

impl Reading<'_> {
    fn keep(&mut self, field: &Field, value: Value) {
        if self.0.fields.len() < FIELDS_MAX {
            self.0.fields.push((field.name(), value));
        }
    }
}

impl Visit for Reading<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let own = |most| {
            let mut own = value[..value.floor_char_boundary(most + 1)].to_owned();
            cut(&mut own, most);
            own
        };
        match field.name() {
            "message" => self.0.message = own(MESSAGE_MAX_BYTES),
            "component" => self.0.component = Some(own(FIELD_MAX_BYTES)),
            "plugin" => self.0.plugin = Some(own(FIELD_MAX_BYTES)),
            "module" if self.0.target == PLUGINS => self.0.module = Some(own(FIELD_MAX_BYTES)),
            _ => self.keep(field, Value::String(own(FIELD_MAX_BYTES))),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Bounded { text: String::new(), most: MESSAGE_MAX_BYTES };
        // What cannot be formatted in whole is shown as far as it went.
        let _ = fmt::write(&mut text, format_args!("{value:?}"));
        self.record_str(field, &text.text);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for those that are no number.
        let number = serde_json::Number::from_f64(value);
        self.keep(field, number.map_or_else(|| Value::String(value.to_string()), Value::Number));
    }
}

/// Takes no more than a message may have, and one character by which it is seen that there was more.
struct Bounded {
    text: String,
    most: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = (self.most + 4).saturating_sub(self.text.len());
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn the_place_that_a_plugin_names_is_a_module_and_a_line() {
        for (said, module, line) in [
            ("plant::despike:41", "plant::despike", Some(41)),
            ("plant::despike", "plant::despike", None),
            ("plant", "plant", None),
            ("", "", None),
            ("a:99999999999", "a:99999999999", None),
        ] {
            let mut text = said.to_owned();
            assert_eq!(split_line(&mut text), line, "{said}");
            assert_eq!(text, module);
        }
    }

    #[test]
    fn a_text_without_end_is_cut_at_a_character() {
        let mut bounded = Bounded { text: String::new(), most: 10 };
        while bounded.write_str("aé").is_ok() {}
        assert!(bounded.text.len() > 10 && bounded.text.len() <= 14, "{}", bounded.text);
        cut(&mut bounded.text, 10);
        assert_eq!(bounded.text, "aéaéaéa…");
    }
}
