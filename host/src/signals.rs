//! SIGTERM and SIGINT: the first asks for the drain, the second ends the process at once. What only looks at plugins
//! ends at the first.

#![forbid(unsafe_code)]

use crate::loader::vetting;
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

/// For a command that has nothing to drain, and may be in the middle of vetting: it leaves nothing behind.
pub(crate) fn end_tidily() {
    // Without it the signal does what it does by default, and a folder stays in /tmp.
    let _ = listen(&Drain::default());
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
                    vetting::leave_nothing();
                    logging::finish_at_once();
                    signal_hook::low_level::exit(SIGNAL_BASE + signal);
                }
            }
        }
    })?;
    Ok(())
}
