//! The commands with their options, from the same description that the program reads its arguments by.

#![forbid(unsafe_code)]

use super::table;
use crate::{cli, exit};
use std::fmt::Write as _;

/// Everything about the command line.
pub(super) fn section() -> String {
    let mut program = cli::described();
    program.build();
    let mut text = String::new();
    for command in program.get_subcommands() {
        describe(command, &mut text);
    }
    let codes: Vec<Vec<String>> =
        exit::ALL.iter().map(|(code, meaning)| vec![(*code).to_owned(), (*meaning).to_owned()]).collect();
    text.push_str("### Exit codes\n\n");
    text.push_str(&table(&["Code", "When"], &codes));
    text
}

fn describe(command: &clap::Command, text: &mut String) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    if command.has_subcommands() {
        command.get_subcommands().for_each(|inner| describe(inner, text));
        return;
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = write!(text, "### `{}`\n\n{}.\n\n", usage, about.trim_end_matches('.'));
    let rows: Vec<Vec<String>> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && argument.get_id() != "help")
        .map(|argument| vec![form(argument), meaning(argument)])
        .collect();
    if !rows.is_empty() {
        text.push_str(&table(&["Argument", "Meaning"], &rows));
        text.push('\n');
    }
}

/// `FILE`, `--format <FORMAT>`.
fn form(argument: &clap::Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let value = names.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ");
    match argument.get_long() {
        Some(long) if argument.get_action().takes_values() => format!("`--{long} {value}`"),
        Some(long) => format!("`--{long}`"),
        None => format!("`{value}`"),
    }
}

fn meaning(argument: &clap::Arg) -> String {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> =
        argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect();
    let mut text = help;
    // Writing to a String cannot fail.
    if !values.is_empty() && argument.get_action().takes_values() {
        let _ = write!(text, ": {}", values.join(", "));
    }
    if !defaults.is_empty() && argument.get_action().takes_values() {
        let _ = write!(text, " [default: {}]", defaults.join(", "));
    }
    text
}
