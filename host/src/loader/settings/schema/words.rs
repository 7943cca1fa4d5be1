//! How settings and their misfits are spoken of.

#![forbid(unsafe_code)]

use cardcage_core::naming::nearest;
use serde_json::Value;

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

/// A value that is none of those allowed.
pub(super) fn not_among(value: &Value, allowed: &[&Value]) -> String {
    let names: Vec<String> = allowed.iter().map(|value| plain(value)).collect();
    let found = plain(value);
    let near = nearest(&found, names.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{} was found; {} is expected{near}", shown(value), names.join(", "))
}

/// A key that no setting has.
pub(super) fn unknown<'n>(name: &str, known: impl Iterator<Item = &'n str> + Clone) -> String {
    if let Some(near) = nearest(name, known.clone()) {
        return format!("unknown setting `{name}`; did you mean `{near}`?");
    }
    let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
    if known.is_empty() {
        format!("unknown setting `{name}`; this plugin takes none here")
    } else {
        format!("unknown setting `{name}`; known here: {}", known.join(", "))
    }
}

/// A value as it is written.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| cut(text).to_owned())
}

/// Long texts are cut: what was found is there to recognise it.
fn cut(text: &str) -> &str {
    const SHOWN_CHARS: usize = 60;
    text.char_indices().nth(SHOWN_CHARS).map_or(text, |(end, _)| &text[..end])
}
