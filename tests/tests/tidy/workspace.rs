//! The workspace as the rules look at it: crates as cargo sees them, files as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A crate of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    /// Relative to the workspace.
    pub(crate) directory: String,
    /// Our crates that it depends on, not counting its tests.
    pub(crate) ours: BTreeSet<String>,
    /// All others.
    pub(crate) foreign: BTreeSet<String>,
    /// The root files of its libraries, binaries and examples.
    pub(crate) roots: Vec<String>,
}

pub(crate) fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages: Vec<Package> = list(&metadata, "packages").iter().map(package).collect();
    assert!(packages.len() > 5, "the workspace has {} crates", packages.len());
    packages
}

fn package(raw: &serde_json::Value) -> Package {
    let manifest = relative(Path::new(text(raw, "manifest_path")));
    let mut dependencies: BTreeMap<bool, BTreeSet<String>> = BTreeMap::new();
    for dependency in list(raw, "dependencies").iter().filter(|dependency| dependency["kind"] != "dev") {
        let ours = dependency["path"].is_string();
        dependencies.entry(ours).or_default().insert(text(dependency, "name").to_owned());
    }
    let is_product = |target: &&serde_json::Value| !list(target, "kind").iter().any(|kind| kind == "test");
    Package {
        name: text(raw, "name").to_owned(),
        directory: manifest.strip_suffix("/Cargo.toml").unwrap_or_default().to_owned(),
        ours: dependencies.remove(&true).unwrap_or_default(),
        foreign: dependencies.remove(&false).unwrap_or_default(),
        roots: list(raw, "targets")
            .iter()
            .filter(is_product)
            .map(|target| relative(Path::new(text(target, "src_path"))))
            .collect(),
    }
}

/// A Rust file of the workspace.
pub(crate) struct Source {
    /// Relative to the workspace.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Source {
    /// The lines with their numbers, without line comments. A `//` inside a text ends the line too: what is looked for
    /// does not stand behind one.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
    }
}

pub(crate) fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    for directory in ["plugin-api", "host", "plugins", "tests", "xtask"] {
        collect(&root().join(directory), &mut files);
    }
    files.sort();
    assert!(files.len() > 20, "only {} Rust files were found", files.len());
    files
        .into_iter()
        .map(|path| Source {
            name: relative(&path),
            text: fs::read_to_string(&path).expect("a Rust file is text"),
        })
        .collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the folder is there").flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace")
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned()
}

pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text<'a>(value: &'a serde_json::Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a serde_json::Value, key: &str) -> &'a [serde_json::Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}
