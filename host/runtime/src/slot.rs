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
use crate::restart::Restarts;
use crate::services::HostHandle;
use crate::vtable::ComponentTypeHandle;
use crate::watch::Watch;
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
            fn close(self, now_ns: i64) -> Result<(), CallError> {
                $instance::close(self, now_ns)
            }
        }
    )*};
}
opened!(SourceInstance, StageInstance, SinkInstance);

/// What a lane's components share.
#[derive(Clone)]
pub(crate) struct LaneContext {
    pub(crate) watch: Arc<Watch>,
    pub(crate) cancel: Arc<Cancel>,
    pub(crate) reports: Reports,
    pub(crate) pool: Pool,
    /// Every edge that leaves the lane.
    pub(crate) leaving: Arc<[Sender]>,
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

    /// Begins to watch a call that is lent `lent` records.
    pub(crate) fn begin(&self, call: &'static str, lent: u32, since_ns: i64) {
        self.context.watch.begin(self.node, call, u64::from(lent), since_ns);
    }

    /// Ends the watch.
    pub(crate) fn end(&self) -> Result<(), Abandoned> {
        if self.context.watch.end() { Ok(()) } else { Err(Abandoned) }
    }

    /// The records of a failed call are lost, or go to the dead letter.
    pub(crate) fn lose(&self, records: u32, copy: Option<Batch>) {
        match (&self.dead_letter, copy) {
            (Some(dead_letter), Some(copy)) => {
                self.counters.dead_letter(u64::from(copy.len()));
                if let Err(batch) = dead_letter.send(copy, &self.context.leaving) {
                    self.context.pool.give(batch);
                }
            }
            _ => self.counters.lost(u64::from(records)),
        }
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
        self.dispose(error.kind);
        let mut error = error;
        loop {
            let Some(wait) = self.restarts.after_failure(now_ns()) else {
                tracing::error!(component = self.name(), "failed for good: {error}");
                self.context.reports.send(Event::Failed { node: self.node, why: error.to_string() });
                return Ok(());
            };
            tracing::warn!(component = self.name(), "{error}; restarting in {} ms", wait.as_millis());
            // Nobody downstream should wait out this wait over batches that have come already.
            self.context.leaving.iter().for_each(Sender::announce);
            let wait_ns = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX);
            // Cut short when the pipeline drains: then what still works should work at once.
            self.context.cancel.wait_until(now_ns().saturating_add(wait_ns));
            self.begin("open", 0, now_ns());
            let opened = self.opener.open();
            self.end()?;
            match opened {
                Ok(instance) => {
                    tracing::info!(component = self.name(), "restarted");
                    self.instance = Some(instance);
                    return Ok(());
                }
                Err(again) => {
                    self.counters.failed_calls(1);
                    error = again;
                }
            }
        }
    }

    /// Takes the instance out of service after a failure of this kind.
    fn dispose(&mut self, kind: FailureKind) {
        let Some(instance) = self.instance.take() else {
            return;
        };
        if kind == FailureKind::Contract {
            // Whatever it did to its own memory, it gets no further call: better a leak than a crash.
            std::mem::forget(instance);
        } else if let Err(error) = instance.close(now_ns()) {
            tracing::warn!(component = self.name(), "{error}");
        }
    }

    /// The end of a component that still works. What `close` says is logged; there is nothing left to fail.
    pub(crate) fn close(&mut self) -> Result<(), Abandoned> {
        if let Some(instance) = self.instance.take() {
            self.begin("close", 0, now_ns());
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
