//! The batches that a component on probation is lent: each call gets them at other addresses than the call before.

#![forbid(unsafe_code)]

use crate::loader::guard::{Access, Guarded, Touch, TouchedPlace};
use cardcage_plugin_api::record::Record;
use cardcage_runtime::{Batch, StageOutputs};
use std::io;

/// Two places, used in turn: what a plugin kept from one call is out of reach in the next.
pub(super) struct Places {
    what: String,
    pair: [Guarded; 2],
    turn: usize,
}

impl Places {
    /// For batches of `capacity` records; `what` they are is said in refusals.
    pub(super) fn new(what: impl Into<String>, capacity: u32) -> io::Result<Self> {
        let place = || Guarded::new(capacity as usize);
        Ok(Self { what: what.into(), pair: [place()?, place()?], turn: 0 })
    }

    /// A batch with these records.
    pub(super) fn lend(&mut self, records: &[Record], access: Access) -> io::Result<Batch> {
        self.pair[self.turn].lend(records, access)
    }

    /// Takes it back and gives its records.
    pub(super) fn take_back(&mut self, batch: Batch) -> io::Result<Vec<Record>> {
        let records = self.pair[self.turn].take_back(batch)?;
        self.turn = 1 - self.turn;
        Ok(records)
    }

    /// What was touched that should not have been, as the end of a sentence that begins with a call's name.
    pub(super) fn touched(&self) -> Option<Touched> {
        let touch = self.pair.iter().find_map(Guarded::touched)?;
        Some(Touched::of(touch, &self.what))
    }
}

/// What a plugin touched that it should not have.
pub(super) struct Touched {
    /// The last part of the refusal's code.
    pub(super) code: &'static str,
    /// `wrote 8 bytes behind the end of the main output`.
    pub(super) found: String,
    /// What it should have done.
    pub(super) expected: &'static str,
}

impl Touched {
    fn of(touch: Touch, what: &str) -> Self {
        let did = match touch.write {
            Some(true) => "wrote",
            Some(false) => "read",
            None => "touched memory",
        };
        match touch.place {
            TouchedPlace::Behind(bytes) => Self {
                code: "outside-batch",
                found: format!("{did} {bytes} bytes behind the end of {what}"),
                expected: "only the batch's own memory: `capacity` records from `records` on",
            },
            TouchedPlace::Before(bytes) => Self {
                code: "outside-batch",
                found: format!("{did} {bytes} bytes before the beginning of {what}"),
                expected: "only the batch's own memory: `capacity` records from `records` on",
            },
            TouchedPlace::Returned => Self {
                code: "kept-batch",
                found: format!("{did} in {what} of an earlier call, which was over"),
                expected: "a batch that is forgotten when the call returns; copy the records that you need later",
            },
            TouchedPlace::ReadOnly => Self {
                code: "wrote-delivery",
                found: format!("wrote to {what}, which is lent for reading"),
                expected: "a sink that only reads its batches: other sinks may be given the same one",
            },
        }
    }
}

/// The places of a stage's outputs.
pub(super) struct OutputPlaces {
    main: Places,
    ports: Vec<Places>,
}

/// What a stage gave in a call.
#[derive(Default)]
pub(super) struct Given {
    /// To the main output.
    pub(super) main: Vec<Record>,
    /// To each port.
    pub(super) ports: Vec<Vec<Record>>,
}

impl OutputPlaces {
    /// For the main output and these ports.
    pub(super) fn new(ports: &[String], capacity: u32) -> io::Result<Self> {
        let ports = ports.iter().map(|name| Places::new(format!("the batch of port `{name}`"), capacity));
        Ok(Self { main: Places::new("the main output", capacity)?, ports: ports.collect::<io::Result<_>>()? })
    }

    /// Empty outputs for a call; without `consumed`, nobody takes what goes to the ports.
    pub(super) fn lend(&mut self, consumed: bool) -> io::Result<StageOutputs> {
        let main = self.main.lend(&[], Access::Write)?;
        let port = |places: &mut Places| {
            if consumed { places.lend(&[], Access::Write).map(Some) } else { Ok(None) }
        };
        Ok(StageOutputs { main, ports: self.ports.iter_mut().map(port).collect::<io::Result<_>>()? })
    }

    /// Takes them back.
    pub(super) fn take_back(&mut self, outputs: StageOutputs) -> io::Result<Given> {
        let main = self.main.take_back(outputs.main)?;
        let ports = self.ports.iter_mut().zip(outputs.ports);
        let ports =
            ports.map(|(places, batch)| batch.map_or(Ok(Vec::new()), |batch| places.take_back(batch)));
        Ok(Given { main, ports: ports.collect::<io::Result<_>>()? })
    }

    /// As of [`Places`].
    pub(super) fn touched(&self) -> Option<Touched> {
        std::iter::once(&self.main).chain(&self.ports).find_map(Places::touched)
    }
}
