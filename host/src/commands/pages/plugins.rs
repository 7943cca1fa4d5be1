//! The bundled plugins: what each component type takes, does and counts.

#![forbid(unsafe_code)]

use super::table;
use crate::commands::plugin::offer::{Offer, OfferedType};
use crate::commands::plugin::settings_table::{Row, Word, plain};
use cardcage_core::verdict::Sample;
use cardcage_plugin_api::manifest::{ComponentManifest, Kind, MetricDeclaration};
use std::fmt::Write as _;

/// All component types: sources, stages, sinks.
pub(super) fn section(offers: &[Offer]) -> String {
    let mut text = String::new();
    for kind in [Kind::Source, Kind::Stage, Kind::Sink] {
        for offer in offers {
            let Some(manifest) = &offer.manifest else { continue };
            for (component, offered) in manifest.components.iter().zip(&offer.types) {
                if component.kind == kind {
                    let about = Some(&component.description).filter(|text| !text.is_empty());
                    text.push_str(&component_type(
                        component,
                        &manifest.name,
                        about.unwrap_or(&manifest.description),
                        offered,
                    ));
                }
            }
        }
    }
    text
}

fn component_type(component: &ComponentManifest, plugin: &str, about: &str, offered: &OfferedType) -> String {
    let type_name = if component.name == plugin { String::new() } else { format!("/{}", component.name) };
    // Writing to a String cannot fail.
    let mut text = String::new();
    let _ = write!(text, "### {} `{plugin}{type_name}`\n\n{}.\n\n", component.kind, capitalized(about));
    if offered.settings.is_empty() {
        text.push_str("It has no settings.\n\n");
    } else {
        let rows: Vec<Vec<String>> = offered.settings.iter().map(setting).collect();
        text.push_str(&table(&["Setting", "Takes", "Default", "Meaning"], &rows));
        text.push('\n');
    }
    for fact in facts(component, offered.sample.as_ref()) {
        let _ = writeln!(text, "- {fact}");
    }
    for metric in &component.metrics {
        let _ = writeln!(text, "- Metric {}", described(metric));
    }
    text.push('\n');
    text
}

fn capitalized(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn setting(row: &Row) -> Vec<String> {
    let Row { name, takes, default, description, examples, words } = row;
    let mut about = description.clone();
    for Word { word, description } in words {
        // Writing to a String cannot fail.
        let _ = write!(about, "\n`{word}`: {description}");
    }
    if !examples.is_empty() {
        let examples: Vec<String> = examples.iter().map(|example| format!("`{example}`")).collect();
        let _ = write!(about, "\nExample: {}", examples.join(", "));
    }
    let default = match default {
        crate::commands::plugin::settings_table::Absent::Value(value) => format!("`{}`", plain(value)),
        other => other.words(),
    };
    vec![format!("`{name}`"), takes.clone(), default, about]
}

fn facts(component: &ComponentManifest, sample: Option<&Sample>) -> Vec<String> {
    let quoted = |names: &mut dyn Iterator<Item = String>| {
        names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let mut facts = Vec::new();
    if let Some(Sample { settings, description }) = sample {
        let under = match settings.as_object() {
            Some(entries) if !entries.is_empty() => format!(" (under `{}`)", plain(settings)),
            _ => String::new(),
        };
        let reasons = |rejects: bool| {
            let of = description.reasons.iter().filter(|reason| reason.rejects == rejects);
            quoted(&mut of.map(|reason| reason.name.clone()))
        };
        let named = [
            ("Ports", quoted(&mut description.ports.iter().cloned())),
            ("Drops records for", reasons(false)),
            ("Rejects records for", reasons(true)),
        ];
        facts.extend(
            named
                .into_iter()
                .filter(|(_, names)| !names.is_empty())
                .map(|(what, names)| format!("{what}: {names}{under}")),
        );
    }
    let capabilities = &component.capabilities;
    let does = quoted(&mut capabilities.does.iter().map(|one| one.name().to_owned()));
    let writes = quoted(&mut capabilities.writes.iter().map(|field| format!("{field:?}").to_lowercase()));
    let threads = if capabilities.threads == 0 { String::new() } else { capabilities.threads.to_string() };
    let at_most =
        [("Capabilities, at most", does), ("Writes, at most", writes), ("Threads, at most", threads)];
    facts.extend(
        at_most
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what}: {names}")),
    );
    for (kind, list) in component.permissions.lists() {
        facts.push(format!("May {kind}: {}", quoted(&mut list.iter().cloned())));
    }
    facts
}

fn described(metric: &MetricDeclaration) -> String {
    let kind = format!("{:?}", metric.kind).to_lowercase();
    let unit = if metric.unit.is_empty() { String::new() } else { format!(", unit `{}`", metric.unit) };
    let help = if metric.help.is_empty() { String::new() } else { format!(": {}", metric.help) };
    format!("`{}` ({kind}{unit}){help}", metric.name)
}
