//! `docs/reference.md`: every key, every form of a value, every command, every bundled plugin.

#![forbid(unsafe_code)]

use super::{command_line, glossary, plugins, table};
use crate::commands::plugin::offer::Offer;
use cardcage_core::config::keys::{COMPONENTS_MAX, Key, TABLES, Table};
use cardcage_core::config::quantity;
use cardcage_core::yaml;

/// The words that are no one's type: they stand in a file of their own, to be read and corrected as prose.
const PROSE: &str = include_str!("reference.md");

/// The page.
pub(super) fn page(offers: &[Offer]) -> String {
    let quoted = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let parts = [
        ("KEYS", keys()),
        ("DURATIONS", quoted(&quantity::duration_units())),
        ("SIZES", quoted(&quantity::size_units())),
        ("TEXT_MAX", quantity::show_size(yaml::TEXT_MAX_BYTES as u64)),
        ("DEPTH_MAX", yaml::DEPTH_MAX.to_string()),
        ("NODES_MAX", yaml::NODES_MAX.to_string()),
        ("COMPONENTS_MAX", COMPONENTS_MAX.to_string()),
        ("COMMANDS", command_line::section()),
        ("PLUGINS", plugins::section(offers)),
        ("CAPABILITIES", glossary::capabilities()),
        ("UNITS", glossary::units()),
    ];
    parts.iter().fold(PROSE.to_owned(), |text, (name, part)| {
        text.replace(&format!("{{{{{name}}}}}"), part.trim_end())
    })
}

fn keys() -> String {
    TABLES.iter().map(|table| format!("### {}\n\n{}\n", title(table), of(table))).collect::<Vec<_>>().concat()
}

fn title(table: &Table) -> String {
    match table.path {
        "" => "Top level".to_owned(),
        "*" => "A component under `sources`, `stages` or `sinks`".to_owned(),
        path => match path.strip_prefix("*.") {
            Some(path) => format!("`{path}` of a component"),
            None => format!("`{path}`"),
        },
    }
}

fn of(keys: &Table) -> String {
    let row = |key: &Key| {
        let effect = if key.has_effect { "" } else { " *No effect in this version.*" };
        vec![
            format!("`{}`", key.name),
            key.shape.to_string(),
            key.default.to_string(),
            format!("{}{effect}", key.meaning),
        ]
    };
    let rows: Vec<Vec<String>> = keys.keys.iter().map(row).collect();
    table(&["Key", "Value", "Default", "Meaning"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cardcage_core::config::{self, Environment};

    struct Everything;

    impl Environment for Everything {
        fn variable(&self, _: &str) -> Option<String> {
            Some("text".to_owned())
        }
        fn file(&self, _: &str) -> Result<String, String> {
            Ok("text".to_owned())
        }
        fn credential(&self, _: &str) -> Result<String, String> {
            Ok("text".to_owned())
        }
    }

    #[test]
    fn the_pipelines_in_the_prose_are_good() {
        let blocks: Vec<&str> =
            PROSE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        let whole: Vec<&&str> = blocks.iter().filter(|block| block.starts_with("version:")).collect();
        assert!(!whole.is_empty(), "the reference shows a whole pipeline");
        for block in whole {
            if let Err(problems) = config::parse("reference.md", block, &Everything) {
                panic!("{}\n{block}", problems.render());
            }
        }
    }

    #[test]
    fn every_place_in_the_prose_is_filled() {
        let page = page(&[]);
        assert!(!page.contains("{{") && !page.contains("}}"), "a place is left: {page}");
    }
}
