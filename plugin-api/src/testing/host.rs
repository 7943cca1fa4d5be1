//! The host that the harnesses give to components: what it holds, and how a test looks at it.

use super::table;
use crate::__private::Library;
use crate::abi::{HostTable, SensorEntry};
use crate::host::Host;
use crate::manifest::{Manifest, MetricDeclaration};
use crate::record::{SensorId, UnitId};
use std::collections::HashMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The time at which a test host starts: 2026-01-01 00:00 UTC, in nanoseconds since 1970.
pub const START_NS: i64 = 1_767_225_600_000_000_000;

/// A host in memory: dictionary, clock, log, metrics, threads. Copies are the same host.
///
/// It lives until the process ends, since a component's thread may outlive the test that started it.
#[derive(Clone, Copy)]
pub struct TestHost {
    inner: &'static Inner,
}

/// A line that a component logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub level: u32,
    /// The module that logged.
    pub target: String,
    /// The event as one line.
    pub message: String,
}

impl Default for TestHost {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TestHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestHost").field("now_ns", &self.now_ns()).finish_non_exhaustive()
    }
}

impl TestHost {
    /// A host that knows no metric and lets a component start any number of threads.
    pub fn new() -> Self {
        let inner = Box::leak(Box::new(Inner {
            state: Mutex::new(Held::new()),
            changed: Condvar::new(),
            table: std::sync::OnceLock::new(),
        }));
        Self { inner }
    }

    /// A host for one of a plugin's components, with the metrics and the thread limit of its manifest:
    /// `TestHost::of::<CardcagePlugin>("range")`. A name that the manifest lacks gives [`TestHost::new`].
    pub fn of<L: Library>(component: &str) -> Self {
        let host = Self::new();
        if let Ok(manifest) = serde_json::from_slice::<Manifest>(L::MANIFEST)
            && let Some(found) = manifest.components.into_iter().find(|c| c.name == component)
        {
            let mut state = host.inner.state();
            state.threads_max = Some(found.capabilities.threads);
            state.metrics = found.metrics.into_iter().map(Metric::new).collect();
        }
        host
    }

    /// Sets how many sensors and units the dictionary takes.
    #[must_use]
    pub fn with_limits(self, sensors: usize, units: usize) -> Self {
        let mut state = self.inner.state();
        (state.sensors_max, state.units_max) = (sensors, units);
        drop(state);
        self
    }

    /// Sets the folder that a component gets for its state.
    #[must_use]
    pub fn with_state_directory(self, path: impl Into<PathBuf>) -> Self {
        self.inner.state().state_directory = Some(path.into());
        self
    }

    /// Adds a socket that a component can ask for by name, once.
    #[must_use]
    pub fn with_listener(self, name: &str, socket: OwnedFd) -> Self {
        self.inner.state().listeners.insert(name.to_owned(), socket);
        self
    }

    /// Sets the least severe level that is logged (1 error … 5 trace); 5 at first.
    #[must_use]
    pub fn with_log_level(self, level: u32) -> Self {
        self.inner.state().log_level = level;
        self
    }

    /// The host as components see it.
    pub fn host(self) -> Host {
        table::host(self.inner)
    }

    /// The id of a sensor without tags.
    ///
    /// # Panics
    /// When the dictionary is full.
    pub fn sensor(self, name: &str) -> SensorId {
        self.host().sensor(name).expect("the test host's dictionary has room")
    }

    /// The id of a unit code.
    ///
    /// # Panics
    /// When the dictionary is full.
    pub fn unit(self, code: &str) -> UnitId {
        self.host().unit(code).expect("the test host's dictionary has room")
    }

    /// The name behind a sensor's id; empty if there is none.
    pub fn sensor_name(self, id: SensorId) -> &'static str {
        self.host().sensor_entry(id).map_or("", |sensor| sensor.name())
    }

    /// The code behind a unit's id; empty if there is none.
    pub fn unit_code(self, id: UnitId) -> &'static str {
        self.host().unit_code(id).unwrap_or("")
    }

    /// What was logged so far.
    pub fn logs(self) -> Vec<LogLine> {
        self.inner.state().logs.clone()
    }

    /// The value of a declared metric; of a histogram the sum of what was observed.
    pub fn metric(self, name: &str) -> Option<f64> {
        let state = self.inner.state();
        let metric = state.metrics.iter().find(|metric| metric.declaration.name == name);
        metric.map(|metric| metric.value)
    }

    /// What a declared histogram observed, in order; empty for other metrics.
    pub fn observed(self, name: &str) -> Vec<f64> {
        let state = self.inner.state();
        let metric = state.metrics.iter().find(|metric| metric.declaration.name == name);
        metric.map_or_else(Vec::new, |metric| metric.observed.clone())
    }

    /// The host's clock: UTC nanoseconds since 1970.
    pub fn now_ns(self) -> i64 {
        self.inner.state().now_ns
    }

    /// Sets the clock, waking threads that wait for this time.
    pub fn set_now_ns(self, to: i64) {
        self.inner.state().now_ns = to;
        self.inner.changed.notify_all();
    }

    /// Moves the clock on, waking threads that wait for this time.
    pub fn advance(self, by: Duration) {
        let by_ns = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.set_now_ns(self.now_ns().saturating_add(by_ns));
    }

    /// Begins to drain: waiting ends, [`Host::cancelled`] says so.
    pub fn cancel(self) {
        self.set_cancelled(true);
    }

    /// Whether it was cancelled before.
    pub(super) fn set_cancelled(self, cancelled: bool) -> bool {
        let before = std::mem::replace(&mut self.inner.state().cancelled, cancelled);
        self.inner.changed.notify_all();
        before
    }

    /// What a component last did to a metric that its kind does not allow.
    pub(super) fn take_slip(self) -> Option<String> {
        self.inner.state().slip.take()
    }

    pub(super) fn inner(self) -> &'static Inner {
        self.inner
    }
}

/// What a test host holds, and what threads that wait for its clock sleep on.
pub(super) struct Inner {
    state: Mutex<Held>,
    pub(super) changed: Condvar,
    pub(super) table: std::sync::OnceLock<HostTable>,
}

// SAFETY: the pointers inside are the table's own context (this very value, which is never freed) and dictionary
// entries, which are leaked and never change.
unsafe impl Sync for Inner {}
// SAFETY: as above.
unsafe impl Send for Inner {}

impl Inner {
    pub(super) fn state(&self) -> MutexGuard<'_, Held> {
        // A panic of the code under test never happens under this lock; a poisoned one only follows a failed assertion.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Held {
    pub(super) sensors: Vec<SensorEntry>,
    pub(super) sensor_ids: HashMap<String, SensorId>,
    pub(super) units: Vec<&'static str>,
    pub(super) sensors_max: usize,
    pub(super) units_max: usize,
    pub(super) now_ns: i64,
    pub(super) cancelled: bool,
    pub(super) logs: Vec<LogLine>,
    pub(super) log_level: u32,
    pub(super) metrics: Vec<Metric>,
    pub(super) threads: u32,
    pub(super) threads_max: Option<u32>,
    pub(super) state_directory: Option<PathBuf>,
    pub(super) listeners: HashMap<String, OwnedFd>,
    pub(super) slip: Option<String>,
}

impl Held {
    fn new() -> Self {
        Self {
            sensors: Vec::new(),
            sensor_ids: HashMap::new(),
            units: vec![""],
            sensors_max: 1_000_000,
            units_max: 4096,
            now_ns: START_NS,
            cancelled: false,
            logs: Vec::new(),
            log_level: 5,
            metrics: Vec::new(),
            threads: 0,
            threads_max: None,
            state_directory: None,
            listeners: HashMap::new(),
            slip: None,
        }
    }
}

/// A declared metric and its value.
pub(super) struct Metric {
    pub(super) declaration: MetricDeclaration,
    pub(super) value: f64,
    observed: Vec<f64>,
}

impl Metric {
    fn new(declaration: MetricDeclaration) -> Self {
        Self { declaration, value: 0.0, observed: Vec::new() }
    }

    /// Takes an observation if the declared rules allow it.
    pub(super) fn observe(&mut self, value: f64) -> bool {
        let rules = &self.declaration;
        let allowed = value.is_finite()
            && rules.min.is_none_or(|min| value >= min)
            && rules.max.is_none_or(|max| value <= max);
        if allowed {
            self.value += value;
            self.observed.push(value);
        }
        allowed
    }

    /// Takes a new value if the declared rules allow it.
    pub(super) fn change(&mut self, to: f64) -> bool {
        let rules = &self.declaration;
        let allowed = to.is_finite()
            && rules.min.is_none_or(|min| to >= min)
            && rules.max.is_none_or(|max| to <= max)
            && rules.largest_step.is_none_or(|step| (to - self.value).abs() <= step);
        if allowed {
            self.value = to;
        }
        allowed
    }
}
