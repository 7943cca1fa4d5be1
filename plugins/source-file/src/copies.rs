//! Copies of files that are followed, such as `copytruncate` leaves behind: said, and read all the same.
//!
//! A copy is another file by all that the system says. Its lines could be left out only where it is certain that they
//! are the same ones, and that cannot be known: when the copy is found, the first file is empty already or has grown on,
//! and equal starts are no equal files (constant readings without times). So nothing is left out, and whoever runs it
//! is told what to change.

use crate::error::FileError;
use crate::identity::Fingerprint;
use crate::roster::Roster;
use cardcage_plugin_api::tracing;

impl Roster {
    /// Warns of a file that came while others were followed and begins as one of them did. To be called when it is open
    /// and nothing was read of it.
    pub(crate) fn warn_of_copy(&mut self, number: usize) -> Result<(), FileError> {
        let Some(file) = self.file(number).filter(|file| file.is_late && file.is_unread()) else {
            return Ok(());
        };
        // Once for each file.
        file.is_late = false;
        let Some(open) = &file.file else { return Ok(()) };
        let path = file.path.clone();
        let start = Fingerprint::take(open, u64::MAX);
        let start = start.map_err(|source| FileError::Open { path: path.clone(), source })?;
        let same = |known: Fingerprint| known.is_whole() && known == start;
        let mut others = self.files().filter(|(other, _)| *other != number);
        let first = others.find(|(_, file)| same(file.fingerprint) || file.before.is_some_and(same));
        if let Some((_, first)) = first {
            tracing::warn!(
                file = %path.display(), like = %first.path.display(),
                "the file begins exactly as another one did that was read; if it is a copy of it, as copytruncate makes \
                 them, its lines come twice: let `path` not match copies",
            );
        }
        Ok(())
    }
}
