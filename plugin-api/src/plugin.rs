//! The traits that a plugin author implements: safe Rust, from which the shims make the ABI's functions.

use crate::abi::StreamPosition;
use crate::batch::{Batch, Delivery, Outputs};
use crate::describe::Description;
use crate::host::Host;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

/// Settings of a component type: serde reads them, schemars documents them and makes the schema.
pub trait Settings: DeserializeOwned + JsonSchema {}
impl<T: DeserializeOwned + JsonSchema> Settings for T {}

/// No settings: the component takes none, and any key is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Makes records: reads a device, a file, a socket.
pub trait Source: Sized + Send + 'static {
    /// The `settings:` of a component.
    type Settings: Settings;
    /// What the source will do under these settings. No I/O, no clock.
    fn describe(settings: &Self::Settings) -> Description;
    /// Makes an instance; here files and devices are opened.
    fn open(settings: Self::Settings, host: &Host) -> Result<Self, PluginError>;
    /// Adds records to `out`, which is empty. May wait for data until `wait_until_ns` (UTC), not longer, and not
    /// past [`Host::cancelled`].
    fn fill(&mut self, out: &mut Batch<'_>, wait_until_ns: i64) -> Result<Fill, PluginError>;
    /// Data up to these positions is safe downstream.
    fn acknowledge(&mut self, _positions: &[StreamPosition]) -> Result<(), PluginError> {
        Ok(())
    }
    /// The last call; threads are joined and descriptors closed by the end of it.
    fn close(self) -> Result<(), PluginError> {
        Ok(())
    }
}

/// What became of a [`Source::fill`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The batch holds what there was (perhaps only rejected input); call again.
    Produced,
    /// Nothing until this time (UTC nanoseconds).
    IdleUntil(i64),
    /// There will never be more. Records in the batch still count.
    Finished,
}

/// Changes records on their way.
pub trait Stage: Sized + Send + 'static {
    /// The `settings:` of a component.
    type Settings: Settings;
    /// What the stage will do under these settings. No I/O, no clock.
    fn describe(settings: &Self::Settings) -> Description;
    /// Makes an instance.
    fn open(settings: Self::Settings, host: &Host) -> Result<Self, PluginError>;
    /// Changes the batch in place; what is left in it goes on, behind what was given to `out`.
    fn process(&mut self, batch: &mut Batch<'_>, out: &mut Outputs<'_>) -> Result<Flow, PluginError>;
    /// Time passed, for stages that describe [`Description::tick_every`].
    fn tick(&mut self, _now_ns: i64, _out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        Ok(Flow::Done)
    }
    /// No more input will come: gives what is held.
    fn finish(&mut self, _out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        Ok(Flow::Done)
    }
    /// How many records the stage holds now; more than 0 needs the capability `holds`.
    fn held(&self) -> u64 {
        0
    }
    /// The last call.
    fn close(self) -> Result<(), PluginError> {
        Ok(())
    }
}

/// Whether a stage is done with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Yes.
    Done,
    /// The output is full: forward it and call again with the input as it is now.
    More,
}

/// Takes records away: writes a file, a table, a connection.
pub trait Sink: Sized + Send + 'static {
    /// The `settings:` of a component.
    type Settings: Settings;
    /// What the sink will do under these settings. No I/O, no clock.
    fn describe(settings: &Self::Settings) -> Description;
    /// Makes an instance; here files and connections are opened.
    fn open(settings: Self::Settings, host: &Host) -> Result<Self, PluginError>;
    /// Takes the batch's records; they may be buffered until [`Sink::commit`]. A write that fails takes none of its batch:
    /// the host counts all of it as failed, so what was buffered of it must be let go.
    fn write(&mut self, batch: &Delivery<'_>) -> Result<(), PluginError>;
    /// Makes everything written so far safe. Called at each barrier and once at the end; between barriers, with the epoch
    /// under way, after a failed write for what was written before it, and when the host has kept as many copies for the
    /// sink's `dead_letter` as it may.
    fn commit(&mut self, _epoch: u64) -> Result<Commit, PluginError> {
        Ok(Commit::Committed)
    }
    /// The last call.
    fn close(self) -> Result<(), PluginError> {
        Ok(())
    }
}

/// What became of a [`Sink::commit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Everything written before is as safe as the sink promises.
    Committed,
    /// Not now; everything is kept; try again after this time.
    Retry {
        /// How long to wait.
        after: Duration,
        /// Why.
        why: String,
    },
    /// Never: what was written since the last commit is lost.
    Permanent {
        /// Why.
        why: String,
    },
    /// Only in part, and never the rest: the records that were written last are lost, and those before them are as safe as
    /// the sink promises.
    Partly {
        /// How many are lost of those written since the last commit; those that the sink rejected are not among them. 0
        /// says that all are.
        lost: u64,
        /// Why.
        why: String,
    },
}

/// A component whose state can be saved at a barrier and brought back. Declare it with the capability `state`.
pub trait State {
    /// The newest version that [`State::snapshot`] writes; [`State::restore`] reads all up to it.
    const VERSION: u32;
    /// The state, in `version`.
    fn snapshot(&mut self, version: u32) -> Result<Vec<u8>, PluginError>;
    /// Takes up a state that `snapshot` wrote.
    fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), PluginError>;
}

/// Why a call failed, as one sentence for the log: what was found, what was expected, what to do.
///
/// Any error turns into one with `?`, keeping its causes.
pub struct PluginError {
    message: String,
}

impl PluginError {
    /// An error in words.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// The same error with what was being done in front: `path: No such file`.
    #[must_use]
    pub fn context(self, doing: impl fmt::Display) -> Self {
        Self { message: format!("{doing}: {}", self.message) }
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// `PluginError` is no `std::error::Error` itself, because this conversion would then overlap with `From<T> for T`.
impl<E: std::error::Error> From<E> for PluginError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let inner_message = inner.to_string();
            if !message.contains(&inner_message) {
                message.push_str(": ");
                message.push_str(&inner_message);
            }
            cause = inner.source();
        }
        Self { message }
    }
}
