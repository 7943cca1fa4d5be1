//! Builds the workspace once for a test process, and knows where its artifacts are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The workspace's folder.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests' folder is inside the workspace")
}

/// The program.
pub fn binary() -> &'static Path {
    &built().binary
}

/// The target folder of the workspace.
pub fn target() -> &'static Path {
    let profile = binary().parent().expect("the program is in a folder");
    profile.parent().expect("the profile's folder is in the target folder")
}

/// The library of one of the project's plugins: `stage_range`, `source_file`.
pub fn plugin(name: &str) -> &'static Path {
    library(&format!("cardcage_{name}"))
}

/// A library by its target's name: a plugin's (`cardcage_stage_range`) or a test plugin's (`exercise`).
pub fn library(name: &str) -> &'static Path {
    let built = built();
    built.libraries.get(name).unwrap_or_else(|| {
        let known: Vec<&str> = built.libraries.keys().map(String::as_str).collect();
        panic!("no library `{name}`; built were {}", known.join(", "))
    })
}

/// Runs cargo in a folder and gives the files of each `cdylib` and binary that it built, by target name.
pub fn cargo_build(folder: &Path, arguments: &[&str]) -> BTreeMap<String, PathBuf> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(folder).args(["build", "--message-format=json-render-diagnostics"]).args(arguments);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // What cargo sets for the tests would make the nested build differ from an ordinary one.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text == "CARGO_MANIFEST_DIR" || text == "RUST_BACKTRACE" {
            command.env_remove(&name);
        }
    }
    let output = command.output().expect("cargo can be run");
    assert!(output.status.success(), "cargo build failed:\n{}", String::from_utf8_lossy(&output.stderr));
    artifacts(&output.stdout)
}

struct Built {
    binary: PathBuf,
    libraries: BTreeMap<String, PathBuf>,
}

fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        // What the project's own commands are made of is not under test here.
        let everything = ["--workspace", "--exclude", "xtask", "--lib", "--bins", "--examples"];
        let mut files = cargo_build(workspace(), &everything);
        Built {
            binary: files.remove("cardcage").expect("the workspace builds the program"),
            libraries: files,
        }
    })
}

/// Of what cargo says: each artifact that is a program or a `.so`.
fn artifacts(messages: &[u8]) -> BTreeMap<String, PathBuf> {
    let mut files = BTreeMap::new();
    for line in messages.split(|byte| *byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<serde_json::Value>(line) else {
            continue;
        };
        if message["reason"] != "compiler-artifact" {
            continue;
        }
        let Some(name) = message["target"]["name"].as_str() else {
            continue;
        };
        let library = message["filenames"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(serde_json::Value::as_str)
            .find(|file| Path::new(file).extension().is_some_and(|ending| ending == "so"));
        if let Some(file) = message["executable"].as_str().or(library) {
            files.insert(name.to_owned(), PathBuf::from(file));
        }
    }
    files
}
