//! Runs plans: lanes of components on plain threads, queues between them, barriers through them, and the books.
//!
//! The data plane is here (lanes, inboxes, batches); so is everything a plugin can ask of its host (`services`). What
//! is deliberately absent: reading configuration, loading libraries, signals, sockets. Those are edges, in `host`.
//!
//! Unsafe code is in `vtable`, `instance` and `services` only: the functions of a plugin, the one place that calls
//! them, and the functions that a plugin calls.

mod account;
mod audit;
mod batch;
mod build;
mod cancel;
mod cells;
mod clock;
mod control;
mod copies;
mod dictionary;
mod edge;
mod event;
mod inbox;
mod instance;
mod lane;
mod latency;
mod live;
mod opening;
mod page;
mod pipeline;
mod restart;
mod services;
mod sink;
mod slot;
mod source;
mod stage;
mod sync;
mod threads;
mod vtable;
mod watch;

pub use account::Counters;
pub use audit::{HostMetrics, KeepError, Keeper, Policy, Trail, TrailStatus};
pub use batch::{Batch, Pool};
pub use cancel::Cancel;
pub use cells::{Cells, Distribution, MetricReading};
pub use clock::now_ns;
pub use dictionary::{Dictionary, DictionaryLimits, SensorText};
pub use event::DrainHandle;
pub use instance::{
    CallError, Committed, Counted, FailureKind, Filled, Processed, SinkInstance, SourceInstance,
    StageInstance, StageOutputs,
};
pub use latency::{BOUNDS_NS, CallTimes};
pub use live::{
    Claim, ComponentState, ComponentView, DictionaryView, EdgeView, Health, Live, Phase, Reason, Ruling, View,
};
pub use pipeline::{ComponentSummary, Ended, Part, Pipeline, PipelineError, Summary};
pub use services::{Environment, HostHandle};
pub use vtable::{
    ComponentTypeHandle, Functions, SinkFunctions, SourceFunctions, StageFunctions, StateFunctions,
    VtableError,
};
