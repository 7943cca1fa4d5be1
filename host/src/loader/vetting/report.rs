//! What the vetting child tells its parent: one line a message, the secret and then JSON.

#![forbid(unsafe_code)]

use crate::loader::refusal::Refusal;
use cardcage_core::verdict::{Rung, Sandbox, Verdict};
use serde::{Deserialize, Serialize};
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
    /// A rung refused. Only of further component types can more follow.
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
    /// When it was begun, in microseconds since the child began to climb.
    pub(crate) since_us: u64,
}
