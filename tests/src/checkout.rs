//! A clone of the project after a release build, as a person has it who follows the documentation: the default pipeline,
//! the documentation with its examples, the program and the plugins in `target/release`.

use crate::build::{binary, plugin, workspace};
use crate::pipeline::Pipeline;
use std::fs;
use std::path::Path;

/// The plugins that a release build leaves behind.
pub const PLUGINS: [&str; 9] = [
    "source_file",
    "source_generate",
    "source_host",
    "stage_convert",
    "stage_range",
    "stage_sample",
    "sink_blackhole",
    "sink_file",
    "sink_stdout",
];

/// Such a folder.
pub fn checkout() -> Pipeline {
    let yaml = fs::read_to_string(workspace().join("pipeline.yaml")).expect("there is a default pipeline");
    let checkout = Pipeline::new(&yaml, &[]);
    copy_folder(&workspace().join("docs"), &checkout.path("docs"));
    let release = checkout.path("target/release");
    fs::create_dir_all(&release).expect("a folder can be made");
    for file in PLUGINS.iter().map(|name| plugin(name)).chain([binary()]) {
        let name = file.file_name().expect("a built file has a name");
        fs::copy(file, release.join(name)).expect("a built file can be copied");
    }
    checkout
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
