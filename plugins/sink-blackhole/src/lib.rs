//! Counts records and forgets them: the end of a pipeline whose speed is measured, or whose output nobody wants.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;

/// The sink.
pub struct Blackhole {
    records: cardcage_plugin_api::Counter,
}

impl Sink for Blackhole {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        // Nothing can be written twice where nothing is kept.
        Description::sink().does(Capability::Idempotent)
    }

    fn open(_: NoSettings, host: &Host) -> Result<Self, PluginError> {
        let records = host.counter("records").ok_or_else(|| {
            PluginError::new("the host has no counter `records`, which the manifest declares")
        })?;
        Ok(Self { records })
    }

    fn write(&mut self, batch: &Delivery<'_>) -> Result<(), PluginError> {
        let count = u32::try_from(batch.records().len()).unwrap_or(u32::MAX);
        if count > 0 && !self.records.add(f64::from(count)) {
            return Err(PluginError::new(format!(
                "the host refused to add {count} to the counter `records`"
            )));
        }
        Ok(())
    }
}

export_plugin! {
    name: "blackhole",
    description: "counts records and forgets them",
    components: [sink Blackhole {
        idempotent,
        metrics: [counter "records" { unit: "1", help: "records taken and forgotten", min: 0.0 }],
    }],
    probe: {},
}

#[cfg(test)]
mod tests {
    use super::*;
    use cardcage_plugin_api::serde_json::json;
    use cardcage_plugin_api::testing::{Failure, SinkHarness, TestHost, contract, record};

    #[test]
    fn the_plugin_keeps_its_contract() {
        assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
    }

    #[test]
    fn records_are_counted_and_commits_are_done() -> Result<(), Failure> {
        let host = TestHost::of::<CardcagePlugin>("blackhole");
        let mut sink = SinkHarness::<Blackhole>::open_on(host, json!({}))?;
        sink.write(&[record(1.0), record(f64::NAN)])?;
        sink.write(&[])?;
        sink.write(&[record(2.0)])?;
        assert_eq!(host.metric("records"), Some(3.0));
        assert_eq!(sink.commit(1)?, Commit::Committed);
        sink.close()
    }

    #[test]
    fn a_host_without_the_declared_counter_is_refused() {
        let error = SinkHarness::<Blackhole>::open_on(TestHost::new(), json!({}))
            .err()
            .map(|failure| failure.message);
        assert!(error.is_some_and(|message| message.contains("`records`")));
    }

    #[test]
    fn any_setting_is_an_unknown_one() {
        let error = SinkHarness::<Blackhole>::describe(json!({ "path": "x" })).err();
        assert!(error.is_some_and(|failure| failure.message.contains("unknown field `path`")));
    }
}
