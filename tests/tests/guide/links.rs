//! Every relative link of the documentation leads somewhere.

use crate::markdown::{anchors, links};
use e2e::workspace;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_relative_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let pages = pages();
    assert!(pages.len() > 10, "the pages were not found: {pages:?}");
    for path in pages {
        let page = fs::read_to_string(&path).expect("a page can be read");
        for (line, target) in links(&page).into_iter().filter(|(_, target)| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let to = if file.is_empty() { path.clone() } else { path.with_file_name("").join(file) };
            let leads = to.exists() && (anchor.is_empty() || has_anchor(&to, anchor));
            if !leads {
                wrong.push(format!("{}:{line}: {target}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n  {}", wrong.join("\n  "));
}

fn has_anchor(page: &Path, anchor: &str) -> bool {
    fs::read_to_string(page).is_ok_and(|page| anchors(&page).iter().any(|known| known == anchor))
}

/// The pages at the top and everything under `docs`.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![workspace().join("docs")];
    let entries = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("a folder can be read");
        entries.map(|entry| entry.expect("an entry can be read").path()).collect::<Vec<_>>()
    };
    let is_page = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "md");
    pages.extend(entries(workspace()).into_iter().filter(is_page));
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if is_page(&path) {
                pages.push(path);
            }
        }
    }
    pages
}
