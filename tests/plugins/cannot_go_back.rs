//! Two sources that declare `replayable` and have no state to go back to.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;

/// Either source.
pub struct Forward<const N: u8>;

impl<const N: u8> Source for Forward<N> {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        Description::source().does(Capability::Replayable)
    }

    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn fill(&mut self, out: &mut Batch<'_>, _: i64) -> Result<Fill, PluginError> {
        Ok(Fill::IdleUntil(out.now_ns() + 1_000_000_000))
    }
}

export_plugin! {
    name: "cannot-go-back",
    components: [source Forward<1> as "first" { replayable }, source Forward<2> as "second" { replayable }],
    probe: {},
}
