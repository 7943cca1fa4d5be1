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

impl Roster {
    /// To be called in front of each look.
    pub(crate) fn adopt(&mut self, arrived: Arrived, now_ns: i64) {
        let Arrived { held, mut missed, unclear } = arrived;
        let opened: HashSet<Identity> = held.iter().map(|held| held.identity).collect();
        let mut gone = Vec::new();
        for held in held {
            if let Some(number) = self.by_identity(held.identity) {
                self.keep_open(number, held.file);
                continue;
            }
            if held.is_moved
                && let Some(count) = missed.get_mut(&held.name)
            {
                *count = count.saturating_sub(1);
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
        for (name, count) in &mut missed {
            // The last one may be there yet, and is found by the look.
            let is_there = regular(name).is_ok_and(|metadata| !opened.contains(&Identity::of(&metadata)));
            *count = count.saturating_sub(u64::from(is_there));
        }
        let missed = missed.iter().filter(|(_, count)| **count > 0);
        for (name, count) in missed {
            self.count_lost(*count);
            tracing::warn!(
                file = %name.display(), files = count,
                "files of this name came and went before they could be opened; what stood in them is lost"
            );
        }
        if unclear {
            tracing::warn!(
                "more happened to the files than the system remembers; files that came and went meanwhile may be lost"
            );
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
