//! Diagnostics on the terminal: colour and width as it has them, and a last line that counts.

#![forbid(unsafe_code)]

use crate::logging;
use cardcage_core::diagnostic::{Diagnostics, Look, Severity};
use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};

/// The narrowest page that source lines are cut to; a narrower terminal wraps them.
const WIDTH_MIN: u16 = 60;

/// Prints to stderr; whoever read it may be gone (`2>&1 | tee` dies of the same Ctrl-C), which is no reason to panic.
/// Where there is a log, behind its lines: a daemon waits for no reader.
pub(crate) fn say(text: &str) {
    if logging::say(text) {
        return;
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Prints to stdout what a command was asked for; a reader that has seen enough (`| head`) is no error.
pub(crate) fn answer(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints diagnostics to stderr, with what a person does next in the last line. Nothing where there are none.
pub(crate) fn problems(problems: &Diagnostics) {
    if problems.is_empty() {
        return;
    }
    let text = format!("{}\n{}\n", problems.draw(look()), footer(problems));
    let failed = problems.count(Severity::Error) > 0;
    say_at(if failed { tracing::Level::ERROR } else { tracing::Level::WARN }, &text);
}

/// Prints to stderr why a command fails.
pub(crate) fn failure(text: &str) {
    say_at(tracing::Level::ERROR, text);
}

/// Prints to stderr why the process ends here and now, from a thread that panicked.
pub(crate) fn last_words(text: &str) {
    logging::say_at_panic(&as_stderr_takes_it(tracing::Level::ERROR, text));
}

fn say_at(level: tracing::Level, text: &str) {
    say(&as_stderr_takes_it(level, text));
}

fn as_stderr_takes_it(level: tracing::Level, text: &str) -> Cow<'_, str> {
    if logging::stderr_is_journal() { for_journal(text, level).into() } else { text.into() }
}

/// Each line with its severity, which the journal reads at its start: else all would be no more than news.
fn for_journal(text: &str, level: tracing::Level) -> String {
    let severity = logging::severity(level);
    text.lines().fold(String::new(), |all, line| all + &format!("<{severity}>{line}\n"))
}

fn look() -> Look {
    let stderr = std::io::stderr();
    if !stderr.is_terminal() {
        return Look::default();
    }
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let width =
        rustix::termios::tcgetwinsize(&stderr).ok().map(|size| size.ws_col).filter(|width| *width > 0);
    Look { colour, width: width.unwrap_or(Look::default().width).max(WIDTH_MIN) }
}

/// `2 errors, 1 warning; ...`.
fn footer(problems: &Diagnostics) -> String {
    let counted = |severity: Severity| match problems.count(severity) {
        0 => None,
        1 => Some(format!("1 {}", severity.name())),
        several => Some(format!("{several} {}s", severity.name())),
    };
    let counts: Vec<String> = [Severity::Error, Severity::Warning].into_iter().filter_map(counted).collect();
    let first = |severity: Severity| problems.iter().find(|problem| problem.severity == severity);
    let example =
        first(Severity::Error).or_else(|| first(Severity::Warning)).map_or("CODE", |problem| problem.code.0);
    format!("{}; `cardcage explain {example}` says more", counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cardcage_core::codes;
    use cardcage_core::diagnostic::Diagnostic;

    #[test]
    fn in_the_journal_each_line_of_a_problem_has_its_severity() {
        assert_eq!(for_journal("a\n\nb\n", tracing::Level::ERROR), "<3>a\n<3>\n<3>b\n");
        assert_eq!(for_journal("a\n", tracing::Level::WARN), "<4>a\n");
    }

    #[test]
    fn the_last_line_counts_what_was_found_and_says_where_there_is_more() {
        let problems: Diagnostics = [
            Diagnostic::warning(codes::NOT_YET, "w"),
            Diagnostic::error(codes::CYCLE, "e"),
            Diagnostic::error(codes::CYCLE, "e"),
        ]
        .into_iter()
        .collect();
        let expected = "2 errors, 1 warning; `cardcage explain wiring.cycle` says more";
        assert_eq!(footer(&problems), expected);
    }
}
