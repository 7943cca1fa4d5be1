//! `cardcage audit show | explain | verify`: what the audit trail on disk says, and whether it can be believed. All of it
//! works beside a running daemon as well as without one, and changes nothing.

#![forbid(unsafe_code)]

mod aside;
mod explain;
mod folder;
mod history;
mod show;
mod verify;
mod when;
mod words;

use crate::commands::plugin::Format;
use crate::document::DocumentError;
use crate::exit;
use crate::report::{self, say};
use cardcage_core::audit::{Hash, Report};
use folder::TrailError;
use std::path::PathBuf;
use std::process::ExitCode;
use when::When;

/// Read and prove the audit trail: every change of every metric.
#[derive(clap::Args, Debug)]
pub(crate) struct AuditCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Print the trail's entries, oldest first; exits with 65 if what was read is damaged
    Show(ShowArguments),
    /// Tell who changed a metric, when, and by how much, and whether that can be believed
    Explain(ExplainArguments),
    /// Prove the trail: the chain of its blocks, every change against the one before, the sums; exits with 65 if it does
    /// not hold
    Verify(VerifyArguments),
}

/// Which trail.
#[derive(clap::Args, Debug)]
struct Where {
    /// The pipeline whose trail it is [default: ./pipeline.yaml, then /etc/cardcage/pipeline.yaml]
    file: Option<PathBuf>,
    /// The state directory instead of the pipeline's; the trail is in its folder `audit`
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "file")]
    state: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
struct ShowArguments {
    /// Only metrics of this component
    #[arg(long)]
    component: Option<String>,
    /// Only metrics of this name
    #[arg(long)]
    metric: Option<String>,
    /// Only from this time on: RFC 3339 (`2026-03-01T12:00:00Z`), a date or a date and time in UTC, or how long ago (`10m`)
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    since: Option<When>,
    /// Only up to this time
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    until: Option<When>,
    /// Only writes that a rule forbade
    #[arg(long)]
    violations: bool,
    /// Go on with new entries as they are written, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// How to print; JSON is one object a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    of: Where,
}

#[derive(clap::Args, Debug)]
struct ExplainArguments {
    /// The metric; those of the host have no component in front
    #[arg(value_name = "COMPONENT.METRIC")]
    metric: String,
    /// As for `verify`: so that what is told is proven
    #[arg(long, value_name = "HASH")]
    head: Vec<Hash>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    of: Where,
}

#[derive(clap::Args, Debug)]
struct VerifyArguments {
    /// The hash of a block that is known to be in the trail, from a log line `audit head`; may be given several times
    #[arg(long, value_name = "HASH")]
    head: Vec<Hash>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    of: Where,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum AuditError {
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Trail(#[from] TrailError),
    #[error("{0}")]
    UnknownMetric(String),
}

impl AuditError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Document(DocumentError::NoFile) | Self::UnknownMetric(_) => exit::USAGE,
            Self::Document(DocumentError::Refused { .. }) => exit::REFUSED,
            Self::Document(DocumentError::Unreadable { .. }) | Self::Trail(_) => exit::IO,
        }
    }
}

/// Carries out an audit command.
pub(crate) fn run(command: &AuditCommand) -> ExitCode {
    let done = match &command.action {
        Action::Show(arguments) => show::run(arguments),
        Action::Explain(arguments) => explain::run(arguments),
        Action::Verify(arguments) => verify::run(arguments),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if let AuditError::Document(DocumentError::Refused { refused, .. }) = &error {
                report::problems(&refused.problems);
                say(
                    "the trail can be read all the same: give its state directory with `--state DIRECTORY`\n",
                );
            } else {
                say(&format!("{error}\n"));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// The exit code of a command that read this trail.
fn code_of(report: &Report) -> u8 {
    if report.is_damaged() { exit::DATA } else { 0 }
}
