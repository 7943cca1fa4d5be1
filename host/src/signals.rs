//! SIGTERM and SIGINT: the first asks for the drain, the second ends the process at once.

#![forbid(unsafe_code)]

use crate::logging;
use cardcage_runtime::DrainHandle;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::{Arc, Mutex, PoisonError};

/// The exit code of a process that a signal ended is this plus the signal's number.
const SIGNAL_BASE: i32 = 128;

/// Who is told of the first signal.
#[derive(Clone, Default)]
pub(crate) struct Drain(Arc<Mutex<Option<DrainHandle>>>);

impl Drain {
    /// From now on the first signal drains this pipeline.
    pub(crate) fn set(&self, handle: DrainHandle) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    }
}

/// Starts to listen. Until there is something to drain, the first signal ends the process.
pub(crate) fn listen(drain: &Drain) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let drain = drain.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut draining = false;
        for signal in signals.forever() {
            let handle = drain.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match handle {
                Some(handle) if !draining => {
                    draining = true;
                    handle.drain();
                    tracing::info!("draining; once more to end at once");
                }
                _ => {
                    logging::finish_at_once();
                    signal_hook::low_level::exit(SIGNAL_BASE + signal);
                }
            }
        }
    })?;
    Ok(())
}
