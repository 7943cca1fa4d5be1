//! What does not fit about a setting, and which part of the text is to be marked for it.

#![forbid(unsafe_code)]

use cardcage_plugin_api::describe::SettingProblem;

/// A setting that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Its dotted path; empty for the settings as a whole.
    pub(crate) setting: String,
    /// Which part of it is wrong.
    pub(crate) about: About,
    /// What was found and what was expected.
    pub(crate) message: String,
    /// A way out, if there is a likely one.
    pub(crate) help: Option<String>,
}

/// Which part of a setting is wrong: what is marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Nobody knows the key.
    Key {
        /// The one that was probably meant.
        meant: Option<String>,
    },
    /// The key is right and its value is not.
    Value,
    /// It is not there: what it should be in is marked.
    Missing,
}

impl Misfit {
    /// About the settings as a whole.
    pub(crate) fn whole(message: String) -> Self {
        Self { setting: String::new(), about: About::Value, message, help: None }
    }
}

impl From<SettingProblem> for Misfit {
    fn from(problem: SettingProblem) -> Self {
        let SettingProblem { setting, message, at_key } = problem;
        let about = if at_key { About::Key { meant: None } } else { About::Value };
        Self { setting, about, message, help: None }
    }
}
