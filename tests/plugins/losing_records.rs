//! Loses the last record of each batch without counting it.

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
        batch.truncate(batch.len().saturating_sub(1));
        Ok(Flow::Done)
    }
}

export_plugin! { name: "losing-records", components: [stage Odd {  }], probe: {} }
