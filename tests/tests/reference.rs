//! The generated pages in `docs/` are what the program and its plugins say of themselves now.

#![forbid(unsafe_code)]

use e2e::{Pipeline, plugin, workspace};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder with every plugin of `plugins/`, as a target folder has them after a build.
fn with_all_plugins() -> Pipeline {
    let names: Vec<String> = fs::read_dir(workspace().join("plugins"))
        .expect("there are plugins")
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| ["source-", "stage-", "sink-"].iter().any(|kind| name.starts_with(kind)))
        .map(|name| name.replace('-', "_"))
        .collect();
    assert!(names.len() >= 9, "{names:?}");
    let pipeline = Pipeline::new("", &[]);
    for name in names {
        pipeline.add(plugin(&name));
    }
    pipeline
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there").flatten();
    entries
        .flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

#[test]
fn the_generated_pages_in_the_tree_are_those_of_this_program() {
    let pipeline = with_all_plugins();
    pipeline.run(&["__pages", "pages", "--directory", "plugins"]).expect(0);
    let folder = pipeline.path("pages");
    let pages = files(&folder);
    assert!(pages.len() >= 3, "{pages:?}");
    for page in pages {
        let name = page.strip_prefix(&folder).expect("is inside").display().to_string();
        let made = fs::read_to_string(&page).expect("is text");
        let there = fs::read_to_string(workspace().join("docs").join(&name)).unwrap_or_default();
        let line = made.lines().zip(there.lines()).take_while(|(made, there)| made == there).count() + 1;
        assert!(
            made == there,
            "docs/{name} is not what is generated, from line {line}: run `cargo xtask docs`"
        );
    }
}

#[test]
fn the_reference_has_each_plugin_with_each_setting() {
    let pipeline = with_all_plugins();
    pipeline.run(&["__pages", "pages", "--directory", "plugins"]).expect(0);
    let page = fs::read_to_string(pipeline.path("pages/reference.md")).expect("was written");
    let listed = pipeline.run(&["plugin", "list", "plugins", "--format", "json"]).expect(0).json();
    for plugin in listed["plugins"].as_array().expect("a list") {
        let name = plugin["name"].as_str().expect("a name");
        let shown = pipeline.run(&["plugin", "inspect", name, "--directory", "plugins", "--format", "json"]);
        for offer in shown.expect(0).json()["plugins"].as_array().expect("a list") {
            let kind = offer["manifest"]["components"][0]["kind"].as_str().expect("a kind");
            let head = format!("### {kind} `{name}`\n");
            let section = page.split(&head).nth(1).unwrap_or_else(|| panic!("no {head}"));
            let section = section.split("\n### ").next().unwrap_or_default();
            for setting in offer["types"][0]["settings"].as_array().expect("a list") {
                let cell = format!("| `{}` |", setting["name"].as_str().expect("a name"));
                assert!(section.contains(&cell), "{cell} in\n{section}");
                assert!(
                    !setting["description"].as_str().unwrap_or_default().is_empty(),
                    "{name}: {setting} says nothing"
                );
            }
        }
    }
}

#[test]
fn pages_are_not_written_of_a_folder_without_plugins() {
    let pipeline = Pipeline::new("", &[]);
    let refused = pipeline.run(&["__pages", "pages", "--directory", "plugins"]).expect(78);
    assert!(refused.stderr.contains("are none to write pages of"), "{}", refused.stderr);
    assert!(!pipeline.path("pages").exists());
}
