//! The log: `tracing` events of the host and of plugins, on stderr or in the journal. The one module that knows how they
//! are written.
//!
//! - [`filter`]: which events are written, swapped while the daemon runs.
//! - [`mod@line`]: one event as values, bounded.
//! - [`forms`]: a line as text: for people, as JSON.
//! - [`journal`]: a line as the systemd journal takes it.
//! - [`destination`]: which of these it is.
//! - [`repeats`]: what repeats is held back and counted.

#![forbid(unsafe_code)]

mod destination;
mod filter;
mod forms;
mod journal;
mod line;
mod repeats;

pub(crate) use filter::Filter;
pub(crate) use forms::severity;
pub(crate) use journal::has_stderr as stderr_is_journal;

use cardcage_core::config::{Config, Secrets};
use destination::Destination;
use forms::Form;
use line::Line;
use repeats::{Repeats, Verdict};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber, set_global_default};
use tracing::{Event, Metadata};

/// The environment variable that overrides `log.level`, in the language of [`Filter::set`]: `info,press=debug`.
const FILTER_VARIABLE: &str = "CARDCAGE_LOG";

/// The process has one log, as it has one stderr.
static LOG: OnceLock<Arc<Log>> = OnceLock::new();

/// Starts logging, and gives the filter that can be changed from now on. Called once; a second call changes nothing.
pub(crate) fn start(config: &Config) -> Filter {
    let components = config.components.iter().map(|component| component.name.clone()).collect();
    let filter = Filter::new(&config.log.level, components);
    let log = Arc::new(Log {
        filter: filter.clone(),
        destination: Destination::new(config.log.format),
        secrets: Secrets::of(config),
        repeats: Mutex::new(Repeats::new()),
        holding: Condvar::new(),
    });
    if set_global_default(Arc::clone(&log)).is_err() || LOG.set(Arc::clone(&log)).is_err() {
        return filter;
    }
    let counted = std::thread::Builder::new().name("log".to_owned()).spawn(move || log.report_repeats());
    if let Err(error) = counted {
        tracing::warn!(
            "no thread that reports what repeats ({error}); it is told with the next line of its kind"
        );
    }
    if let Ok(text) = std::env::var(FILTER_VARIABLE)
        && let Err(error) = filter.start_with(&text)
    {
        tracing::warn!("{FILTER_VARIABLE} is left aside: {error}");
    }
    filter
}

/// Writes what is still held back: the process ends.
pub(crate) fn finish() {
    if let Some(log) = LOG.get() {
        let held = log.repeats().end();
        for line in &held {
            log.destination.write(line);
        }
    }
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
    destination: Destination,
    secrets: Secrets,
    repeats: Mutex<Repeats>,
    /// Something is held back that was not before.
    holding: Condvar,
}

impl Log {
    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says at the end of each window what was held back in it; sleeps while nothing is.
    fn report_repeats(&self) {
        let mut repeats = self.repeats();
        loop {
            let now = Instant::now();
            let (said, next) = repeats.due(now);
            if !said.is_empty() {
                // Whoever logs meanwhile does not wait for a slow reader of the log.
                drop(repeats);
                for line in &said {
                    self.destination.write(line);
                }
                repeats = self.repeats();
                continue;
            }
            repeats = match next {
                None => self.holding.wait(repeats).unwrap_or_else(PoisonError::into_inner),
                Some(next) => {
                    let wait = self.holding.wait_timeout(repeats, next.saturating_duration_since(now));
                    wait.unwrap_or_else(PoisonError::into_inner).0
                }
            };
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
        let verdict = {
            let mut repeats = self.repeats();
            let place = repeats.place(&event.metadata().callsite(), &line);
            repeats.take(place, &line, Instant::now())
        };
        match verdict {
            Verdict::Write(before) => {
                if let Some(before) = before {
                    self.destination.write(&before);
                }
                self.destination.write(&line);
            }
            Verdict::FirstHeld => self.holding.notify_one(),
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
