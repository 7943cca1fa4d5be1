//! The harness for sources.
//!
//! One of the crate's few files with unsafe code: the calls through a source's vtable.

use super::host::TestHost;
use super::instance::{self, Instance, Memory, missing};
use super::{BATCH_RECORDS, Failure};
use crate::abi::{BatchHeader, Outcome, SourceVtable, StreamPosition};
use crate::describe::Description;
use crate::plugin::{Fill, Source, State};
use crate::record::Record;
use crate::shim;
use serde_json::Value;
use std::marker::PhantomData;

/// How long a `fill` may wait for data, by the test host's clock: the daemon's default linger.
const FILL_NS: i64 = 20_000_000;
/// How often [`SourceHarness::until_finished`] calls before it takes a source for an endless one.
const FILLS_MAX: usize = 1_000_000;

/// A source in a test.
pub struct SourceHarness<T> {
    vtable: &'static SourceVtable,
    instance: Instance,
    capacity: usize,
    of: PhantomData<fn() -> T>,
}

/// What came of one `fill`.
#[derive(Clone, Debug, PartialEq)]
pub struct Filled {
    /// The records.
    pub records: Vec<Record>,
    /// What the source said.
    pub fill: Fill,
    /// The batch's stream and position.
    pub header: BatchHeader,
    /// Every described reason with its count of rejected or dropped input.
    pub reasons: Vec<(String, u64)>,
}

impl Filled {
    /// How much input left for a described reason; 0 for one that is not described.
    pub fn rejected(&self, reason: &str) -> u64 {
        let found = self.reasons.iter().find(|(name, _)| name == reason);
        found.map_or(0, |(_, count)| *count)
    }
}

impl<T: Source> SourceHarness<T> {
    /// Opens a source with a new [`TestHost`].
    pub fn open(settings: Value) -> Result<Self, Failure> {
        Self::open_on(TestHost::new(), settings)
    }

    /// Opens a source with this host.
    #[expect(clippy::needless_pass_by_value, reason = "so that tests can write `json!({…})`")]
    pub fn open_on(host: TestHost, settings: Value) -> Result<Self, Failure> {
        let vtable = vtable::<T>()?;
        Ok(Self {
            vtable,
            instance: Instance::open(&vtable.common, host, &settings)?,
            capacity: BATCH_RECORDS,
            of: PhantomData,
        })
    }

    /// What the source will do under these settings.
    #[expect(clippy::needless_pass_by_value, reason = "so that tests can write `json!({…})`")]
    pub fn describe(settings: Value) -> Result<Description, Failure> {
        instance::describe(&vtable::<T>()?.common, &settings)
    }

    /// The JSON Schema of the settings.
    pub fn schema() -> Result<Value, Failure> {
        instance::schema(&vtable::<T>()?.common)
    }

    /// Sets the room of the batches lent from now on, in records.
    #[must_use]
    pub fn with_capacity(mut self, records: usize) -> Self {
        self.capacity = records;
        self
    }

    /// The host that the source was opened with.
    pub fn host(&self) -> TestHost {
        self.instance.host
    }

    /// Asks the source for records once. The clock stays where it is unless the source waits.
    pub fn fill(&mut self) -> Result<Filled, Failure> {
        let fill = self.vtable.fill.ok_or_else(|| missing("fill"))?;
        let mut batch = Memory::of(&[], self.capacity);
        let lent = batch.lend();
        let until = self.instance.host.now_ns().saturating_add(FILL_NS);
        let counted = self.instance.call(until, |instance, call| {
            // SAFETY: the instance is open; batch and call are lent for this call.
            unsafe { fill(instance, lent, call) }
        })?;
        counted.as_described(self.instance.host, &self.instance.description)?;
        let fill = match counted.outcome {
            Outcome::OK => Fill::Produced,
            Outcome::IDLE => Fill::IdleUntil(counted.wait_until_ns),
            Outcome::FINISHED => Fill::Finished,
            other => return Err(Failure::new(format!("an outcome that no source has: {other:?}"))),
        };
        Ok(Filled {
            records: batch.records()?.to_vec(),
            fill,
            header: batch.header(),
            reasons: self.instance.by_reason(&counted.reasons),
        })
    }

    /// Asks for records until the source is finished, moving the clock on whenever it is idle.
    pub fn until_finished(&mut self) -> Result<Vec<Record>, Failure> {
        let mut records = Vec::new();
        for _ in 0..FILLS_MAX {
            let filled = self.fill()?;
            records.extend(filled.records);
            match filled.fill {
                Fill::Produced => {}
                Fill::IdleUntil(at) => {
                    let host = self.instance.host;
                    host.set_now_ns(at.max(host.now_ns()));
                }
                Fill::Finished => return Ok(records),
            }
        }
        Err(Failure::new(format!("not finished after {FILLS_MAX} calls")))
    }

    /// Tells the source how far its data is safe.
    pub fn acknowledge(&mut self, positions: &[StreamPosition]) -> Result<(), Failure> {
        let acknowledge = self.vtable.acknowledge.ok_or_else(|| missing("acknowledge"))?;
        self.instance
            .call(0, |instance, call| {
                // SAFETY: the instance is open; positions and call are lent for this call.
                unsafe { acknowledge(instance, positions.as_ptr(), positions.len(), call) }
            })
            .map(drop)
    }

    /// Closes the source.
    pub fn close(self) -> Result<(), Failure> {
        self.instance.close()
    }
}

impl<T: Source + State> SourceHarness<T> {
    /// The source's state, with its version.
    pub fn snapshot(&mut self) -> Result<(u32, Vec<u8>), Failure> {
        self.with_state()?.instance.snapshot()
    }

    /// Takes up a state that [`SourceHarness::snapshot`] gave.
    pub fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), Failure> {
        self.with_state()?.instance.restore(version, state)
    }

    /// The group is in the vtable that `export_plugin!` takes for the capability `state`.
    fn with_state(&mut self) -> Result<&mut Self, Failure> {
        // SAFETY: the shims' vtables live as long as the code.
        let vtable = unsafe { shim::source_with_state::<T>("").source.as_ref() };
        self.instance.use_groups_of(&vtable.ok_or_else(|| missing("a source's vtable"))?.common);
        Ok(self)
    }
}

fn vtable<T: Source>() -> Result<&'static SourceVtable, Failure> {
    // SAFETY: the shims' vtables live as long as the code.
    unsafe { shim::source::<T>("").source.as_ref() }.ok_or_else(|| missing("a source's vtable"))
}
