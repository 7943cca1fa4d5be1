//! From a path to the file that it leads to, by way of which folders.
//!
//! The system would resolve links by itself, but then nobody would know through which folders the way went, and whoever
//! may write one of those decides which file is found.

#![forbid(unsafe_code)]

use super::super::refusal::{Climbed, Refusal, Rung};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The most links on the way; the kernel's own bound.
const MOST_LINKS: usize = 40;

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Found {
    /// The file, without links on the way to it.
    pub(super) real: PathBuf,
    /// Every folder in which a part of the path was looked up, each once.
    pub(super) folders: Vec<PathBuf>,
    /// The links that were followed.
    pub(super) links: Vec<PathBuf>,
}

impl Found {
    /// Follows the path; nothing is opened.
    pub(super) fn at(path: &Path) -> Climbed<Self> {
        let start = std::env::current_dir().map_err(|error| super::unreadable(path, &error))?;
        let mut way = Way { at: PathBuf::new(), left: Vec::new(), folders: Vec::new() };
        way.turn(&start.join(path));
        let mut links: Vec<PathBuf> = Vec::new();
        while let Some(part) = way.left.pop() {
            way.pass();
            if part == ".." {
                way.at.pop();
                continue;
            }
            let next = way.at.join(&part);
            let meta =
                std::fs::symlink_metadata(&next).map_err(|error| missing(path, &next, &links, &error))?;
            if !meta.is_symlink() {
                way.at = next;
                continue;
            }
            if links.len() == MOST_LINKS {
                return Err(endless(path, &next));
            }
            let target = std::fs::read_link(&next).map_err(|error| super::unreadable(path, &error))?;
            links.push(next);
            way.turn(&target);
        }
        Ok(Self { real: way.at, folders: way.folders, links })
    }
}

struct Way {
    at: PathBuf,
    /// The parts that are left to follow, the next one last.
    left: Vec<OsString>,
    folders: Vec<PathBuf>,
}

impl Way {
    /// Goes on along another path, before what is left.
    fn turn(&mut self, path: &Path) {
        if path.is_absolute() {
            self.at = PathBuf::from("/");
        }
        let parts = path.components().filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        });
        let parts: Vec<OsString> = parts.collect();
        self.left.extend(parts.into_iter().rev());
    }

    /// Something is looked up in the folder where the way has come to.
    fn pass(&mut self) {
        if !self.folders.contains(&self.at) {
            self.folders.push(self.at.clone());
        }
    }
}

fn missing(path: &Path, at: &Path, links: &[PathBuf], error: &io::Error) -> Refusal {
    match (error.kind(), links.last()) {
        (io::ErrorKind::NotFound, Some(link)) => Refusal::new(
            Rung::File,
            "dangling-link",
            path,
            format!("the link {} leads to {}, which does not exist", link.display(), at.display()),
            "a plugin file",
            "correct the link or remove it; `readlink -f` shows where it leads",
        ),
        _ => super::unreadable(path, error),
    }
}

fn endless(path: &Path, at: &Path) -> Refusal {
    Refusal::new(
        Rung::File,
        "link-loop",
        path,
        format!("more than {MOST_LINKS} links, at last {}: they lead in a circle", at.display()),
        "a plugin file",
        "correct the links or remove them",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_folder_on_the_way_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        for name in ["a", "b", "c"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        std::fs::write(root.join("c/file"), "x").unwrap();
        symlink("../b/second", root.join("a/first")).unwrap();
        symlink(root.join("c/file"), root.join("b/second")).unwrap();
        let found = Found::at(&root.join("a/first")).unwrap();
        assert_eq!(found.real, root.join("c/file"));
        assert_eq!(found.links, [root.join("a/first"), root.join("b/second")]);
        for name in ["a", "b", "c", "", ".."] {
            let folder = std::fs::canonicalize(root.join(name)).unwrap();
            assert!(found.folders.contains(&folder), "{folder:?} of {:?}", found.folders);
        }
        assert!(found.folders.contains(&PathBuf::from("/")));
    }
}
