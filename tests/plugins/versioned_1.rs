//! The first version of a plugin.

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

    fn process(&mut self, _: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        Ok(Flow::Done)
    }
}

export_plugin! { name: "versioned", version: "1.9.0", components: [stage Odd {  }], probe: {} }
