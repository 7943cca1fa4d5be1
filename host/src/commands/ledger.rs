//! `cardcage ledger`: where all records of a running daemon are, or why they are gone.

use super::daemon::{JSON, TEXT, ask};
use crate::cli::DaemonArguments;
use crate::commands::plugin::Format;
use crate::control::client::Request;
use crate::report::answer;
use std::process::ExitCode;

/// Asks, and prints the answer.
pub(super) fn run(arguments: &DaemonArguments) -> ExitCode {
    let accept = match arguments.format {
        Format::Text => TEXT,
        Format::Json => JSON,
    };
    match ask(arguments.file.as_deref(), arguments.socket.as_deref(), &Request::get("/ledger", accept)) {
        Ok(text) => {
            answer(&text);
            ExitCode::SUCCESS
        }
        Err(error) => error.end(),
    }
}
