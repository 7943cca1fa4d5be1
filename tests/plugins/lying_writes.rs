//! Doubles values and does not say so.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;

/// The stage.
pub struct Odd;

impl Stage for Odd {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        Description::stage()
    }

    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn process(&mut self, batch: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        for record in batch.records_mut() {
            record.value *= 2.0;
        }
        Ok(Flow::Done)
    }
}

export_plugin! { name: "lying-writes", components: [stage Odd {  }], probe: {} }
