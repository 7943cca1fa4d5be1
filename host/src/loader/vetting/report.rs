//! What the vetting child tells its parent: one line of JSON a message.

#![forbid(unsafe_code)]

use crate::loader::probe::Probed;
use crate::loader::refusal::{Refusal, Rung};
use crate::loader::settings::Sample;
use cardcage_plugin_api::manifest::{Kind, Manifest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Message {
    /// This rung begins; should the child die now, it died there.
    Climbing(Step),
    /// A rung refused; nothing follows.
    Refused(Refusal),
    /// All rungs passed; nothing follows.
    Passed(Verdict),
}

/// A rung, and the component type that it is about where it goes through them one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// The rung.
    pub(crate) rung: Rung,
    /// The component type, or empty.
    pub(crate) component: String,
}

/// What the child found in a plugin that passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verdict {
    /// In the manifest's order.
    pub(crate) components: Vec<ComponentVerdict>,
    /// How long each rung took in the child, in microseconds.
    pub(crate) rungs: Vec<(Rung, u64)>,
}

impl Verdict {
    /// Whether it is about the component types of this manifest, one for one.
    pub(crate) fn is_of(&self, manifest: &Manifest) -> bool {
        let found = self.components.iter().map(|one| (one.kind, &one.name));
        found.eq(manifest.components.iter().map(|one| (one.kind, &one.name)))
    }
}

/// What the child found in a component type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ComponentVerdict {
    /// Source, stage or sink.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: String,
    /// The JSON Schema of its settings.
    pub(crate) schema: Value,
    /// What it does under some settings, if there are any that it is known to take.
    pub(crate) sample: Option<Sample>,
    /// What became of its probe.
    pub(crate) probe: Probed,
}
