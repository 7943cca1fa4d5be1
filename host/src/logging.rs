//! The log: `tracing` events of the host and of plugins, on stderr or in the journal. The one module that knows how they
//! are written.
//!
//! - [`filter`]: which events are written, swapped while the daemon runs.
//! - [`line`]: one event as values, bounded.
//! - [`forms`]: a line as text: for people, as JSON.

#![forbid(unsafe_code)]

mod filter;
mod forms;
mod line;

pub(crate) use filter::Filter;

use cardcage_core::config::{Config, LogFormat};
use forms::Form;
use line::Line;
use std::io::{IsTerminal as _, Write as _};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber, set_global_default};
use tracing::{Event, Metadata};

/// The environment variable that overrides `log.level`, in the language of [`Filter::set`]: `info,press=debug`.
const FILTER_VARIABLE: &str = "CARDCAGE_LOG";

/// Starts logging, and gives the filter that can be changed from now on. Called once; a second call changes nothing.
pub(crate) fn start(config: &Config) -> Filter {
    let components = config.components.iter().map(|component| component.name.clone()).collect();
    let filter = Filter::new(&config.log.level, components);
    let log = Log { filter: filter.clone(), form: form(config.log.format) };
    let started = set_global_default(log).is_ok();
    if let Ok(text) = std::env::var(FILTER_VARIABLE)
        && let Err(error) = filter.start_with(&text)
        && started
    {
        tracing::warn!("{FILTER_VARIABLE} is left aside: {error}");
    }
    filter
}

/// Takes every event at every level, forms its text and writes it nowhere: for the vetting child, in which a plugin's
/// log statements are to run as they would under `log.level: trace`.
pub(crate) fn start_unheard() {
    // Nobody else starts logging in the child; if so, nothing is lost.
    let _ = set_global_default(Unheard);
}

fn form(format: LogFormat) -> Form {
    let terminal = std::io::stderr().is_terminal();
    let human = match format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    if human {
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Form::Human { colours }
    } else {
        Form::Json
    }
}

/// Where all events of the process arrive.
struct Log {
    filter: Filter,
    form: Form,
}

impl Log {
    fn write(&self, line: &Line) {
        // Nobody may be reading stderr any more, which is no reason to end.
        let _ = std::io::stderr().write_all(self.form.write(line).as_bytes());
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
        let line = Line::of(event);
        if self.filter.directives().takes(line.level, line.target, line.component.as_deref()) {
            self.write(&line);
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
