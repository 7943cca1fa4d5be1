//! Stages: ports, several outputs for one input, holding, ticking, finishing, state.

use cardcage_plugin_api::abi::Outcome;
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::{Failure, START_NS, StageHarness, record};
use std::time::Duration;

fn values(records: &[Record]) -> Vec<f64> {
    records.iter().map(|record| record.value).collect()
}

/// Gives negative readings to one port and large ones to another.
struct Split;

impl Stage for Split {
    type Settings = NoSettings;
    fn describe(_: &NoSettings) -> Description {
        Description::stage().drops("negative").drops("large").port("negatives").port("larges")
    }
    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self)
    }
    fn process(&mut self, batch: &mut Batch<'_>, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        batch.retain_or(out.port("negatives"), "negative", |record| record.value >= 0.0);
        batch.retain_or(out.port("larges"), "large", |record| record.value <= 9.0);
        Ok(Flow::Done)
    }
}

#[test]
fn each_port_gets_its_records_in_order() -> Result<(), Failure> {
    let mut stage = StageHarness::<Split>::open(json!({}))?;
    let out = stage.process(&[-1.0, 10.0, 1.0, -2.0, 11.0].map(record))?;
    assert_eq!(values(&out.main), [1.0]);
    assert_eq!(values(out.port("negatives")), [-1.0, -2.0]);
    assert_eq!(values(out.port("larges")), [10.0, 11.0]);
    assert_eq!((out.dropped("negative"), out.dropped("large")), (0, 0));
    Ok(())
}

#[test]
fn a_port_without_a_consumer_drops_and_the_other_still_gives() -> Result<(), Failure> {
    let mut stage = StageHarness::<Split>::open(json!({}))?.without_consumer("negatives");
    let out = stage.process(&[-1.0, 10.0, 1.0].map(record))?;
    assert_eq!(out.dropped("negative"), 1);
    assert_eq!(values(out.port("larges")), [10.0]);
    assert!(out.ports.iter().all(|(name, _)| name != "negatives"));
    Ok(())
}

/// Makes every record three, as far as there is room; says `More` until all are through.
struct Triple {
    given: usize,
}

impl Stage for Triple {
    type Settings = NoSettings;
    fn describe(_: &NoSettings) -> Description {
        Description::stage().does(Capability::Creates)
    }
    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self { given: 0 })
    }
    fn process(&mut self, batch: &mut Batch<'_>, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        while let Some(record) = batch.records().get(self.given).copied() {
            if out.remaining() < 2 {
                return Ok(Flow::More);
            }
            out.create(record);
            out.create(record);
            self.given += 1;
        }
        self.given = 0;
        Ok(Flow::Done)
    }
}

#[test]
fn more_goes_on_until_the_whole_input_is_through() -> Result<(), Failure> {
    let mut stage = StageHarness::<Triple>::open(json!({}))?.with_capacity(5);
    let out = stage.process(&[1.0, 2.0, 3.0, 4.0, 5.0].map(record))?;
    // Two copies of each, two records at a time, then the input itself.
    assert_eq!(
        values(&out.main),
        [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    );
    assert_eq!((out.created, out.calls), (10, 3));
    Ok(())
}

/// Holds what comes in, lets it go after a second or at the end; the newest survives a restart.
struct Hold {
    records: Vec<Record>,
}

impl Stage for Hold {
    type Settings = NoSettings;
    fn describe(_: &NoSettings) -> Description {
        Description::stage()
            .does(Capability::Holds)
            .does(Capability::State)
            .drops("restored")
            .tick_every(Duration::from_secs(1))
    }
    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self { records: Vec::new() })
    }
    fn process(&mut self, batch: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        self.records.extend(batch.take_all());
        Ok(Flow::Done)
    }
    fn tick(&mut self, now_ns: i64, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        self.records.retain(|record| now_ns - record.timestamp_ns < 1_000_000_000 || !out.forward(*record));
        Ok(Flow::Done)
    }
    fn finish(&mut self, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        while let Some(record) = self.records.first().copied() {
            if !out.forward(record) {
                return Ok(Flow::More);
            }
            self.records.remove(0);
        }
        Ok(Flow::Done)
    }
    fn held(&self) -> u64 {
        self.records.len() as u64
    }
}

impl State for Hold {
    const VERSION: u32 = 3;
    fn snapshot(&mut self, version: u32) -> Result<Vec<u8>, PluginError> {
        Ok(format!("{version}:{}", self.records.len()).into_bytes())
    }
    fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), PluginError> {
        let text = std::str::from_utf8(state)?;
        let count: u32 = text
            .strip_prefix(&format!("{version}:"))
            .ok_or_else(|| PluginError::new(format!("`{text}` is no state of version {version}")))?
            .parse()?;
        self.records = (0..count).map(|value| record(f64::from(value))).collect();
        Ok(())
    }
}

#[test]
fn held_records_stay_in_the_books_until_a_tick_or_the_end_lets_them_go() -> Result<(), Failure> {
    let mut stage = StageHarness::<Hold>::open(json!({}))?.with_capacity(2);
    let out = stage.process(&[1.0, 2.0].map(record))?;
    assert_eq!((out.main.len(), out.held), (0, 2));
    assert_eq!(stage.tick()?.held, 2, "no time passed");

    stage.host().advance(Duration::from_secs(1));
    let out = stage.tick()?;
    assert_eq!((values(&out.main), out.held), (vec![1.0, 2.0], 0));

    stage.process(&[3.0, 4.0, 5.0].map(record))?;
    let out = stage.finish()?;
    assert_eq!((values(&out.main), out.held, out.calls), (vec![3.0, 4.0, 5.0], 0, 2));
    Ok(())
}

#[test]
fn the_tick_interval_is_described() -> Result<(), Failure> {
    let description = StageHarness::<Hold>::describe(json!({}))?;
    assert_eq!(description.tick_every_ns, Some(1_000_000_000));
    assert!(description.capabilities.has(Capability::Ticks));
    Ok(())
}

#[test]
fn state_goes_through_its_group_with_its_version() -> Result<(), Failure> {
    let mut first = StageHarness::<Hold>::open(json!({}))?;
    first.process(&[record(0.0), record(1.0)])?;
    let (version, saved) = first.snapshot()?;
    assert_eq!((version, saved.as_slice()), (3, b"3:2".as_slice()));

    let mut second = StageHarness::<Hold>::open(json!({}))?;
    second.restore(version, &saved)?;
    assert!(second.restore(2, &saved).is_err_and(|failure| failure.message.contains("version 2")));
    Ok(())
}

/// Sees what a call lends.
struct Look;

impl Stage for Look {
    type Settings = NoSettings;
    fn describe(_: &NoSettings) -> Description {
        Description::stage()
    }
    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self)
    }
    fn process(&mut self, batch: &mut Batch<'_>, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        let seen = (batch.now_ns(), out.now_ns(), batch.len(), batch.capacity(), batch.remaining());
        if seen != (START_NS, START_NS, 3, 5, 2) {
            return Err(PluginError::new(format!("{seen:?}")));
        }
        if batch.push(batch.records()[0]) && batch.push(batch.records()[1]) && !batch.push(batch.records()[2])
        {
            // Full at five; back to three, or the books would not balance.
            batch.truncate(3);
            return Ok(Flow::Done);
        }
        Err(PluginError::new("five records are to fit, and no sixth"))
    }
}

#[test]
fn a_call_lends_the_clock_and_a_batch_of_its_capacity() -> Result<(), Failure> {
    let mut stage = StageHarness::<Look>::open(json!({}))?.with_capacity(5);
    assert_eq!(stage.process(&[1.0, 2.0, 3.0].map(record))?.main.len(), 3);
    Ok(())
}

#[test]
fn a_component_without_settings_takes_none_and_its_schema_says_so() -> Result<(), Failure> {
    let failure = StageHarness::<Look>::open(json!({ "x": 1 })).err();
    assert!(failure.is_some_and(|failure| {
        failure.outcome == Outcome::FAILED && failure.message.contains("unknown field `x`")
    }));
    assert_eq!(StageHarness::<Look>::schema()?["additionalProperties"], json!(false));
    Ok(())
}
