//! Panics on a record that is not finite.

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
        assert!(batch.records().iter().all(|record| record.value.is_finite()), "not finite");
        Ok(Flow::Done)
    }
}

export_plugin! { name: "panic-in-process", components: [stage Odd {  }], probe: {} }
