//! Reads readings from a program's output: one that runs on, or one that is run again and again.
//!
//! The program is started without a shell, as the leader of a process group of its own, and the whole group ends with it.
//! Its output and its messages are read on the lane's own thread, inside of `fill`, which never waits for the program
//! longer than it is told to.

#![forbid(unsafe_code)]

mod messages;
mod output;
mod process;
mod program;
mod settings;
mod source;

use cardcage_plugin_api::prelude::*;
pub use settings::{Delays, ExecSettings, Restart};
pub use source::ExecSource;

export_plugin! {
    name: "exec",
    description: "reads readings from the output of programs",
    components: [source ExecSource as "exec" {
        drops,
        finite,
        exec: [settings.command],
        read: [settings.cwd],
        write: [settings.rejects],
        metrics: [
            counter "starts" { unit: "1", help: "how often the program was started" },
            counter "start_failures" { unit: "1", help: "how often it could not be started" },
            counter "failures" { unit: "1", help: "how often it ended with a failure, or was killed" },
            counter "timeouts" { unit: "1", help: "how often it was ended because it took longer than `timeout`" },
            counter "received_bytes" { unit: "By", help: "bytes read from its standard output" },
            counter "messages" { unit: "1", help: "lines that it wrote to standard error" },
        ],
    }],
    probe: none("runs a program"),
}

#[cfg(test)]
mod tests;
