//! `pipeline.yaml` on disk: finding it, reading it, and what its substitutions may ask of the outside.

#![forbid(unsafe_code)]

use cardcage_core::config::{self, Config, Environment, Refused};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Where a pipeline is looked for if none is named.
const DEFAULT_FILES: [&str; 2] = ["pipeline.yaml", "/etc/cardcage/pipeline.yaml"];
/// The largest file that is read: the config's parser has the same bound, and says so.
const FILE_MAX_BYTES: u64 = 10 * 1024 * 1024 + 1;
/// The largest file or credential that is substituted.
const SUBSTITUTE_MAX_BYTES: u64 = 64 * 1024;

/// Why there is no config.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    /// No file was named, and none is at the usual places.
    #[error(
        "there is no pipeline: neither ./pipeline.yaml nor /etc/cardcage/pipeline.yaml exists; name one: `cardcage run FILE`"
    )]
    NoFile,
    /// The file cannot be read.
    #[error("{}: {why}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file was read and refused.
    #[error("{}", refused.problems)]
    Refused {
        /// The folder of the file, absolute.
        folder: PathBuf,
        /// Why, and what could be read of it.
        refused: Box<Refused>,
    },
}

/// A config and where it came from.
pub(crate) struct Document {
    /// The folder of the file, absolute: what relative paths in the file start from.
    pub(crate) folder: PathBuf,
    pub(crate) config: Config,
}

/// Reads the named file, or the first of the usual ones.
pub(crate) fn read(file: Option<&Path>) -> Result<Document, DocumentError> {
    let mut usual = DEFAULT_FILES.iter().map(PathBuf::from);
    let path =
        file.map(Path::to_owned).or_else(|| usual.find(|path| path.exists())).ok_or(DocumentError::NoFile)?;
    let unreadable = |why: String| DocumentError::Unreadable { path: path.clone(), why };
    let bytes = read_at_most(&path, FILE_MAX_BYTES).map_err(unreadable)?;
    let absolute = std::path::absolute(&path).map_err(|error| unreadable(error.to_string()))?;
    let folder = absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let outside = Outside { folder: folder.clone() };
    let config = config::parse_bytes(&path.display().to_string(), &bytes, &outside)
        .map_err(|refused| DocumentError::Refused { folder: folder.clone(), refused })?;
    Ok(Document { folder, config })
}

fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let is_file = std::fs::metadata(path).map_err(|error| error.to_string())?.is_file();
    if !is_file {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(most).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// What substitutions read: the environment, files beside the config, the service's credentials.
struct Outside {
    folder: PathBuf,
}

impl Environment for Outside {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        text_of(&self.folder.join(path))
    }

    fn credential(&self, name: &str) -> Result<String, String> {
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
            .ok_or("no credentials were given to this process (CREDENTIALS_DIRECTORY is not set)")?;
        if name.contains('/') || name == ".." {
            return Err("a credential's name has no `/`".to_owned());
        }
        text_of(&Path::new(&folder).join(name))
    }
}

/// A file's text without the line end that editors put behind it.
fn text_of(path: &Path) -> Result<String, String> {
    let bytes =
        read_at_most(path, SUBSTITUTE_MAX_BYTES + 1).map_err(|why| format!("{}: {why}", path.display()))?;
    if bytes.len() as u64 > SUBSTITUTE_MAX_BYTES {
        return Err(format!("{}: larger than 64 KiB", path.display()));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{}: not UTF-8", path.display()))?;
    Ok(text
        .strip_suffix('\n')
        .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text))
        .to_owned())
}
