//! The probe of `replayable`: an instance that takes up another's snapshot goes on with the records that the other gave
//! after it.

#![forbid(unsafe_code)]

use super::places::Places;
use super::source::Given;
use super::{Trial, Tried};
use cardcage_plugin_api::manifest::Capability;
use cardcage_plugin_api::record::Record;
use cardcage_runtime::{SourceInstance, now_ns};

/// Records to a call: so few that a short source is not at its end after the first.
const AT_A_TIME: u32 = 8;
/// Calls within which something comes; a source that waits for the outside world may give nothing.
const TRIES: u32 = 8;

impl Trial<'_> {
    pub(super) fn replayed(&mut self, places: &mut Places) -> Tried<()> {
        if !self.does(Capability::Replayable) {
            return Ok(());
        }
        let (mut first, host) = self.open_source("its probe settings")?;
        let began = self.some(&mut first, places)?;
        let saved = first.snapshot().map_err(|error| self.call_error(&error, "what it has given"))?;
        let went_on = if began.ended() { None } else { Some(self.some(&mut first, places)?) };
        first.close(now_ns()).map_err(|error| self.call_error(&error, "an open instance"))?;
        self.joined(&host)?;
        let went_on = went_on.filter(|given| !given.records.is_empty());
        let (Some((version, bytes)), Some(went_on)) = (saved, went_on) else {
            return Ok(());
        };
        if !began.records.is_empty() {
            self.moved(began.at, went_on.at)?;
        }
        let (mut second, host) = self.open_source("a second instance")?;
        second.restore(version, &bytes).map_err(|error| self.call_error(&error, "its own snapshot"))?;
        let replayed = self.some(&mut second, places)?;
        second.close(now_ns()).map_err(|error| self.call_error(&error, "a restored instance"))?;
        self.joined(&host)?;
        self.left_alone(places, "close", "a restored instance")?;
        match parting(&went_on, &replayed) {
            Some(found) => {
                let expected = "the records that came after the snapshot, once more";
                Err(self.no("replay", format!("restored from its snapshot, it {found}"), expected))
            }
            None => Ok(()),
        }
    }

    /// The next records, if some come soon.
    fn some(&mut self, source: &mut SourceInstance, places: &mut Places) -> Tried<Given> {
        let mut tries = 0;
        loop {
            let given = self.fill(source, places, now_ns(), AT_A_TIME)?;
            tries += 1;
            if given.ended() || !given.records.is_empty() || tries == TRIES {
                return Ok(given);
            }
        }
    }
}

/// Where the two part, as far as both go. Times are not compared: a reading may have that at which it was read.
fn parting(went_on: &Given, replayed: &Given) -> Option<String> {
    let (one, other) = (&went_on.records, &replayed.records);
    if replayed.ended() && other.len() < one.len() {
        return Some(format!("ends after {} records, where {} more came before", other.len(), one.len()));
    }
    let alike = |(one, other): &(&Record, &Record)| {
        (one.sensor, one.value.to_bits(), one.unit, one.quality)
            == (other.sensor, other.value.to_bits(), other.unit, other.quality)
    };
    let at = one.iter().zip(other).position(|pair| !alike(&pair))?;
    let said = |record: &Record| format!("value {} of sensor {}", record.value, record.sensor.0);
    Some(format!("gives {} as record {at}, where {} came before", said(&other[at]), said(&one[at])))
}
