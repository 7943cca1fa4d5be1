//! What all commands that talk to a running daemon share: where it is, what to say when it does not answer.

use crate::control::client::{ClientError, Request};
use crate::control::socket;
use crate::document::{self, Document, DocumentError};
use crate::exit;
use crate::report::say;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The form of an answer for people.
pub(super) const TEXT: &str = "text/plain";
/// The form of an answer for programs.
pub(super) const JSON: &str = "application/json";

/// Why a command has nothing to show.
#[derive(Debug, thiserror::Error)]
pub(super) enum DaemonError {
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The pipeline's file does not say where the socket is.
    #[error("{0}\nname the daemon's socket instead: `--socket PATH`")]
    Document(DocumentError),
}

impl DaemonError {
    /// Says it, and gives the exit code.
    pub(super) fn end(&self) -> ExitCode {
        say(&format!("{self}\n"));
        ExitCode::from(match self {
            // Nobody is there, or nobody for us: it has no time, or may not talk to this user.
            Self::Client(ClientError::NoDaemon { .. } | ClientError::Refused { status: 403 | 503, .. }) => {
                exit::UNAVAILABLE
            }
            Self::Client(ClientError::Refused { status: 400, .. })
            | Self::Document(DocumentError::NoFile) => exit::USAGE,
            Self::Client(ClientError::Refused { .. }) => exit::SOFTWARE,
            Self::Document(DocumentError::Unreadable { .. }) => exit::IO,
            Self::Document(DocumentError::Refused { .. }) => exit::REFUSED,
        })
    }
}

/// Asks the daemon that runs this file, or that has this socket.
pub(super) fn ask(
    file: Option<&Path>,
    socket: Option<&Path>,
    request: &Request<'_>,
) -> Result<String, DaemonError> {
    let socket = socket.map_or_else(|| socket_of(file), |socket| Ok(socket.to_owned()))?;
    Ok(request.send(&socket)?)
}

/// The socket of the daemon that runs a file. The file may be one that a start would refuse, as when its credentials are
/// those of a service: what it says of the socket counts all the same.
fn socket_of(file: Option<&Path>) -> Result<PathBuf, DaemonError> {
    match document::read(file) {
        Ok(Document { folder, config }) => {
            Ok(socket::path(&config.control, &folder, &folder.join(&config.state_directory)))
        }
        Err(DocumentError::Refused { folder, refused }) => match &refused.draft {
            Some(draft) => Ok(socket::path(draft.control(), &folder, &folder.join(draft.state_directory()))),
            None => Err(DaemonError::Document(DocumentError::Refused { folder, refused })),
        },
        Err(error) => Err(DaemonError::Document(error)),
    }
}
