//! Gives the rate of change of each sensor, as an author would write it, and does one thing wrong where it has two
//! readings of one sensor. As it is built it does nothing wrong; a test writes a fault's name into the file.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What this file does wrong.
#[used]
static FAULT: [u8; 37] = *b"fault: none                          ";

/// Longer gaps give no rate.
const GAP_NS: i64 = 60_000_000_000;

/// How many instances there were: what a component that is not deterministic looks at.
static OPENED: AtomicU64 = AtomicU64::new(0);

fn fault() -> String {
    // Read as it is in the file, not as the compiler knows it.
    let text = String::from_utf8_lossy(std::hint::black_box(&FAULT)).into_owned();
    text.trim_start_matches("fault: ").trim_end().to_owned()
}

/// The stage.
pub struct Rate {
    fault: String,
    instance: u64,
    last: HashMap<SensorId, Record>,
    held: Vec<Record>,
}

impl Stage for Rate {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        let fault = fault();
        let mut description =
            Description::stage().does(Capability::Deterministic).does(Capability::State).port("gaps");
        if fault != "writes-value" && fault != "writes-both" {
            description = description.writes(Field::Value);
        }
        if fault != "writes-unit" && fault != "writes-both" {
            description = description.writes(Field::Unit);
        }
        match fault.as_str() {
            "holds-for-ever" | "forgets-what-it-held" => {
                description.drops("gap").does(Capability::Holds).does(Capability::Creates)
            }
            "reason-of-a-port" => description.drops("other"),
            _ => description.drops("gap"),
        }
    }

    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        let instance = OPENED.fetch_add(1, Ordering::Relaxed);
        Ok(Self { fault: fault(), instance, last: HashMap::new(), held: Vec::new() })
    }

    fn process(&mut self, batch: &mut Batch<'_>, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        if self.fault == "holds-for-ever" || self.fault == "forgets-what-it-held" {
            self.held.extend(batch.take_all());
            return Ok(Flow::Done);
        }
        let port = if self.fault == "port-misspelt" { "gasp" } else { "gaps" };
        let (fault, last, instance) = (self.fault.as_str(), &mut self.last, self.instance);
        batch.sort_out(out, |record| {
            let before = last.insert(record.sensor, *record).filter(|before| before.unit == record.unit);
            let Some(before) = before else { return Fate::Keep };
            let elapsed_ns = record.timestamp_ns.saturating_sub(before.timestamp_ns);
            if record.value.is_nan() {
                assert!(fault != "panics-at-a-later-nan", "a rate of NaN");
                return Fate::Divert { port, reason: "gap" };
            }
            if elapsed_ns == 0 {
                assert!(fault != "panics-at-equal-times", "no time between two readings");
            }
            if elapsed_ns < 0 && record.timestamp_ns > 0 && before.timestamp_ns < i64::MAX - 1 {
                assert!(fault != "panics-back-in-time", "time goes back");
            }
            if elapsed_ns <= 0 || elapsed_ns > GAP_NS {
                return Fate::Divert { port, reason: "gap" };
            }
            if elapsed_ns >= 1_000_000_000 && record.unit != UnitId::default() {
                assert!(fault != "panics-at-the-second-reading", "the main path");
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a rate needs no more than 53 bits of its time"
                )]
                let seconds = elapsed_ns as f64 / 1e9;
                record.value = (record.value - before.value) / seconds;
                record.unit = UnitId::default();
                if fault == "differs" {
                    #[expect(clippy::cast_precision_loss, reason = "a few instances")]
                    let instance = instance as f64;
                    record.value += instance;
                }
            }
            Fate::Keep
        });
        Ok(Flow::Done)
    }

    fn finish(&mut self, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        if self.fault == "forgets-what-it-held" {
            let given = self.held.iter().take_while(|record| out.forward(**record)).count();
            self.held.drain(..given);
        }
        Ok(if self.held.is_empty() || self.fault == "holds-for-ever" { Flow::Done } else { Flow::More })
    }

    fn held(&self) -> u64 {
        self.held.len() as u64
    }
}

impl State for Rate {
    const VERSION: u32 = 1;

    fn snapshot(&mut self, _: u32) -> Result<Vec<u8>, PluginError> {
        // What it needs only for a rate may be forgotten; what it holds may not.
        Ok(self.held.iter().flat_map(|record| record.value.to_le_bytes()).collect())
    }

    fn restore(&mut self, _: u32, state: &[u8]) -> Result<(), PluginError> {
        if self.fault != "forgets-what-it-held" {
            for value in state.chunks_exact(8) {
                self.held.push(Record { value: f64::from_le_bytes(value.try_into()?), ..Record::default() });
            }
        }
        Ok(())
    }
}

export_plugin! {
    name: "faulty-rate",
    components: [stage Rate { drops, creates, holds, deterministic, state, writes: [value, unit] }],
    probe: {},
}
