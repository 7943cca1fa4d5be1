//! Goes on where a checkpoint left off, whatever the files are called by now.

use crate::identity::Fingerprint;
use crate::paths::parent;
use crate::roster::Roster;
use crate::saved::{Saved, SavedFile};
use crate::settings::Begin;
use crate::tracked::{Seen, Tracked, find, open_regular};
use cardcage_plugin_api::tracing;
use std::fs::read_to_string;
use std::path::PathBuf;
use std::sync::OnceLock;

/// How many files are named that have nothing new.
const NAMED_MAX: usize = 5;

/// A name that no other process has: a source that is started again in this one goes on where it was, whatever `from`
/// says.
pub(crate) fn process_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let boot = read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let stat = read_to_string("/proc/self/stat").unwrap_or_default();
        // Behind the name in brackets, which may hold anything, the 20th value is the time of the start.
        let started = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19)).unwrap_or("");
        format!("{} {} {started}", boot.trim(), std::process::id())
    })
}

/// Takes up the positions of the files that are still there. Others start where they start without a checkpoint.
pub(crate) fn restore(roster: &mut Roster, saved: &Saved, begin: Begin, now_ns: i64) {
    if begin != Begin::Checkpoint && saved.process != process_name() {
        return;
    }
    let mut taken = vec![false; roster.numbers().last().map_or(0, |last| last + 1)];
    let mut lost = Vec::new();
    for file in &saved.files {
        let number = locate(roster, file).filter(|number| !taken[*number]);
        match number.and_then(|number| Some((number, roster.file(number)?))) {
            Some((number, tracked)) => {
                taken[number] = true;
                file.give_to(tracked);
            }
            None => lost.push(file),
        }
    }
    for file in lost.into_iter().rev() {
        chase(roster, file, now_ns);
    }
    roster.unqueue_read();
    // A source that failed and was opened again has a state, which is no checkpoint.
    let since =
        if saved.process == process_name() { "the source was opened again" } else { "the checkpoint" };
    tell(roster, since);
}

/// The file that a saved one is.
fn locate(roster: &mut Roster, file: &SavedFile) -> Option<usize> {
    if let Some(number) = file.identity.and_then(|identity| roster.by_identity(identity)) {
        return Some(number);
    }
    // Copied back, or the machine numbers its devices otherwise since it started: the same path and the same start.
    let path = file.path.path();
    let number = roster.by_path(&path)?;
    let same = match file.identity {
        None => true,
        Some(_) => file.fingerprint.is_some() && begins_with(&path, file.fingerprint),
    };
    same.then_some(number)
}

fn begins_with(path: &std::path::Path, fingerprint: Fingerprint) -> bool {
    open_regular(path).is_ok_and(|open| fingerprint.fits(&open).unwrap_or(false))
}

/// Looks for a file that has another name now, in its folder: its rest comes first.
fn chase(roster: &mut Roster, file: &SavedFile, now_ns: i64) {
    let (Some(identity), path) = (file.identity, file.path.path()) else {
        return;
    };
    let found = find(&parent(&path), identity).filter(|path| begins_with(path, file.fingerprint));
    let Some((path, seen)) = found.and_then(|path| Some((path.clone(), Seen::of(&path.metadata().ok()?))))
    else {
        if file.at_end.is_none() && file.position > 0 {
            tracing::warn!(
                file = %path.display(), position = file.position,
                "the file is gone before it was read to its end; what stood behind the position is lost"
            );
        }
        return;
    };
    let mut tracked = Tracked::new(path, identity);
    tracked.name = file.path.path();
    file.give_to(&mut tracked);
    if tracked.has_news(seen) {
        tracing::info!(
            file = %tracked.path.display(), was = %file.path.path().display(),
            "the file was renamed since the checkpoint; it is read to its end"
        );
        roster.insert_gone(tracked, now_ns);
    }
}

/// Says which files have nothing new.
fn tell(roster: &Roster, since: &str) {
    let read: Vec<PathBuf> =
        roster.files().filter(|(_, file)| !file.queued).map(|(_, file)| file.path.clone()).collect();
    let all = roster.files().count();
    if read.len() == all {
        tracing::info!(files = all, "nothing new since {since}: every file was read to its end");
        return;
    }
    for path in read.iter().take(NAMED_MAX) {
        tracing::info!(file = %path.display(), "nothing new since {since}");
    }
    if read.len() > NAMED_MAX {
        tracing::info!(files = read.len(), of = all, "files with nothing new since {since}, in all");
    }
}
