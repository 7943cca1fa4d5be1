//! How settings and their misfits are spoken of.

#![forbid(unsafe_code)]

use cardcage_core::naming::nearest;
use serde_json::{Map, Value};

/// A schema's type.
pub(super) fn in_words(name: &str) -> &'static str {
    match name {
        "object" => "a mapping",
        "array" => "a list",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        _ => "nothing",
    }
}

/// A value that was found.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "a mapping".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Null => "nothing".to_owned(),
        Value::String(text) => format!("the text `{}`", cut(text)),
        other => format!("`{other}`"),
    }
}

/// What is allowed, in words, and the one that was probably meant.
pub(super) fn not_among(value: &Value, allowed: &[&Value]) -> (String, Option<String>) {
    let names: Vec<String> = allowed.iter().map(|value| plain(value)).collect();
    let near = nearest(&plain(value), names.iter().map(String::as_str));
    let near = near.map(|near| format!("did you mean `{near}`?"));
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let expected = match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    };
    (expected, near)
}

/// A key that no setting has: the message and a way out.
pub(super) fn unknown(name: &str, known: &[&str]) -> (String, String) {
    let message = format!("there is no setting `{}`", cut(name));
    if let Some(near) = nearest(name, known.iter().copied()) {
        return (message, format!("did you mean `{near}`?"));
    }
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    let help = if known.is_empty() {
        "none is taken here".to_owned()
    } else {
        format!("known here: {}", known.join(", "))
    };
    (message, help)
}

/// A number where a text with a unit belongs: the text that was probably meant.
pub(super) fn example_of(rules: &Map<String, Value>, value: &Value) -> Option<String> {
    rules.get("pattern")?;
    let examples = rules.get("examples").and_then(Value::as_array)?;
    let example = examples.iter().find_map(Value::as_str)?;
    let unit = example.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    (value.is_number() && !unit.is_empty())
        .then(|| format!("write it with a unit: `{value}{unit}`, for example"))
}

/// The same value as another type that is wanted, for a person who left quotes out or put them where none belong.
pub(super) fn other_type(value: &Value, wanted: &[&str]) -> Option<String> {
    match value {
        Value::Number(_) | Value::Bool(_) if wanted == ["string"] => {
            Some(format!("put quotes around it: `\"{value}\"`"))
        }
        Value::String(text) => {
            let meant: Value = serde_json::from_str(text).ok()?;
            let number = meant.is_number() && wanted.iter().any(|name| matches!(*name, "integer" | "number"));
            let truth = meant.is_boolean() && wanted.contains(&"boolean");
            // What would come out as something else is no way out.
            ((number || truth) && meant.to_string().as_str() == text.as_str())
                .then(|| format!("write `{meant}`, without quotes"))
        }
        other if wanted == ["array"] && !other.is_object() => Some(format!("write `[{}]`", plain(other))),
        _ => None,
    }
}

/// What a pattern stands for: its examples, which people read more easily.
pub(super) fn like(rules: &Map<String, Value>) -> String {
    let examples = rules.get("examples").and_then(Value::as_array).into_iter().flatten();
    let examples: Vec<String> = examples.map(|example| format!("`{}`", plain(example))).collect();
    match (examples.is_empty(), rules.get("pattern")) {
        (true, Some(pattern)) => format!("text that matches `{}` is expected", plain(pattern)),
        _ => format!("something like {} is expected", examples.join(", ")),
    }
}

/// A value as it is written.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| cut(text).to_owned())
}

/// Long texts are cut: what was found is there to recognise it.
pub(super) fn cut(text: &str) -> &str {
    const SHOWN_CHARS: usize = 60;
    text.char_indices().nth(SHOWN_CHARS).map_or(text, |(end, _)| &text[..end])
}
