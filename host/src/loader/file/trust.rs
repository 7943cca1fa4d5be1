//! Whose files are trusted, as ssh's `StrictModes` sees it.
//!
//! Whoever can write the file, or a folder on the way to it, decides which code runs in the daemon. So all of them
//! belong to root or to the user that the daemon runs as, and nobody else may write them. On many systems a user's own
//! group has only that user in it and may write by default (umask 002): for people's own accounts that is fine.

#![forbid(unsafe_code)]

use super::super::refusal::{Climbed, Refusal, Rung};
use super::found::Found;
use cardcage_core::config::Permissions;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The codes of what is refused here.
pub(super) const CODES: [&str; 2] = ["ladder.file.owner", "ladder.file.writable"];

const WRITABLE_BY_GROUP: u32 = 0o020;
const WRITABLE_BY_OTHERS: u32 = 0o002;
const STICKY: u32 = 0o1000;
/// Users below this number are the system's: root and services. Their groups may have members.
const FIRST_PERSON: u32 = 1000;

/// Why others than root and this user could have put this file or folder there, or could change what is in it; the rule is
/// that of plugin files.
pub(crate) fn open_to_others(path: &Path, meta: &Metadata) -> Option<Box<str>> {
    let checked = Found::at(path).and_then(|found| check(path, &found, meta, Permissions::Auto));
    checked.err().map(|refusal| refusal.found)
}

/// Refuses a file that others than root and this user could have put there.
pub(super) fn check(path: &Path, found: &Found, meta: &Metadata, permissions: Permissions) -> Climbed<()> {
    if permissions == Permissions::Any {
        return Ok(());
    }
    let judge = Judge { file: path, me: rustix::process::geteuid().as_raw(), permissions };
    let what = if meta.is_dir() { "folder" } else { "file" };
    judge.owned_and_closed(&found.real, &Seen::of(meta), what)?;
    for link in &found.links {
        let meta = std::fs::symlink_metadata(link).map_err(|error| super::unreadable(path, &error))?;
        judge.owned(link, &Seen::of(&meta), "link")?;
    }
    for folder in &found.folders {
        let meta = std::fs::metadata(folder).map_err(|error| super::unreadable(path, &error))?;
        judge.owned_and_closed(folder, &Seen::of(&meta), "folder")?;
    }
    Ok(())
}

/// What matters of a file or folder.
struct Seen {
    user: u32,
    group: u32,
    mode: u32,
}

impl Seen {
    fn of(meta: &Metadata) -> Self {
        Self { user: meta.uid(), group: meta.gid(), mode: meta.mode() }
    }
}

struct Judge<'a> {
    file: &'a Path,
    me: u32,
    permissions: Permissions,
}

impl Judge<'_> {
    fn owned(&self, path: &Path, seen: &Seen, what: &str) -> Climbed<()> {
        let me = self.me;
        if seen.user == 0 || seen.user == me {
            return Ok(());
        }
        // Whoever owns a link in a sticky folder can lead it elsewhere.
        let no_follow = if what == "link" { "-h " } else { "" };
        Err(self.no(
            "owner",
            format!("the {what} {} belongs to user {}", path.display(), seen.user),
            format!("root or the user that Cardcage runs as ({me})"),
            &format!("chown {no_follow}{me} {}", path.display()),
        ))
    }

    fn owned_and_closed(&self, path: &Path, seen: &Seen, what: &str) -> Climbed<()> {
        self.owned(path, seen, what)?;
        // In a sticky folder (such as /tmp) only a file's owner can replace it.
        if what == "folder" && seen.mode & STICKY != 0 {
            return Ok(());
        }
        let by_others = seen.mode & WRITABLE_BY_OTHERS != 0;
        let by_group = seen.mode & WRITABLE_BY_GROUP != 0 && !self.own_group(seen);
        if !by_others && !by_group {
            return Ok(());
        }
        let who = if by_others { "everybody".to_owned() } else { format!("group {}", seen.group) };
        let expected = if self.takes_private_groups() {
            "writable by its owner only (and the owner's private group)"
        } else {
            "writable by its owner only"
        };
        let clear = if by_others { "go-w" } else { "g-w" };
        Err(self.no(
            "writable",
            format!("the {what} {} has mode {:03o}: {who} may write it", path.display(), seen.mode & 0o777),
            expected.to_owned(),
            &format!("chmod {clear} {}", path.display()),
        ))
    }

    /// Root's group is root; a person's group of the same number has nobody else in it.
    fn own_group(&self, seen: &Seen) -> bool {
        let of_root = seen.group == 0 && self.permissions == Permissions::Auto;
        of_root || seen.group == seen.user && self.takes_private_groups()
    }

    fn takes_private_groups(&self) -> bool {
        self.permissions == Permissions::Auto && self.me >= FIRST_PERSON
    }

    fn no(&self, what: &str, found: String, expected: String, command: &str) -> Refusal {
        let help = format!(
            "{command}; or, where others are meant to decide what runs here, `plugins: {{ trust: {{ permissions: any }} }}`"
        );
        Refusal::new(Rung::File, what, self.file, found, expected, help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(me: u32, permissions: Permissions, what: &str, seen: &Seen) -> Option<String> {
        let judge = Judge { file: Path::new("x.so"), me, permissions };
        judge.owned_and_closed(Path::new("/p"), seen, what).err().map(|refusal| refusal.code.to_string())
    }

    #[test]
    fn a_link_of_somebody_else_is_not_followed() {
        use std::os::unix::fs::{lchown, symlink};
        const NOBODY: u32 = 65_534;
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["libx.so", "link.so"].map(|name| folder.path().join(name));
        std::fs::write(&file, "x").unwrap();
        symlink(&file, &link).unwrap();
        let meta = std::fs::metadata(&file).unwrap();
        let checked = || check(&link, &Found::at(&link).unwrap(), &meta, Permissions::Auto);
        checked().unwrap();
        if lchown(&link, Some(NOBODY), None).is_err() {
            // Only root can give a link away.
            return;
        }
        let refusal = checked().unwrap_err();
        assert_eq!(&*refusal.code, "ladder.file.owner");
        assert!(refusal.found.contains("the link"), "{refusal}");
        assert!(refusal.help.contains("chown -h"), "{refusal}");
    }

    #[test]
    fn who_may_write_decides() {
        const WRITABLE: Option<&str> = Some("ladder.file.writable");
        const OWNER: Option<&str> = Some("ladder.file.owner");
        let (auto, strict) = (Permissions::Auto, Permissions::Strict);
        #[rustfmt::skip]
        let cases = [
            // Who runs Cardcage, by which rule, what it is, its user, group and mode; the answer.
            (1000, auto, "file", 1000, 1000, 0o755, None),
            (1000, auto, "file", 0, 0, 0o755, None),
            (1000, auto, "file", 1001, 1001, 0o755, OWNER),
            (0, auto, "file", 1000, 1000, 0o755, OWNER),
            (1000, auto, "file", 1000, 1000, 0o775, None),
            (1000, strict, "file", 1000, 1000, 0o775, WRITABLE),
            (998, auto, "file", 998, 998, 0o775, WRITABLE),
            (0, auto, "folder", 0, 0, 0o775, None),
            (0, strict, "folder", 0, 0, 0o775, WRITABLE),
            (0, auto, "folder", 0, 50, 0o775, WRITABLE),
            (1000, auto, "file", 1000, 1001, 0o775, WRITABLE),
            (1000, auto, "file", 1000, 1000, 0o757, WRITABLE),
            (1000, auto, "folder", 0, 0, 0o1777, None),
            (1000, auto, "folder", 1001, 0, 0o1777, OWNER),
            (1000, auto, "file", 0, 0, 0o1777, WRITABLE),
        ];
        for (me, permissions, what, user, group, mode, expected) in cases {
            let found = judged(me, permissions, what, &Seen { user, group, mode });
            let case = format!("user {me}, {permissions:?}: {what} of {user}:{group}, mode {mode:o}");
            assert_eq!(found.as_deref(), expected, "{case}");
        }
    }
}
