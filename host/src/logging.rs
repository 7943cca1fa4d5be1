//! The log: `tracing` events of the host and of plugins, on stderr or in the journal. The one module that knows how they
//! are written.
//!
//! - [`filter`]: which events are written, swapped while the daemon runs.
//! - [`mod@line`]: one event as values, bounded.
//! - [`forms`]: a line as text: for people, as JSON.
//! - [`journal`]: a line as the systemd journal takes it.
//! - [`queue`]: lines on their way to the thread that writes them, so that nobody who logs waits for whoever reads.
//! - [`destination`]: which of the forms it is, and where they go.
//! - [`stderr`]: writing there.
//! - [`repeats`]: what repeats is held back and counted.

#![forbid(unsafe_code)]

mod destination;
mod filter;
mod forms;
mod journal;
mod line;
mod queue;
mod repeats;
mod stderr;

pub(crate) use filter::{CHANGES as FILTER_CHANGES, Filter};
pub(crate) use forms::severity;
pub(crate) use journal::has_stderr as stderr_is_journal;
pub(crate) use queue::Backlog;

use cardcage_core::config::{Config, Secrets};
use destination::Destination;
use forms::Form;
use line::Line;
use queue::{Entry, Queue};
use repeats::{Repeats, Verdict};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber, set_global_default};
use tracing::{Event, Metadata};

/// The environment variable that overrides `log.level`, in the language of [`Filter::set`]: `info,press=debug`.
const FILTER_VARIABLE: &str = "CARDCAGE_LOG";

/// How long the end of the process waits for a reader of the log that takes nothing.
const END_PATIENCE: Duration = Duration::from_secs(1);
/// How long it waits for one that takes a little now and then.
const END_MAX: Duration = Duration::from_secs(10);
/// How long an end waits that was asked for twice: a reader that reads needs far less.
const END_AT_ONCE_MAX: Duration = Duration::from_millis(100);

/// The process has one log, as it has one stderr.
static LOG: OnceLock<Arc<Log>> = OnceLock::new();

/// Starts logging, and gives the filter that can be changed from now on. Called once; a second call changes nothing.
pub(crate) fn start(config: &Config) -> Filter {
    let components = config.components.iter().map(|component| component.name.clone()).collect();
    let filter = Filter::new(&config.log.level, components);
    let log = Arc::new(Log {
        filter: filter.clone(),
        secrets: Secrets::of(config),
        repeats: Mutex::new(Repeats::new()),
        queue: Queue::default(),
        threadless: OnceLock::new(),
    });
    if set_global_default(Arc::clone(&log)).is_err() || LOG.set(Arc::clone(&log)).is_err() {
        return filter;
    }
    let (destination, remark) = Destination::new(config.log.format);
    let writer = Arc::clone(&log);
    let writing = std::thread::Builder::new().name("log".to_owned());
    if let Err(error) = writing.spawn(move || writer.write_all(destination)) {
        let (destination, _) = Destination::new(config.log.format);
        // This is the only place that sets it.
        let _ = log.threadless.set(Mutex::new(destination));
        tracing::warn!("no thread that writes the log ({error}); whoever logs waits for whoever reads it");
    }
    if let Some(remark) = remark {
        log.put(remark);
    }
    if let Ok(text) = std::env::var(FILTER_VARIABLE)
        && let Err(error) = filter.start_with(&text)
    {
        tracing::warn!("{FILTER_VARIABLE} is left aside: {error}");
    }
    filter
}

/// Says what is still held back, and waits for a reader that reads: the process ends.
pub(crate) fn finish() {
    if let Some(log) = LOG.get() {
        let held = log.repeats().end();
        for line in held {
            log.put(line);
        }
        log.queue.flush(END_PATIENCE, END_MAX);
    }
}

/// Gives what was said a moment to be read: the process ends at once.
pub(crate) fn finish_at_once() {
    if let Some(log) = LOG.get() {
        log.queue.flush(END_AT_ONCE_MAX, END_AT_ONCE_MAX);
    }
}

/// Says this after all that was said before, from a thread that panicked: the process ends. Takes nothing for granted
/// that this thread may hold, and waits for no reader that does not read.
pub(crate) fn say_at_panic(text: &str) {
    if let Some(log) = LOG.get() {
        log.queue.flush_if_free(END_PATIENCE);
    }
    // Nobody is left to be told that nobody heard it.
    let _ = stderr::write_within(text, END_PATIENCE);
}

/// Puts words that are no line of the log, and that are for stderr as they are, behind the lines that were logged
/// before. `false` where there is no log, and the caller has to write them itself.
pub(crate) fn say(text: &str) -> bool {
    let Some(log) = LOG.get() else { return false };
    log.hand_over(Entry::Text(text.to_owned()));
    true
}

/// How far the log's reader is behind; `None` where there is no log.
pub(crate) fn backlog() -> Option<Backlog> {
    LOG.get().map(|log| log.queue.backlog())
}

/// Takes every event at every level, forms its text and writes it nowhere: for the vetting child, in which a plugin's
/// log statements are to run as they would under `log.level: trace`.
pub(crate) fn start_unheard() {
    // Nobody else starts logging in the child; if so, nothing is lost.
    let _ = set_global_default(Unheard);
}

/// Where all events of the process arrive.
struct Log {
    filter: Filter,
    secrets: Secrets,
    repeats: Mutex<Repeats>,
    queue: Queue,
    /// Where lines go if there is no thread that takes them from the queue.
    threadless: OnceLock<Mutex<Destination>>,
}

impl Log {
    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, line: Line) {
        self.hand_over(Entry::Line(line));
    }

    fn hand_over(&self, entry: Entry) {
        match (self.threadless.get(), entry) {
            (Some(destination), entry) => {
                destination.lock().unwrap_or_else(PoisonError::into_inner).take(&entry);
            }
            (None, Entry::Line(line)) => self.queue.put(line),
            (None, Entry::Text(text)) => self.queue.put_text(text),
        }
    }

    /// Writes what is in the queue as it comes, and at the end of each window what was held back in it.
    fn write_all(&self, mut destination: Destination) {
        loop {
            // Put while they are locked, so that whoever waits for the log to be written sees them there or here.
            let mut repeats = self.repeats();
            let (said, next) = repeats.due(Instant::now());
            for line in said {
                self.queue.put(line);
            }
            drop(repeats);
            if let Some(entry) = self.queue.take(next) {
                destination.take(&entry);
            }
        }
    }
}

impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_span() { Interest::never() } else { self.filter.directives().interest(metadata) }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.filter.directives().most())
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !metadata.is_span() && self.filter.directives().may_take(*metadata.level(), metadata.target())
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::of(event);
        if !self.filter.directives().takes(line.level, line.target, line.component.as_deref()) {
            return;
        }
        line.mask(&self.secrets);
        if line.is_always_written() {
            return self.put(line);
        }
        let verdict = {
            let mut repeats = self.repeats();
            let place = repeats.place(&event.metadata().callsite(), &line);
            repeats.take(place, &line, Instant::now())
        };
        match verdict {
            Verdict::Write(before) => {
                if let Some(before) = before {
                    self.put(before);
                }
                self.put(line);
            }
            Verdict::FirstHeld => self.queue.wake(),
            Verdict::Held => {}
        }
    }

    // The host has no spans: an event names its component itself.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Hears everything and keeps nothing.
struct Unheard;

impl Subscriber for Unheard {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !metadata.is_span()
    }

    fn event(&self, event: &Event<'_>) {
        std::hint::black_box(Form::Json.write(&Line::of(event)));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
