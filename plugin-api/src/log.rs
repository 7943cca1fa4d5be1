//! `tracing` events of a plugin, forwarded to the host's log.
//!
//! A shared library has its own copy of `tracing` and its own global dispatcher, so this subscriber is installed in
//! each. It forwards events; spans get ids but are not forwarded, since the host names the component anyway.

use crate::host::Host;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The longest event text handed to the host; what is longer is cut there, too.
const EVENT_MAX_BYTES: usize = 8 * 1024;

/// Sends this library's events to the host. A library that installed a subscriber of its own keeps it.
pub(crate) fn forward_to(host: Host) {
    let _ = tracing::subscriber::set_global_default(Forward { host, spans: AtomicU64::new(1) });
}

struct Forward {
    host: Host,
    spans: AtomicU64,
}

impl Subscriber for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.host.log_enabled(number(*metadata.level()))
    }

    // Asked again each time: the host's level can change while the plugin runs.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let metadata = event.metadata();
        let level = number(*metadata.level());
        // The host tells events by their place when it holds back what repeats.
        match metadata.line() {
            Some(line) => self.host.log(level, &format!("{}:{line}", metadata.target()), &text.0),
            None => self.host.log(level, metadata.target(), &text.0),
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).max(1))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The levels of `HostTable::log`.
fn number(level: Level) -> u32 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// An event as one line: its message, then its fields as `name=value`.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.0.len() > EVENT_MAX_BYTES {
            return;
        }
        let before = self.0.len();
        // Writing to a String cannot fail; a field's own Debug may, and is then left out.
        let written = if field.name() == "message" {
            let mut message = format!("{value:?}");
            if before > 0 {
                message.push(' ');
            }
            self.0.insert_str(0, &message);
            Ok(())
        } else {
            let gap = if before == 0 { "" } else { " " };
            write!(self.0, "{gap}{}={value:?}", field.name())
        };
        if written.is_err() {
            self.0.truncate(before);
        }
    }
}
