//! A stage that says more than anybody wants to read, and what nobody should.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::tracing;

/// Settings of the stage.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TalkativeSettings {
    /// Warnings from one place, at the first batch.
    #[serde(default)]
    times: u32,
    /// Said in the log as a text, as a field and with escapes.
    #[serde(default)]
    secret: String,
    /// Said in the log line by line, too.
    #[serde(default)]
    lines: bool,
    /// Where to fail with a message that quotes the secret.
    #[serde(default)]
    fail_in: String,
}

/// Passes everything on.
pub struct Talkative {
    settings: TalkativeSettings,
}

impl TalkativeSettings {
    fn fail(&self, place: &str) -> Result<(), PluginError> {
        if self.fail_in == place {
            return Err(PluginError::new(format!(
                "no login with `{}`, nor with {:?}",
                self.secret, self.secret
            )));
        }
        Ok(())
    }
}

impl Stage for Talkative {
    type Settings = TalkativeSettings;

    fn describe(settings: &TalkativeSettings) -> Description {
        let description = Description::stage();
        match settings.fail("describe") {
            Ok(()) => description,
            Err(error) => description.problem("secret", error.to_string()),
        }
    }

    fn open(settings: TalkativeSettings, _: &Host) -> Result<Self, PluginError> {
        tracing::info!(secret = %settings.secret, escaped = ?settings.secret, "logging in as {}", settings.secret);
        tracing::debug!("details of the login");
        for line in settings.secret.lines().filter(|_| settings.lines) {
            tracing::info!("a line of it: [{}]", line.trim());
        }
        settings.fail("open")?;
        Ok(Self { settings })
    }

    fn process(&mut self, _: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        for n in 0..std::mem::take(&mut self.settings.times) {
            tracing::warn!(n, "the press jumped");
        }
        tracing::warn!("another place");
        self.settings.fail("process")?;
        Ok(Flow::Done)
    }
}

export_plugin! {
    name: "talkative",
    components: [stage Talkative {}],
    probe: {},
}
