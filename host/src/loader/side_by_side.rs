//! Several plugins at a time, as many as there are processors. What comes of them is in their own order, whichever is
//! done first, so that messages are the same each time.

#![forbid(unsafe_code)]

use super::libraries::SystemLibraries;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Threads at most: each may run a vetting child, and plugins are few.
const THREADS_MAX: usize = 8;

/// What comes of each item, in the items' order. All threads have ended when this returns.
pub(super) fn each<T: Sync, R: Send>(
    items: &[T],
    libraries: &SystemLibraries,
    work: impl Fn(&T, &mut SystemLibraries) -> R + Sync,
) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = processors.min(THREADS_MAX).min(items.len());
    let next = AtomicUsize::new(0);
    let take = || {
        // What one of them looks up, all know.
        let mut libraries = libraries.clone();
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                return done;
            };
            done.push((at, work(item, &mut libraries)));
        }
    };
    let mut done = thread::scope(|scope| {
        // A thread that cannot be had leaves its share to the others; this one is always there.
        let others: Vec<_> = (1..threads)
            .map_while(|_| thread::Builder::new().name("ladder".to_owned()).spawn_scoped(scope, take).ok())
            .collect();
        let mut done = take();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_items_order() {
        for count in [0, 1, 2, 7, 100] {
            let items: Vec<usize> = (0..count).collect();
            let doubled = each(&items, &SystemLibraries::default(), |item, _| {
                // The first ones are the last to be done.
                (0..(count - item) * 10).for_each(|_| thread::yield_now());
                item * 2
            });
            assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }
}
