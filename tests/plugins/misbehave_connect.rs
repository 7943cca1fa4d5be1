//! Does harm when it is told to, and declares that it runs a program: see `actions`.

#![expect(unsafe_code, reason = "the linker is told to run functions, and these misuse the C library")]

#[path = "misbehave/actions.rs"]
mod actions;

use cardcage_plugin_api::prelude::*;

/// Run by the dynamic linker when the library is opened.
extern "C" fn constructor() {
    actions::at("constructor");
    if !std::env::args().any(|argument| argument == "__vet") {
        actions::at("daemon");
    }
}

/// Run when the process ends.
extern "C" fn destructor() {
    actions::at("destructor");
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

#[used]
#[unsafe(link_section = ".fini_array")]
static DESTRUCTOR: extern "C" fn() = destructor;

/// The stage.
pub struct Odd;

impl Stage for Odd {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        actions::at("describe");
        Description::stage()
    }

    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        actions::at("open");
        if actions::ordered("open", "fails-at-length") {
            return Err(PluginError::new("x".repeat(1 << 20)));
        }
        Ok(Self)
    }

    fn process(&mut self, _: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        actions::at("process");
        Ok(Flow::Done)
    }

    fn close(self) -> Result<(), PluginError> {
        actions::at("close");
        Ok(())
    }
}

export_plugin! { name: "misbehave_connect", components: [stage Odd { connect: ["127.0.0.1:1"] }], probe: {} }
