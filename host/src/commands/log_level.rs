//! `cardcage log-level`: what a running daemon logs, shown or changed.

use super::daemon::{JSON, ask};
use crate::cli::LogLevelArguments;
use crate::commands::plugin::Format;
use crate::control::client::Request;
use crate::report::answer;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Asks, and prints what holds now.
pub(super) fn run(arguments: &LogLevelArguments) -> ExitCode {
    let (method, body) = match (&arguments.filter, arguments.reset) {
        (Some(filter), _) => ("POST", Some(json!({ "filter": filter }))),
        (None, true) => ("DELETE", None),
        (None, false) => ("GET", None),
    };
    let request = Request { method, path: "/log-level", accept: JSON, body };
    match ask(arguments.file.as_deref(), arguments.socket.as_deref(), &request) {
        Ok(text) => {
            match arguments.format {
                Format::Json => answer(&text),
                Format::Text => answer(&in_words(&text)),
            }
            ExitCode::SUCCESS
        }
        Err(error) => error.end(),
    }
}

fn in_words(text: &str) -> String {
    let now: Value = serde_json::from_str(text).unwrap_or_default();
    let of = |key: &str| now.get(key).and_then(Value::as_str);
    match (of("filter"), of("before")) {
        (Some(filter), Some(before)) if filter != before => format!("{filter} (was {before})\n"),
        (Some(filter), _) => format!("{filter}\n"),
        (None, _) => text.to_owned(),
    }
}
