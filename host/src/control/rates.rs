//! Records a second, from samples of the last seconds.

use cardcage_core::ledger::Books;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Samples kept: with one a second, rates are those of the last ten seconds.
const SAMPLES: usize = 11;
/// Below this, two samples tell nothing of a rate.
const APART_MIN: Duration = Duration::from_millis(200);

/// How far each component was, a while ago and now.
#[derive(Debug, Default)]
pub(super) struct Rates {
    samples: VecDeque<Sample>,
}

#[derive(Debug)]
struct Sample {
    at: Instant,
    /// `in` and `out` of each component.
    counts: Vec<(u64, u64)>,
}

impl Rates {
    /// Notes the counts as they are now.
    pub(super) fn sample(&mut self, books: &Books) {
        if self.samples.len() >= SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { at: Instant::now(), counts: counts(books) });
    }

    /// Records a second into and out of each component, since the oldest sample; `None` where there is none that is old
    /// enough.
    pub(super) fn of(&self, books: &Books) -> Option<Vec<(f64, f64)>> {
        let oldest = self.samples.front().filter(|sample| sample.at.elapsed() >= APART_MIN)?;
        let seconds = oldest.at.elapsed().as_secs_f64();
        let rate = |now: u64, then: u64| per_second(now.saturating_sub(then), seconds);
        let both = counts(books).into_iter().zip(&oldest.counts);
        Some(both.map(|(now, then)| (rate(now.0, then.0), rate(now.1, then.1))).collect())
    }
}

fn counts(books: &Books) -> Vec<(u64, u64)> {
    books.components.iter().map(|row| (row.account.input, row.account.output)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a rate is rounded for showing")]
fn per_second(records: u64, seconds: f64) -> f64 {
    records as f64 / seconds
}
