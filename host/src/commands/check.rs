//! `cardcage check`: everything short of opening.

#![forbid(unsafe_code)]

use crate::assemble::assemble;
use crate::cli::CheckArguments;
use crate::commands::plugin::Format;
use crate::document::{self, Document, DocumentError};
use crate::exit;
use cardcage_core::diagnostic::Diagnostics;
use cardcage_runtime::{Cancel, Dictionary, DictionaryLimits, Environment};
use std::process::ExitCode;
use std::sync::Arc;

/// Checks a pipeline and says what was found.
pub(crate) fn run(arguments: &CheckArguments) -> ExitCode {
    let Document { folder, config } = match document::read(arguments.file.as_deref()) {
        Ok(document) => document,
        Err(DocumentError::Refused(problems)) => return refused(&problems, arguments.format),
        Err(error) => {
            eprintln!("{error}");
            let no_file = matches!(error, DocumentError::NoFile);
            return ExitCode::from(if no_file { exit::USAGE } else { exit::IO });
        }
    };
    let (file, lanes_of) = (config.file.clone(), config.components.len());
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
            let warnings = &assembled.config.warnings;
            match arguments.format {
                Format::Json => println!("{}", serde_json::json!({ "ok": true, "problems": warnings })),
                Format::Text => {
                    eprint!("{warnings}");
                    let lanes = assembled.graph.lanes().len();
                    println!("{file}: all is well: {lanes_of} components in {lanes} lanes");
                }
            }
            ExitCode::SUCCESS
        }
        Err(problems) => refused(&problems, arguments.format),
    }
}

fn refused(problems: &Diagnostics, format: Format) -> ExitCode {
    match format {
        Format::Json => println!("{}", serde_json::json!({ "ok": false, "problems": problems })),
        Format::Text => eprint!("{problems}"),
    }
    ExitCode::from(exit::REFUSED)
}
