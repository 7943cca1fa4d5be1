//! Why files cannot be read.

use crate::archive::ArchiveError;
use crate::paths::PathError;
use cardcage_codec::SettingsError;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a file cannot be read.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("cannot open `{path}`")]
    Open { path: PathBuf, source: io::Error },
    #[error("`{path}` is no regular file; give the path of one")]
    NotRegular { path: PathBuf },
    #[error("cannot read `{path}` at byte {position}")]
    Read { path: PathBuf, position: u64, source: io::Error },
    #[error("no file matches `{pattern}`; set `follow: true` to wait for one")]
    NothingMatches { pattern: String },
    #[error("`{path}` is another file than when the source opened; the new one is read when it opens again")]
    Replaced { path: PathBuf },
    #[error("a thread that parses failed; set `threads: 1` to do without it")]
    Thread,
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("cannot read `{path}`: {source}")]
    Settings { path: PathBuf, source: SettingsError },
    #[error(transparent)]
    Path(#[from] PathError),
}

impl FileError {
    /// Whether it may be over once the file has grown.
    pub(crate) fn may_grow(&self) -> bool {
        matches!(self, Self::Archive(error) if error.may_grow())
    }

    /// With its causes, for the log.
    pub(crate) fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            cause = inner.source();
        }
        text
    }
}
