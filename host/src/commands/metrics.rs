//! `cardcage metrics`: the metrics of a running daemon, as Prometheus reads them or as JSON.

use super::daemon::{JSON, ask};
use crate::cli::DaemonArguments;
use crate::commands::plugin::Format;
use crate::control::client::Request;
use crate::report::answer;
use std::process::ExitCode;

/// The text form that `/metrics` has for whoever asks for no other.
const OPEN_METRICS: &str = "application/openmetrics-text";

/// Asks, and prints the answer.
pub(super) fn run(arguments: &DaemonArguments) -> ExitCode {
    let accept = match arguments.format {
        Format::Text => OPEN_METRICS,
        Format::Json => JSON,
    };
    match ask(arguments.file.as_deref(), arguments.socket.as_deref(), &Request::get("/metrics", accept)) {
        Ok(text) => {
            answer(&text);
            ExitCode::SUCCESS
        }
        Err(error) => error.end(),
    }
}
