//! Between those who log and the thread that writes: a bounded queue, so that nobody who logs waits for whoever reads.
//!
//! What finds no room is counted, and the count is a line of the log as soon as the reader has caught up. Pure but for
//! the waits: what is written, and how, is the business of whoever takes.

use super::line::Line;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};
use tracing::Level;

/// The most that waits for a reader: what the start of a large pipeline has to say several times over.
const LINES_MAX: usize = 4096;
/// The same in bytes, since a plugin's line may have kilobytes: a small part of what a daemon may need.
const BYTES_MAX: usize = 1024 * 1024;
/// The part of the room that news and details leave to warnings and errors: one in so many.
const KEPT_FOR_WARNINGS: usize = 4;
/// How often a thread that panicked tries to have the queue: it may hold it itself, and others do for moments only.
const TRIES_MAX: u32 = 10_000;

/// What waits to be written.
#[derive(Debug)]
pub(super) enum Entry {
    /// A line of the log.
    Line(Line),
    /// What a command has to say in words of its own, such as the summary; on stderr as it is.
    Text(String),
}

impl Entry {
    fn weight(&self) -> usize {
        match self {
            Self::Line(line) => line.weight(),
            Self::Text(text) => text.len(),
        }
    }
}

/// How far the reader of the log is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Lines that wait.
    pub(crate) waiting: usize,
    /// Lines that found no room, since the start.
    pub(crate) lost: u64,
    /// How long the line that is being written has not been taken.
    pub(crate) stuck: Duration,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to take.
    filled: Condvar,
    /// Something was written.
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    lost: u64,
    /// How many of these no line told of yet.
    untold: u64,
    /// Since when an entry is being written.
    in_hand: Option<Instant>,
    /// Entries that were taken, by which progress is seen.
    taken: u64,
    /// Whoever takes is to look at its own clock again.
    woken: bool,
}

impl Queue {
    /// Puts a line at the end, if there is room.
    pub(super) fn put(&self, line: Line) {
        let mut state = self.state();
        let entry = Entry::Line(line);
        if state.has_room_for(&entry) {
            state.push(entry);
            self.filled.notify_one();
        } else {
            state.lost += 1;
            state.untold += 1;
        }
    }

    /// Puts words of a command at the end. They are few, and what the command is for: there is always room.
    pub(super) fn put_text(&self, text: String) {
        self.state().push(Entry::Text(text));
        self.filled.notify_one();
    }

    /// Has whoever takes return, to look at its clock.
    pub(super) fn wake(&self) {
        self.state().woken = true;
        self.filled.notify_one();
    }

    /// The first entry; `None` when it is `until`, or after [`Self::wake`]. The one taken before counts as written.
    pub(super) fn take(&self, until: Option<Instant>) -> Option<Entry> {
        let mut state = self.state();
        if state.in_hand.take().is_some() {
            self.written.notify_all();
        }
        loop {
            if std::mem::take(&mut state.woken) {
                return None;
            }
            if let Some(entry) = state.entries.pop_front() {
                state.bytes -= entry.weight();
                state.in_hand = Some(Instant::now());
                state.taken += 1;
                state.tell_losses();
                return Some(entry);
            }
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return None,
                Some(left) => self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Waits until everything is written, as long as something is each `patience`, and not for longer than `most` in all.
    pub(super) fn flush(&self, patience: Duration, most: Duration) {
        self.flushed(self.state(), patience, most);
    }

    /// As [`Self::flush`], for a thread that panicked and may have the queue itself: then nothing is waited for.
    pub(super) fn flush_if_free(&self, patience: Duration) {
        for _ in 0..TRIES_MAX {
            match self.state.try_lock() {
                Ok(state) => return self.flushed(state, patience, patience),
                Err(TryLockError::Poisoned(state)) => {
                    return self.flushed(state.into_inner(), patience, patience);
                }
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
    }

    fn flushed(&self, mut state: MutexGuard<'_, State>, patience: Duration, most: Duration) {
        let end = Instant::now() + most;
        let (mut seen, mut until) = (state.taken, end.min(Instant::now() + patience));
        while state.in_hand.is_some() || !state.entries.is_empty() {
            if state.taken != seen {
                (seen, until) = (state.taken, end.min(Instant::now() + patience));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.written.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How far the reader is behind.
    pub(super) fn backlog(&self) -> Backlog {
        let state = self.state();
        Backlog {
            waiting: state.entries.len() + usize::from(state.in_hand.is_some()),
            lost: state.lost,
            stuck: state.in_hand.map_or(Duration::ZERO, |since| since.elapsed()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room_for(&self, entry: &Entry) -> bool {
        let spare = match entry {
            Entry::Line(line) if line.level > Level::WARN && !line.is_always_written() => KEPT_FOR_WARNINGS,
            _ => usize::MAX,
        };
        let (lines, bytes) = (self.entries.len() + 1, self.bytes + entry.weight());
        lines <= LINES_MAX - LINES_MAX / spare && bytes <= BYTES_MAX - BYTES_MAX / spare
    }

    fn push(&mut self, entry: Entry) {
        self.bytes += entry.weight();
        self.entries.push_back(entry);
    }

    /// Once the reader has caught up by half, so that a reader who is always behind does not get a count after each line.
    fn tell_losses(&mut self) {
        if self.untold == 0 || self.entries.len() > LINES_MAX / 2 || self.bytes > BYTES_MAX / 2 {
            return;
        }
        let lost = std::mem::take(&mut self.untold);
        let message = format!(
            "{lost} lines were lost before this one: the log was not read, and at most {LINES_MAX} lines or {} MiB wait",
            BYTES_MAX / (1024 * 1024)
        );
        let mut line = Line::own(Level::WARN, message);
        line.fields = vec![("lost", lost.into())];
        self.push(Entry::Line(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: Level, message: String) -> Line {
        Line::own(level, message)
    }

    /// The messages that are there, in order.
    fn rest(queue: &Queue) -> Vec<String> {
        let mut messages = Vec::new();
        while let Some(entry) = queue.take(Some(Instant::now())) {
            messages.push(match entry {
                Entry::Line(line) => line.message,
                Entry::Text(text) => text,
            });
        }
        messages
    }

    #[test]
    fn what_finds_no_room_is_counted_and_told_once_the_reader_has_caught_up() {
        let queue = Queue::default();
        for n in 0..LINES_MAX + 500 {
            queue.put(line(Level::WARN, format!("no {n}")));
        }
        assert_eq!(queue.backlog().lost, 500);
        let messages = rest(&queue);
        assert_eq!(messages.len(), LINES_MAX + 1, "each that had room, and the count");
        assert!(messages[..LINES_MAX].iter().enumerate().all(|(n, message)| *message == format!("no {n}")));
        assert!(messages[LINES_MAX].starts_with("500 lines were lost before this one"), "{messages:?}");
        queue.put(line(Level::INFO, "after".to_owned()));
        assert_eq!(rest(&queue), ["after"], "told once");
        assert_eq!(queue.backlog(), Backlog { waiting: 0, lost: 500, stuck: Duration::ZERO });
    }

    #[test]
    fn news_leave_room_for_errors() {
        let queue = Queue::default();
        for n in 0..2 * LINES_MAX {
            queue.put(line(Level::INFO, n.to_string()));
        }
        queue.put(line(Level::ERROR, "an error".to_owned()));
        queue.put_text("the summary".to_owned());
        let messages = rest(&queue);
        assert_eq!(messages.len(), LINES_MAX - LINES_MAX / KEPT_FOR_WARNINGS + 3);
        assert_eq!(messages[messages.len() - 3..][..2], ["an error", "the summary"]);
    }

    #[test]
    fn long_lines_take_the_room_of_many() {
        let queue = Queue::default();
        for _ in 0..1000 {
            queue.put(line(Level::ERROR, "x".repeat(16 * 1024)));
        }
        let waiting = queue.backlog().waiting;
        assert!(waiting > 32 && waiting * 16 * 1024 <= BYTES_MAX, "{waiting}");
    }

    #[test]
    fn a_flush_waits_for_who_writes_and_gives_up_on_one_that_does_not() {
        let queue = Queue::default();
        queue.flush(Duration::from_mins(1), Duration::from_mins(1));
        for n in 0..100 {
            queue.put(line(Level::INFO, n.to_string()));
        }
        let begun = Instant::now();
        queue.flush(Duration::from_millis(20), Duration::from_mins(1));
        assert!(begun.elapsed() >= Duration::from_millis(20) && queue.backlog().waiting == 100);
        std::thread::scope(|scope| {
            scope.spawn(|| while queue.take(Some(Instant::now())).is_some() {});
            queue.flush(Duration::from_mins(1), Duration::from_mins(1));
        });
        assert_eq!(queue.backlog().waiting, 0);
    }
}
