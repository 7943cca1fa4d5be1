//! Sorting the records of a batch in one pass: several reasons, several ports, values that change on the way.

use super::{Batch, Outputs};
use crate::record::Record;

/// What becomes of a record: what the closure of [`Batch::sort_out`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on in the main output.
    Keep,
    /// It goes no further, and counts as dropped (or rejected, as `describe` says) for this reason.
    Drop(&'static str),
    /// It goes to a port; where nothing consumes the port, it counts for the reason.
    Divert {
        /// The port, as `describe` names it.
        port: &'static str,
        /// The reason, as `describe` names it.
        reason: &'static str,
    },
}

impl Batch<'_> {
    /// Looks at each record once, in order, and lets `fate` change it and say where it goes.
    ///
    /// The one to take where there are several reasons or ports, or where values change on the way. For a single
    /// reason [`Batch::retain`] and [`Batch::retain_or`] say it shorter.
    ///
    /// ```
    /// # use cardcage_plugin_api::prelude::*;
    /// # use cardcage_plugin_api::testing::{StageHarness, record};
    /// # struct Half;
    /// # impl Stage for Half {
    /// #     type Settings = NoSettings;
    /// #     fn describe(_: &NoSettings) -> Description {
    /// #         Description::stage().drops("negative").rejects("not_a_number").port("negatives").writes(Field::Value)
    /// #     }
    /// #     fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
    /// #         Ok(Self)
    /// #     }
    /// fn process(&mut self, batch: &mut Batch<'_>, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
    ///     batch.sort_out(out, |record| {
    ///         if record.value.is_nan() {
    ///             return Fate::Drop("not_a_number");
    ///         }
    ///         if record.value < 0.0 {
    ///             return Fate::Divert { port: "negatives", reason: "negative" };
    ///         }
    ///         record.value /= 2.0;
    ///         Fate::Keep
    ///     });
    ///     Ok(Flow::Done)
    /// }
    /// # }
    /// # let mut stage = StageHarness::<Half>::open(cardcage_plugin_api::serde_json::json!({}))?;
    /// # let out = stage.process(&[4.0, f64::NAN, -1.0].map(record))?;
    /// # assert_eq!((out.main[0].value, out.port("negatives")[0].value), (2.0, -1.0));
    /// # assert_eq!((out.rejected("not_a_number"), out.dropped("negative")), (1, 0));
    /// # Ok::<(), cardcage_plugin_api::testing::Failure>(())
    /// ```
    #[inline]
    pub fn sort_out(&mut self, out: &mut Outputs<'_>, mut fate: impl FnMut(&mut Record) -> Fate) {
        let counts = self.counts;
        let records = self.records_mut();
        let mut kept = 0;
        for index in 0..records.len() {
            let mut record = records[index];
            match fate(&mut record) {
                Fate::Keep => {
                    records[kept] = record;
                    kept += 1;
                }
                Fate::Drop(reason) => counts.out_for(reason, 1),
                Fate::Divert { port, reason } => {
                    // Also when nothing is counted, as in `retain_or`.
                    counts.names.reason(reason);
                    if !out.port(port).push(record) {
                        counts.out_for(reason, 1);
                    }
                }
            }
        }
        self.truncate(kept);
    }
}
