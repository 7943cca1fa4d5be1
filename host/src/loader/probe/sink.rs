//! The probe of a sink: it only reads what it is given, and answers for it.

#![forbid(unsafe_code)]

use super::places::Places;
use super::{PROBE_RECORDS, Trial, Tried, batches, steady_now_ns};
use crate::loader::guard::Access;
use cardcage_runtime::{Committed, SinkInstance, now_ns};

impl Trial<'_> {
    pub(super) fn sink(&mut self) -> Tried<()> {
        let host = self.host();
        let reasons = self.description.reasons.len();
        let mut sink = SinkInstance::open(self.handle, self.settings, host, reasons, now_ns())
            .map_err(|error| self.call_error(&error, "its probe settings"))?;
        let mut places = Places::new("its batch", PROBE_RECORDS)?;
        for (epoch, (name, records)) in
            (1..).zip(batches::all(&self.environment.dictionary, &self.description.units))
        {
            let now_ns = steady_now_ns(self.calls);
            let mut batch = places.lend(&records, Access::Read)?;
            self.calls += 2;
            let written = sink.write(&mut batch, now_ns);
            places.take_back(batch)?;
            self.left_alone(&places, "write", name)?;
            written.map_err(|error| self.call_error(&error, name))?;
            self.declared(sink.counted(), name)?;
            if sink.counted().tallied() > records.len() as u64 {
                let found =
                    format!("of {} records, {} were rejected", records.len(), sink.counted().tallied());
                return Err(self.no(
                    "imbalance",
                    format!("with {name}: {found}"),
                    "each record counted once",
                ));
            }
            // Any of the three answers keeps the contract; a time to come again lies ahead.
            let committed = sink.commit(epoch, now_ns).map_err(|error| self.call_error(&error, name))?;
            self.left_alone(&places, "commit", name)?;
            if let Committed::Retry(at_ns, _) = committed
                && at_ns < now_ns
            {
                let found =
                    format!("`commit` wants to be called again {} ns ago", now_ns.saturating_sub(at_ns));
                return Err(self.no("contract", found, "a time that lies ahead"));
            }
        }
        sink.close(now_ns()).map_err(|error| self.call_error(&error, "an open instance"))?;
        self.joined(&host)?;
        self.left_alone(&places, "close", "an open instance")
    }

    /// That the last call touched no memory but what it was lent.
    pub(super) fn left_alone(&self, places: &Places, call: &str, with: &str) -> Tried<()> {
        places.touched().map_or(Ok(()), |touched| Err(self.touched(call, with, &touched)))
    }
}
