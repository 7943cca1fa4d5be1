//! A component in its lane: how it is opened, watched, failed, restarted and, at last, given up.
//!
//! The parts that the three kinds share. What a call does with records is in `source`, `stage` and `sink`.

use crate::account::Counters;
use crate::batch::{Batch, Pool};
use crate::cancel::Cancel;
use crate::clock::now_ns;
use crate::edge::Sender;
use crate::event::{Event, Reports};
use crate::instance::{CallError, FailureKind, SinkInstance, SourceInstance, StageInstance};
use crate::page::Page;
use crate::restart::Restarts;
use crate::services::HostHandle;
use crate::vtable::ComponentTypeHandle;
use crate::watch::Watch;
use cardcage_plugin_api::manifest::{Capability, Kind};
use serde_json::Value;
use std::sync::Arc;

/// The lane was given up while a call ran: its thread must touch nothing and end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abandoned;

/// An instance of one of the three kinds.
pub(crate) trait Opened: Sized {
    fn open(
        handle: &ComponentTypeHandle,
        settings: &Value,
        host: HostHandle,
        reasons: usize,
        now_ns: i64,
    ) -> Result<Self, CallError>;
    fn snapshot(&mut self) -> Result<Option<(u32, Vec<u8>)>, CallError>;
    fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), CallError>;
    fn close(self, now_ns: i64) -> Result<(), CallError>;
}

macro_rules! opened {
    ($($instance:ident),*) => {$(
        impl Opened for $instance {
            fn open(
                handle: &ComponentTypeHandle,
                settings: &Value,
                host: HostHandle,
                reasons: usize,
                now_ns: i64,
            ) -> Result<Self, CallError> {
                $instance::open(handle, settings, host, reasons, now_ns)
            }
            fn snapshot(&mut self) -> Result<Option<(u32, Vec<u8>)>, CallError> {
                $instance::snapshot(self)
            }
            fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), CallError> {
                $instance::restore(self, version, state)
            }
            fn close(self, now_ns: i64) -> Result<(), CallError> {
                $instance::close(self, now_ns)
            }
        }
    )*};
}
opened!(SourceInstance, StageInstance, SinkInstance);

/// What the next instance of a component is given of the last one's state.
enum CarriedOver {
    /// It needs none.
    NotNeeded,
    /// This, in this version.
    State(u32, Vec<u8>),
    /// It needs it, and it cannot be had: started anew it would give again what it has given.
    Lost,
}

impl CarriedOver {
    fn may_restart(&self) -> bool {
        !matches!(self, Self::Lost)
    }

    fn why_not(&self) -> &'static str {
        if self.may_restart() {
            ""
        } else {
            "; it is not restarted, since it would give again what it has given"
        }
    }

    fn give_to<I: Opened>(&self, mut instance: I) -> Result<I, CallError> {
        if let Self::State(version, state) = self {
            instance.restore(*version, state)?;
        }
        Ok(instance)
    }
}

/// What a lane's components share.
#[derive(Clone)]
pub(crate) struct LaneContext {
    pub(crate) watch: Arc<Watch>,
    pub(crate) page: Arc<Page>,
    pub(crate) cancel: Arc<Cancel>,
    pub(crate) reports: Reports,
    pub(crate) pool: Pool,
    /// Every edge that leaves the lane.
    pub(crate) leaving: Arc<[Sender]>,
}

impl LaneContext {
    /// What a consumer that is gone has not taken is counted on the edge, and its memory used again.
    pub(crate) fn takes_back(&self, sender: &Sender, back: Batch) {
        let entry = self.page.entry();
        sender.count_back(u64::from(back.len()));
        drop(entry);
        self.pool.give(back);
    }
}

/// How to make an instance of a component, again and again.
pub(crate) struct Opener {
    pub(crate) handle: ComponentTypeHandle,
    pub(crate) settings: Value,
    pub(crate) host: HostHandle,
    pub(crate) reasons: usize,
}

impl Opener {
    pub(crate) fn open<I: Opened>(&self) -> Result<I, CallError> {
        I::open(&self.handle, &self.settings, self.host, self.reasons, now_ns())
    }
}

/// One component in its lane.
pub(crate) struct Slot<I> {
    pub(crate) node: usize,
    pub(crate) opener: Opener,
    /// `None` once it has failed for good.
    pub(crate) instance: Option<I>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) dead_letter: Option<Sender>,
    pub(crate) restarts: Restarts,
    pub(crate) context: LaneContext,
    /// How many contract violations were logged: only the first, then at powers of two, so that a component that errs
    /// on each batch does not fill the log.
    pub(crate) complaints: u64,
}

impl<I: Opened> Slot<I> {
    pub(crate) fn name(&self) -> &'static str {
        self.opener.host.component()
    }

    /// Begins to watch a call.
    fn begin(&self, call: &'static str) {
        self.context.watch.begin(self.node, call, 0);
    }

    /// Ends the watch, and counts how long the call took.
    pub(crate) fn end(&self) -> Result<(), Abandoned> {
        let returned = self.context.watch.end().ok_or(Abandoned)?;
        self.counters.called(returned.call, returned.took_ns);
        Ok(())
    }

    /// The records of a failed call are lost, or go to the dead letter.
    pub(crate) fn lose(&self, records: u32, copy: Option<Batch>) {
        let entry = self.context.page.entry();
        match (&self.dead_letter, copy) {
            (Some(dead_letter), Some(copy)) => {
                self.counters.dead_letters(u64::from(copy.len()));
                dead_letter.count(u64::from(copy.len()));
                drop(entry);
                if let Err(back) = dead_letter.send(copy, &self.context.leaving) {
                    self.context.takes_back(dead_letter, back);
                }
            }
            _ => self.counters.loses(u64::from(records)),
        }
    }

    /// Of what the component held the last `lost` are gone, and the rest is delivered. `copies` of those that are gone go
    /// to the dead letter.
    pub(crate) fn lose_last(&self, lost: u64, copies: impl IntoIterator<Item = Batch>) {
        let copies: Vec<Batch> = copies.into_iter().collect();
        let entry = self.context.page.entry();
        let dead_letter = self.dead_letter.as_ref();
        let records: u64 = copies.iter().map(|copy| u64::from(copy.len())).sum();
        self.counters.loses_last(lost, dead_letter.map_or(0, |_| records));
        if let Some(dead_letter) = dead_letter {
            dead_letter.count(records);
        }
        drop(entry);
        for copy in copies {
            let Some(dead_letter) = dead_letter else {
                continue;
            };
            if let Err(back) = dead_letter.send(copy, &self.context.leaving) {
                self.context.takes_back(dead_letter, back);
            }
        }
    }

    /// What the component held is lost.
    pub(crate) fn lose_held(&self) {
        let _entry = self.context.page.entry();
        self.counters.lose_held();
    }

    /// Whether to log the next complaint of a kind that may come with every batch.
    pub(crate) fn complain(&mut self) -> bool {
        self.complaints += 1;
        self.complaints.is_power_of_two()
    }

    /// A call failed: closes the instance and opens another, with waits between tries. In the end the component either
    /// works again or has failed for good and has no instance.
    pub(crate) fn recover(&mut self, error: CallError) -> Result<(), Abandoned> {
        self.counters.failed_calls(1);
        self.counters.restarting(true);
        let recovered = self.open_again(error);
        self.counters.restarting(false);
        recovered
    }

    fn open_again(&mut self, error: CallError) -> Result<(), Abandoned> {
        let state = self.state_to_carry_over(&error)?;
        self.dispose(error.kind)?;
        let mut error = error;
        loop {
            let wait = self.restarts.after_failure(now_ns()).filter(|_| state.may_restart());
            let Some(wait) = wait else {
                let why = format!("{error}{}", state.why_not());
                tracing::error!(component = self.name(), "failed for good: {why}");
                self.context.reports.send(Event::Failed { node: self.node, why });
                return Ok(());
            };
            tracing::warn!(component = self.name(), "{error}; restarting in {} ms", wait.as_millis());
            // Nobody downstream should wait out this wait over batches that have come already.
            self.context.leaving.iter().for_each(Sender::announce);
            // Cut short when the pipeline drains: then what still works should work at once.
            self.context.cancel.wait(wait);
            self.begin("open");
            let opened = self.opener.open().and_then(|instance| state.give_to(instance));
            self.end()?;
            match opened {
                Ok(instance) => {
                    tracing::info!(component = self.name(), "restarted");
                    self.instance = Some(instance);
                    self.counters.restarted(1);
                    return Ok(());
                }
                Err(again) => {
                    self.counters.failed_calls(1);
                    error = again;
                }
            }
        }
    }

    /// Where a source that can start over stands, so that its next instance goes on from there. A failed instance can
    /// still be asked; one that panicked cannot.
    fn state_to_carry_over(&mut self, error: &CallError) -> Result<CarriedOver, Abandoned> {
        let does = &self.opener.handle.manifest().capabilities;
        let starts_over = does.has(Capability::Replayable) || does.has(Capability::Finite);
        if self.opener.handle.kind() != Kind::Source || !starts_over {
            return Ok(CarriedOver::NotNeeded);
        }
        let Some(instance) = self.instance.as_mut().filter(|_| error.kind == FailureKind::Failed) else {
            return Ok(CarriedOver::Lost);
        };
        self.context.watch.begin(self.node, "snapshot", 0);
        let snapshot = instance.snapshot();
        self.end()?;
        Ok(snapshot
            .ok()
            .flatten()
            .map_or(CarriedOver::Lost, |(version, state)| CarriedOver::State(version, state)))
    }

    /// Takes the instance out of service after a failure of this kind.
    fn dispose(&mut self, kind: FailureKind) -> Result<(), Abandoned> {
        let Some(instance) = self.instance.take() else {
            return Ok(());
        };
        if kind == FailureKind::Contract {
            // Whatever it did to its own memory, it gets no further call: better a leak than a crash.
            std::mem::forget(instance);
            return Ok(());
        }
        self.begin("close");
        let closed = instance.close(now_ns());
        self.end()?;
        self.opener.host.cells().retire();
        if let Err(error) = closed {
            tracing::warn!(component = self.name(), "{error}");
        }
        Ok(())
    }

    /// The end of a component that still works. What `close` says is logged; there is nothing left to fail.
    pub(crate) fn close(&mut self) -> Result<(), Abandoned> {
        if let Some(instance) = self.instance.take() {
            self.begin("close");
            let closed = instance.close(now_ns());
            self.end()?;
            if let Err(error) = closed {
                self.counters.failed_calls(1);
                tracing::error!(component = self.name(), "{error}");
            }
            let threads = self.opener.host.running_threads();
            if threads > 0 {
                tracing::warn!(
                    component = self.name(),
                    "{threads} of its threads still run after close; leaked"
                );
            }
        }
        Ok(())
    }
}
