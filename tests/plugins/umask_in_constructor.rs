//! Changes the umask of the process that opens it.

#![expect(unsafe_code, reason = "the linker is told to run a function")]

use cardcage_plugin_api::prelude::*;

/// Run by the dynamic linker.
extern "C" fn at_a_bad_moment() {
    rustix::process::umask(rustix::fs::Mode::empty());
}

#[used]
#[unsafe(link_section = ".init_array")]
static HOOK: extern "C" fn() = at_a_bad_moment;

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

export_plugin! { name: "umask-in-constructor", components: [stage Odd {  }], probe: {} }
