//! What the vetting child found in a plugin, and how that is remembered: from a [`Verdict`] to an entry's bytes, and from
//! bytes that may be anything back to a verdict or to nothing.
//!
//! An entry says which key it is for, and has a hash over both: one that is damaged, cut off, of another format or copied
//! from another place is no entry. The hash keeps from accidents, and not from somebody who can write to the folder.

mod rung;

pub use rung::Rung;

use cardcage_plugin_api::describe::Description;
use cardcage_plugin_api::manifest::{Kind, Manifest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What each entry begins with; the number is the format's version.
pub const MAGIC: &str = "cardcage-verdict 2";
/// The largest entry read: schemas and samples of 256 component types.
pub const ENTRY_MAX_BYTES: usize = 8 * 1024 * 1024;

/// What the child found in a plugin that passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What the child was confined by.
    pub sandbox: Sandbox,
    /// In the manifest's order.
    pub components: Vec<ComponentVerdict>,
    /// How long each rung took in the child, in microseconds.
    pub rungs: Vec<(Rung, u64)>,
}

impl Verdict {
    /// Whether it is about the component types of this manifest, one for one.
    pub fn is_of(&self, manifest: &Manifest) -> bool {
        let found = self.components.iter().map(|one| (one.kind, &one.name));
        found.eq(manifest.components.iter().map(|one| (one.kind, &one.name)))
    }
}

/// What the child found in a component type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentVerdict {
    /// Source, stage or sink.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The JSON Schema of its settings.
    pub schema: Value,
    /// What it does under some settings, if there are any that it is known to take.
    pub sample: Option<Sample>,
    /// What became of its probe.
    pub probe: Probed,
}

/// What a component type does under settings that are as good as any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The settings.
    pub settings: Value,
    /// What it does under them.
    pub description: Description,
}

/// What became of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probed {
    /// This many calls went well.
    Passed {
        /// Calls of data functions.
        calls: u32,
    },
    /// The manifest says not to, or the outside world denied it something, for this reason.
    NotProbed {
        /// The plugin's own words, or the system's.
        reason: String,
    },
}

/// What a vetting child is confined by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sandbox {
    /// Files and ports: the version of Landlock's interface, if all of what was asked of that version is enforced.
    pub landlock: Option<u8>,
    /// System calls, through the parent.
    pub seccomp: bool,
}

impl Sandbox {
    /// What is missing, in words; `None` if nothing is.
    pub fn lacks(&self) -> Option<&'static str> {
        match (self.landlock, self.seccomp) {
            (Some(_), true) => None,
            (None, true) => Some("vetted without Landlock: this kernel has none, or does not let it be used"),
            (Some(_), false) => Some("vetted without seccomp: this kernel does not let the parent be asked"),
            (None, false) => Some("vetted without Landlock and seccomp: this kernel has neither"),
        }
    }
}

/// The entry that remembers a verdict for a key. A key is one word without line ends, and all keys are equally long.
///
/// # Errors
/// Where the verdict is none that JSON can hold.
pub fn entry(key: &str, verdict: &Verdict) -> serde_json::Result<Vec<u8>> {
    let body = serde_json::to_string(verdict)?;
    Ok(format!("{}\n{body}", heading(key, &body)).into_bytes())
}

/// The verdict in an entry for this key, from bytes that may be anything; `None` if it is not whole or not for this key.
pub fn remembered(key: &str, bytes: &[u8]) -> Option<Verdict> {
    if bytes.len() > ENTRY_MAX_BYTES {
        return None;
    }
    let (first, body) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    if first != heading(key, body) {
        return None;
    }
    serde_json::from_str(body).ok()
}

fn heading(key: &str, body: &str) -> String {
    let mut hash = blake3::Hasher::new();
    // All keys are equally long, so where one ends and the body begins is no question.
    hash.update(key.as_bytes()).update(body.as_bytes());
    format!("{MAGIC} {key} {}", hash.finalize().to_hex())
}
