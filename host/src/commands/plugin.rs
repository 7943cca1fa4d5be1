//! `cardcage plugin check | list | inspect`: what the ladder says of plugin files, for people and for scripts.

#![forbid(unsafe_code)]

mod check;
mod inspect;
mod list;
pub(crate) mod offer;
pub(crate) mod settings_table;
mod text;

use crate::exit;
use cardcage_core::printable::printable_lines;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Look at plugins: climb the ladder with a file, list a folder, show what a plugin offers.
#[derive(clap::Args, Debug)]
pub(crate) struct PluginCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Climb the ladder with plugin files, rung by rung; exits with 78 if a rung refuses one.
    Check {
        /// The plugin's .so file; several; or a folder, for all of those in it.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The longest that the vetting child may take, 100ms or more.
        #[arg(long, default_value = "10s", value_parser = deadline)]
        deadline: Duration,
        /// How to print.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// List the plugins of a folder, and the files in it that are refused.
    List {
        /// The folder; without it, those of ./pipeline.yaml, else the default ones.
        directory: Option<PathBuf>,
        /// How to print.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Show what a plugin offers: component types, capabilities, permissions, metrics, settings.
    Inspect {
        /// The plugin's .so file, or its `NAME[@VERSION]`.
        plugin: PathBuf,
        /// The folder in which to look for the name; without it, as for `list`.
        #[arg(long)]
        directory: Option<PathBuf>,
        /// How to print.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

/// For people or for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// What a command prints, and whether a plugin was refused.
#[derive(Default)]
struct Answer {
    /// For standard output.
    text: String,
    /// For standard error.
    complaint: String,
    refused: bool,
}

impl Answer {
    fn refused(complaint: String) -> Self {
        Self { complaint, refused: true, ..Self::default() }
    }
}

/// Runs the command.
pub(crate) fn run(command: PluginCommand) -> ExitCode {
    let answer = match command.action {
        Action::Check { files, deadline, format } => check::run(&files, deadline, format),
        Action::List { directory, format } => list::run(directory, format),
        Action::Inspect { plugin, directory, format } => inspect::run(&plugin, directory, format),
    };
    eprint!("{}", printable_lines(&answer.complaint));
    match (io::stdout().lock().write_all(answer.text.as_bytes()), answer.refused) {
        // Whoever reads has seen enough.
        (Err(error), _) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        (Err(_), _) => ExitCode::from(exit::IO),
        (Ok(()), true) => ExitCode::from(exit::REFUSED),
        (Ok(()), false) => ExitCode::SUCCESS,
    }
}

fn deadline(text: &str) -> Result<Duration, String> {
    /// The child starts and maps itself and the plugin within some milliseconds; on a loaded machine within many times that.
    const LEAST: Duration = Duration::from_millis(100);
    let deadline = cardcage_core::config::quantity::duration(text).map_err(|error| error.to_string())?;
    if deadline < LEAST {
        return Err(format!(
            "at least {} ms are expected: no plugin could be vetted in less",
            LEAST.as_millis()
        ));
    }
    Ok(deadline)
}
