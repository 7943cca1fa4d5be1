//! What the source tells of itself: metrics, and log lines that come seldom however often their cause does.

use cardcage_plugin_api::{Counter, Gauge, Host};

/// So many of a kind are logged one by one; from then on the 10th, 100th, 1000th, …
const LOGGED_FIRST: u64 = 5;

/// Counts something that may happen very often, and says which of them are worth a line in the log.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    count: u64,
}

impl Seldom {
    /// Counts one; how many there were, if this one is to be logged.
    pub(crate) fn count(&mut self) -> Option<u64> {
        self.count += 1;
        let power_of_ten = |n: u64| n.checked_ilog10().is_some_and(|digits| 10_u64.pow(digits) == n);
        (self.count <= LOGGED_FIRST || power_of_ten(self.count)).then_some(self.count)
    }

    /// Begins anew.
    pub(crate) fn reset(&mut self) {
        self.count = 0;
    }
}

/// The metrics of the manifest.
pub(crate) struct Metrics {
    pub(crate) connections: Option<Gauge>,
    pub(crate) accepted: Option<Counter>,
    pub(crate) refused: Option<Counter>,
    pub(crate) connects: Option<Counter>,
    pub(crate) connect_failures: Option<Counter>,
    pub(crate) timeouts: Option<Counter>,
    pub(crate) datagrams: Option<Counter>,
    pub(crate) received: Option<Counter>,
}

impl Metrics {
    pub(crate) fn new(host: &Host) -> Self {
        Self {
            connections: host.gauge("connections"),
            accepted: host.counter("accepted"),
            refused: host.counter("refused"),
            connects: host.counter("connects"),
            connect_failures: host.counter("connect_failures"),
            timeouts: host.counter("idle_timeouts"),
            datagrams: host.counter("datagrams"),
            received: host.counter("received_bytes"),
        }
    }
}

/// Adds to a metric, if there is one.
pub(crate) fn add(counter: Option<&Counter>, by: u64) {
    if let Some(counter) = counter.filter(|_| by > 0) {
        #[expect(clippy::cast_precision_loss, reason = "what came since the last time, far below 2^53")]
        counter.add(by as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_million_the_first_five_and_the_powers_of_ten_are_logged() {
        let mut seldom = Seldom::default();
        let logged: Vec<u64> = (0..1_000_000).filter_map(|_| seldom.count()).collect();
        assert_eq!(logged, [1, 2, 3, 4, 5, 10, 100, 1000, 10_000, 100_000, 1_000_000]);
        seldom.reset();
        assert_eq!(seldom.count(), Some(1));
    }
}
