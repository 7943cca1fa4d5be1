//! What a checkpoint keeps: how far each file was read, and what it is known by.

use crate::identity::{Fingerprint, Identity};
use crate::tracked::{Seen, Tracked};
use cardcage_plugin_api::PluginError;
use cardcage_plugin_api::serde_json;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// The newest version of the state. 1 knew files by their path alone.
pub(crate) const VERSION: u32 = 2;

/// How far one file was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedFile {
    pub(crate) path: SavedPath,
    pub(crate) position: u64,
    pub(crate) line: u64,
    /// Absent in version 1.
    #[serde(default)]
    pub(crate) identity: Option<Identity>,
    #[serde(default)]
    pub(crate) fingerprint: Fingerprint,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) header: Option<Box<[u8]>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) skipping: bool,
    /// Length and time of writing when its end was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at_end: Option<(u64, i128)>,
}

/// A path; one that is not UTF-8 as its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum SavedPath {
    Text(String),
    Bytes(Vec<u8>),
}

/// All of them, and which process read them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// See [`crate::process_name`].
    #[serde(default)]
    pub(crate) process: String,
    pub(crate) files: Vec<SavedFile>,
}

impl Saved {
    pub(crate) fn read(version: u32, state: &[u8]) -> Result<Self, PluginError> {
        if !(1..=VERSION).contains(&version) {
            return Err(PluginError::new(format!(
                "state version {version} is not known; 1 to {VERSION} are"
            )));
        }
        Ok(serde_json::from_slice(state)?)
    }

    pub(crate) fn write(&self, version: u32) -> Result<Vec<u8>, PluginError> {
        if version != VERSION {
            return Err(PluginError::new(format!("state version {version} is not written; {VERSION} is")));
        }
        Ok(serde_json::to_vec(self)?)
    }
}

impl SavedFile {
    pub(crate) fn of(file: &Tracked) -> Self {
        Self {
            path: SavedPath::of(&file.name),
            position: file.position,
            line: file.line,
            identity: Some(file.identity),
            fingerprint: file.fingerprint,
            header: file.header.clone(),
            skipping: file.skipping,
            at_end: file.at_end.map(|seen| (seen.len, seen.written_ns())),
        }
    }

    /// Sets a file to where it was.
    pub(crate) fn give_to(&self, file: &mut Tracked) {
        (file.position, file.line, file.skipping) = (self.position, self.line, self.skipping);
        file.fingerprint = self.fingerprint;
        file.header.clone_from(&self.header);
        file.at_end = self.at_end.map(|(len, written_ns)| Seen::new(len, written_ns));
    }
}

impl SavedPath {
    fn of(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(path.as_os_str().as_bytes().to_owned()),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Text(text) => PathBuf::from(text),
            Self::Bytes(bytes) => PathBuf::from(OsString::from_vec(bytes.clone())),
        }
    }
}
