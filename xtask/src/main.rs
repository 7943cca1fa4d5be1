//! The project's own commands, as `cargo xtask COMMAND`: what a newcomer types first, and what the figures in
//! `docs/benchmarks.md` come from. No part of the daemon.

#![forbid(unsafe_code)]

mod bench;
mod docs;
mod run;
mod soak;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  run [FILE] [-- ARGUMENTS]   build the daemon and its plugins in release, then become
                              `cardcage run FILE ARGUMENTS` (FILE: pipeline.yaml)
  bench [--quick] [NAME...]   measure speed and size against the targets (`bench --help`)
  soak --what WHAT [...]      damage a plugin, or an audit trail, in as many ways as you like
                              (`soak --help` for more)
  docs                        write the generated pages of docs/: reference, errors, schema
  ci                          every check a change must pass (.ci/run)
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let done = match command.as_deref() {
        Some("run") => run::run(&rest),
        Some("bench") => bench::bench(&rest),
        Some("docs") => docs::docs(),
        Some("soak") => soak::soak(&rest),
        Some("ci") => run::ci(),
        Some("help" | "-h" | "--help") => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some(other) => Err(Failure::Usage(format!("there is no command `{other}`\n\n{USAGE}"))),
        None => Err(Failure::Usage(USAGE.to_owned())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Why a command did not get done.
#[derive(Debug)]
enum Failure {
    /// Wrong arguments: what was wrong, and what is right.
    Usage(String),
    /// A program could not be started, or a file not be used.
    Io(String, std::io::Error),
    /// A program that was started failed, and has said why on its own.
    Program(String),
}

impl Failure {
    /// `map_err(Failure::io("open the input"))`.
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io(what, error)
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Io(..) => 74,
            Self::Program(_) => 1,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage(text) => f.write_str(text),
            Self::Io(what, error) => write!(f, "cannot {what}: {error}"),
            Self::Program(what) => f.write_str(what),
        }
    }
}
