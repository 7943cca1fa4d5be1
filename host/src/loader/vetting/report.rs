//! What the vetting child tells its parent: one line a message, the secret and then JSON.

#![forbid(unsafe_code)]

use super::sandbox::Sandbox;
use crate::loader::probe::Probed;
use crate::loader::refusal::{Refusal, Rung};
use crate::loader::settings::Sample;
use cardcage_plugin_api::manifest::{Kind, Manifest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;

/// A number that only parent and child know: new for each child. It tells their messages from what a plugin writes to
/// descriptors that it did not open. A plugin that searches the process for it is malicious, and malice is not what
/// vetting is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Secret(u64);

impl Secret {
    /// A new one.
    pub(crate) fn new() -> Self {
        // The standard library seeds each of these from the kernel's random numbers.
        Self(std::hash::RandomState::new().build_hasher().finish())
    }

    /// As [`fmt::Display`] wrote it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        u64::from_str_radix(text, 16).ok().map(Self)
    }

    /// With what a child ends that came to its end.
    pub(crate) fn exit_code(self) -> u8 {
        /// Above the codes that programs use, and those of [`super::child`].
        const FIRST: u8 = 160;
        FIRST + (self.0 % 64) as u8
    }

    /// A message as it is written.
    pub(crate) fn line(self, message: &Message) -> io::Result<Vec<u8>> {
        let mut line = self.to_string().into_bytes();
        serde_json::to_writer(&mut line, message)?;
        line.push(b'\n');
        Ok(line)
    }

    /// The message in a line without its end; `None` if it is none of ours.
    pub(crate) fn read(self, line: &[u8]) -> Option<Message> {
        serde_json::from_slice(line.strip_prefix(self.to_string().as_bytes())?).ok()
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A message.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Message {
    /// The child is confined by this from now on.
    Confined(Sandbox),
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
    /// What the child was confined by.
    pub(crate) sandbox: Sandbox,
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
