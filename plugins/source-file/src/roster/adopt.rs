//! Takes up the files that came since the last look, also those that are gone again.

use super::Roster;
use crate::arrivals::Arrived;
use crate::identity::Identity;
use crate::tracked::{Tracked, regular};
use cardcage_plugin_api::tracing;
use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// How long a file that came and was gone when it was to be opened may still turn up under the name that it was moved to,
/// before it is counted as lost: the system tells of the two one after the other.
const MISSED_GRACE_NS: i64 = 2_000_000_000;

/// Files of one name that came and were not found.
pub(super) struct Missed {
    count: u64,
    since_ns: i64,
}

impl Roster {
    /// To be called in front of each look.
    pub(crate) fn adopt(&mut self, arrived: Arrived, now_ns: i64) {
        let Arrived { held, missed, turned_up, unclear } = arrived;
        let opened: HashSet<Identity> = held.iter().map(|held| held.identity).collect();
        for (name, count) in missed {
            // The last one may be there yet, and is found by the look.
            let is_there = regular(&name).is_ok_and(|metadata| !opened.contains(&Identity::of(&metadata)));
            let more = count.saturating_sub(u64::from(is_there));
            let missed = self.missed.entry(name).or_insert(Missed { count: 0, since_ns: now_ns });
            (missed.count, missed.since_ns) = (missed.count + more, now_ns);
        }
        for (name, count) in turned_up {
            if let Some(missed) = self.missed.get_mut(&name) {
                missed.count = missed.count.saturating_sub(count);
            }
        }
        let mut gone = Vec::new();
        for held in held {
            if let Some(number) = self.by_identity(held.identity) {
                self.keep_open(number, held.file);
                continue;
            }
            if held.is_moved
                && let Some(missed) = self.missed.get_mut(&held.name)
            {
                missed.count = missed.count.saturating_sub(1);
            }
            let mut file = Tracked::new(held.name, held.identity);
            file.file = Some(Arc::new(held.file));
            file.is_late = true;
            file.round = self.round;
            if leads_to(&file.path, file.identity) {
                self.make_room();
                self.insert(file, false);
                self.by_identity(held.identity).into_iter().for_each(|number| self.note_open(number));
            } else {
                gone.push(file);
            }
        }
        // In front of what has their name now, the oldest first.
        for file in gone.into_iter().rev() {
            let identity = file.identity;
            self.insert_gone(file, now_ns);
            self.by_identity(identity).into_iter().for_each(|number| self.note_open(number));
            self.rotations.iter().for_each(|rotations| _ = rotations.add(1.0));
        }
        self.give_up_missed(now_ns.saturating_sub(MISSED_GRACE_NS));
        if unclear {
            tracing::warn!(
                "more happened to the files than the system remembers; files that came and went meanwhile may be lost"
            );
        }
    }

    /// Files that were missed before then will not turn up any more.
    pub(crate) fn give_up_missed(&mut self, before_ns: i64) {
        let given_up: Vec<_> = self.missed.extract_if(|_, missed| missed.since_ns <= before_ns).collect();
        for (name, Missed { count, .. }) in given_up {
            if count > 0 {
                self.count_lost(count);
                tracing::warn!(
                    file = %name.display(), files = count,
                    "files of this name came and went before they could be opened; what stood in them is lost"
                );
            }
        }
    }

    /// Files were lost before they were read to their end.
    pub(super) fn count_lost(&self, files: u64) {
        #[expect(clippy::cast_precision_loss, reason = "few, far below 2^53")]
        self.lost.iter().for_each(|lost| _ = lost.add(files as f64));
    }

    /// A file that is known, and perhaps closed: kept open if nothing leads to it any longer.
    fn keep_open(&mut self, number: usize, open: File) {
        let Some(file) = self.file(number).filter(|file| file.file.is_none()) else {
            return;
        };
        if !leads_to(&file.path, file.identity) {
            file.file = Some(Arc::new(open));
            self.note_open(number);
        }
    }
}

fn leads_to(path: &Path, identity: Identity) -> bool {
    regular(path).is_ok_and(|metadata| Identity::of(&metadata) == identity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::Held;
    use crate::paths::Patterns;
    use cardcage_plugin_api::testing::TestHost;

    #[test]
    fn a_file_that_turns_up_under_its_next_name_a_look_later_was_not_lost() {
        for turns_up in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let (name, moved) = (folder.path().join("a.ndjson"), folder.path().join("a.ndjson.1"));
            std::fs::write(&moved, "").unwrap();
            let patterns = Arc::new(Patterns::new(std::slice::from_ref(&name)).unwrap());
            let host = TestHost::of::<crate::CardcagePlugin>("file");
            let mut roster = Roster::new(patterns, true, 8, &host.host());
            let missed = [(name.clone(), 1)].into();
            roster.adopt(Arrived { missed, ..Arrived::default() }, 0);
            assert_eq!(host.metric("lost_files"), Some(0.0), "it may still turn up");
            if turns_up {
                let file = File::open(&moved).unwrap();
                let identity = Identity::of(&file.metadata().unwrap());
                let held = Held { name: name.clone(), identity, file, is_moved: true, created: None };
                roster.adopt(Arrived { held: vec![held], ..Arrived::default() }, 1);
            }
            roster.adopt(Arrived::default(), MISSED_GRACE_NS);
            assert_eq!(host.metric("lost_files"), Some(if turns_up { 0.0 } else { 1.0 }));
        }
    }
}
