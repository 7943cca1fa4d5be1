//! Files that a pipeline writes and reads: what it writes comes back to it, again and again.
//!
//! Told by what plugins declare to read and write under their settings. Only a warning: what a plugin makes of a path is
//! its own business.

use cardcage_core::codes;
use cardcage_core::config::Config;
use cardcage_core::diagnostic::{Diagnostic, Diagnostics};
use cardcage_core::graph::Graph;
use cardcage_plugin_api::manifest::Kind;
use cardcage_runtime::Part;
use glob::{MatchOptions, Pattern};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a declaration begins with that stands for the value of a setting.
const FROM_SETTINGS: &str = "settings.";
/// As the `file` source matches.
const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// A path in a component's settings.
struct Named<'a> {
    setting: &'a str,
    path: String,
}

/// A warning for each file that a component writes and a source in front of it, or the source itself, reads.
pub(super) fn warnings(config: &Config, graph: &Graph, parts: &[Part], folder: &Path) -> Diagnostics {
    let mut found = Diagnostics::new();
    for (writer, part) in parts.iter().enumerate() {
        for written in named(&part.handle.manifest().permissions.write, &part.config.settings) {
            let sources = in_front_of(graph, writer).into_iter();
            let reads = |source: &usize| {
                let reader = &parts[*source];
                let read = named(&reader.handle.manifest().permissions.read, &reader.config.settings);
                read.into_iter()
                    .filter(|read| *source != writer || read.setting != written.setting)
                    .any(|read| are_one(folder, &read.path, &written.path))
            };
            let is_source = |node: &usize| parts[*node].config.kind == Kind::Source;
            if let Some(source) = sources.filter(is_source).find(reads) {
                let (name, source) = (&part.config.name, &parts[source].config.name);
                let path = &written.path;
                let message = if name == source {
                    format!("`{name}` reads `{path}` and writes to it: it feeds itself")
                } else {
                    format!(
                        "`{name}` writes to `{path}`, which its source `{source}` reads: the pipeline feeds itself"
                    )
                };
                let help = format!("give `{}` of `{name}` another path", written.setting);
                let place = config.components[writer].setting_location(written.setting).clone();
                found.push(Diagnostic::warning(codes::FEEDS_ITSELF, message).at(place).help(help));
            }
        }
    }
    found
}

/// A component and everything that flows into it.
fn in_front_of(graph: &Graph, node: usize) -> BTreeSet<usize> {
    let (mut seen, mut next) = (BTreeSet::from([node]), vec![node]);
    while let Some(node) = next.pop() {
        next.extend(graph.incoming(node).map(|edge| edge.from).filter(|from| seen.insert(*from)));
    }
    seen
}

/// The paths that declarations stand for, as far as they come from settings.
fn named<'a>(declared: &'a [String], settings: &Value) -> Vec<Named<'a>> {
    let mut all = Vec::new();
    for setting in declared.iter().filter_map(|declared| declared.strip_prefix(FROM_SETTINGS)) {
        let mut name = |path: &str| all.push(Named { setting, path: path.to_owned() });
        match settings.pointer(&format!("/{}", setting.replace('.', "/"))) {
            Some(Value::String(path)) => name(path),
            Some(Value::Array(paths)) => paths.iter().filter_map(Value::as_str).for_each(name),
            _ => {}
        }
    }
    all
}

/// Whether what is read, a path or a pattern, is the file that is written. Devices answer what they are asked, so only
/// files count, and what is not there yet.
fn are_one(folder: &Path, read: &str, written: &str) -> bool {
    let (read, written) = (folder.join(read), folder.join(written));
    if written.exists() && !written.is_file() {
        return false;
    }
    if read.exists() || !read.as_os_str().as_encoded_bytes().iter().any(|byte| b"*?[".contains(byte)) {
        return place_of(&read) == place_of(&written);
    }
    let pattern = plain(&read).to_str().and_then(|text| Pattern::new(text).ok());
    pattern.is_some_and(|pattern| pattern.matches_path_with(&plain(&written), MATCHING))
}

/// Where a path leads, links followed as far as they are there.
fn place_of(path: &Path) -> PathBuf {
    let path = plain(path);
    let above = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(above).unwrap_or(path)
}

/// A path without `.` parts.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_many_names_and_patterns_mean_what_they_match() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::write(folder.path().join("in/a.ndjson"), "").unwrap();
        std::os::unix::fs::symlink("in", folder.path().join("link")).unwrap();
        let one = |read: &str, written: &str| are_one(folder.path(), read, written);
        for (read, written) in [
            ("in/a.ndjson", "in/a.ndjson"),
            ("in/a.ndjson", "./link/a.ndjson"),
            ("in/new.ndjson", "link/new.ndjson"),
            ("no/new.ndjson", "no/./new.ndjson"),
            ("in/*.ndjson", "in/b.ndjson"),
            ("./in/*.ndjson", "in/{sensor}.ndjson"),
        ] {
            assert!(one(read, written), "{read} {written}");
        }
        for (read, written) in [
            ("in/a.ndjson", "in/b.ndjson"),
            ("in/*.ndjson", "in/a.csv"),
            ("in/*.ndjson", "in/more/a.ndjson"),
            ("/dev/null", "/dev/null"),
        ] {
            assert!(!one(read, written), "{read} {written}");
        }
    }

    #[test]
    fn declarations_stand_for_settings() {
        let settings = serde_json::json!({ "path": ["a", "b"], "rejects": "c", "deep": { "er": "d" } });
        let declared = ["settings.path", "settings.rejects", "settings.deep.er", "settings.none", "/proc"];
        let found = named(&declared.map(str::to_owned), &settings)
            .into_iter()
            .map(|named| named.path)
            .collect::<Vec<_>>();
        assert_eq!(found, ["a", "b", "c", "d"]);
    }
}
