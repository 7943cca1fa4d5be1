//! One file a command.

#![forbid(unsafe_code)]

pub(crate) mod audit;
mod check;
mod daemon;
mod explain;
mod ledger;
mod log_level;
mod metrics;
mod pages;
pub(crate) mod plugin;
mod run;
mod schema;
mod status;
mod summary;

use crate::cli::Command;
use crate::signals;
use std::process::ExitCode;

/// Carries out a command.
pub(crate) fn run(command: Command) -> ExitCode {
    if matches!(command, Command::Check(_) | Command::Schema(_) | Command::Plugin(_)) {
        signals::end_tidily();
    }
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Pages(arguments) => pages::run(&arguments),
        Command::Plugin(command) => plugin::run(command),
        Command::Audit(command) => audit::run(&command),
        Command::Status(arguments) => status::run(&arguments),
        Command::Ledger(arguments) => ledger::run(&arguments),
        Command::Metrics(arguments) => metrics::run(&arguments),
        Command::LogLevel(arguments) => log_level::run(&arguments),
    }
}
