//! Where things are in this workspace, and building parts of it.

use crate::Failure;
use std::env;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    // Cargo sets the variable for what it runs; a binary that was copied away has the place it was built from.
    let manifest =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// The folder that cargo builds into, with the target triple's folder if the build is for a named one.
///
/// This program lies in it, under its profile's name, so cargo's whole configuration is taken into account without
/// asking for it.
pub(crate) fn target_directory() -> Result<PathBuf, Failure> {
    let this = env::current_exe().map_err(Failure::io("find this program's own place"))?;
    match this.parent().and_then(Path::parent) {
        Some(target) => Ok(target.to_path_buf()),
        None => Err(Failure::Program(format!("{} is not inside a target folder", this.display()))),
    }
}

/// Runs `cargo build` with these arguments in the workspace.
pub(crate) fn cargo_build(arguments: &[&str]) -> Result<(), Failure> {
    let mut cargo = cargo();
    cargo.arg("build").args(arguments);
    succeed(&mut cargo)
}

/// Builds the daemon and every plugin in release.
pub(crate) fn build_daemon() -> Result<(), Failure> {
    // Naming what no pipeline needs, instead of what one does, takes in a plugin that somebody adds under plugins/.
    // The macros are built all the same; asked for by name they would lie among the plugins, as a shared library.
    let others = ["xtask", "e2e", "cardcage-plugin-macros"];
    let mut arguments = vec!["--release", "--workspace"];
    arguments.extend(others.iter().flat_map(|name| ["--exclude", name]));
    cargo_build(&arguments)
}

/// The cargo that started this program, to be run in the workspace.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    if let Some(target) = env::var_os("CARGO_TARGET_DIR").and_then(|target| absolute(target).ok()) {
        // A relative one counts from where the user stands, and the other cargo stands elsewhere.
        cargo.env("CARGO_TARGET_DIR", target);
    }
    cargo
}

/// Runs a program to its end; what it says on failure is on the terminal already.
pub(crate) fn succeed(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().display().to_string();
    let status = command.status().map_err(Failure::io(format!("start {name}")))?;
    if status.success() { Ok(()) } else { Err(Failure::Program(format!("{name}: {status}"))) }
}
