//! The probe of a stage: what goes in must come out, be counted, or be held.

#![forbid(unsafe_code)]

use super::{PROBE_RECORDS, Trial, batches};
use crate::loader::refusal::Climbed;
use cardcage_plugin_api::manifest::{Capability, Field};
use cardcage_plugin_api::record::Record;
use cardcage_runtime::{Batch, Processed, StageInstance, StageOutputs, now_ns};
use std::collections::HashMap;

/// Calls with the same input before a stage that always wants more is refused: far above what any output needs.
const MORE_MAX: u32 = 1_000;

/// The fields of a record as bits; those that the stage may write are left out.
type Kept = [Option<u64>; 5];

const FIELDS: [Field; 5] = [Field::Timestamp, Field::Value, Field::Sensor, Field::Unit, Field::Quality];

impl Trial<'_> {
    pub(super) fn stage(&mut self) -> Climbed<()> {
        let first = self.one_life()?;
        if self.does(Capability::Deterministic) && self.one_life()? != first {
            return Err(self.no(
                "nondeterministic",
                "the same input gave another output the second time",
                "the same output, as `deterministic` says",
            ));
        }
        Ok(())
    }

    /// Opens, feeds all batches, finishes and closes; returns all that came out.
    fn one_life(&mut self) -> Climbed<Vec<[u64; 5]>> {
        let mut stage = self.open_stage()?;
        let mut outputs = StageOutputs {
            main: Batch::new(PROBE_RECORDS),
            ports: self.description.ports.iter().map(|_| Some(Batch::new(PROBE_RECORDS))).collect(),
        };
        let mut books = Books::default();
        for (name, records) in batches::all(&self.environment.dictionary) {
            let mut batch = batches::batch(&records, PROBE_RECORDS);
            books.take_in(&records);
            self.until_done(&mut stage, &mut outputs, &mut books, name, |stage, outputs| {
                stage.process(&mut batch, outputs, now_ns())
            })?;
            books.bring_out(batch.records());
            self.balanced(&books, stage.counted().held, name)?;
        }
        if self.description.tick_every_ns.is_some() {
            self.until_done(&mut stage, &mut outputs, &mut books, "a tick", |stage, outputs| {
                stage.tick(outputs, now_ns())
            })?;
            self.balanced(&books, stage.counted().held, "a tick")?;
        }
        self.state_round_trip(&mut stage)?;
        self.until_done(&mut stage, &mut outputs, &mut books, "the end", |stage, outputs| {
            stage.finish(outputs, now_ns())
        })?;
        self.balanced(&books, stage.counted().held, "the end")?;
        if stage.counted().held > 0 {
            let found = format!("it still holds {} records after `finish`", stage.counted().held);
            return Err(self.no("held", found, "nothing held after `finish`"));
        }
        self.only_declared_fields(&books)?;
        stage.close(now_ns()).map_err(|error| self.call_error(&error, "an open instance"))?;
        Ok(books.came_out.iter().map(bits).collect())
    }

    fn open_stage(&self) -> Climbed<StageInstance> {
        let reasons = self.description.reasons.len();
        StageInstance::open(self.handle, self.settings, self.host(), reasons, now_ns())
            .map_err(|error| self.call_error(&error, "its probe settings"))
    }

    fn until_done(
        &mut self,
        stage: &mut StageInstance,
        outputs: &mut StageOutputs,
        books: &mut Books,
        with: &str,
        mut call: impl FnMut(
            &mut StageInstance,
            &mut StageOutputs,
        ) -> Result<Processed, cardcage_runtime::CallError>,
    ) -> Climbed<()> {
        for _ in 0..MORE_MAX {
            self.calls += 1;
            let processed = call(stage, outputs).map_err(|error| self.call_error(&error, with))?;
            let counted = stage.counted();
            self.declared(counted, with)?;
            books.created += counted.created;
            books.tallied += counted.tallied();
            for batch in std::iter::once(&mut outputs.main).chain(outputs.ports.iter_mut().flatten()) {
                books.bring_out(batch.records());
                batch.clear();
            }
            if processed == Processed::Done {
                return Ok(());
            }
        }
        let found = format!("with {with}: it asked for more {MORE_MAX} times without end");
        Err(self.no("endless", found, "`done` at last"))
    }

    /// `in + created = out + dropped or rejected + held`.
    fn balanced(&self, books: &Books, held: u64, with: &str) -> Climbed<()> {
        let had = books.came_in.len() as u64 + books.created;
        let accounted = books.came_out.len() as u64 + books.tallied + held;
        if had == accounted {
            return Ok(());
        }
        let found = format!(
            "after {with}: in {} + created {} is {had}, but out {} + dropped or rejected {} + held {held} is {accounted}",
            books.came_in.len(),
            books.created,
            books.came_out.len(),
            books.tallied,
        );
        Err(self.no("imbalance", found, "every record accounted for"))
    }

    /// A snapshot must be taken up by a fresh instance of the same version.
    fn state_round_trip(&self, stage: &mut StageInstance) -> Climbed<()> {
        let saved = stage.snapshot().map_err(|error| self.call_error(&error, "what it has seen"))?;
        let Some((version, bytes)) = saved else {
            return Ok(());
        };
        let mut fresh = self.open_stage()?;
        fresh.restore(version, &bytes).map_err(|error| self.call_error(&error, "its own snapshot"))?;
        fresh.close(now_ns()).map_err(|error| self.call_error(&error, "a restored instance"))
    }

    /// Every record that came out must be one that went in, but for the declared fields. A stage that makes records
    /// may put anything in those, so nothing can be said of it.
    fn only_declared_fields(&self, books: &Books) -> Climbed<()> {
        if self.does(Capability::Creates) {
            return Ok(());
        }
        let writes = &self.description.capabilities.writes;
        let kept = |record: &Record, but: Option<Field>| -> Kept {
            let all = bits(record);
            std::array::from_fn(|at| {
                let field = FIELDS[at];
                (!writes.contains(&field) && Some(field) != but).then_some(all[at])
            })
        };
        let mut came_in: HashMap<Kept, u64> = HashMap::new();
        for record in &books.came_in {
            *came_in.entry(kept(record, None)).or_default() += 1;
        }
        for record in &books.came_out {
            match came_in.get_mut(&kept(record, None)) {
                Some(left) if *left > 0 => *left -= 1,
                _ => {
                    let guilty = FIELDS.into_iter().find(|field| {
                        books
                            .came_in
                            .iter()
                            .any(|other| kept(other, Some(*field)) == kept(record, Some(*field)))
                    });
                    let what = guilty.map_or_else(
                        || "it gave a record that was not in its input".to_owned(),
                        |field| format!("it wrote the field `{field:?}`").to_lowercase(),
                    );
                    return Err(self.no("undeclared", what, "only the fields that `writes` declares"));
                }
            }
        }
        Ok(())
    }
}

/// All that went in and came out of one instance.
#[derive(Default)]
struct Books {
    came_in: Vec<Record>,
    came_out: Vec<Record>,
    created: u64,
    tallied: u64,
}

impl Books {
    fn take_in(&mut self, records: &[Record]) {
        self.came_in.extend_from_slice(records);
    }

    fn bring_out(&mut self, records: &[Record]) {
        self.came_out.extend_from_slice(records);
    }
}

/// Bits, because NaN is not equal to itself.
#[expect(clippy::cast_sign_loss, reason = "only compared with each other")]
fn bits(record: &Record) -> [u64; 5] {
    [
        record.timestamp_ns as u64,
        record.value.to_bits(),
        record.sensor.0.into(),
        record.unit.0.into(),
        record.quality.0.into(),
    ]
}
