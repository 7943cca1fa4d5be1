//! What is set aside: damaged files, and damaged ends of files, under names of their own beside the trail.

use super::files;
use cardcage_core::audit::{ASIDE, aside_of};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Something that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SetAside {
    /// The name that it has now; `None` if it had to be left where it was.
    pub(super) file: Option<String>,
    pub(super) why: String,
}

impl SetAside {
    /// Gives a whole file another name.
    pub(super) fn file(folder: &Path, name: &str, why: String) -> Self {
        let aside = free_name(folder, name);
        match fs::rename(folder.join(name), folder.join(&aside)) {
            Ok(()) => Self { file: Some(aside), why },
            Err(error) => Self::left(&why, &error),
        }
    }

    /// Moves what stands behind `bytes` to a file of its own. What fails leaves the file as it was.
    pub(super) fn end(folder: &Path, name: &str, bytes: u64, why: String) -> Self {
        let aside = free_name(folder, name);
        match cut(&folder.join(name), bytes, &folder.join(&aside)) {
            Ok(()) => Self { file: Some(aside), why },
            Err(error) => {
                // Half a copy is no use; there may be none.
                let _ = fs::remove_file(folder.join(&aside));
                Self::left(&why, &error)
            }
        }
    }

    fn left(why: &str, error: &io::Error) -> Self {
        let why = format!(
            "{why}; it cannot be set aside and stays where it is ({error}), a new file goes on behind it"
        );
        Self { file: None, why }
    }
}

/// A name for what is set aside that nothing has yet.
fn free_name(folder: &Path, name: &str) -> String {
    let mut names = (1u64..).map(|count| format!("{name}{ASIDE}{count}"));
    names.find(|name| folder.join(name).symlink_metadata().is_err()).unwrap_or_default()
}

fn cut(path: &Path, bytes: u64, aside: &Path) -> io::Result<()> {
    let mut file = files::open(path, true)?;
    file.seek(SeekFrom::Start(bytes))?;
    let mut rest = files::create(aside)?;
    copy(&mut file, &mut rest)?;
    rest.sync_all()?;
    file.set_len(bytes)?;
    file.sync_all()
}

fn copy(from: &mut File, to: &mut File) -> io::Result<()> {
    let (mut piece, mut at) = (vec![0; 64 * 1024], 0);
    loop {
        let read = from.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        files::write_at(to, &piece[..read], at)?;
        at += read as u64;
    }
}

/// What was set aside there: of which file of the trail, as which one of that, and its name; the oldest first.
pub(super) fn list(folder: &Path) -> io::Result<Vec<(u64, u64, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        found.extend(name.to_str().and_then(|name| {
            let (number, count) = aside_of(name)?;
            Some((number, count, name.to_owned()))
        }));
    }
    found.sort_unstable();
    Ok(found)
}

/// Removes what was set aside of files up to this number, which retention has removed, and the oldest of what is more than
/// `keep`.
pub(super) fn retain(folder: &Path, removed_to: u64, keep: usize) {
    let Ok(mut found) = list(folder) else {
        // The folder is gone, and that is said elsewhere.
        return;
    };
    // What somebody keeps in a folder is not ours to remove.
    found.retain(|(.., name)| !folder.join(name).is_dir());
    let too_many = found.len().saturating_sub(keep);
    for (index, (number, _, name)) in found.into_iter().enumerate() {
        if number <= removed_to || index < too_many {
            match fs::remove_file(folder.join(&name)) {
                Ok(()) => tracing::info!("audit trail: removed {name}, which was set aside; retention"),
                Err(error) => tracing::warn!("audit trail: {name} cannot be removed: {error}"),
            }
        }
    }
}
