//! What goes wrong in a component stays a message for the host.

use cardcage_plugin_api::abi::{MESSAGE_MAX, Outcome};
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::{Failure, StageHarness, record};
use cardcage_plugin_api::{serde_json, tracing};

/// Does what its settings say.
struct Faulty {
    fault: Fault,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "fault", rename_all = "snake_case")]
enum Fault {
    Panic { message: String },
    PanicWithNumber,
    PanicInDrop,
    Error { message: String },
    Undeclared,
    LoseOne,
    MoreForever,
    OpenFails,
    DescribePanics,
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("in the payload's drop");
    }
}

impl Stage for Faulty {
    type Settings = Fault;
    fn describe(settings: &Fault) -> Description {
        assert!(!matches!(settings, Fault::DescribePanics), "while describing");
        Description::stage().drops("declared")
    }
    fn open(fault: Fault, _: &Host) -> Result<Self, PluginError> {
        if matches!(fault, Fault::OpenFails) {
            let cause = serde_json::from_str::<u8>("x").map(drop);
            cause.map_err(|error| PluginError::from(error).context("calibration"))?;
        }
        Ok(Self { fault })
    }
    fn process(&mut self, batch: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        match &self.fault {
            Fault::Panic { message } => panic!("{message}"),
            Fault::PanicWithNumber => std::panic::panic_any(7),
            Fault::PanicInDrop => std::panic::panic_any(PanicsInDrop),
            Fault::Error { message } => Err(PluginError::new(message.clone())),
            Fault::Undeclared => {
                batch.retain("never described", |_| false);
                Ok(Flow::Done)
            }
            Fault::LoseOne => {
                batch.truncate(batch.len() - 1);
                Ok(Flow::Done)
            }
            Fault::MoreForever => Ok(Flow::More),
            Fault::OpenFails | Fault::DescribePanics => Ok(Flow::Done),
        }
    }
}

fn failure(settings: serde_json::Value) -> Result<Failure, Failure> {
    let mut stage = StageHarness::<Faulty>::open(settings)?;
    match stage.process(&[record(1.0), record(2.0)]) {
        Err(failure) => Ok(failure),
        Ok(out) => {
            Err(Failure { outcome: Outcome::OK, message: format!("a failure was expected, not {out:?}") })
        }
    }
}

#[test]
fn a_panic_becomes_an_outcome_with_its_message_and_place() -> Result<(), Failure> {
    let failure = failure(json!({ "fault": "panic", "message": "index 9 of 3" }))?;
    assert!(failure.panicked());
    assert!(failure.message.starts_with("index 9 of 3 at "), "{failure}");
    assert!(failure.message.contains("sdk/faults.rs:"), "{failure}");
    Ok(())
}

#[test]
fn panics_with_odd_payloads_are_caught_too() -> Result<(), Failure> {
    for fault in ["panic_with_number", "panic_in_drop"] {
        let failure = failure(json!({ "fault": fault }))?;
        assert!(failure.panicked());
        assert!(failure.message.starts_with("a panic without a message at "), "{failure}");
    }
    Ok(())
}

#[test]
fn after_a_panic_an_instance_is_only_closed() -> Result<(), Failure> {
    let mut stage = StageHarness::<Faulty>::open(json!({ "fault": "panic", "message": "once" }))?;
    assert!(stage.process(&[]).is_err_and(|failure| failure.panicked()));
    let again = stage.process(&[]).err();
    assert!(again.is_some_and(|failure| failure.message.contains("may only be closed")));
    stage.close()
}

/// A panic's place is kept for the call that it belongs to, not for the next one on the thread.
#[test]
fn an_error_after_a_panic_on_the_same_thread_has_its_own_message() -> Result<(), Failure> {
    failure(json!({ "fault": "panic", "message": "first" }))?;
    let error = failure(json!({ "fault": "error", "message": "second" }))?;
    assert_eq!((error.outcome, error.message.as_str()), (Outcome::FAILED, "second"));
    Ok(())
}

#[test]
fn a_message_is_cut_at_4_kib_between_two_characters() -> Result<(), Failure> {
    // Three bytes each, and 4096 is no multiple of three.
    let failure = failure(json!({ "fault": "error", "message": "€".repeat(3000) }))?;
    assert_eq!(failure.message.len(), MESSAGE_MAX - 1);
    assert!(failure.message.chars().all(|c| c == '€'));
    Ok(())
}

#[test]
fn a_reason_that_was_not_described_fails_the_call_with_those_that_were() -> Result<(), Failure> {
    let failure = failure(json!({ "fault": "undeclared" }))?;
    assert_eq!(
        failure.message,
        "it counts for `never described`, which `describe` does not name; it names `declared` (2 records)"
    );
    Ok(())
}

#[test]
fn a_record_that_just_vanishes_unbalances_the_books() -> Result<(), Failure> {
    let failure = failure(json!({ "fault": "lose_one" }))?;
    assert!(failure.message.contains("the books don't balance"), "{failure}");
    assert!(failure.message.contains("2 in"), "{failure}");
    Ok(())
}

#[test]
fn a_stage_that_never_gets_done_is_found() -> Result<(), Failure> {
    let failure = failure(json!({ "fault": "more_forever" }))?;
    assert!(failure.message.contains("`More`"), "{failure}");
    Ok(())
}

#[test]
fn an_error_in_open_keeps_its_causes() {
    let failure = StageHarness::<Faulty>::open(json!({ "fault": "open_fails" })).err();
    assert!(failure.is_some_and(|failure| failure.message.starts_with("calibration: expected value")));
}

#[test]
fn a_panic_in_describe_is_a_failure_of_describe() {
    let failure = StageHarness::<Faulty>::describe(json!({ "fault": "describe_panics" })).err();
    assert!(
        failure.is_some_and(|failure| failure.panicked() && failure.message.contains("while describing"))
    );
}

#[test]
fn settings_that_do_not_fit_are_refused_without_a_line_number() {
    let failure = StageHarness::<Faulty>::describe(json!({ "fault": "error", "message": 5 })).err();
    let message = failure.map(|failure| failure.message).unwrap_or_default();
    assert!(message.contains("invalid type: integer `5`, expected a string"), "{message}");
    assert!(!message.contains("line"), "{message}");
}

/// A span or an event while nothing is open must not fail either: libraries log from their own threads.
#[test]
fn events_outside_of_any_call_are_harmless() {
    let _open = tracing::info_span!("outside").entered();
    tracing::info!("nobody asked");
}
