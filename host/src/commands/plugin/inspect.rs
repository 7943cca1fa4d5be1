//! `cardcage plugin inspect FILE|NAME`.

#![forbid(unsafe_code)]

use super::offer::{self, Offer, OfferedType};
use super::settings_table::{self, Row, Word};
use super::{Answer, Format, list, text};
use crate::loader::catalogue::Catalogue;
use crate::loader::libraries::SystemLibraries;
use crate::loader::vetting::Vetting;
use cardcage_core::config::Trust;
use cardcage_core::naming::nearest;
use cardcage_core::printable::printable_lines;
use cardcage_core::verdict::Sample;
use cardcage_plugin_api::manifest::{ComponentManifest, Kind, MetricDeclaration};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Shows a plugin, or all of that name. Schemas come from a plugin's code, which runs in the vetting child only.
pub(super) fn run(plugin: &Path, directory: Option<PathBuf>, format: Format) -> Answer {
    let files = match files_of(plugin, directory) {
        Ok(files) => files,
        Err(complaint) => return Answer::refused(complaint),
    };
    let mut libraries = SystemLibraries::default();
    let offers: Vec<Offer> = files.into_iter().map(|file| offer::look(file, &mut libraries)).collect();
    let refused = offers.iter().any(|offer| offer.refusal.is_some());
    let text = match format {
        Format::Json => text::json(&serde_json::json!({ "plugins": offers })),
        Format::Text => {
            let page = text::page_width();
            let text = offers.iter().map(|offer| render(offer, page)).collect::<Vec<_>>().join("\n");
            // Schemas are the plugin's own, and say what it likes.
            printable_lines(&text).into_owned()
        }
    };
    Answer { text, refused, ..Answer::default() }
}

/// A path as it is; for a name, the file of the highest version for each kind (a source and a sink may share a name);
/// for `NAME@VERSION`, those of that version.
fn files_of(plugin: &Path, directory: Option<PathBuf>) -> Result<Vec<PathBuf>, String> {
    let wanted = match plugin.to_str() {
        Some(name) if !name.contains('/') && !plugin.exists() => name,
        _ => return Ok(vec![plugin.to_owned()]),
    };
    let (name, version) = match wanted.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (wanted, None),
    };
    let directories = list::directories(directory);
    let catalogue = Catalogue::scan(&directories, &Trust::default(), Vetting::default());
    let mut files: BTreeMap<Kind, &Path> = BTreeMap::new();
    for (file, manifest) in catalogue.plugins() {
        if manifest.name == name && version.is_none_or(|version| manifest.version == version) {
            // The highest version comes last.
            files.extend(manifest.components.iter().map(|component| (component.kind, file)));
        }
    }
    if !files.is_empty() {
        let mut files: Vec<PathBuf> = files.into_values().map(Path::to_owned).collect();
        files.dedup();
        return Ok(files);
    }
    let near = nearest(name, catalogue.plugins().map(|(_, manifest)| manifest.name.as_str()))
        .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    let folders: Vec<String> = directories.iter().map(|folder| folder.display().to_string()).collect();
    Err(format!("there is no file and no plugin `{wanted}` in {}{near}\n", folders.join(", ")))
}

fn render(shown: &Offer, page: usize) -> String {
    let mut text = String::new();
    if let Some(manifest) = &shown.manifest {
        let build = &manifest.build;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {}  {}", manifest.name, manifest.version, manifest.description);
        let mut facts = vec![
            vec!["file".to_owned(), shown.file.display().to_string()],
            vec![
                "built for".to_owned(),
                format!("ABI {}, plugin API {}, {}", manifest.abi, build.api, build.arch),
            ],
        ];
        if !build.features.trim().is_empty() {
            facts.push(vec!["CPU features".to_owned(), build.features.trim().to_owned()]);
        }
        text.push_str(&text::table("  ", &facts));
        for (index, component) in manifest.components.iter().enumerate() {
            text.push_str(&component_text(component, shown.types.get(index), page));
        }
    }
    if let Some(refusal) = &shown.refusal {
        let _ = writeln!(text, "\n{refusal}");
    }
    text
}

fn component_text(component: &ComponentManifest, offered: Option<&OfferedType>, page: usize) -> String {
    let mut text = format!("\n{} {}", component.kind, component.name);
    if !component.description.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "  {}", component.description);
    }
    text.push('\n');
    let capabilities = &component.capabilities;
    let mut facts = Vec::new();
    let mut fact = |name: &str, words: Vec<String>| {
        if !words.is_empty() {
            facts.push([name.to_owned(), words.join(", ")]);
        }
    };
    fact("does", capabilities.does.iter().map(|one| one.name().to_owned()).collect());
    fact("writes", capabilities.writes.iter().map(|field| format!("{field:?}").to_lowercase()).collect());
    if capabilities.threads > 0 {
        fact("threads", vec![capabilities.threads.to_string()]);
    }
    for (kind, list) in component.permissions.lists() {
        fact(&format!("may {kind}"), list.to_vec());
    }
    if let Some(sample) = offered.and_then(|offered| offered.sample.as_ref()) {
        facts.extend(sample_facts(sample));
    }
    text.push_str(&text::facts("  ", &facts, page));
    if !component.metrics.is_empty() {
        text.push_str("  metrics\n");
        let rows: Vec<Vec<String>> = component.metrics.iter().map(metric_row).collect();
        text.push_str(&text::table("    ", &rows));
    }
    if let Some(offered) = offered {
        text.push_str(&settings_text(&offered.settings, page));
    }
    text
}

/// What it does under settings that are as good as any: ports and reasons are known only under some.
fn sample_facts(sample: &Sample) -> Vec<[String; 2]> {
    let description = &sample.description;
    let reasons = |rejects: bool| {
        let of = description.reasons.iter().filter(|reason| reason.rejects == rejects);
        of.map(|reason| reason.name.clone()).collect::<Vec<_>>()
    };
    let facts =
        [("ports", description.ports.clone()), ("drops for", reasons(false)), ("rejects for", reasons(true))];
    let mut facts: Vec<[String; 2]> = facts
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(name, names)| [name.to_owned(), names.join(", ")])
        .collect();
    let settings = sample.settings.as_object().is_some_and(|settings| !settings.is_empty());
    if let (true, Some(last)) = (settings, facts.last_mut()) {
        // Writing to a String cannot fail.
        let _ = write!(last[1], "   (under {})", settings_table::plain(&sample.settings));
    }
    facts
}

fn settings_text(rows: &[Row], page: usize) -> String {
    if rows.is_empty() {
        return "  settings: none\n".to_owned();
    }
    let rows: Vec<[String; 4]> = rows
        .iter()
        .map(|row| {
            let mut about = row.description.clone();
            for Word { word, description } in &row.words {
                // Writing to a String cannot fail.
                let _ = write!(about, "\n  {word}: {description}");
            }
            if !row.examples.is_empty() {
                let _ = write!(about, "\nExample: {}", row.examples.join(", "));
            }
            [row.name.clone(), row.takes.clone(), row.default.words(), about]
        })
        .collect();
    format!("  settings\n{}", text::wrapped_table("    ", &rows, page))
}

fn metric_row(metric: &MetricDeclaration) -> Vec<String> {
    let kind = format!("{:?}", metric.kind).to_lowercase();
    vec![metric.name.clone(), kind, metric.unit.clone(), metric.help.clone()]
}
