//! Where lines go and how they look there: chosen by what stderr is, or forced by `log.format`.

use super::forms::Form;
use super::journal::{self, Journal, Sent};
use super::line::Line;
use cardcage_core::config::LogFormat;
use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;
use tracing::Level;

/// Where lines go.
pub(super) struct Destination {
    journal: Option<Journal>,
    /// How they look on stderr: all of them, or those that the journal does not take.
    form: Form,
}

impl Destination {
    /// What `log.format` asks for.
    pub(super) fn new(format: LogFormat) -> Self {
        let terminal = std::io::stderr().is_terminal();
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
        match wanted {
            LogFormat::Auto => Self { journal: None, form: by_place },
            LogFormat::Human => Self { journal: None, form: human },
            LogFormat::Json => Self { journal: None, form: Form::Json },
            LogFormat::Journal => match Journal::of_machine() {
                Ok(journal) => Self { journal: Some(journal), form: by_place },
                Err(error) => {
                    let stderr = Self { journal: None, form: by_place };
                    let message = format!("no socket for the journal ({error}); lines go to stderr");
                    stderr.write(&Line::own(Level::WARN, message));
                    stderr
                }
            },
        }
    }

    /// Writes a line. That nobody reads it is no reason to end.
    pub(super) fn write(&self, line: &Line) {
        let Some(journal) = &self.journal else { return self.say(line) };
        match journal.send(line, Instant::now()) {
            Sent::Yes => {}
            Sent::Again(lines) => {
                let path = journal.path().display();
                let message =
                    format!("the journal at {path} takes lines again; {lines} went to stderr instead");
                // If it does not take this one, the next loss says so.
                let _ = journal.send(&Line::own(Level::WARN, message), Instant::now());
            }
            Sent::No(first) => {
                if let Some(error) = first {
                    let path = journal.path().display();
                    let message = format!(
                        "the journal at {path} takes no lines ({error}); they go to stderr until it does"
                    );
                    self.say(&Line::own(Level::WARN, message));
                }
                self.say(line);
            }
        }
    }

    fn say(&self, line: &Line) {
        let _ = std::io::stderr().write_all(self.form.write(line).as_bytes());
    }
}
