//! Says in a metric that it passed on twice as many records as it did; where it is told to, it also loses one of each
//! batch without a word, or takes one record off its counter after each batch, which no counter may do. The ladder cannot see
//! that, since its probe does not tell it to.

#![forbid(unsafe_code)]

use cardcage_plugin_api::Counter;
use cardcage_plugin_api::prelude::*;

/// The stage.
pub struct Boaster {
    out: Option<Counter>,
    loses: bool,
    falls: bool,
}

/// What it does wrong besides.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoasterSettings {
    /// Whether it loses records.
    #[serde(default)]
    loses: bool,
    /// Whether it lets its counter fall.
    #[serde(default)]
    falls: bool,
}

impl Stage for Boaster {
    type Settings = BoasterSettings;

    fn describe(_: &BoasterSettings) -> Description {
        Description::stage()
    }

    fn open(settings: BoasterSettings, host: &Host) -> Result<Self, PluginError> {
        Ok(Self { out: host.counter("records_out"), loses: settings.loses, falls: settings.falls })
    }

    fn process(&mut self, batch: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        if self.loses {
            batch.truncate(batch.len().saturating_sub(1));
        }
        if let Some(out) = &mut self.out {
            out.add(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)) * 2.0);
            if self.falls {
                out.add(-1.0);
            }
        }
        Ok(Flow::Done)
    }
}

export_plugin! {
    name: "lying-counter",
    components: [stage Boaster { metrics: [counter "records_out" { unit: "1", help: "records passed on" }] }],
    probe: {},
}
