//! `cargo xtask docs`: writes the pages of `docs/` that are made of what the program and its plugins say of themselves.
//!
//! Which pages there are, and what is in them, the program knows: `host/src/commands/pages.rs`. Nothing to change here.

use crate::{Failure, workspace};
use std::process::Command;

/// Builds the daemon and its plugins, and has it write the pages.
pub(crate) fn docs() -> Result<(), Failure> {
    workspace::build_daemon()?;
    let release = workspace::target_directory()?.join("release");
    let mut pages = Command::new(release.join("cardcage"));
    pages.arg("__pages").arg(workspace::root().join("docs")).arg("--directory").arg(&release);
    workspace::succeed(&mut pages)
}
