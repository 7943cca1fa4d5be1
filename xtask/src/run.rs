//! `cargo xtask run` and `cargo xtask ci`.

use crate::{Failure, workspace};
use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::path::absolute;
use std::process::Command;

/// Builds the daemon and its plugins, then becomes the daemon, so that Ctrl-C and `kill` reach it and its exit code
/// is this command's.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let (file, further) = split(arguments)?;
    let file = match file {
        // Named from where the user stands; the daemon starts in the workspace.
        Some(file) => absolute(file).map_err(Failure::io(format!("find {file}")))?,
        None => "pipeline.yaml".into(),
    };
    workspace::build_daemon()?;
    let target = workspace::target_directory()?;
    let mut daemon = Command::new(target.join("release/cardcage"));
    daemon
        .arg("run")
        .arg(file)
        .args(further)
        .current_dir(workspace::root())
        // pipeline.yaml looks for the plugins there, wherever cargo builds to.
        .env("CARGO_TARGET_DIR", &target);
    become_program(daemon).map(|never| match never {})
}

/// Becomes `.ci/run`.
pub(crate) fn ci() -> Result<(), Failure> {
    let checks = Command::new(workspace::root().join(".ci/run"));
    become_program(checks).map(|never| match never {})
}

/// `[FILE] [-- ARGUMENTS]`. Cargo takes a first `--` for itself when it comes before the command only.
fn split(arguments: &[String]) -> Result<(Option<&String>, &[String]), Failure> {
    let (own, further) = match arguments.iter().position(|argument| argument == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    match own {
        [] => Ok((None, further)),
        [file] if !file.starts_with('-') => Ok((Some(file), further)),
        _ => Err(Failure::Usage(format!(
            "`run {}`: expected at most one file; the daemon's own arguments go behind `--`, as in \
             `cargo xtask run -- --summary-json out/summary.json`",
            own.join(" ")
        ))),
    }
}

fn become_program(mut command: Command) -> Result<Infallible, Failure> {
    let error = command.exec();
    Err(Failure::Io(format!("start {}", command.get_program().display()), error))
}

#[cfg(test)]
mod tests {
    use super::split;

    fn strings(all: &[&str]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_stands_behind_two_dashes_is_the_daemons() {
        let arguments = strings(&["other.yaml", "--", "--summary-json", "s.json"]);
        let (file, further) = split(&arguments).unwrap();
        assert_eq!(file.map(String::as_str), Some("other.yaml"));
        assert_eq!(further, ["--summary-json", "s.json"]);
    }

    #[test]
    fn without_arguments_there_is_no_file() {
        let (file, further) = split(&[]).unwrap();
        assert!(file.is_none() && further.is_empty());
    }

    #[test]
    fn an_option_before_the_dashes_is_not_taken_for_a_file() {
        assert!(split(&strings(&["--summary-json", "s.json"])).is_err());
        assert!(split(&strings(&["--summary-json"])).is_err());
    }
}
