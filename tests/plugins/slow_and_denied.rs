//! Three component types, each of which takes its time and is then denied a file by the vetting child's sandbox.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;
use std::time::{Duration, Instant};

/// More than half of the deadline in the test, and less than all of it.
const TIME: Duration = Duration::from_millis(1200);

macro_rules! slow {
    ($($name:ident),+) => {$(
        /// A stage.
        pub struct $name;

        impl Stage for $name {
            type Settings = NoSettings;

            fn describe(_: &NoSettings) -> Description {
                Description::stage()
            }

            fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
                let until = Instant::now() + TIME;
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                std::fs::read("/etc/passwd").map_err(|error| PluginError::new(error.to_string()))?;
                Ok(Self)
            }

            fn process(&mut self, _: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
                Ok(Flow::Done)
            }
        }
    )+};
}

slow!(First, Second, Third);

export_plugin! {
    name: "slow_and_denied",
    components: [stage First as "first" {  }, stage Second as "second" {  }, stage Third as "third" {  }],
    probe: {}
}
