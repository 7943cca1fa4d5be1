//! The harness for sinks.
//!
//! One of the crate's few files with unsafe code: the calls through a sink's vtable.

use super::Failure;
use super::host::TestHost;
use super::instance::{self, Instance, Memory, missing};
use crate::abi::{Outcome, SinkVtable};
use crate::describe::Description;
use crate::plugin::{Commit, Sink, State};
use crate::record::Record;
use crate::shim;
use serde_json::Value;
use std::marker::PhantomData;
use std::time::Duration;

/// A sink in a test.
pub struct SinkHarness<T> {
    vtable: &'static SinkVtable,
    instance: Instance,
    of: PhantomData<fn() -> T>,
}

/// What came of one `write`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Every described reason with its count of rejected records.
    pub reasons: Vec<(String, u64)>,
}

impl Written {
    /// How many records were rejected for a described reason; 0 for one that is not described.
    pub fn rejected(&self, reason: &str) -> u64 {
        let found = self.reasons.iter().find(|(name, _)| name == reason);
        found.map_or(0, |(_, count)| *count)
    }
}

impl<T: Sink> SinkHarness<T> {
    /// Opens a sink with a new [`TestHost`].
    pub fn open(settings: Value) -> Result<Self, Failure> {
        Self::open_on(TestHost::new(), settings)
    }

    /// Opens a sink with this host.
    #[expect(clippy::needless_pass_by_value, reason = "so that tests can write `json!({…})`")]
    pub fn open_on(host: TestHost, settings: Value) -> Result<Self, Failure> {
        let vtable = vtable::<T>()?;
        Ok(Self { vtable, instance: Instance::open(&vtable.common, host, &settings)?, of: PhantomData })
    }

    /// What the sink will do under these settings.
    #[expect(clippy::needless_pass_by_value, reason = "so that tests can write `json!({…})`")]
    pub fn describe(settings: Value) -> Result<Description, Failure> {
        instance::describe(&vtable::<T>()?.common, &settings)
    }

    /// The JSON Schema of the settings.
    pub fn schema() -> Result<Value, Failure> {
        instance::schema(&vtable::<T>()?.common)
    }

    /// The host that the sink was opened with.
    pub fn host(&self) -> TestHost {
        self.instance.host
    }

    /// Gives the sink a batch.
    pub fn write(&mut self, records: &[Record]) -> Result<Written, Failure> {
        let write = self.vtable.write.ok_or_else(|| missing("write"))?;
        let mut batch = Memory::of(records, records.len());
        let lent = batch.lend();
        let counted = self.instance.call(0, |instance, call| {
            // SAFETY: the instance is open; batch and call are lent for this call.
            unsafe { write(instance, lent, call) }
        })?;
        counted.as_described(self.instance.host, &self.instance.description)?;
        if counted.left() > records.len() as u64 {
            return Err(Failure::new(format!(
                "{} of {} records were rejected",
                counted.left(),
                records.len()
            )));
        }
        Ok(Written { reasons: self.instance.by_reason(&counted.reasons) })
    }

    /// Asks the sink to make safe what was written.
    pub fn commit(&mut self, epoch: u64) -> Result<Commit, Failure> {
        let commit = self.vtable.commit.ok_or_else(|| missing("commit"))?;
        let counted = self.instance.call(0, |instance, call| {
            // SAFETY: the instance is open; the call is lent.
            unsafe { commit(instance, epoch, call) }
        })?;
        let why = counted.message;
        match counted.outcome {
            Outcome::OK => Ok(Commit::Committed),
            Outcome::RETRY => {
                let after = counted.wait_until_ns.saturating_sub(self.instance.host.now_ns());
                let after = Duration::from_nanos(u64::try_from(after).unwrap_or(0));
                Ok(Commit::Retry { after, why })
            }
            Outcome::PERMANENT if counted.held > 0 => {
                self.instance.holds_nothing();
                Ok(Commit::Partly { lost: counted.held, why })
            }
            Outcome::PERMANENT => Ok(Commit::Permanent { why }),
            other => Err(Failure::new(format!("an outcome that no sink has: {other:?}"))),
        }
    }

    /// Closes the sink.
    pub fn close(self) -> Result<(), Failure> {
        self.instance.close()
    }
}

impl<T: Sink + State> SinkHarness<T> {
    /// The sink's state, with its version.
    pub fn snapshot(&mut self) -> Result<(u32, Vec<u8>), Failure> {
        self.with_state()?.instance.snapshot()
    }

    /// Takes up a state that [`SinkHarness::snapshot`] gave.
    pub fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), Failure> {
        self.with_state()?.instance.restore(version, state)
    }

    /// The group is in the vtable that `export_plugin!` takes for the capability `state`.
    fn with_state(&mut self) -> Result<&mut Self, Failure> {
        // SAFETY: the shims' vtables live as long as the code.
        let vtable = unsafe { shim::sink_with_state::<T>("").sink.as_ref() };
        self.instance.use_groups_of(&vtable.ok_or_else(|| missing("a sink's vtable"))?.common);
        Ok(self)
    }
}

fn vtable<T: Sink>() -> Result<&'static SinkVtable, Failure> {
    // SAFETY: the shims' vtables live as long as the code.
    unsafe { shim::sink::<T>("").sink.as_ref() }.ok_or_else(|| missing("a sink's vtable"))
}
