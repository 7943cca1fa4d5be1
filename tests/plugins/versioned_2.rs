//! The second version of a plugin: it turns every value's sign.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;

/// The stage.
pub struct Odd;

impl Stage for Odd {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        Description::stage().writes(Field::Value)
    }

    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn process(&mut self, batch: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        for record in batch.records_mut() {
            record.value = -record.value;
        }
        Ok(Flow::Done)
    }
}

export_plugin! { name: "versioned", version: "1.10.0", components: [stage Odd { writes: [value] }], probe: {} }
