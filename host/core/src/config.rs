//! The config: `pipeline.yaml` from text to something in which everything is checked.
//!
//! Text becomes a tree with places ([`crate::yaml`]), its scalars are substituted, the tree is read into the shape
//! that keys have ([`raw`]), and that is checked into [`Config`] ([`valid`]). Each step goes on past problems where
//! it can, so that all of them are reported at once. What only names tell (inputs that do not exist, cycles, outputs
//! that nothing consumes) is part of it; what takes a plugin to know is in [`crate::graph::wiring`].

mod check;
mod component;
mod cycles;
pub mod json_schema;
pub mod keys;
mod links;
pub mod raw;
mod secrets;
mod settings;
mod substitute;
pub mod valid;
mod values;

pub use cardcage_plugin_api::quantity;
pub use secrets::{CUT, Secrets};
pub use valid::{
    Audit, AuditDetail, AuditSync, BatchConfig, ComponentConfig, Config, Control, Delivery, Input, Limits,
    Log, LogFormat, OnBadConfig, OnFailure, Permissions, PluginRef, Plugins, Restarts, Substituted, Trust,
};

use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::yaml;

/// What substitution may ask of the outside. An `Err` says in words why there is no text.
pub trait Environment {
    /// The environment variable, if it is set.
    fn variable(&self, name: &str) -> Option<String>;
    /// The content of a file; relative paths are relative to the config's file.
    fn file(&self, path: &str) -> Result<String, String>;
    /// The content of a credential that the service was given.
    fn credential(&self, name: &str) -> Result<String, String>;
}

/// The config in a file's bytes, or everything that is wrong with it. `file` is only shown in places.
///
/// A text that is no YAML gives its first problem only; everything else is reported together, sorted by place.
pub fn parse_bytes(file: &str, bytes: &[u8], environment: &dyn Environment) -> Result<Config, Box<Refused>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let problems = not_utf8(file, bytes, error.valid_up_to());
        Box::new(Refused { problems, draft: None })
    })?;
    read(file, text, environment)
}

/// The config in a text, as [`parse_bytes`].
pub fn parse(file: &str, text: &str, environment: &dyn Environment) -> Result<Config, Diagnostics> {
    read(file, text, environment).map_err(|refused| refused.problems)
}

fn read(file: &str, text: &str, environment: &dyn Environment) -> Result<Config, Box<Refused>> {
    // Some editors begin every file with it; it stands for nothing.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut problems = Diagnostics::new();
    let read = yaml::parse(file, text, &mut problems).map(|mut tree| {
        substitute::substitute(file, &mut tree, environment, &mut problems);
        let pipeline = raw::read(file, &tree, &mut problems);
        let checked = check::check(file, text, &pipeline, &mut problems);
        // Without one of the folders its plugins would be unknown.
        let written = pipeline.plugins.entry("directories").map_or(0, |entry| entry.node.items().len());
        let folders_lost = checked.0.plugins.directories.len() < written;
        (checked, folders_lost)
    });
    problems.quote(file, text);
    problems.sort();
    match read {
        Some(((config, _), _)) if !problems.has_errors() => Ok(Config { warnings: problems, ..config }),
        Some(((config, askable), false)) => {
            Err(Box::new(Refused { problems, draft: Some(Draft { config, askable }) }))
        }
        _ => Err(Box::new(Refused { problems, draft: None })),
    }
}

/// Why there is no config, and what can still be done with what there is.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Everything that is wrong with it, as far as the text alone tells.
    pub problems: Diagnostics,
    /// What could be read of it; absent where that is too little to go on with.
    pub draft: Option<Draft>,
}

/// A refused config, as far as it could be read: good for finding what else is wrong with it, and nothing else.
#[derive(Clone, Debug)]
pub struct Draft {
    config: Config,
    askable: Vec<bool>,
}

impl Draft {
    /// Where the daemon that runs the file as it was before can be reached: this much is right where it could be read.
    pub fn control(&self) -> &Control {
        &self.config.control
    }

    /// Where plugins come from and which are trusted.
    pub fn plugins(&self) -> &Plugins {
        &self.config.plugins
    }

    /// Where verdicts of earlier runs may be.
    pub fn state_directory(&self) -> &str {
        &self.config.state_directory
    }

    /// The components whose plugin and settings are as written: their plugins may find more that is wrong.
    pub fn askable(&self) -> impl Iterator<Item = &ComponentConfig> {
        let components = self.config.components.iter().zip(&self.askable);
        components.filter(|(_, askable)| **askable).map(|(component, _)| component)
    }

    /// Gives problems that were found in it their source lines.
    pub fn quote(&self, problems: &mut Diagnostics) {
        self.config.quote(problems);
    }
}

/// The first byte that is no UTF-8, with what can be read of its line before it.
fn not_utf8(file: &str, bytes: &[u8], at: usize) -> Diagnostics {
    let before = String::from_utf8_lossy(&bytes[..at]);
    let line = before.rsplit('\n').next().unwrap_or_default();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let column = number(line.chars().count() + 1);
    let location = Location {
        file: file.to_owned(),
        line: number(before.matches('\n').count() + 1),
        column,
        end_column: column.saturating_add(1),
    };
    let found = bytes.get(at).copied().unwrap_or_default();
    let message = if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        "the file is UTF-16 text".to_owned()
    } else {
        format!("the byte 0x{found:02x} is no UTF-8 text")
    };
    let mut problems: Diagnostics = Diagnostic::error(codes::NOT_UTF8, message)
        .at(location)
        .help("save the file as UTF-8; editors call it the encoding or the character set")
        .into();
    problems.quote(file, &format!("{before}{}", char::REPLACEMENT_CHARACTER));
    problems
}
