//! A line of the log as text: for people, as JSON, and for a service manager that reads stderr.

use super::line::Line;
use jiff::Timestamp;
use serde_json::Value;
use std::fmt::{self, Write as _};
use tracing::Level;

/// How lines on stderr look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people: time, level, message, fields.
    Human { colours: bool },
    /// One JSON object a line.
    Json,
    /// The severity as the journal reads it from a stream (`<4>`), and no time: the journal has its own.
    Prefixed,
}

impl Form {
    /// The line, with the line end.
    pub(super) fn write(self, line: &Line) -> String {
        match self {
            Self::Human { colours } => human(line, colours),
            Self::Json => json(line),
            Self::Prefixed => format!("<{}>{}\n", severity(line.level), plain(line)),
        }
    }
}

/// How severe syslog and the journal take a level to be.
pub(crate) fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// `component: message field=value`: what a line says where time, level and plugin are shown by others.
pub(super) fn plain(line: &Line) -> String {
    let mut text = String::new();
    if let Some(component) = &line.component {
        push_escaped(&mut text, component);
        text.push_str(": ");
    }
    push_escaped(&mut text, &line.message);
    push_fields(&mut text, line);
    text
}

fn human(line: &Line, colours: bool) -> String {
    let paint = |code: &'static str| if colours { code } else { "" };
    let colour = match line.level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    };
    let (dim, colour, end) = (paint("\x1b[2m"), paint(colour), paint("\x1b[0m"));
    let mut text = format!("{dim}{:.6}{end} {colour}{:>5}{end} ", time(line), line.level.as_str());
    push_escaped(&mut text, &line.message);
    push_fields(&mut text, line);
    for (name, value) in [("component", &line.component), ("plugin", &line.plugin), ("module", &line.module)]
    {
        if let Some(value) = value {
            push(&mut text, format_args!(" {name}={value:?}"));
        }
    }
    text.push('\n');
    text
}

fn json(line: &Line) -> String {
    // Written by hand for its order: a person who reads it wants time, level and message first.
    let mut text = String::from("{");
    let mut put = |name: fmt::Arguments<'_>, value: Value| {
        let comma = if text.len() == 1 { "" } else { "," };
        push(&mut text, format_args!("{comma}{}:{value}", Value::String(name.to_string())));
    };
    put(format_args!("timestamp"), format!("{:.6}", time(line)).into());
    put(format_args!("level"), line.level.as_str().into());
    put(format_args!("message"), line.message.as_str().into());
    let named = [("component", &line.component), ("plugin", &line.plugin), ("module", &line.module)];
    for (name, value) in named {
        if let Some(value) = value {
            put(format_args!("{name}"), value.as_str().into());
        }
    }
    for (name, value) in &line.fields {
        // A field of a library that we do not know may have a name of ours.
        let taken = JSON_KEYS.contains(name) || named.iter().any(|(own, _)| own == name);
        put(format_args!("{}{name}", if taken { "field_" } else { "" }), value.clone());
    }
    put(format_args!("target"), line.target.into());
    text.push_str("}\n");
    text
}

/// The keys that each line has.
const JSON_KEYS: [&str; 4] = ["timestamp", "level", "message", "target"];

/// Microseconds as RFC 3339.
fn time(line: &Line) -> Timestamp {
    // A clock that is set to a year which no calendar has.
    Timestamp::try_from(line.time).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn push_fields(text: &mut String, line: &Line) {
    for (name, value) in &line.fields {
        match value {
            Value::String(value) => {
                push(text, format_args!(" {name}="));
                push_escaped(text, value);
            }
            value => push(text, format_args!(" {name}={value}")),
        }
    }
}

fn push(text: &mut String, what: fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = text.write_fmt(what);
}

/// Without what a terminal would obey, and on one line: the text may come from a plugin, a file or the network.
fn push_escaped(text: &mut String, from: &str) {
    for c in from.chars() {
        if c.is_control() || is_direction(c) {
            push(text, format_args!("{}", c.escape_default()));
        } else {
            text.push(c);
        }
    }
}

/// Characters that turn the direction of text, by which a line can be made to look like another.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn line() -> Line {
        let mut line = Line::own(Level::WARN, "line rejected".to_owned());
        line.time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_750_000_000_123_456);
        line.component = Some("press".to_owned());
        line.plugin = Some("file".to_owned());
        line.module = Some("file::lines".to_owned());
        line.target = "plugin";
        line.fields = vec![("rejected", 4.into()), ("level", "x y".into())];
        line
    }

    #[test]
    fn each_form_says_the_same() {
        assert_eq!(
            Form::Human { colours: false }.write(&line()),
            "2025-06-15T15:06:40.123456Z  WARN line rejected rejected=4 level=x y component=\"press\" \
             plugin=\"file\" module=\"file::lines\"\n"
        );
        assert_eq!(Form::Prefixed.write(&line()), "<4>press: line rejected rejected=4 level=x y\n");
        let json: Value = serde_json::from_str(&Form::Json.write(&line())).expect("JSON");
        let expected = serde_json::json!({
            "timestamp": "2025-06-15T15:06:40.123456Z", "level": "WARN", "message": "line rejected",
            "target": "plugin", "component": "press", "plugin": "file", "module": "file::lines",
            "rejected": 4, "field_level": "x y",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_message_can_neither_command_a_terminal_nor_look_like_two_lines() {
        let mut line = line();
        line.message = "a\nb\x1b[2Jc\u{202e}d\u{9b}e".to_owned();
        line.fields = vec![("file", "x\r\ny".into())];
        line.component = Some("p\n<0>q".to_owned());
        for form in [Form::Human { colours: false }, Form::Json, Form::Prefixed] {
            let text = form.write(&line);
            assert!(text.trim_end_matches('\n').chars().all(|c| !c.is_ascii_control()), "{text:?}");
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
        }
        let human = Form::Human { colours: false }.write(&line);
        assert!(human.contains("a\\nb\\u{1b}[2Jc\\u{202e}d\\u{9b}e file=x\\r\\ny"), "{human}");
    }

    #[test]
    fn colours_are_there_only_where_they_are_wanted() {
        assert!(Form::Human { colours: true }.write(&line()).contains("\x1b[33m WARN\x1b[0m line"));
        assert!(!Form::Human { colours: false }.write(&line()).contains('\x1b'));
    }
}
