//! `cardcage explain [CODE]`: what a code means and what to do about it.

#![forbid(unsafe_code)]

use crate::cli::ExplainArguments;
use crate::commands::plugin::Format;
use crate::exit;
use crate::report::{answer, say};
use cardcage_core::codes::{self, Entry};
use cardcage_core::naming::nearest;
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Prints what is known of a code; without one, all codes.
pub(crate) fn run(arguments: &ExplainArguments) -> ExitCode {
    let Some(asked) = &arguments.code else {
        answer(&list(arguments.format));
        return ExitCode::SUCCESS;
    };
    let Some(entry) = codes::find(bare(asked)) else {
        say(&unknown(asked));
        return ExitCode::from(exit::USAGE);
    };
    match arguments.format {
        Format::Text => answer(&text(entry)),
        Format::Json => answer(&format!("{}\n", json(entry))),
    }
    ExitCode::SUCCESS
}

/// The code in what was probably copied from an error: `error[config.cycle]`.
fn bare(asked: &str) -> &str {
    let inside = asked.split_once('[').map_or(asked, |(_, inside)| inside);
    inside.trim_end_matches([':', ']'])
}

fn unknown(asked: &str) -> String {
    let near = nearest(bare(asked), codes::ALL.iter().map(|entry| entry.code.0));
    let help = near.map_or_else(
        || "`cardcage explain` lists them all".to_owned(),
        |near| format!("did you mean `{near}`? `cardcage explain` lists them all"),
    );
    format!("there is no code `{asked}`; {help}\n")
}

fn text(entry: &Entry) -> String {
    let explanation = entry.explanation.replace("```yaml wrong\n", "```yaml\n");
    format!("{}: {}\n\n{explanation}", entry.code, entry.meaning)
}

fn json(entry: &Entry) -> serde_json::Value {
    json!({ "code": entry.code, "meaning": entry.meaning, "explanation": entry.explanation })
}

fn list(format: Format) -> String {
    match format {
        Format::Json => {
            let all: Vec<serde_json::Value> = codes::ALL.iter().map(json).collect();
            format!("{}\n", json!(all))
        }
        Format::Text => {
            let width = codes::ALL.iter().map(|entry| entry.code.0.len()).max().unwrap_or(0);
            codes::ALL.iter().fold(String::new(), |mut text, entry| {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{:width$}  {}", entry.code.0, entry.meaning);
                text
            })
        }
    }
}
