//! What the host counts of itself, as audited cells like everybody's.
//!
//! The counts live where they are made (queues, lanes, the dictionary); from time to time they are written down in cells,
//! whose rules then hold for the host too: a counter of ours that falls is a violation in the trail, and not a number in a
//! graph.

use super::trail::{Trail, TrailStatus};
use crate::cells::{Cells, MetricReading, Part};
use crate::dictionary::Dictionary;
use cardcage_plugin_api::manifest::{MetricDeclaration, MetricKind};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the names of the trail's own metrics begin with.
pub(super) const OWN: &str = "cardcage_audit_";
/// The most metrics of the host for each component.
const CELLS_MAX: usize = 256;

/// The host's own metrics. Clones are the same.
#[derive(Clone)]
pub struct HostMetrics {
    trail: &'static Trail,
    all: Arc<Mutex<All>>,
}

#[derive(Default)]
struct All {
    /// By the component that they are about; an empty name stands for the host as a whole.
    cells: BTreeMap<String, Cells>,
    sources: Vec<Source>,
}

/// Where a metric comes from.
struct Source {
    part: &'static Part,
    read: Box<dyn Fn() -> f64 + Send>,
    own: bool,
}

impl fmt::Debug for HostMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostMetrics").field("metrics", &self.all().sources.len()).finish_non_exhaustive()
    }
}

impl HostMetrics {
    /// Those of every host: the dictionary, and the trail itself.
    pub(crate) fn new(trail: &'static Trail, dictionary: &Arc<Dictionary>) -> Self {
        Self { trail, all: Arc::default() }.with_dictionary(dictionary)
    }

    /// Adds the trail's own figures. Once it is known whether they are audited: before any of them is read.
    pub(super) fn begin(&self) {
        type Read = fn(&TrailStatus) -> u64;
        let trail = self.trail;
        let counts: [(&str, &str, Read); 6] = [
            ("entries_total", "entries written to the audit trail", |status| status.entries),
            ("merged_writes_total", "writes to metrics that share an audit entry with others", |status| {
                status.merged
            }),
            ("violations_total", "writes to metrics that a rule forbade", |status| status.violations),
            ("blocks_total", "blocks written to the audit trail", |status| status.blocks),
            ("written_bytes_total", "bytes written to the audit trail", |status| status.bytes),
            ("set_aside_total", "damaged parts of audit trails that were set aside", |status| {
                status.set_aside
            }),
        ];
        for (name, help, read) in counts {
            let name = format!("{OWN}{name}");
            self.counter("", &name, help, move || read(&trail.status()));
        }
    }

    fn with_dictionary(self, dictionary: &Arc<Dictionary>) -> Self {
        let (sensors, units) = (Arc::clone(dictionary), Arc::clone(dictionary));
        let count = |count: usize| count as u64;
        self.gauge("", "cardcage_dictionary_sensors", "sensors in the dictionary", move || {
            count(sensors.len().0)
        });
        self.gauge("", "cardcage_dictionary_units", "units in the dictionary", move || count(units.len().1));
        self
    }

    /// Adds a count that only grows, about a component or (empty) the host as a whole.
    pub(crate) fn counter(
        &self,
        component: &str,
        name: &str,
        help: &str,
        read: impl Fn() -> u64 + Send + 'static,
    ) {
        self.add(component, MetricKind::Counter, name, help, read);
    }

    /// Adds a count that goes up and down.
    pub(crate) fn gauge(
        &self,
        component: &str,
        name: &str,
        help: &str,
        read: impl Fn() -> u64 + Send + 'static,
    ) {
        self.add(component, MetricKind::Gauge, name, help, read);
    }

    fn add(
        &self,
        component: &str,
        kind: MetricKind,
        name: &str,
        help: &str,
        read: impl Fn() -> u64 + Send + 'static,
    ) {
        let unit = if name.contains("_bytes") { "By" } else { "1" };
        let declaration = MetricDeclaration {
            name: name.to_owned(),
            kind,
            unit: unit.to_owned(),
            help: help.to_owned(),
            min: Some(0.0),
            max: None,
            largest_step: None,
            buckets: Vec::new(),
        };
        let mut all = self.all();
        let cells =
            all.cells.entry(component.to_owned()).or_insert_with(|| Cells::of_host(component, self.trail));
        if let Some(part) = cells.open(&declaration, CELLS_MAX) {
            #[expect(clippy::cast_precision_loss, reason = "counts above 2^53 lose their last digits")]
            let read = Box::new(move || read() as f64);
            all.sources.push(Source { part, read, own: name.starts_with(OWN) });
        }
    }

    /// Writes down how things stand; the trail's own figures only if `own`.
    pub(super) fn note(&self, own: bool) {
        let all = self.all();
        for source in all.sources.iter().filter(|source| own || !source.own) {
            source.part.stand_at((source.read)());
        }
    }

    /// Every metric as it stands now.
    pub fn read(&self) -> Vec<MetricReading> {
        self.note(true);
        self.all().cells.values().flat_map(Cells::read).collect()
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
