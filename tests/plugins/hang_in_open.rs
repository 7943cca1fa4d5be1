//! Never comes back from `open`.

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
        loop {
            std::thread::park();
        }
    }

    fn process(&mut self, _: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        Ok(Flow::Done)
    }
}

export_plugin! { name: "hang-in-open", components: [stage Odd {  }], probe: {} }
