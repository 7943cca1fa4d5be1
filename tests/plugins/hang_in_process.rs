//! Never comes back from its first batch. Well-behaved in the contract probe, which it asks not to be made.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;

/// The stage.
pub struct Hang;

impl Stage for Hang {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        Description::stage()
    }

    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn process(&mut self, _: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        loop {
            std::thread::park();
        }
    }
}

export_plugin! { name: "hang", components: [stage Hang { }], probe: none("it hangs") }
