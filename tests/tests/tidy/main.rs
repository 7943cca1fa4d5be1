//! The rules of this code base that no compiler holds: who may depend on whom, where unsafe code is, how long files get.
//!
//! A rule that must give way somewhere has a list here, with the reason beside each entry; an entry that is no longer
//! needed fails too.

#![forbid(unsafe_code)]

mod workspace;

use std::collections::BTreeSet;
use std::path::Path;
use workspace::{packages, read, root, sources};

/// Files that may contain unsafe code. Everything that crosses the ABI is in them, and nothing else.
const UNSAFE_FILES: &[&str] = &[
    "host/runtime/src/instance.rs",
    "host/runtime/src/services.rs",
    "host/runtime/src/vtable.rs",
    "host/runtime/tests/support/mod.rs",
    "host/src/loader/file/sealed.rs",
    "host/src/loader/guard.rs",
    "host/src/loader/layout.rs",
    "host/src/loader/open.rs",
    "host/src/loader/segments.rs",
    "host/src/loader/process_state/float_control.rs",
    "host/src/loader/process_state/kernel.rs",
    "host/src/loader/vetting/sandbox/kernel.rs",
    "host/src/loader/vtable.rs",
    "plugin-api/src/abi.rs",
    "plugin-api/src/batch.rs",
    "plugin-api/src/export.rs",
    "plugin-api/src/host.rs",
    "plugin-api/src/shim.rs",
    "plugin-api/src/testing/contract.rs",
    "plugin-api/src/testing/host.rs",
    "plugin-api/src/testing/instance.rs",
    "plugin-api/src/testing/sink.rs",
    "plugin-api/src/testing/source.rs",
    "plugin-api/src/testing/stage.rs",
    "plugin-api/src/testing/table.rs",
    "xtask/src/bin/plumbing/linked.rs",
    "plugin-api/src/testing/threads.rs",
];

/// Plugins that lie, crash and corrupt on purpose: what the ladder is tested with.
const HOSTILE_PLUGINS: &str = "tests/plugins/";

/// The longest a file gets without a reason, its own tests not counted. Above 400 lines it begins to smell; a few more
/// are not worth a split.
const LINES_MAX: usize = 420;

/// The longest a suite gets: it is a list of cases, and nobody has to keep all of them in mind.
const SUITE_LINES_MAX: usize = 700;

/// Longer files, and why they are one.
const LONG_FILES: &[(&str, &str)] = &[
    (
        "host/runtime/src/instance.rs",
        "the one place that calls plugins: what makes each call's pointers valid is private to it",
    ),
    ("host/runtime/src/services.rs", "the functions behind one table, whose context nothing else may see"),
    ("plugin-api/src/abi.rs", "the whole ABI is one page: what crosses is in it, and nothing else"),
    (
        "plugin-api/src/shim.rs",
        "the plugin's side of every call: one guard, one way to the instance, used by all of them",
    ),
];

/// What each crate may depend on among ours: the layers. Plugins are a rule of their own.
const LAYERS: &[(&str, &[&str])] = &[
    ("cardcage-plugin-macros", &[]),
    ("cardcage-plugin-api", &["cardcage-plugin-macros"]),
    ("cardcage-core", &["cardcage-plugin-api"]),
    ("cardcage-runtime", &["cardcage-core", "cardcage-plugin-api"]),
    ("cardcage", &["cardcage-core", "cardcage-plugin-api", "cardcage-runtime"]),
];

/// What a plugin may depend on among ours.
const PLUGIN_LAYER: &[&str] = &["cardcage-plugin-api", "cardcage-codec"];

/// Crates that only one place may know, so that replacing one touches that place only: who may depend on it, and the
/// files (or folders) that may name it.
const BEHIND_ONE_MODULE: &[(&str, &[&str], &[&str])] = &[
    ("serde_yaml", &["cardcage-core"], &["host/core/src/yaml"]),
    ("saphyr-parser", &["cardcage-core"], &["host/core/src/yaml"]),
    ("libloading", &["cardcage"], &["host/src/loader/open.rs"]),
    ("landlock", &["cardcage"], &["host/src/loader/vetting/sandbox"]),
];

/// What the pure core must not reach for.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "SystemTime",
    "std::io::",
    "std::os::",
    "extern \"C\"",
];

#[test]
fn crates_depend_only_downwards() {
    let mut wrong = Vec::new();
    for package in packages() {
        let allowed = match LAYERS.iter().find(|(name, _)| *name == package.name) {
            Some((_, allowed)) => *allowed,
            None if package.directory.starts_with("plugins/") => PLUGIN_LAYER,
            // Tests and tools stand above everything; nothing may stand on them.
            None => continue,
        };
        for dependency in package.ours.iter().filter(|name| !allowed.contains(&name.as_str())) {
            wrong.push(format!("{} depends on {dependency}; it may depend on {allowed:?}", package.name));
        }
    }
    assert_none("arrows that point the wrong way", &wrong);
}

#[test]
fn replaceable_crates_are_known_in_one_place() {
    let packages = packages();
    let mut wrong = Vec::new();
    for (library, owners, places) in BEHIND_ONE_MODULE {
        let users = packages.iter().filter(|package| package.foreign.contains(*library));
        for user in users.filter(|user| !owners.contains(&user.name.as_str())) {
            wrong.push(format!("{} depends on {library}; only {owners:?} may", user.name));
        }
        let named = format!("{}::", library.replace('-', "_"));
        // Tests may ask the library itself whether we read as it does.
        let known =
            |name: &str| name.contains("/tests/") || places.iter().any(|place| name.starts_with(place));
        for file in sources().iter().filter(|file| !known(&file.name)) {
            for (number, _) in file.code().filter(|(_, line)| line.contains(&named)) {
                wrong.push(format!("{}:{number} names {library}; only {places:?} may", file.name));
            }
        }
    }
    assert_none("crates that leaked out of their module", &wrong);
}

#[test]
fn the_core_has_no_effects() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| file.name.starts_with("host/core/src/")) {
        for (number, line) in file.code() {
            if let Some(effect) = IMPURE.iter().find(|effect| line.contains(**effect)) {
                wrong.push(format!("{}:{number} uses {effect}: pass it in as an argument", file.name));
            }
        }
    }
    assert_none("effects in the pure core", &wrong);
}

#[test]
fn unsafe_code_is_in_the_named_files_only() {
    let mut wrong = Vec::new();
    let mut found = BTreeSet::new();
    for file in sources().iter().filter(|file| !file.name.starts_with(HOSTILE_PLUGINS)) {
        let Some((number, _)) = file.code().find(|(_, line)| has_unsafe(line)) else {
            continue;
        };
        if UNSAFE_FILES.contains(&file.name.as_str()) {
            found.insert(file.name.clone());
        } else {
            wrong.push(format!(
                "{}:{number} has unsafe code, but is not named for it in tests/tests/tidy.rs",
                file.name
            ));
        }
    }
    for stale in UNSAFE_FILES.iter().filter(|name| !found.contains(**name)) {
        wrong.push(format!("{stale} is named for unsafe code and has none: take it off the list"));
    }
    assert_none("unsafe code", &wrong);
}

#[test]
fn crates_without_a_named_file_forbid_unsafe_code() {
    let mut wrong = Vec::new();
    for root in packages().iter().flat_map(|package| &package.roots) {
        let forbids = read(root).contains("#![forbid(unsafe_code)]");
        if !forbids
            && !root.starts_with(HOSTILE_PLUGINS)
            && !UNSAFE_FILES.iter().any(|file| belongs(file, root))
        {
            wrong.push(format!("{root} does not say #![forbid(unsafe_code)]"));
        }
    }
    assert_none("crates that could grow unsafe code", &wrong);
}

/// Whether a file is part of the crate that begins at `root`: in its folder, and not in that of another binary.
fn belongs(file: &str, root: &str) -> bool {
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    let inside = file.strip_prefix(folder);
    inside.is_some_and(|inside| inside.starts_with('/') && !inside.starts_with("/bin/"))
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    let outer = concat!("#[", "allow(");
    let inner = concat!("#![", "allow(");
    let mut wrong = Vec::new();
    for file in sources() {
        for (number, line) in file.code() {
            if line.contains(outer) || line.contains(inner) {
                wrong.push(format!("{}:{number}: use #[expect(lint, reason = \"…\")]", file.name));
            }
        }
    }
    assert_none("allowed lints", &wrong);
}

#[test]
fn every_workspace_dependency_says_why_it_is_there() {
    let manifest = read("Cargo.toml");
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let mut wrong = Vec::new();
    let mut above = "";
    for line in section.lines() {
        let name = line.split_once('=').map(|(name, _)| name.trim());
        if let Some(name) = name.filter(|_| !line.starts_with(['#', ' ', ']']))
            && !line.contains("path = ")
            && !above.starts_with('#')
        {
            wrong.push(format!("`{name}` has no comment above it"));
        }
        above = line;
    }
    assert!(section.lines().count() > 10, "the section was not found in Cargo.toml");
    assert_none("dependencies without a reason", &wrong);
}

#[test]
fn panics_unwind_in_every_profile() {
    // A plugin's panic is caught at the boundary; with `abort` it would take the daemon down.
    let wrong: Vec<String> = packages()
        .iter()
        .map(|package| format!("{}/Cargo.toml", package.directory))
        .chain(["Cargo.toml".to_owned()])
        .filter(|manifest| read(manifest).lines().any(|line| line.trim_start().starts_with("panic =")))
        .collect();
    assert_none("manifests that set a panic strategy", &wrong);
}

#[test]
fn files_stay_short() {
    let mut wrong = Vec::new();
    for file in sources() {
        let is_suite = file.name.split('/').any(|part| part == "tests");
        let most = if is_suite { SUITE_LINES_MAX } else { LINES_MAX };
        let lines = file.text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        let listed = LONG_FILES.iter().any(|(name, _)| *name == file.name);
        if lines > most && !listed {
            wrong
                .push(format!("{} has {lines} lines, more than {most}: split it by what it does", file.name));
        } else if lines <= most && listed {
            wrong.push(format!("{} has only {lines} lines: take it off the list", file.name));
        }
    }
    for (name, _) in LONG_FILES.iter().filter(|(name, _)| !root().join(name).exists()) {
        wrong.push(format!("{name} is on the list and does not exist"));
    }
    assert_none("long files", &wrong);
}

#[test]
fn names_say_what_is_inside() {
    let empty = ["utils", "util", "common", "helpers", "helper", "manager", "misc", "imp"];
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|file| {
            let path = Path::new(&file.name).with_extension("");
            path.iter().any(|part| empty.iter().any(|name| part == *name))
        })
        .map(|file| file.name.clone())
        .collect();
    assert_none("files named for nothing", &wrong);
}

#[test]
fn tests_wait_for_conditions_and_never_sleep() {
    let sleeps = [concat!("::", "sleep("), concat!(" ", "sleep(")];
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| file.name.starts_with("tests/tests/")) {
        for (number, _) in file.code().filter(|(_, line)| sleeps.iter().any(|sleep| line.contains(sleep))) {
            wrong.push(format!(
                "{}:{number} sleeps: wait for a condition with a deadline (tests/src)",
                file.name
            ));
        }
    }
    assert_none("tests that sleep", &wrong);
}

fn assert_none(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{what}:\n  {}", wrong.join("\n  "));
}

/// Whether `unsafe` stands there as the keyword or the attribute, and not in a sentence or a lint's name.
fn has_unsafe(line: &str) -> bool {
    line.match_indices("unsafe").any(|(at, word)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].trim_start();
        let begins = ["{", "(", "fn ", "impl ", "impl<", "extern \"", "extern fn ", "trait "];
        !before.is_some_and(|c| c.is_alphanumeric() || "_\"`-".contains(c))
            && (after.is_empty() || begins.iter().any(|begin| after.starts_with(begin)))
    })
}
