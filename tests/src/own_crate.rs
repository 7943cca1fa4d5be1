//! A plugin as an author has it: a crate of its own, outside the workspace, that depends on nothing but the plugin API.

use crate::build::{cargo_build, target, workspace};
use std::fs;
use std::path::PathBuf;

/// A library that is gone when this is dropped.
#[derive(Debug)]
pub struct OwnCrate {
    /// Keeps the folder.
    folder: tempfile::TempDir,
}

/// The library of a crate with this source. Registry dependencies come from the workspace's own target folder.
pub fn build(name: &str, source: &str) -> OwnCrate {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let api = workspace().join("plugin-api");
    let api = api.display();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n\
         [dependencies]\ncardcage-plugin-api = {{ path = \"{api}\" }}\n\n[lints.rust]\nunsafe_code = \"forbid\"\n\
         warnings = \"deny\"\n\n[workspace]\n"
    );
    let src = folder.path().join("src");
    fs::create_dir(&src).expect("a folder can be made");
    fs::write(folder.path().join("Cargo.toml"), manifest).expect("a manifest can be written");
    fs::write(src.join("lib.rs"), source).expect("a source can be written");
    fs::copy(workspace().join("Cargo.lock"), folder.path().join("Cargo.lock"))
        .expect("the lock file can be copied");
    let target = target().display().to_string();
    let mut built = cargo_build(folder.path(), &["--offline", "--target-dir", &target]);
    let made = built.remove(&name.replace('-', "_")).expect("the crate is a library");
    // Out of the target folder, where somebody may look for plugins.
    let own = OwnCrate { folder };
    fs::copy(&made, own.library()).expect("the library can be copied");
    fs::remove_file(&made).expect("the library can be removed");
    own
}

impl OwnCrate {
    /// Where the library is.
    pub fn library(&self) -> PathBuf {
        self.folder.path().join("libown.so")
    }
}
