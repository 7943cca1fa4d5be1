//! A stage in its lane: one call, and whether its own numbers explain what it did.

use crate::batch::Batch;
use crate::clock::{monotonic_ns, now_ns};
use crate::edge::Sender;
use crate::instance::{CallError, FailureKind, Processed, StageInstance, StageOutputs};
use crate::slot::{Abandoned, Slot};
use cardcage_core::ledger::Call;
use cardcage_plugin_api::manifest::Capability;
use std::time::Duration;

/// A stage with the outputs it can give records to.
pub(crate) struct StageSlot {
    pub(crate) slot: Slot<StageInstance>,
    pub(crate) outputs: StageOutputs,
    /// The consumers of each port.
    pub(crate) port_senders: Vec<Vec<Sender>>,
    pub(crate) tick_every_ns: Option<i64>,
    /// When (monotonic).
    pub(crate) next_tick_ns: i64,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The input, as it is now, and the outputs go on.
    Done,
    /// The outputs go on, then the same input again.
    More,
    /// The input is lost (and counted so); there are no outputs.
    Lost,
}

impl StageSlot {
    /// Lets the stage change `batch`.
    pub(crate) fn process(&mut self, batch: &mut Batch) -> Result<Step, Abandoned> {
        let records = batch.len();
        let Some(instance) = &mut self.slot.instance else {
            self.slot.lose(records, None);
            return Ok(Step::Lost);
        };
        let copy = self.slot.dead_letter.as_ref().map(|_| self.slot.context.pool.copy(batch));
        let now = now_ns();
        self.slot.context.watch.begin(self.slot.node, "process", 0);
        let processed = instance.process(batch, &mut self.outputs, now);
        self.slot.end()?;
        match progress("process", processed, &self.outputs, batch.len() != records) {
            Ok(processed) => {
                self.balance(u64::from(records), u64::from(batch.len()));
                if let Some(copy) = copy {
                    self.slot.context.pool.give(copy);
                }
                Ok(step(processed))
            }
            Err(error) => {
                self.slot.lose(records, copy);
                self.fail(error)
            }
        }
    }

    /// Lets the stage know that time passed, if it asked for that and its time has come.
    pub(crate) fn tick(&mut self) -> Result<Option<Step>, Abandoned> {
        let Some(every) = self.tick_every_ns else {
            return Ok(None);
        };
        if self.tick_left() > Duration::ZERO {
            return Ok(None);
        }
        let now = now_ns();
        let Some(instance) = &mut self.slot.instance else {
            return Ok(None);
        };
        self.slot.context.watch.begin(self.slot.node, "tick", 0);
        let ticked = instance.tick(&mut self.outputs, now);
        self.slot.end()?;
        let step = self.without_input("tick", ticked)?;
        if step != Step::More {
            self.next_tick_ns = monotonic_ns().saturating_add(every);
        }
        Ok(Some(step))
    }

    /// How long until the next tick; for ever, if there will be none.
    pub(crate) fn tick_left(&self) -> Duration {
        if self.tick_every_ns.is_none() || self.slot.instance.is_none() {
            return Duration::MAX;
        }
        Duration::from_nanos(u64::try_from(self.next_tick_ns.saturating_sub(monotonic_ns())).unwrap_or(0))
    }

    /// Asks the stage for what it still holds.
    pub(crate) fn finish(&mut self) -> Result<Step, Abandoned> {
        let now = now_ns();
        let Some(instance) = &mut self.slot.instance else {
            return Ok(Step::Lost);
        };
        self.slot.context.watch.begin(self.slot.node, "finish", 0);
        let finished = instance.finish(&mut self.outputs, now);
        self.slot.end()?;
        self.without_input("finish", finished)
    }

    fn without_input(
        &mut self,
        call: &'static str,
        called: Result<Processed, CallError>,
    ) -> Result<Step, Abandoned> {
        match progress(call, called, &self.outputs, false) {
            Ok(processed) => {
                self.balance(0, 0);
                Ok(step(processed))
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: CallError) -> Result<Step, Abandoned> {
        // What an instance holds goes with it.
        self.slot.lose_held();
        self.slot.recover(error)?;
        Ok(Step::Lost)
    }

    /// Counts what a call did, and what of it the component's own numbers do not explain.
    fn balance(&mut self, before: u64, after: u64) {
        let Some(instance) = &self.slot.instance else {
            return;
        };
        let counted = instance.counted();
        let declared = &self.slot.opener.handle.manifest().capabilities;
        let counters = &self.slot.counters;
        let call = Call {
            before,
            held_before: counters.held(),
            created: if declared.has(Capability::Creates) { counted.created } else { 0 },
            after,
            given: self.outputs.records(),
            tallied: counted.tallied(),
            held_after: counted.held,
        };
        let entry = self.slot.context.page.entry();
        counters.tallied(&counted.tally);
        counters.made(call.created);
        counters.holds(call.held_after);
        counters.has_in_hand(after.saturating_add(call.given));
        counters.cannot_explain(call.unexplained());
        drop(entry);
        if call.unexplained() == 0 {
            return;
        }
        let (undeclared, made) = (counted.undeclared, counted.created);
        let (came, went) = (call.came(), call.went());
        if self.slot.complain() {
            tracing::error!(
                component = self.slot.name(),
                "imbalance: {came} records came in, were made or were held, {went} are accounted for \
                 ({undeclared} counted for a reason that `describe` does not name, {made} said to be created); \
                 this is a bug of plugin `{}`",
                self.slot.opener.handle.plugin()
            );
        }
    }
}

/// A stage that wants to be called again must have taken or given something, or it would want that for ever.
fn progress(
    call: &'static str,
    called: Result<Processed, CallError>,
    outputs: &StageOutputs,
    input_changed: bool,
) -> Result<Processed, CallError> {
    match called {
        Ok(Processed::More) if outputs.records() == 0 && !input_changed => Err(CallError {
            kind: FailureKind::Contract,
            call,
            message: "it asked to be called again without having taken or given a record".to_owned(),
        }),
        called => called,
    }
}

fn step(processed: Processed) -> Step {
    match processed {
        Processed::Done => Step::Done,
        Processed::More => Step::More,
    }
}
