//! Why a pipeline's `plugin:` leads to no component type.

#![forbid(unsafe_code)]

use super::Catalogue;
use crate::loader::refusal::Refusal;
use cardcage_core::config::PluginRef;
use cardcage_core::naming::nearest;
use std::fmt::Write as _;

/// Why a pipeline's `plugin:` leads to no component type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    /// Nothing of that name, type or version.
    #[error("{found}")]
    Unknown {
        /// `plugin.unknown`, `plugin.unknown-version`, `plugin.unknown-type` or `plugin.which-type`.
        code: &'static str,
        /// What was asked for and not found.
        found: String,
        /// What to do about it.
        help: String,
    },
    /// It is there, and a rung refused it.
    #[error("{0}")]
    Refused(Refusal),
}

impl LoadError {
    /// No plugin of this name.
    pub(super) fn unknown(catalogue: &Catalogue, wanted: &PluginRef) -> Self {
        let mut names: Vec<&str> =
            catalogue.plugins.iter().map(|plugin| plugin.manifest.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut help = String::new();
        if let Some(near) = nearest(&wanted.name, names.iter().copied()) {
            // Writing to a String cannot fail.
            let _ = write!(help, "did you mean `{near}`? ");
        }
        let _ = match names.as_slice() {
            [] => write!(help, "no plugin at all was found in {}", catalogue.folders()),
            names => write!(help, "found in {}: {}", catalogue.folders(), names.join(", ")),
        };
        Self::Unknown { code: "plugin.unknown", found: format!("there is no plugin `{}`", wanted.name), help }
    }
}
