//! A clone of the project after a release build, as a person has it who follows the documentation: the default pipeline,
//! the documentation with its examples, the program and the plugins in `target/release`.

use crate::build::{binary, plugin, workspace};
use crate::pipeline::Pipeline;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// The plugins that a release build leaves behind.
pub const PLUGINS: [&str; 14] = [
    "source_exec",
    "source_file",
    "source_generate",
    "source_host",
    "source_socket",
    "source_stdin",
    "stage_convert",
    "stage_deadband",
    "stage_range",
    "stage_rename",
    "stage_sample",
    "sink_blackhole",
    "sink_file",
    "sink_stdout",
];

/// Such a folder.
pub fn checkout() -> Pipeline {
    let checkout = Pipeline::new("version: 1", &[]);
    lay_out(checkout.folder());
    checkout
}

/// Makes a folder such a one.
pub fn lay_out(folder: &Path) {
    let release = folder.join("target/release");
    fs::create_dir_all(&release).expect("a folder can be made");
    copy_folder(&workspace().join("docs"), &folder.join("docs"));
    fs::copy(workspace().join("pipeline.yaml"), folder.join("pipeline.yaml"))
        .expect("there is a default pipeline");
    for library in PLUGINS.map(plugin) {
        let name = library.file_name().expect("a library has a name");
        fs::copy(library, release.join(name)).expect("a library can be copied");
    }
    // A link and no copy: a file that was just written cannot be started while another thread starts something.
    symlink(binary(), release.join("cardcage")).expect("a link can be made");
}

/// Copies a folder, without what earlier runs of examples left in it.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder can be read") {
        let entry = entry.expect("an entry can be read");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name() == "out" || entry.file_name() == ".cardcage" {
            continue;
        }
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a file can be copied");
        }
    }
}
