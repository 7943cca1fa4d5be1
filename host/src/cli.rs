//! The command line, from words to a [`Command`].

#![forbid(unsafe_code)]

use crate::commands::audit::AuditCommand;
use crate::commands::plugin::{Format, PluginCommand};
use crate::exit;
use cardcage_core::config::quantity;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Runs sensor-data pipelines made of compiled, checked plugins.
#[derive(Debug, Parser)]
#[command(name = "cardcage", version, about, max_term_width = 100, subcommand_required = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a pipeline until its sources are finished or it is told to stop (Ctrl-C drains, a second one ends at once)
    Run(RunArguments),
    /// Check a pipeline: config, plugins, settings, wiring; opens nothing
    Check(CheckArguments),
    /// Say what the code of an error means and what to do about it; without a code, list them all
    Explain(ExplainArguments),
    /// Print a JSON Schema of pipeline.yaml with the plugins found, for completion and errors in editors
    Schema(SchemaArguments),
    /// Write the pages of docs/ that are generated; `cargo xtask docs` is the way to call it
    #[command(name = "__pages", hide = true)]
    Pages(PagesArguments),
    /// Look at plugins: climb the ladder with a file, list a folder, show what a plugin offers
    Plugin(PluginCommand),
    /// Read and prove the audit trail: who changed which metric, when, by how much
    Audit(AuditCommand),
    /// Show what a running daemon is doing: health, components, rates, queues
    Status(DaemonArguments),
    /// Show where all records of a running daemon are, or why they are gone, as a balance sheet
    Ledger(DaemonArguments),
    /// Print the metrics of a running daemon, as Prometheus reads them
    Metrics(DaemonArguments),
    /// Show or change what a running daemon logs
    LogLevel(LogLevelArguments),
}

/// `cardcage run`.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// The pipeline [default: ./pipeline.yaml, then /etc/cardcage/pipeline.yaml]
    pub(crate) file: Option<PathBuf>,
    /// Rehearse for so long: sources and stages run, sinks print to stdout instead of delivering, no source is told
    /// that its data is safe, and the state directory stays as it is
    #[arg(long, value_name = "DURATION", value_parser = rehearsal)]
    pub(crate) dry_run: Option<Duration>,
    /// Also write the summary, as JSON, to this file
    #[arg(long, value_name = "PATH")]
    pub(crate) summary_json: Option<PathBuf>,
}

/// The time that a rehearsal takes.
fn rehearsal(text: &str) -> Result<Duration, String> {
    let duration = quantity::duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        Err("nothing happens in no time; write `10s`, for example".to_owned())
    } else {
        Ok(duration)
    }
}

/// `cardcage check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The pipeline [default: ./pipeline.yaml, then /etc/cardcage/pipeline.yaml]
    pub(crate) file: Option<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// Which running daemon.
#[derive(Debug, Args)]
pub(crate) struct DaemonArguments {
    /// The pipeline that it runs [default: ./pipeline.yaml, then /etc/cardcage/pipeline.yaml]
    pub(crate) file: Option<PathBuf>,
    /// Its control socket, instead of where the pipeline says that it is
    #[arg(long, value_name = "PATH", conflicts_with = "file")]
    pub(crate) socket: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// `cardcage log-level`.
#[derive(Debug, Args)]
pub(crate) struct LogLevelArguments {
    /// What to log from now on: a level, or levels by component, `plugin` or `cardcage`, as in `info,press=debug`; without
    /// it, say what is logged now
    #[arg(conflicts_with = "reset")]
    pub(crate) filter: Option<String>,
    /// Go back to what the daemon was started with
    #[arg(long)]
    pub(crate) reset: bool,
    /// The pipeline that it runs [default: ./pipeline.yaml, then /etc/cardcage/pipeline.yaml]
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    pub(crate) file: Option<PathBuf>,
    /// Its control socket, instead of where the pipeline says that it is
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// `cardcage explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The code in brackets behind `error` or `warning`, as in `config.unknown-key`
    pub(crate) code: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// `cardcage schema`.
#[derive(Debug, Args)]
pub(crate) struct SchemaArguments {
    /// The pipeline whose plugins are to be known [default: ./pipeline.yaml, then /etc/cardcage/pipeline.yaml]
    pub(crate) file: Option<PathBuf>,
    /// A folder of plugins to look in instead of the pipeline's; may be given several times
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "file")]
    pub(crate) directory: Vec<PathBuf>,
}

/// `cardcage __pages`.
#[derive(Debug, Args)]
pub(crate) struct PagesArguments {
    /// The folder to write into: docs
    pub(crate) into: PathBuf,
    /// The folder of the bundled plugins
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) directory: PathBuf,
}

/// The command line's own description, for the reference.
pub(crate) fn described() -> clap::Command {
    use clap::CommandFactory as _;
    Cli::command()
}

/// The command that was asked for; else the exit code, after help or an error was printed.
pub(crate) fn parse() -> Result<Command, ExitCode> {
    Cli::try_parse().map(|cli| cli.command).map_err(|error| {
        // If even this cannot be printed, the exit code still tells.
        let _ = error.print();
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
            _ => ExitCode::from(exit::USAGE),
        }
    })
}
