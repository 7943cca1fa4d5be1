//! An in-memory host for the unit tests of plugins, so that a crate that forbids unsafe code can test its components
//! without a daemon.
//!
//! Every call goes through the same vtables and shims as in the daemon: panics are caught, reasons are counted, and
//! the harnesses check on every call that it kept to what `describe` says: ports and reasons that it names, fields that it
//! writes, records that add up. Enable it in the plugin's dev-dependencies:
//! `cardcage-plugin-api = { …, features = ["testing"] }`.
//!
//! ```
//! use cardcage_plugin_api::prelude::*;
//! use cardcage_plugin_api::serde_json::json;
//! use cardcage_plugin_api::testing::{StageHarness, record};
//!
//! struct Positive;
//!
//! impl Stage for Positive {
//!     type Settings = NoSettings;
//!     fn describe(_: &NoSettings) -> Description {
//!         Description::stage().drops("negative")
//!     }
//!     fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
//!         Ok(Self)
//!     }
//!     fn process(&mut self, batch: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
//!         batch.retain("negative", |record| record.value >= 0.0);
//!         Ok(Flow::Done)
//!     }
//! }
//!
//! let mut stage = StageHarness::<Positive>::open(json!({}))?;
//! let out = stage.process(&[record(1.0), record(-1.0)])?;
//! assert_eq!(out.main, [record(1.0)]);
//! assert_eq!(out.dropped("negative"), 1);
//! # Ok::<(), cardcage_plugin_api::testing::Failure>(())
//! ```
//!
//! Time stands still unless a test moves it ([`TestHost::advance`]) or the code under test waits on the test's own
//! thread. Names, units and cells of a host live until the test process ends.

mod contract;
mod host;
mod instance;
mod sink;
mod source;
mod stage;
mod table;
mod threads;
mod writes;

pub use contract::contract;
pub use host::{LogLine, START_NS, TestHost};
pub use sink::{SinkHarness, Written};
pub use source::{Filled, SourceHarness};
pub use stage::{Processed, StageHarness};

use crate::abi::Outcome;
use crate::record::Record;
use std::fmt;

/// Room for records in each batch that a harness lends, unless it is told otherwise: the daemon's default.
pub const BATCH_RECORDS: usize = 4096;

/// A good reading of the first sensor, without a unit, taken at [`START_NS`].
pub fn record(value: f64) -> Record {
    Record { timestamp_ns: START_NS, value, ..Record::default() }
}

/// A call that did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How it ended: [`Outcome::FAILED`] for what the component said and for books that don't balance,
    /// [`Outcome::PANICKED`] for a panic that the shim caught.
    pub outcome: Outcome,
    /// What was said about it.
    pub message: String,
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self { outcome: Outcome::FAILED, message: message.into() }
    }

    /// Whether the component panicked.
    pub fn panicked(&self) -> bool {
        self.outcome == Outcome::PANICKED
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
