//! Where lines go and how they look there: chosen by what stderr is, or forced by `log.format`.

use super::forms::Form;
use super::journal::{self, Journal, Sent};
use super::line::Line;
use super::queue::Entry;
use super::stderr;
use cardcage_core::config::LogFormat;
use std::io::{self, IsTerminal as _};
use tracing::Level;

/// Where lines go. Writing waits for whoever reads there.
pub(super) struct Destination {
    journal: Option<Journal>,
    /// How they look on stderr: all of them, or those that the journal does not take.
    form: Form,
    /// Lines that stderr has not taken since it last took one, and why.
    failed: Option<(u64, io::Error)>,
}

impl Destination {
    /// What `log.format` asks for, and what there is to say about it.
    pub(super) fn new(format: LogFormat) -> (Self, Option<Line>) {
        let terminal = io::stderr().is_terminal();
        let in_journal = !terminal && journal::has_stderr();
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let human = Form::Human { colours };
        let by_place = match (terminal, in_journal) {
            (true, _) => human,
            (false, true) => Form::Prefixed,
            (false, false) => Form::Json,
        };
        let wanted = match format {
            LogFormat::Auto if in_journal => LogFormat::Journal,
            other => other,
        };
        let on_stderr = |form| Self { journal: None, form, failed: None };
        match wanted {
            LogFormat::Auto => (on_stderr(by_place), None),
            LogFormat::Human => (on_stderr(human), None),
            LogFormat::Json => (on_stderr(Form::Json), None),
            LogFormat::Journal => match Journal::of_machine() {
                Ok(journal) => (Self { journal: Some(journal), ..on_stderr(by_place) }, None),
                Err(error) => {
                    let message = format!("no socket for the journal ({error}); lines go to stderr");
                    (on_stderr(by_place), Some(Line::own(Level::WARN, message)))
                }
            },
        }
    }

    /// Writes it. That nobody reads it is no reason to end.
    pub(super) fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Line(line) => self.write(line),
            Entry::Text(text) => {
                self.put(text);
            }
        }
    }

    fn write(&mut self, line: &Line) {
        let Some(journal) = &mut self.journal else { return self.say(line) };
        let path = journal.path().display().to_string();
        match journal.send(line) {
            Sent::Yes => {}
            Sent::Again(lines) => {
                let message =
                    format!("the journal at {path} takes lines again; {lines} went to stderr instead");
                // If it does not take this one, the next loss says so.
                let _ = journal.send(&Line::own(Level::WARN, message));
            }
            Sent::No(first) => {
                if let Some(error) = first {
                    let message = format!(
                        "the journal at {path} takes no lines ({error}); they go to stderr until it does"
                    );
                    self.say(&Line::own(Level::WARN, message));
                }
                self.say(line);
            }
        }
    }

    fn say(&mut self, line: &Line) {
        if let Some((lines, error)) = &self.failed {
            // Half of a line may stand there.
            let message = format!("{lines} lines were lost before this one: stderr took none ({error})");
            let text = format!("\n{}", self.form.write(&Line::own(Level::WARN, message)));
            if !self.put(&text) {
                return;
            }
        }
        self.put(&self.form.write(line));
    }

    /// Whether it was taken.
    fn put(&mut self, text: &str) -> bool {
        match stderr::write_all(text) {
            Ok(()) => {
                self.failed = None;
                true
            }
            Err(error) => {
                let lost = self.failed.take().map_or(0, |(lines, _)| lines);
                self.failed = Some((lost + 1, error));
                false
            }
        }
    }
}
