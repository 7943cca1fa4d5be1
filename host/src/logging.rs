//! The log: `tracing` events of the host and of plugins, on stderr. The one module that knows how they are written.

#![forbid(unsafe_code)]

use cardcage_core::config::{Log, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// The environment variable that overrides `log.level`, in the filter language of `tracing`: `info,plugin=debug`.
const FILTER_VARIABLE: &str = "CARDCAGE_LOG";

/// Starts logging. Called once; a second call changes nothing.
pub(crate) fn start(log: &Log) {
    let directives = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| log.level.clone());
    let (filter, bad) = match EnvFilter::try_new(&directives) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(&log.level), Some(error)),
    };
    let terminal = std::io::stderr().is_terminal();
    let human = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr)
        // Else a log line that cannot be written, because nobody reads stderr any more, would end the process.
        .log_internal_errors(false);
    let started = if human {
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        builder.with_ansi(colours).with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    if let (Ok(()), Some(error)) = (started, bad) {
        tracing::warn!("{FILTER_VARIABLE} is no log filter ({error}); using `{}`", log.level);
    }
}

/// Takes every event at every level, forms its text and writes it nowhere: for the vetting child, in which a plugin's
/// log statements are to run as they would under `log.level: trace`.
pub(crate) fn start_unheard() {
    let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    // Nobody else starts logging in the child; if so, nothing is lost.
    let _ = everything.with_writer(std::io::sink).try_init();
}
