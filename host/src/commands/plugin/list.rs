//! `cardcage plugin list [DIR]`.

#![forbid(unsafe_code)]

use super::{Answer, Format, text};
use crate::document::{self, Document};
use crate::loader::catalogue::{Catalogue, default_directories};
use crate::loader::refusal::Refusal;
use crate::loader::vetting::Vetting;
use cardcage_core::config::Trust;
use cardcage_core::printable::printable;
use cardcage_plugin_api::manifest::Manifest;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The folder that was asked for, else those of ./pipeline.yaml, else the default ones.
pub(super) fn directories(asked: Option<PathBuf>) -> Vec<PathBuf> {
    if let Some(folder) = asked {
        return vec![folder];
    }
    // A pipeline that cannot be read is `cardcage check`'s business.
    let Ok(Document { folder, config }) = document::read(None) else {
        return default_directories();
    };
    let named: Vec<PathBuf> =
        config.plugins.directories.iter().map(|directory| folder.join(directory)).collect();
    if named.is_empty() { default_directories() } else { named }
}

/// Lists plugins and refused files. A refused file is no failure: nothing uses it.
pub(super) fn run(directory: Option<PathBuf>, format: Format) -> Answer {
    let directories = directories(directory);
    let catalogue = Catalogue::scan(&directories, &Trust::default(), Vetting::default());
    let listing = Listing {
        directories: directories.iter().map(|folder| folder.display().to_string()).collect(),
        plugins: catalogue.plugins().map(|(file, manifest)| Listed { file, manifest }).collect(),
        refused: catalogue.refused(),
    };
    let text = match format {
        Format::Json => text::json(&listing),
        Format::Text => render(&listing),
    };
    Answer { text, ..Answer::default() }
}

#[derive(Serialize)]
struct Listing<'a> {
    directories: Vec<String>,
    plugins: Vec<Listed<'a>>,
    refused: &'a [Refusal],
}

#[derive(Serialize)]
struct Listed<'a> {
    file: &'a Path,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

fn render(listing: &Listing<'_>) -> String {
    let mut rows = vec![["PLUGIN", "VERSION", "KIND", "TYPE", "DESCRIPTION"].map(str::to_owned).to_vec()];
    for Listed { manifest, .. } in &listing.plugins {
        for (at, component) in manifest.components.iter().enumerate() {
            let first = |cell: &str| if at == 0 { cell.to_owned() } else { String::new() };
            let description = if component.description.is_empty() {
                first(&manifest.description)
            } else {
                component.description.clone()
            };
            rows.push(vec![
                first(&manifest.name),
                first(&manifest.version),
                component.kind.to_string(),
                component.name.clone(),
                description,
            ]);
        }
    }
    let mut text = if listing.plugins.is_empty() {
        format!("no plugins in {}\n", printable(&listing.directories.join(", ")))
    } else {
        text::table("", &rows)
    };
    if !listing.refused.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\nrefused:");
        let rows: Vec<Vec<String>> = listing
            .refused
            .iter()
            .map(|refusal| {
                let found = refusal.found.lines().next().unwrap_or_default().to_owned();
                vec![refusal.file.display().to_string(), refusal.code.to_string(), found]
            })
            .collect();
        text.push_str(&text::table("  ", &rows));
    }
    text
}
