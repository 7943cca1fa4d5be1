//! The config: `pipeline.yaml` from text to something in which everything is checked.
//!
//! Text becomes a tree with places ([`crate::yaml`]), its scalars are substituted, the tree is read into the shape
//! that keys have ([`raw`]), and that is checked into [`Config`] ([`valid`]). Each step goes on past problems where
//! it can, so that all of them are reported at once. What only names tell (inputs that do not exist, cycles, outputs
//! that nothing consumes) is part of it; what takes a plugin to know is in [`crate::graph::wiring`].

mod check;
mod component;
mod cycles;
pub mod keys;
mod links;
pub mod quantity;
pub mod raw;
mod schema;
mod settings;
mod substitute;
pub mod valid;
mod values;

pub use valid::{
    Audit, AuditDetail, BatchConfig, ComponentConfig, Config, Control, Delivery, Input, Limits, Log,
    LogFormat, OnBadConfig, OnFailure, PluginRef, Plugins, Restarts, Substituted,
};

use crate::diagnostic::Diagnostics;
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

/// The config in `text`, or everything that is wrong with it. `file` is only shown in places.
///
/// A text that is no YAML gives its first problem only; everything else is reported together, sorted by place.
pub fn parse(file: &str, text: &str, environment: &dyn Environment) -> Result<Config, Diagnostics> {
    let mut problems = Diagnostics::new();
    let config = yaml::parse(file, text, &mut problems).map(|mut tree| {
        substitute::substitute(file, &mut tree, environment, &mut problems);
        let pipeline = raw::read(file, &tree, &mut problems);
        check::check(file, text, &pipeline, &mut problems)
    });
    problems.quote(file, text);
    problems.sort();
    match config {
        Some(config) if !problems.has_errors() => Ok(Config { warnings: problems, ..config }),
        _ => Err(problems),
    }
}
