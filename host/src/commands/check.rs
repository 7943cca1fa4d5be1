//! `cardcage check`: everything short of opening, and a drawing of what was written.

#![forbid(unsafe_code)]

use crate::assemble::{Assembled, all_problems, assemble};
use crate::cli::CheckArguments;
use crate::commands::plugin::Format;
use crate::document::{self, Document, DocumentError};
use crate::report::{answer, say};
use crate::{exit, report};
use cardcage_core::diagnostic::Diagnostics;
use cardcage_core::graph::draw::{self, Style};
use cardcage_core::graph::picture::Picture;
use cardcage_runtime::{Cancel, Dictionary, DictionaryLimits, Environment};
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

/// Columns of a drawing that goes into a file or pipe, or to a terminal that does not say how wide it is.
const WIDTH_DEFAULT: usize = 100;
/// Components drawn on a terminal: a few screens, which one can still scroll back through.
const DRAWN_MAX: usize = 150;

/// Checks a pipeline and says what was found.
pub(crate) fn run(arguments: &CheckArguments) -> ExitCode {
    let Document { folder, config } = match document::read(arguments.file.as_deref()) {
        Ok(document) => document,
        Err(DocumentError::Refused { folder, refused: why }) => {
            return refused(&all_problems(*why, &folder), arguments.format);
        }
        Err(error) => {
            say(&format!("{error}\n"));
            let no_file = matches!(error, DocumentError::NoFile);
            return ExitCode::from(if no_file { exit::USAGE } else { exit::IO });
        }
    };
    // Verdicts of earlier runs are used if they are there; a check leaves nothing behind that was not.
    let state = folder.join(&config.state_directory);
    let limits = DictionaryLimits { sensors: config.limits.sensors, units: config.limits.units };
    let environment = Arc::new(Environment::new(
        Arc::new(Dictionary::new(limits)),
        Arc::new(Cancel::default()),
        state.clone(),
    ));
    let known = state.is_dir().then_some(state.as_path());
    match assemble(config, &folder, known, &environment) {
        Ok(assembled) => {
            taken(&assembled, arguments.format);
            ExitCode::SUCCESS
        }
        Err(problems) => refused(&problems, arguments.format),
    }
}

fn taken(assembled: &Assembled, format: Format) {
    let Assembled { config, graph, parts } = assembled;
    let descriptions: Vec<_> = parts.iter().map(|part| part.description.clone()).collect();
    let plugin =
        |part: &cardcage_runtime::Part| (part.handle.plugin().to_owned(), part.handle.version().to_owned());
    let plugins: Vec<_> = parts.iter().map(plugin).collect();
    let picture = Picture::new(config, &descriptions, graph, &plugins);
    match format {
        Format::Json => {
            let json = serde_json::json!({ "ok": true, "problems": config.warnings, "pipeline": picture });
            answer(&format!("{json}\n"));
        }
        Format::Text => {
            report::problems(&config.warnings);
            answer(&format!("{}: all is well\n\n{}", config.file, draw::draw(&picture, style())));
        }
    }
}

fn refused(problems: &Diagnostics, format: Format) -> ExitCode {
    match format {
        Format::Json => {
            answer(&format!("{}\n", serde_json::json!({ "ok": false, "problems": problems })));
        }
        Format::Text => report::problems(problems),
    }
    ExitCode::from(exit::REFUSED)
}

/// On a terminal as it can show it; else plain characters, and everything.
fn style() -> Style {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return Style { unicode: false, width: WIDTH_DEFAULT, components_max: usize::MAX };
    }
    let columns = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| usize::from(size.ws_col));
    Style {
        unicode: shows_unicode(|name| std::env::var(name).ok()),
        width: if columns == 0 { WIDTH_DEFAULT } else { columns },
        components_max: DRAWN_MAX,
    }
}

/// Whether the locale's characters are Unicode: the first of the three variables that is set decides, as in the C library.
fn shows_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::shows_unicode;

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let with = |set: &'static [(&str, &str)]| {
            shows_unicode(|name| {
                set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(with(&[("LANG", "en_GB.UTF-8")]));
        assert!(with(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]), "an empty one is not set");
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]));
        assert!(!with(&[]));
    }
}
