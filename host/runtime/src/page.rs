//! One lane's page in the books: what is counted in one entry is seen as a whole, or not yet.
//!
//! A record that leaves one component and comes to the next is two counts, and whoever looks between them would see it
//! missing. So counts are written in entries, and a reader takes the counts of all lanes, then looks whether any page
//! has got an entry meanwhile. Lanes never wait for readers: an entry costs two plain stores a batch.
//!
//! One thread at a time writes to a page: the lane's own, or, once the lane was given up, the control thread.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// A page. Its version is odd while an entry is being made.
#[derive(Debug, Default)]
pub(crate) struct Page {
    version: AtomicU64,
}

/// An entry being made; it ends when dropped. Entries do not nest.
#[derive(Debug)]
pub(crate) struct Entry<'a>(&'a Page);

impl Page {
    /// Begins an entry.
    pub(crate) fn entry(&self) -> Entry<'_> {
        let version = self.version.load(Ordering::Relaxed);
        debug_assert!(version.is_multiple_of(2), "entries do not nest");
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        // No count of this entry is seen before the odd version is.
        fence(Ordering::Release);
        Entry(self)
    }

    /// The version now, odd if an entry is being made.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let version = self.0.version.load(Ordering::Relaxed);
        self.0.version.store(version.wrapping_add(1), Ordering::Release);
    }
}

/// Reads counts of several pages as they all were at one moment: again and again until no page got an entry while it
/// read, at most `tries` times. Returns what was read last, and whether it is of one moment.
pub(crate) fn at_one_moment<'a, T>(
    pages: &(impl Iterator<Item = &'a Page> + Clone),
    tries: u32,
    mut read: impl FnMut() -> T,
) -> (T, bool) {
    let mut versions: Vec<u64> = Vec::new();
    let mut last = None;
    for _ in 0..tries {
        versions.clear();
        versions.extend(pages.clone().map(Page::version));
        if versions.iter().any(|version| version % 2 == 1) {
            std::hint::spin_loop();
            continue;
        }
        let found = read();
        // What was read is not taken from behind the versions read next.
        fence(Ordering::Acquire);
        let still = pages.clone().zip(&versions).all(|(page, version)| page.version() == *version);
        if still {
            return (found, true);
        }
        last = Some(found);
    }
    (last.unwrap_or_else(read), false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn what_moves_from_one_account_to_another_is_never_seen_in_neither_or_both() {
        let pages = [Page::default(), Page::default()];
        // A hundred records go around between four accounts, two on each page.
        let accounts: [AtomicU64; 4] = std::array::from_fn(|_| AtomicU64::new(25));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for (index, page) in pages.iter().enumerate() {
                let (from, to) = (&accounts[index * 2], &accounts[index * 2 + 1]);
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let entry = page.entry();
                        let moved = from.load(Ordering::Relaxed);
                        let back = to.load(Ordering::Relaxed);
                        from.store(back, Ordering::Relaxed);
                        to.store(moved, Ordering::Relaxed);
                        drop(entry);
                        let entry = page.entry();
                        from.store(from.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                        to.store(to.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Relaxed);
                        drop(entry);
                    }
                });
            }
            let mut exact = 0;
            while exact < 1000 {
                let sum =
                    || accounts.iter().map(|count| count.load(Ordering::Relaxed)).fold(0, u64::wrapping_add);
                let (sum, of_one_moment) = at_one_moment(&pages.iter(), 100, sum);
                if of_one_moment {
                    exact += 1;
                    assert_eq!(sum, 100);
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn a_page_that_never_rests_is_read_all_the_same_and_said_to_be_moving() {
        let page = Page::default();
        let _entry = page.entry();
        assert_eq!(at_one_moment(&[&page].into_iter(), 10, || 7), (7, false));
    }
}
