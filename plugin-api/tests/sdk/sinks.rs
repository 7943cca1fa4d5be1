//! Sinks: writing, rejecting, the three answers of a commit.

use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::{Failure, SinkHarness, record};
use std::time::Duration;

/// Refuses NaN; commits odd epochs, asks for time on even ones, gives up at 0 and on the last record at 4.
struct Picky {
    seen: usize,
}

impl Sink for Picky {
    type Settings = NoSettings;
    fn describe(_: &NoSettings) -> Description {
        Description::sink().rejects("not_a_number")
    }
    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self { seen: 0 })
    }
    fn write(&mut self, batch: &Delivery<'_>) -> Result<(), PluginError> {
        let unfit = batch.records().iter().filter(|record| record.value.is_nan()).count();
        batch.reject("not_a_number", unfit as u64);
        self.seen += batch.records().len();
        Ok(())
    }
    fn commit(&mut self, epoch: u64) -> Result<Commit, PluginError> {
        Ok(match epoch {
            0 => Commit::Permanent { why: format!("{} records are lost", self.seen) },
            4 => Commit::Partly { lost: 1, why: "the last one is lost".to_owned() },
            odd if odd % 2 == 1 => Commit::Committed,
            _ => Commit::Retry { after: Duration::from_millis(250), why: "the disk is busy".to_owned() },
        })
    }
    fn close(self) -> Result<(), PluginError> {
        Err(PluginError::new("the last buffer could not be written"))
    }
}

#[test]
fn a_sink_counts_what_it_rejects() -> Result<(), Failure> {
    let mut sink = SinkHarness::<Picky>::open(json!({}))?;
    let written = sink.write(&[1.0, f64::NAN, f64::NAN].map(record))?;
    assert_eq!(written.rejected("not_a_number"), 2);
    assert_eq!(sink.write(&[])?.rejected("not_a_number"), 0);
    Ok(())
}

#[test]
fn a_commit_is_done_put_off_or_given_up_with_its_reason() -> Result<(), Failure> {
    let mut sink = SinkHarness::<Picky>::open(json!({}))?;
    sink.write(&[record(1.0)])?;
    assert_eq!(sink.commit(1)?, Commit::Committed);
    let retry = Commit::Retry { after: Duration::from_millis(250), why: "the disk is busy".to_owned() };
    assert_eq!(sink.commit(2)?, retry);
    let permanent = Commit::Permanent { why: "1 records are lost".to_owned() };
    assert_eq!(sink.commit(0)?, permanent);
    let partly = Commit::Partly { lost: 1, why: "the last one is lost".to_owned() };
    assert_eq!(sink.commit(4)?, partly);
    assert_eq!(sink.commit(0)?, permanent, "how many are lost is told of one commit only");
    assert_eq!(sink.write(&[record(1.0)])?.rejected("not_a_number"), 0);
    Ok(())
}

#[test]
fn an_error_while_closing_is_told() -> Result<(), Failure> {
    let sink = SinkHarness::<Picky>::open(json!({}))?;
    let failure = sink.close().err();
    assert!(failure.is_some_and(|failure| failure.message == "the last buffer could not be written"));
    Ok(())
}
