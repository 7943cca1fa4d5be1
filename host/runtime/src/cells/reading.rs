//! What a metric reads as.

use cardcage_plugin_api::manifest::{MetricDeclaration, MetricKind};

/// A metric as it reads now.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricReading {
    /// Whose it is; empty for the host's own.
    pub component: String,
    /// Its name.
    pub name: String,
    /// Counter, gauge or histogram.
    pub kind: MetricKind,
    /// Its unit code; empty or `1` for plain counts.
    pub unit: String,
    /// One sentence; may be empty.
    pub help: String,
    /// Its value: a counter's sum over all parts, a gauge as its last part has it, the sum of a histogram's observations.
    pub value: f64,
    /// Writes that were done.
    pub writes: u64,
    /// Writes that a rule forbade.
    pub violations: u64,
    /// Of a histogram.
    pub distribution: Option<Distribution>,
}

/// How a histogram's observations are spread.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// The upper bounds of the buckets, rising, included in them; the last bucket, which has none, is not among them.
    pub bounds: Vec<f64>,
    /// How many observations fell into each bucket, and into no lower one; one more than there are bounds.
    pub counts: Vec<u64>,
}

impl Distribution {
    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

impl MetricReading {
    /// Nothing yet.
    pub(super) fn of(component: &str, declaration: &MetricDeclaration) -> Self {
        let bounds = declaration.bucket_bounds();
        let counts = vec![0; bounds.len() + 1];
        let histogram = declaration.kind == MetricKind::Histogram;
        Self {
            component: component.to_owned(),
            name: declaration.name.clone(),
            kind: declaration.kind,
            unit: declaration.unit.clone(),
            help: declaration.help.clone(),
            value: 0.0,
            writes: 0,
            violations: 0,
            distribution: histogram.then(|| Distribution { bounds: bounds.to_vec(), counts }),
        }
    }

    /// A cell's value and writes; `bucket` is its place in a histogram.
    pub(super) fn add(&mut self, bucket: usize, value: f64, writes: u64) {
        self.value += value;
        if let Some(count) = self.distribution.as_mut().and_then(|of| of.counts.get_mut(bucket)) {
            *count = count.saturating_add(writes);
        }
    }
}
