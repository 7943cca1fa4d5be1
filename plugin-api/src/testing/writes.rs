//! Whether a stage wrote only the fields that it describes: what comes out is compared with what came in.

use super::Failure;
use crate::describe::Description;
use crate::manifest::{Capability, Field};
use crate::record::Record;
use std::collections::{BTreeSet, HashMap};

const FIELDS: [Field; 5] = [Field::Timestamp, Field::Value, Field::Sensor, Field::Unit, Field::Quality];

/// The records that a stage was given and that may still come out.
#[derive(Default)]
pub(super) struct Originals {
    records: Vec<Record>,
    /// A restored state may hold records that this instance was never given.
    restored: bool,
}

impl Originals {
    /// Takes up an input. What came before it counts only as long as the stage holds records.
    pub(super) fn came_in(&mut self, records: &[Record], held: u64) {
        if held == 0 {
            self.records.clear();
        }
        self.records.extend_from_slice(records);
    }

    /// From now on records may come out that nobody saw come in.
    pub(super) fn unknown_are_held(&mut self) {
        self.restored = true;
    }

    /// Finds each record that came out among those that came in, by the fields that the stage may not write. As many as
    /// were created need not be found.
    pub(super) fn went_out<'a>(
        &mut self,
        given: impl Iterator<Item = &'a Record>,
        created: u64,
        description: &Description,
    ) -> Result<(), Failure> {
        let writes = &description.capabilities.writes;
        let mut places: HashMap<[u64; 5], Vec<usize>> = HashMap::new();
        for (place, record) in self.records.iter().enumerate().rev() {
            places.entry(unwritten(record, writes)).or_default().push(place);
        }
        let mut out = vec![false; self.records.len()];
        let mut strangers = Vec::new();
        for record in given {
            match places.get_mut(&unwritten(record, writes)).and_then(Vec::pop) {
                Some(place) => out[place] = true,
                None => strangers.push(*record),
            }
        }
        let may_be_restored = self.restored && description.capabilities.has(Capability::Holds);
        if strangers.len() as u64 > created && !may_be_restored {
            return Err(self.written(&strangers, writes));
        }
        let mut out = out.into_iter();
        self.records.retain(|_| !out.next().unwrap_or(false));
        Ok(())
    }

    /// Names the field that keeps a record from being one of those that came in.
    fn written(&self, strangers: &[Record], writes: &BTreeSet<Field>) -> Failure {
        let found = strangers.iter().find_map(|stranger| {
            let field = FIELDS.iter().filter(|field| !writes.contains(field)).find(|field| {
                let mut with = writes.clone();
                with.insert(**field);
                let wanted = unwritten(stranger, &with);
                self.records.iter().any(|record| unwritten(record, &with) == wanted)
            });
            field.map(|field| (name(*field), stranger))
        });
        let described = match writes.iter().copied().map(name).collect::<Vec<_>>() {
            names if names.is_empty() => "it names none".to_owned(),
            names => format!("it names {}", names.join(", ")),
        };
        Failure::new(match found {
            Some((field, stranger)) => format!(
                "it wrote {field}, which `describe` does not name with `writes`; {described}; the record is {stranger:?} now"
            ),
            None => format!(
                "{} records came out that did not come in, and were not created, or more than the fields that `describe` \
                 names with `writes` were written; {described}; the first is {:?}",
                strangers.len(),
                strangers.first()
            ),
        })
    }
}

/// A record's bits, with nothing in place of the fields that may be written.
fn unwritten(record: &Record, writes: &BTreeSet<Field>) -> [u64; 5] {
    FIELDS.map(|field| match field {
        _ if writes.contains(&field) => 0,
        Field::Timestamp => record.timestamp_ns.cast_unsigned(),
        // A NaN is equal to itself here.
        Field::Value => record.value.to_bits(),
        Field::Sensor => record.sensor.0.into(),
        Field::Unit => record.unit.0.into(),
        Field::Quality => record.quality.0.into(),
    })
}

fn name(field: Field) -> String {
    format!("`{field:?}`").to_lowercase()
}
