//! Plugins built against a plugin API that was changed: what a mismatched SDK would make.
//!
//! The sources of the API are copied, changed by replacing text, and built together with a small stage. Registry
//! dependencies come from the workspace's own target folder, so a build takes seconds.
//!
//! Cargo tells crates of a workspace apart by their paths from its root, wherever that is. So each copy lies in a folder
//! of its own name there: under the same path it would be taken for the workspace's own API, or the other way round.

use crate::build::{cargo_build, target, workspace};
use std::fs;
use std::path::{Path, PathBuf};

/// A stage's library, built against an API in whose file (`abi.rs`) each text was replaced by another one. The plugin has
/// this name too.
pub fn library(name: &str, changes: &[(&str, &str, &str)]) -> Altered {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let api = folder.path().join(name).join("plugin-api");
    copy_folder(&workspace().join("plugin-api"), &api);
    for (file, from, to) in changes {
        let path = api.join("src").join(file);
        let text = fs::read_to_string(&path).expect("the API has that file");
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {file}");
        fs::write(&path, text.replace(from, to)).expect("the copy can be changed");
    }
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).expect("the workspace has a manifest");
    fs::write(folder.path().join("Cargo.toml"), with_members(&manifest, name))
        .expect("a manifest can be written");
    fs::copy(workspace().join("Cargo.lock"), folder.path().join("Cargo.lock"))
        .expect("the lock file can be copied");
    let stage = folder.path().join(name).join("stage");
    fs::create_dir_all(stage.join("src")).expect("a folder can be made");
    fs::write(stage.join("Cargo.toml"), MANIFEST.replace("NAME", name)).expect("a manifest can be written");
    fs::write(stage.join("src/lib.rs"), SOURCE.replace("NAME", name)).expect("a source can be written");
    let target = target().display().to_string();
    let mut built = cargo_build(folder.path(), &["--package", name, "--offline", "--target-dir", &target]);
    let made = built.remove(&name.replace('-', "_")).expect("the stage is a library");
    // Out of the target folder, where somebody may look for plugins.
    let path = folder.path().join(format!("lib{name}.so"));
    fs::copy(&made, &path).expect("the library can be copied");
    fs::remove_file(&made).expect("the library can be removed");
    Altered { folder, path }
}

/// A library that is gone when this is dropped.
#[derive(Debug)]
pub struct Altered {
    #[expect(dead_code, reason = "keeps the folder until it is dropped")]
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Altered {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

const MANIFEST: &str = r#"
[package]
name = "NAME"
version = "1.0.0"
edition = "2024"

[lib]
crate-type = ["cdylib"]

[dependencies]
cardcage-plugin-api = { path = "../plugin-api" }
serde = { version = "1.0", features = ["derive"] }
"#;

const SOURCE: &str = r#"
use cardcage_plugin_api::prelude::*;

pub struct Pass;

impl Stage for Pass {
    type Settings = NoSettings;
    fn describe(_: &NoSettings) -> Description {
        Description::stage()
    }
    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self)
    }
    fn process(&mut self, _: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        Ok(Flow::Done)
    }
}

export_plugin! { name: "NAME", components: [stage Pass { deterministic }], probe: {} }
"#;

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder can be read").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a file can be copied");
        }
    }
}

/// The workspace's manifest with the API and the stage in this folder as its members.
fn with_members(manifest: &str, folder: &str) -> String {
    let members =
        format!("members = [\"{folder}/plugin-api\", \"{folder}/plugin-api/macros\", \"{folder}/stage\"]");
    let start = manifest.find("members = [").expect("the workspace has members");
    let end = start + manifest[start..].find(']').expect("the list of members ends") + 1;
    let paths = ["cardcage-core", "cardcage-runtime"];
    manifest[..start]
        .lines()
        .chain([members.as_str()])
        .chain(manifest[end..].lines())
        .filter(|line| !paths.iter().any(|path| line.starts_with(path)) && !line.starts_with("exclude"))
        .fold(String::new(), |text, line| text + line + "\n")
        .replace("path = \"plugin-api", &format!("path = \"{folder}/plugin-api"))
}
