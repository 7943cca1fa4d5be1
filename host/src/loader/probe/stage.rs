//! The probe of a stage: what goes in must come out, be counted, or be held.

#![forbid(unsafe_code)]

use super::help::Lack;
use super::places::{Given, OutputPlaces, Places};
use super::{PROBE_RECORDS, Trial, Tried, batches, steady_now_ns};
use crate::loader::guard::Access;
use cardcage_plugin_api::manifest::{Capability, Field};
use cardcage_plugin_api::record::Record;
use cardcage_runtime::{CallError, HostHandle, Processed, StageInstance, StageOutputs, now_ns};
use std::collections::HashMap;

/// Calls with the same input before a stage that always wants more is refused: far above what any output needs.
const MORE_MAX: u32 = 1_000;

/// The fields of a record as bits; those that the stage may write are left out.
type Kept = [Option<u64>; 5];

const FIELDS: [Field; 5] = [Field::Timestamp, Field::Value, Field::Sensor, Field::Unit, Field::Quality];

/// What a life is led for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// All that can be seen.
    Full,
    /// The same again, to be compared.
    Again,
    /// With ports that nobody takes from, which changes how records are accounted for.
    WithoutPorts,
}

impl Trial<'_> {
    pub(super) fn stage(&mut self) -> Tried<()> {
        let mut places = StagePlaces {
            input: Places::new("its batch", PROBE_RECORDS)?,
            outputs: OutputPlaces::new(&self.description.ports, PROBE_RECORDS)?,
        };
        let first = self.one_life(&mut places, Life::Full)?;
        if self.does(Capability::Deterministic) {
            let second = self.one_life(&mut places, Life::Again)?;
            self.same(&first, &second)?;
            if self.does(Capability::ParallelBySensor) {
                self.by_sensor(&mut places, &first)?;
            }
        }
        if !self.description.ports.is_empty() {
            self.one_life(&mut places, Life::WithoutPorts)?;
        }
        Ok(())
    }

    /// Opens, feeds all batches, finishes and closes; returns all that came out.
    fn one_life(&mut self, places: &mut StagePlaces, life: Life) -> Tried<Books> {
        let mut instance = self.open_stage()?;
        instance.consumed = life != Life::WithoutPorts;
        for (name, records) in batches::all(&self.environment.dictionary, &self.description.units) {
            self.give(&mut instance, places, name, records)?;
        }
        self.ticked(&mut instance, places)?;
        if life == Life::Full {
            self.state_round_trip(&mut instance.stage, places)?;
        }
        let books = self.ended(instance, places)?;
        self.only_declared_effects(&books)?;
        Ok(books)
    }

    pub(super) fn open_stage(&self) -> Tried<Instance> {
        let (reasons, host) = (self.description.reasons.len(), self.host());
        let stage = StageInstance::open(self.handle, self.settings, host, reasons, now_ns())
            .map_err(|error| self.call_error(&error, "its probe settings"))?;
        let books = Books { ports: vec![Vec::new(); self.description.ports.len()], ..Books::default() };
        Ok(Instance { stage, host, consumed: true, steps: 0, books })
    }

    /// Feeds it a batch.
    pub(super) fn give(
        &mut self,
        instance: &mut Instance,
        places: &mut StagePlaces,
        name: &str,
        records: Vec<Record>,
    ) -> Tried<()> {
        instance.books.came_in.extend_from_slice(&records);
        self.until_done(instance, places, ("process", name), Some(records))?;
        self.balanced(&instance.books, instance.stage.counted().held, name)
    }

    /// Lets time pass, for a stage that ticks.
    pub(super) fn ticked(&mut self, instance: &mut Instance, places: &mut StagePlaces) -> Tried<()> {
        if self.description.tick_every_ns.is_none() {
            return Ok(());
        }
        let with = "no record but the time";
        self.until_done(instance, places, ("tick", with), None)?;
        self.balanced(&instance.books, instance.stage.counted().held, with)
    }

    /// Finishes and closes it.
    pub(super) fn ended(&mut self, mut instance: Instance, places: &mut StagePlaces) -> Tried<Books> {
        let with = "all batches given";
        self.until_done(&mut instance, places, ("finish", with), None)?;
        let Instance { stage, host, books, .. } = instance;
        self.balanced(&books, stage.counted().held, with)?;
        self.nothing_held(&stage)?;
        stage.close(now_ns()).map_err(|error| self.call_error(&error, "an open instance"))?;
        self.joined(&host)?;
        self.stage_left_alone(places, "close", "an open instance")?;
        Ok(books)
    }

    /// One call, and those that it asks for with `more`: all of them at one time, so that two instances are told the
    /// same however often they ask.
    fn until_done(
        &mut self,
        instance: &mut Instance,
        places: &mut StagePlaces,
        (call, with): (&'static str, &str),
        mut input: Option<Vec<Record>>,
    ) -> Tried<()> {
        instance.steps += 1;
        let now = steady_now_ns(instance.steps);
        let Instance { stage, books, consumed, .. } = instance;
        for _ in 0..MORE_MAX {
            self.calls += 1;
            let (processed, given) =
                places.call(*consumed, &mut input, |batch, outputs| match (call, batch) {
                    ("process", Some(batch)) => stage.process(batch, outputs, now),
                    ("tick", _) => stage.tick(outputs, now),
                    _ => stage.finish(outputs, now),
                })?;
            self.stage_left_alone(places, call, with)?;
            let processed = processed.map_err(|error| self.call_error(&error, with))?;
            let counted = stage.counted();
            self.declared(counted, with)?;
            books.created += counted.created;
            books.tallied += counted.tallied();
            let all = std::iter::once(&given.main).chain(&given.ports).chain(&input);
            for records in all {
                self.sound(records, with)?;
            }
            books.bring_out(given);
            if processed == Processed::Done {
                books.main.extend(input.unwrap_or_default());
                return Ok(());
            }
        }
        let found = format!("`{call}` with {with}: it asked for more {MORE_MAX} times without end");
        Err(self.no("endless", found, "`done` at last"))
    }

    fn stage_left_alone(&self, places: &StagePlaces, call: &str, with: &str) -> Tried<()> {
        let touched = places.input.touched().or_else(|| places.outputs.touched());
        touched.map_or(Ok(()), |touched| Err(self.touched(call, with, &touched)))
    }

    /// `in + created = out + dropped or rejected + held`.
    fn balanced(&self, books: &Books, held: u64, with: &str) -> Tried<()> {
        let (came_in, came_out) = (books.came_in.len() as u64, books.came_out());
        let had = came_in + books.created;
        let accounted = came_out + books.tallied + held;
        if had == accounted {
            return Ok(());
        }
        let (created, tallied) = (books.created, books.tallied);
        let found = format!(
            "after {with}: in {came_in} + created {created} is {had}, but out {came_out} + dropped or rejected {tallied} + \
             held {held} is {accounted}"
        );
        Err(self.no("imbalance", found, "every record accounted for: passed on, counted as dropped, or held"))
    }

    fn nothing_held(&self, stage: &StageInstance) -> Tried<()> {
        match stage.counted().held {
            0 => Ok(()),
            held => {
                let found = format!("it still holds {held} records after `finish`");
                Err(self.no("held", found, "nothing held after `finish`: it gives out what is left"))
            }
        }
    }

    /// A snapshot must be taken up by a fresh instance of the same version, with all that was held.
    fn state_round_trip(&mut self, stage: &mut StageInstance, places: &mut StagePlaces) -> Tried<()> {
        let held = stage.counted().held;
        let saved = stage.snapshot().map_err(|error| self.call_error(&error, "what it has seen"))?;
        let Some((version, bytes)) = saved else {
            return Ok(());
        };
        let mut fresh = self.open_stage()?;
        fresh.stage.restore(version, &bytes).map_err(|error| self.call_error(&error, "its own snapshot"))?;
        let with = "its own snapshot restored";
        self.until_done(&mut fresh, places, ("finish", with), None)?;
        let Instance { stage: fresh, host, books, .. } = fresh;
        self.nothing_held(&fresh)?;
        let (had, accounted) = (held + books.created, books.came_out() + books.tallied);
        if had != accounted {
            let found = format!(
                "it held {held} records at its snapshot; restored, it created {} and gave out or dropped {accounted}",
                books.created
            );
            return Err(self.no("state", found, "a snapshot that brings back what was held"));
        }
        fresh.close(now_ns()).map_err(|error| self.call_error(&error, "a restored instance"))?;
        self.joined(&host)
    }

    /// Bit for bit, output by output.
    fn same(&self, first: &Books, second: &Books) -> Tried<()> {
        let outputs = |books: &'_ Books| -> Vec<Vec<[u64; 5]>> {
            books.outputs().map(|(_, records)| records.iter().map(bits).collect()).collect()
        };
        let (first, second) = (outputs(first), outputs(second));
        if first == second {
            return Ok(());
        }
        let names = ["the main output"].into_iter().map(str::to_owned);
        let names = names.chain(self.description.ports.iter().map(|port| format!("port `{port}`")));
        let found = names.zip(first.iter().zip(&second)).find(|(_, (one, two))| one != two).map_or_else(
            || "the same input gave another output the second time".to_owned(),
            |(name, (one, two))| {
                let at = one.iter().zip(two).take_while(|(a, b)| a == b).count();
                format!(
                    "the same input gave another output the second time: {name} differs from record {at} on"
                )
            },
        );
        Err(self.no("nondeterministic", found, "the same output, as `deterministic` says"))
    }

    /// Every record that came out must be one that went in, but for the declared fields, and in the order in which it
    /// went in. A stage that makes records may put anything in those, so nothing can be said of it.
    fn only_declared_effects(&self, books: &Books) -> Tried<()> {
        if self.does(Capability::Creates) {
            return Ok(());
        }
        if self.in_order_and_once(books) {
            return Ok(());
        }
        let mut came_in: HashMap<Kept, u64> = HashMap::new();
        for record in &books.came_in {
            *came_in.entry(self.kept(record, &[])).or_default() += 1;
        }
        for (_, records) in books.outputs() {
            for record in records {
                match came_in.get_mut(&self.kept(record, &[])) {
                    Some(left) if *left > 0 => *left -= 1,
                    _ => return Err(self.undeclared_write(books, record)),
                }
            }
        }
        if self.does(Capability::Reorders) {
            return Ok(());
        }
        for (output, records) in books.outputs() {
            let mut came_in = books.came_in.iter();
            let in_order = records
                .iter()
                .all(|record| came_in.any(|other| self.kept(other, &[]) == self.kept(record, &[])));
            if !in_order {
                let name = output.map_or("the main output", |port| &self.description.ports[port]);
                let found = format!("records come out of {name} in another order than they came in");
                let expected = "the order of the input, or `reorders` declared";
                return Err(self.undeclared(found, expected, &Lack::Capability(Capability::Reorders)));
            }
        }
        Ok(())
    }

    /// Whether each output is a part of the input in its order, and no record went to two of them: true of most
    /// stages, and seen without counting. Where records are alike it may say no of a stage that did nothing wrong.
    fn in_order_and_once(&self, books: &Books) -> bool {
        let came_in: Vec<Kept> = books.came_in.iter().map(|record| self.kept(record, &[])).collect();
        let mut taken = vec![false; came_in.len()];
        books.outputs().all(|(_, records)| {
            let mut next = 0;
            records.iter().all(|record| {
                let kept = self.kept(record, &[]);
                let at = (next..came_in.len()).find(|at| !taken[*at] && came_in[*at] == kept);
                if let Some(at) = at {
                    taken[at] = true;
                    next = at + 1;
                }
                at.is_some()
            })
        })
    }

    fn kept(&self, record: &Record, but: &[Field]) -> Kept {
        let (all, writes) = (bits(record), &self.description.capabilities.writes);
        std::array::from_fn(|at| {
            let field = FIELDS[at];
            (!writes.contains(&field) && !but.contains(&field)).then_some(all[at])
        })
    }

    /// Which fields it wrote, as far as can be told: the fewest without which the record is one that went in.
    fn undeclared_write(&self, books: &Books, record: &Record) -> super::Stop {
        let singles = FIELDS.into_iter().map(|field| vec![field]);
        let pairs = FIELDS
            .into_iter()
            .enumerate()
            .flat_map(|(n, one)| FIELDS[n + 1..].iter().map(move |other| vec![one, *other]));
        let guilty = singles.chain(pairs).find(|fields| {
            let kept = self.kept(record, fields);
            books.came_in.iter().any(|other| self.kept(other, fields) == kept)
        });
        let fields = guilty.unwrap_or_default();
        let names: Vec<String> = fields.iter().map(|field| format!("`{field:?}`").to_lowercase()).collect();
        let found = match names.as_slice() {
            [] => "it gave a record that was not in its input".to_owned(),
            [one] => format!("it wrote the field {one}, which it does not declare"),
            several => format!("it wrote the fields {}, which it does not declare", several.join(" and ")),
        };
        self.undeclared(found, "only the fields that `writes` declares", &Lack::Writes(fields))
    }
}

/// An open instance, and all that came of it.
pub(super) struct Instance {
    stage: StageInstance,
    host: HostHandle,
    /// Whether somebody takes from its ports.
    consumed: bool,
    /// Batches given, ticks and the end: each has a time of its own.
    steps: u32,
    books: Books,
}

/// Memory for a stage's calls.
pub(super) struct StagePlaces {
    input: Places,
    outputs: OutputPlaces,
}

impl StagePlaces {
    /// One call, with batches of its own; `input` is what is left of it.
    fn call<R>(
        &mut self,
        consumed: bool,
        input: &mut Option<Vec<Record>>,
        call: impl FnOnce(Option<&mut cardcage_runtime::Batch>, &mut StageOutputs) -> Result<R, CallError>,
    ) -> Tried<(Result<R, CallError>, Given)> {
        let mut batch = match input {
            Some(records) => Some(self.input.lend(records, Access::Write)?),
            None => None,
        };
        let mut outputs = self.outputs.lend(consumed)?;
        let result = call(batch.as_mut(), &mut outputs);
        *input = batch.map(|batch| self.input.take_back(batch)).transpose()?;
        Ok((result, self.outputs.take_back(outputs)?))
    }
}

/// All that went in and came out of one instance.
#[derive(Default)]
pub(super) struct Books {
    came_in: Vec<Record>,
    main: Vec<Record>,
    ports: Vec<Vec<Record>>,
    created: u64,
    tallied: u64,
}

impl Books {
    fn bring_out(&mut self, given: Given) {
        self.main.extend(given.main);
        for (port, records) in self.ports.iter_mut().zip(given.ports) {
            port.extend(records);
        }
    }

    /// Each output with its port's index.
    pub(super) fn outputs(&self) -> impl Iterator<Item = (Option<usize>, &Vec<Record>)> {
        let ports = self.ports.iter().enumerate().map(|(index, records)| (Some(index), records));
        std::iter::once((None, &self.main)).chain(ports)
    }

    fn came_out(&self) -> u64 {
        self.outputs().map(|(_, records)| records.len() as u64).sum()
    }
}

/// Bits, because NaN is not equal to itself.
#[expect(clippy::cast_sign_loss, reason = "only compared with each other")]
pub(super) fn bits(record: &Record) -> [u64; 5] {
    [
        record.timestamp_ns as u64,
        record.value.to_bits(),
        record.sensor.0.into(),
        record.unit.0.into(),
        record.quality.0.into(),
    ]
}
