//! `cardcage __pages`: the pages of `docs/` that are made of what the program and its plugins say of themselves, so that
//! they cannot go stale. `cargo xtask docs` calls it; a test compares.

#![forbid(unsafe_code)]

mod command_line;
mod glossary;
mod plugins;
mod reference;

use super::plugin::offer::Offer;
use super::schema;
use crate::cli::PagesArguments;
use crate::exit;
use crate::report::say;
use cardcage_core::codes;
use std::path::Path;
use std::process::ExitCode;

/// A page's place in `docs/`, and what makes its text of the bundled plugins.
type Page = (&'static str, fn(&[Offer]) -> String);

/// All generated pages. A new one is a line here.
const PAGES: [Page; 3] = [
    ("errors.md", |_| codes::page()),
    ("reference.md", reference::page),
    ("examples/pipeline.schema.json", schema::text),
];

/// Writes all pages.
pub(crate) fn run(arguments: &PagesArguments) -> ExitCode {
    let (offers, _) = schema::offers(std::slice::from_ref(&arguments.directory));
    // Pages without a plugin that was refused would be wrong pages.
    let refused: Vec<String> = offers
        .iter()
        .filter_map(|offer| offer.refusal.as_ref())
        .map(|refusal| format!("{refusal}\n"))
        .collect();
    if !refused.is_empty() || offers.is_empty() {
        say(&refused.concat());
        say(&format!("{}: the plugins here are none to write pages of\n", arguments.directory.display()));
        return ExitCode::from(exit::REFUSED);
    }
    for (name, text) in PAGES {
        if let Err(error) = write(&arguments.into.join(name), &text(&offers)) {
            say(&format!("{}: {error}\n", arguments.into.join(name).display()));
            return ExitCode::from(exit::IO);
        }
    }
    ExitCode::SUCCESS
}

fn write(file: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(file, text)
}

/// A table in Markdown. A `|` inside a cell is escaped.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let escaped = |cell: &String| cell.replace('|', "\\|").replace('\n', "<br>");
    let mut text = line(head.iter().map(|cell| (*cell).to_owned()).collect());
    text.push_str(&line(vec!["---".to_owned(); head.len()]));
    for row in rows {
        text.push_str(&line(row.iter().map(escaped).collect()));
    }
    text
}
