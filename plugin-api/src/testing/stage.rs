//! The harness for stages.
//!
//! One of the crate's few files with unsafe code: the calls through a stage's vtable.

use super::host::TestHost;
use super::instance::{self, Counted, Instance, Memory, missing, narrow};
use super::writes::Originals;
use super::{BATCH_RECORDS, Failure};
use crate::abi::{Call, Outcome, RawBatch, RawOutputs, StageVtable};
use crate::describe::Description;
use crate::plugin::{Stage, State};
use crate::record::Record;
use crate::shim;
use serde_json::Value;
use std::marker::PhantomData;

/// How often one input may answer `More` before the harness takes it for an endless loop.
const ROUNDS_MAX: usize = 10_000;

/// A stage in a test.
pub struct StageHarness<T> {
    vtable: &'static StageVtable,
    instance: Instance,
    capacity: usize,
    disconnected: Vec<String>,
    /// What came in and may come out again.
    originals: Originals,
    of: PhantomData<fn() -> T>,
}

/// What came of an input: all records of all calls that it took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Processed {
    /// The main output, in order.
    pub main: Vec<Record>,
    /// The ports that are connected, with what they were given.
    pub ports: Vec<(String, Vec<Record>)>,
    /// Every described reason with its count.
    pub reasons: Vec<(String, u64)>,
    /// Records that were made.
    pub created: u64,
    /// Records that the stage holds now.
    pub held: u64,
    /// How many calls it took: one more than the stage answered `More`.
    pub calls: usize,
}

impl Processed {
    /// What a port was given; empty for a port that does not exist or is not connected.
    pub fn port(&self, name: &str) -> &[Record] {
        let port = self.ports.iter().find(|(port, _)| port == name);
        port.map_or(&[], |(_, records)| records)
    }

    /// How many records left for a described reason; 0 for one that is not described.
    pub fn dropped(&self, reason: &str) -> u64 {
        let found = self.reasons.iter().find(|(name, _)| name == reason);
        found.map_or(0, |(_, count)| *count)
    }

    /// The same, where `describe` names the reason with `rejects`.
    pub fn rejected(&self, reason: &str) -> u64 {
        self.dropped(reason)
    }
}

impl<T: Stage> StageHarness<T> {
    /// Opens a stage with a new [`TestHost`].
    pub fn open(settings: Value) -> Result<Self, Failure> {
        Self::open_on(TestHost::new(), settings)
    }

    /// Opens a stage with this host.
    #[expect(clippy::needless_pass_by_value, reason = "so that tests can write `json!({…})`")]
    pub fn open_on(host: TestHost, settings: Value) -> Result<Self, Failure> {
        let vtable = vtable::<T>()?;
        Ok(Self {
            vtable,
            instance: Instance::open(&vtable.common, host, &settings)?,
            capacity: BATCH_RECORDS,
            disconnected: Vec::new(),
            originals: Originals::default(),
            of: PhantomData,
        })
    }

    /// What the stage will do under these settings.
    #[expect(clippy::needless_pass_by_value, reason = "so that tests can write `json!({…})`")]
    pub fn describe(settings: Value) -> Result<Description, Failure> {
        instance::describe(&vtable::<T>()?.common, &settings)
    }

    /// The JSON Schema of the settings.
    pub fn schema() -> Result<Value, Failure> {
        instance::schema(&vtable::<T>()?.common)
    }

    /// Sets the room of the batches lent from now on, in records; an input that is longer gets the room it needs.
    #[must_use]
    pub fn with_capacity(mut self, records: usize) -> Self {
        self.capacity = records;
        self
    }

    /// Takes away a port's consumer; all ports have one at first. The next call fails for a port that `describe` does
    /// not name.
    #[must_use]
    pub fn without_consumer(mut self, port: &str) -> Self {
        self.disconnected.push(port.to_owned());
        self
    }

    /// The host that the stage was opened with.
    pub fn host(&self) -> TestHost {
        self.instance.host
    }

    /// Gives the stage records, calling again for as long as it answers `More`.
    pub fn process(&mut self, records: &[Record]) -> Result<Processed, Failure> {
        let process = self.vtable.process.ok_or_else(|| missing("process"))?;
        let mut batch = Memory::of(records, self.capacity);
        self.originals.came_in(records, self.instance.held());
        self.rounds(Some(&mut batch), |instance, batch, outputs, call| {
            // SAFETY: the instance is open; batch, outputs and call are lent for this call.
            unsafe { process(instance, batch, outputs, call) }
        })
    }

    /// Tells the stage that time passed (move the clock first: [`TestHost::advance`]).
    pub fn tick(&mut self) -> Result<Processed, Failure> {
        let tick = self.vtable.tick.ok_or_else(|| missing("tick"))?;
        self.rounds(None, |instance, _, outputs, call| {
            // SAFETY: the instance is open; outputs and call are lent for this call.
            unsafe { tick(instance, outputs, call) }
        })
    }

    /// Tells the stage that no more input comes.
    pub fn finish(&mut self) -> Result<Processed, Failure> {
        let finish = self.vtable.finish.ok_or_else(|| missing("finish"))?;
        self.rounds(None, |instance, _, outputs, call| {
            // SAFETY: the instance is open; outputs and call are lent for this call.
            unsafe { finish(instance, outputs, call) }
        })
    }

    /// Closes the stage.
    pub fn close(self) -> Result<(), Failure> {
        self.instance.close()
    }

    fn rounds(
        &mut self,
        mut batch: Option<&mut Memory>,
        work: impl Fn(*mut crate::abi::Instance, *mut RawBatch, *mut RawOutputs, *mut Call) -> Outcome,
    ) -> Result<Processed, Failure> {
        let mut total = Processed::default();
        loop {
            let (counted, left) = self.round(batch.as_deref_mut(), &work, &mut total)?;
            total.created += counted.created;
            total.held = counted.held;
            total.calls += 1;
            match counted.outcome {
                Outcome::OK => {
                    total.main.extend(left);
                    let given = total.main.iter().chain(total.ports.iter().flat_map(|(_, records)| records));
                    self.originals.went_out(given, total.created, &self.instance.description)?;
                    return Ok(total);
                }
                Outcome::MORE if total.calls < ROUNDS_MAX => {}
                Outcome::MORE => {
                    return Err(Failure::new(format!("`More` {ROUNDS_MAX} times for one input")));
                }
                other => return Err(Failure::new(format!("an outcome that no stage has: {other:?}"))),
            }
        }
    }

    /// One call; its outputs are added to `total`, what is left of the input is given back.
    fn round(
        &mut self,
        mut batch: Option<&mut Memory>,
        work: impl Fn(*mut crate::abi::Instance, *mut RawBatch, *mut RawOutputs, *mut Call) -> Outcome,
        total: &mut Processed,
    ) -> Result<(Counted, Vec<Record>), Failure> {
        let came_in = batch.as_deref().map_or(Ok(0), |batch| batch.records().map(<[_]>::len))?;
        let names = self.instance.description.ports.clone();
        if let Some(unknown) = self.disconnected.iter().find(|port| !names.contains(port)) {
            return Err(Failure::new(format!(
                "`describe` names no port `{unknown}` to take the consumer from; it names {names:?}"
            )));
        }
        let mut main = Memory::of(&[], self.capacity);
        let room = |name: &String| {
            if self.disconnected.contains(name) { 0 } else { self.capacity }
        };
        let mut ports: Vec<Memory> = names.iter().map(|name| Memory::of(&[], room(name))).collect();
        let mut raw_ports: Vec<RawBatch> = ports.iter_mut().map(Memory::raw).collect();
        let mut outputs = RawOutputs {
            main: main.lend(),
            ports: raw_ports.as_mut_ptr(),
            port_count: narrow(raw_ports.len()),
            reserved: 0,
        };
        let lent_batch = batch.as_deref_mut().map_or(std::ptr::null_mut(), Memory::lend);
        let lent_outputs = &raw mut outputs;
        let counted =
            self.instance.call(0, |instance, call| work(instance, lent_batch, lent_outputs, call))?;

        let left = batch.as_deref().map_or(Ok(Vec::new()), |batch| batch.records().map(<[_]>::to_vec))?;
        let mut went_out = main.records()?.len() + left.len();
        total.main.extend_from_slice(main.records()?);
        for ((name, memory), raw) in names.iter().zip(&ports).zip(&raw_ports) {
            let given = memory.filled(raw.len)?;
            went_out += given.len();
            match total.ports.iter_mut().find(|(port, _)| port == name) {
                Some((_, records)) => records.extend_from_slice(given),
                None if raw.capacity > 0 => total.ports.push((name.clone(), given.to_vec())),
                None => {}
            }
        }
        for (reason, count) in self.instance.by_reason(&counted.reasons) {
            match total.reasons.iter_mut().find(|(name, _)| *name == reason) {
                Some((_, sum)) => *sum += count,
                None => total.reasons.push((reason, count)),
            }
        }
        counted.as_described(self.instance.host, &self.instance.description)?;
        counted.balance(came_in, went_out)?;
        Ok((counted, left))
    }
}

impl<T: Stage + State> StageHarness<T> {
    /// The stage's state, with its version.
    pub fn snapshot(&mut self) -> Result<(u32, Vec<u8>), Failure> {
        self.with_state()?.instance.snapshot()
    }

    /// Takes up a state that [`StageHarness::snapshot`] gave.
    pub fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), Failure> {
        self.originals.unknown_are_held();
        self.with_state()?.instance.restore(version, state)
    }

    /// The group is in the vtable that `export_plugin!` takes for the capability `state`.
    fn with_state(&mut self) -> Result<&mut Self, Failure> {
        // SAFETY: the shims' vtables live as long as the code.
        let vtable = unsafe { shim::stage_with_state::<T>("").stage.as_ref() };
        self.instance.use_groups_of(&vtable.ok_or_else(|| missing("a stage's vtable"))?.common);
        Ok(self)
    }
}

fn vtable<T: Stage>() -> Result<&'static StageVtable, Failure> {
    // SAFETY: the shims' vtables live as long as the code.
    unsafe { shim::stage::<T>("").stage.as_ref() }.ok_or_else(|| missing("a stage's vtable"))
}
