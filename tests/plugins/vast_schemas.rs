//! Nine sinks, each with a schema of nearly the size that one may have: together they are more than an answer holds.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;

/// Bytes of text in a schema: one is cut off at 1 MiB.
const SCHEMA_BYTES: usize = 1_000_000;

/// Settings about which there is much to say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wordy {}

impl JsonSchema for Wordy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Wordy".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "object", "description": "word ".repeat(SCHEMA_BYTES / 5) })
    }
}

/// Each of the sinks.
pub struct Vast<const N: u8>;

impl<const N: u8> Sink for Vast<N> {
    type Settings = Wordy;

    fn describe(_: &Wordy) -> Description {
        Description::sink()
    }

    fn open(_: Wordy, _: &Host) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn write(&mut self, _: &Delivery<'_>) -> Result<(), PluginError> {
        Ok(())
    }

    fn commit(&mut self, _: u64) -> Result<Commit, PluginError> {
        Ok(Commit::Committed)
    }
}

export_plugin! {
    name: "vast-schemas",
    components: [
        sink Vast<1> as "one" {},
        sink Vast<2> as "two" {},
        sink Vast<3> as "three" {},
        sink Vast<4> as "four" {},
        sink Vast<5> as "five" {},
        sink Vast<6> as "six" {},
        sink Vast<7> as "seven" {},
        sink Vast<8> as "eight" {},
        sink Vast<9> as "nine" {},
    ],
    probe: {},
}
