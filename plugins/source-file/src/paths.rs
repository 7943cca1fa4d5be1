//! Which files are meant: paths and patterns, and the order in which what they match is read.

use glob::{MatchOptions, Pattern, PatternError};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The most files of one source: what a listing every second can bear. More are left alone, and said so.
pub(crate) const FILES_MAX: usize = 100_000;

/// `*` stops at a folder, and does not match what is hidden: editors and copy programs leave such files half written.
const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Why a pattern is none.
#[derive(Debug, Error)]
pub(crate) enum PathError {
    #[error("`{path}` is no pattern: {source}")]
    Pattern { path: PathBuf, source: PatternError },
    #[error("`{path}` has `*`, `?` or `[` and is not UTF-8; patterns must be")]
    NotText { path: PathBuf },
}

/// The paths and patterns of the setting.
pub(crate) struct Patterns(Vec<Named>);

enum Named {
    Path(PathBuf),
    Pattern { text: String, pattern: Pattern },
}

/// What the setting stands for at this moment.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Each path once, in the order of reading.
    pub(crate) paths: Vec<PathBuf>,
    /// Patterns that nothing matches.
    pub(crate) unmatched: Vec<String>,
    /// Whether there are more than are taken.
    pub(crate) cut: bool,
}

impl Patterns {
    pub(crate) fn new(paths: &[PathBuf]) -> Result<Self, PathError> {
        let named = |path: &PathBuf| {
            let special = path.as_os_str().as_bytes().iter().any(|byte| b"*?[".contains(byte));
            // A file that is there is meant, whatever its name looks like.
            if !special || path.exists() {
                return Ok(Named::Path(path.clone()));
            }
            let text = path.to_str().ok_or_else(|| PathError::NotText { path: path.clone() })?;
            let pattern =
                Pattern::new(text).map_err(|source| PathError::Pattern { path: path.clone(), source })?;
            Ok(Named::Pattern { text: text.to_owned(), pattern })
        };
        paths.iter().map(named).collect::<Result<_, _>>().map(Self)
    }

    /// Every file that is meant now. A path without a pattern is listed whether it is there or not.
    pub(crate) fn list(&self) -> Listing {
        let mut listing = Listing::default();
        let mut seen = HashSet::new();
        for named in &self.0 {
            let mut found = match named {
                Named::Path(path) => vec![path.clone()],
                Named::Pattern { text, .. } => matching(text),
            };
            if let (true, Named::Pattern { text, .. }) = (found.is_empty(), named) {
                listing.unmatched.push(text.clone());
            }
            found.sort_by(|a, b| natural(a.as_os_str().as_bytes(), b.as_os_str().as_bytes()));
            for path in found {
                if listing.paths.len() == FILES_MAX {
                    listing.cut = true;
                    return listing;
                }
                if seen.insert(path.clone()) {
                    listing.paths.push(path);
                }
            }
        }
        listing
    }

    /// Whether a file of this path would be listed.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        self.0.iter().any(|named| match named {
            Named::Path(own) => own == path,
            Named::Pattern { pattern, .. } => pattern.matches_path_with(path, MATCHING),
        })
    }

    /// The folders in which files are looked for, as far as the patterns name them.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let folder = |named: &Named| match named {
            Named::Path(path) => parent(path),
            Named::Pattern { text, .. } => {
                let special = text.find(['*', '?', '[']).unwrap_or(text.len());
                parent(Path::new(&format!("{}x", &text[..special])))
            }
        };
        self.0.iter().map(folder).collect()
    }
}

/// The folder that a file is in; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn matching(pattern: &str) -> Vec<PathBuf> {
    let Ok(found) = glob::glob_with(pattern, MATCHING) else {
        return Vec::new();
    };
    // Folders that cannot be read hold no files for us; a folder is never a file.
    found.flatten().filter(|path| path.is_file()).take(FILES_MAX + 1).collect()
}

/// The order of names in which runs of digits count as numbers.
fn natural(a: &[u8], b: &[u8]) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    loop {
        let (digits_a, digits_b) = (digits(rest_a), digits(rest_b));
        if digits_a > 0 && digits_b > 0 {
            let (number_a, number_b) = (number(&rest_a[..digits_a]), number(&rest_b[..digits_b]));
            match number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b)) {
                Ordering::Equal => {}
                other => return other,
            }
            (rest_a, rest_b) = (&rest_a[digits_a..], &rest_b[digits_b..]);
            continue;
        }
        match (rest_a.split_first(), rest_b.split_first()) {
            (Some((first_a, tail_a)), Some((first_b, tail_b))) if first_a == first_b => {
                (rest_a, rest_b) = (tail_a, tail_b);
            }
            (Some((first_a, _)), Some((first_b, _))) => return first_a.cmp(first_b),
            // `a01` and `a1` are two names of one number.
            (None, None) => return a.cmp(b),
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
        }
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Digits without leading zeros.
fn number(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["b1", "a10.x", "a9.x", "a010.x", "a", "a10.b", "a2"];
        names.sort_by(|a, b| natural(a.as_bytes(), b.as_bytes()));
        assert_eq!(names, ["a", "a2", "a9.x", "a10.b", "a010.x", "a10.x", "b1"]);
    }

    #[test]
    fn a_list_keeps_its_order_and_names_each_file_once() {
        let folder = tempfile::TempDir::new().unwrap();
        for name in ["n10.json", "n9.json", ".hidden.json", "z.json", "odd[1].json"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("folder.json")).unwrap();
        let at = |name: &str| folder.path().join(name);
        let patterns =
            Patterns::new(&[at("z.json"), at("*.json"), at("missing.json"), at("odd[1].json"), at("*.csv")]);
        let listing = patterns.unwrap().list();
        let names: Vec<_> =
            listing.paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["z.json", "n9.json", "n10.json", "odd[1].json", "missing.json"]);
        assert_eq!(listing.unmatched, [at("*.csv").to_str().unwrap()]);
    }
}
