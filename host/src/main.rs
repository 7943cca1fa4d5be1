//! The daemon and its command line: the edges around the pure core and the runtime.
//!
//! `commands` has one file a command. A config goes from its file through `document` (text, substitution) and
//! `assemble` (plugins, settings, wiring) to the runtime; `loader` is the ladder that every plugin climbs.

mod assemble;
mod cli;
mod commands;
mod control;
mod document;
mod dry_run;
mod exit;
mod listeners;
mod loader;
mod logging;
mod report;
mod signals;
mod state_directory;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == loader::vetting::SUBCOMMAND) {
        // Before anything else: the child's process must be as bare as it can be.
        return loader::vetting::child::main(arguments);
    }
    match cli::parse() {
        Ok(command) => commands::run(command),
        Err(exit) => exit,
    }
}
