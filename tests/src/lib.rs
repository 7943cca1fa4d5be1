//! The harness: builds the program and the plugin libraries once, and runs pipelines with them.
//!
//! A plain `cargo test` leaves no plugin library behind, so the harness builds them with a nested `cargo build`, once
//! for a test process. Cargo has released its lock on the target folder by the time tests run, so that does not
//! deadlock; where everything is built already it takes a fraction of a second.
//!
//! - [`build`]: where the program and the libraries are.
//! - [`pipeline`]: a folder with a `pipeline.yaml` and plugins, and the program running there.
//! - [`altered`]: plugins built against a plugin API that was changed.
//! - [`own_crate`]: a plugin in a crate outside the workspace.
//! - [`mutation`]: libraries that were damaged.
//! - [`checkout`]: a folder that looks like a clone that was built, for what the documentation tells people to do.

#![forbid(unsafe_code)]
#![expect(clippy::missing_panics_doc, reason = "a harness fails by panicking, everywhere")]

pub mod altered;
pub mod build;
pub mod checkout;
pub mod mutation;
pub mod own_crate;
pub mod pipeline;

pub use build::{binary, library, plugin, workspace};
pub use pipeline::{Finished, Pipeline, Running, wait_for_lines};

use std::time::{Duration, Instant};

/// The longest that any wait in a test may last: far above what a loaded machine needs.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `condition` gives something.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < until, "waited {PATIENCE:?} in vain for {what}");
        // The condition is looked at again and again; the pause only keeps from using up a core.
        std::thread::sleep(Duration::from_millis(2));
    }
}
