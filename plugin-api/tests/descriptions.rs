//! What a stage does must be what it describes: ports, reasons, fields, and the kind of its metrics.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{Failure, StageHarness, TestHost, record};

/// Does one thing that it may not have described.
struct Does {
    settings: DoesSettings,
    held: Vec<Record>,
}

#[settings]
struct DoesSettings {
    what: What,
    #[serde(default)]
    says_so: bool,
}

#[settings]
#[derive(Clone, Copy, PartialEq)]
enum What {
    Port,
    Reason,
    Unit,
    ValueOfHeld,
    Create,
    AskForCounter,
    AskForGauge,
}

impl Stage for Does {
    type Settings = DoesSettings;
    fn describe(settings: &DoesSettings) -> Description {
        let described = Description::stage().drops("high").drops("low").port("highs");
        let described =
            if settings.what == What::ValueOfHeld { described.does(Capability::Holds) } else { described };
        if settings.says_so { described.writes(Field::Unit).writes(Field::Value) } else { described }
    }
    fn open(settings: DoesSettings, host: &Host) -> Result<Self, PluginError> {
        let counter = if settings.what == What::AskForCounter { host.counter("level") } else { None };
        let gauge = if settings.what == What::AskForGauge { host.gauge("total") } else { None };
        assert!(counter.is_none() && gauge.is_none(), "they are of the other kind");
        Ok(Self { settings, held: Vec::new() })
    }
    fn process(&mut self, batch: &mut Batch<'_>, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        match self.settings.what {
            What::Port => batch.retain_or(out.port("hihgs"), "high", |_| true),
            What::Reason => batch.retain_or(out.port("highs"), "hihg", |record| record.value < 1.0),
            What::Unit => batch.records_mut().iter_mut().for_each(|record| record.unit = UnitId(1)),
            What::ValueOfHeld => self.held.extend(batch.take_all()),
            What::Create => _ = out.create(record(0.0)),
            What::AskForCounter | What::AskForGauge => {}
        }
        Ok(Flow::Done)
    }
    fn finish(&mut self, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        for mut record in self.held.drain(..) {
            record.value += 1.0;
            out.forward(record);
        }
        Ok(Flow::Done)
    }
    fn held(&self) -> u64 {
        self.held.len() as u64
    }
}

export_plugin! {
    name: "does",
    description: "does what it does not describe",
    components: [stage Does {
        drops, creates, holds, writes: [timestamp, value, sensor, unit, quality],
        metrics: [
            counter "total" { unit: "1", help: "never falls" },
            gauge "level" { unit: "1", help: "goes up and down" },
        ],
    }],
    probe: none("does not keep its contract"),
}

fn stage(settings: Value) -> Result<StageHarness<Does>, Failure> {
    StageHarness::open_on(TestHost::of::<CardcagePlugin>("does"), settings)
}

fn failure(what: &str) -> String {
    let result = stage(json!({ "what": what })).and_then(|mut stage| {
        stage.process(&[record(0.0), record(5.0)])?;
        stage.finish()
    });
    result.expect_err("it does what it does not describe").message
}

#[test]
fn a_port_that_was_not_described_fails_the_call_even_when_nothing_goes_there() {
    assert_eq!(
        failure("port"),
        "it asked for port `hihgs`, which `describe` does not name; it names `highs`"
    );
}

#[test]
fn a_reason_that_was_not_described_is_found_although_the_port_takes_all() -> Result<(), Failure> {
    let wanted = "it counts for `hihg`, which `describe` does not name; it names `high`, `low`";
    assert_eq!(failure("reason"), format!("{wanted} (0 records)"));
    let mut unconnected = stage(json!({ "what": "reason" }))?.without_consumer("highs");
    let failure = unconnected.process(&[record(5.0)]).expect_err("it is found");
    assert_eq!(failure.message, format!("{wanted} (1 records)"));
    Ok(())
}

#[test]
fn a_field_that_was_not_described_is_named() -> Result<(), Failure> {
    let message = failure("unit");
    assert!(
        message.starts_with("it wrote `unit`, which `describe` does not name with `writes`; it names none"),
        "{message}"
    );
    let mut described = stage(json!({ "what": "unit", "says_so": true }))?;
    assert_eq!(described.process(&[record(1.0)])?.main[0].unit, UnitId(1));
    Ok(())
}

#[test]
fn records_that_were_held_are_compared_when_they_come_out() -> Result<(), Failure> {
    assert!(failure("value_of_held").starts_with("it wrote `value`"));
    let mut described = stage(json!({ "what": "value_of_held", "says_so": true }))?;
    described.process(&[record(1.0)])?;
    described.process(&[record(2.0)])?;
    assert_eq!(described.finish()?.main, [record(2.0), record(3.0)]);
    Ok(())
}

#[test]
fn records_are_created_only_by_those_who_say_so() {
    assert_eq!(failure("create"), "1 records were created, and `describe` does not say `creates`");
}

#[test]
fn asking_for_a_metric_as_another_kind_is_named() {
    let message = failure("ask_for_counter");
    assert_eq!(
        message,
        "the manifest declares `level` as a gauge, and the code asks `host.counter(…)` for it"
    );
    assert!(failure("ask_for_gauge").starts_with("the manifest declares `total` as a counter"));
}

#[test]
fn a_consumer_of_no_port_cannot_be_taken_away() -> Result<(), Failure> {
    let mut typo = stage(json!({ "what": "reason" }))?.without_consumer("hihgs");
    let failure = typo.process(&[]).expect_err("there is no such port");
    assert!(failure.message.contains("`hihgs`") && failure.message.contains("highs"), "{failure}");
    Ok(())
}
