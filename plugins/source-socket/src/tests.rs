//! The source as the host drives it, with real sockets and clients of every kind.

mod clients;
mod connecting;
mod hostile;

use super::{CardcagePlugin, SocketSource};
use cardcage_plugin_api::Record;
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{Filled, SourceHarness, TestHost, contract};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The longest that any of these tests waits: far above what a loaded machine needs.
const PATIENCE: Duration = Duration::from_mins(1);

/// The source, and what came out of it so far.
struct Run {
    source: SourceHarness<SocketSource>,
    host: TestHost,
    records: Vec<Record>,
    rejected: Vec<(String, u64)>,
}

impl Run {
    fn open(settings: Value) -> Self {
        Self::open_on(TestHost::of::<CardcagePlugin>("socket"), settings)
    }

    #[expect(clippy::needless_pass_by_value, reason = "so that tests can write `json!({…})`")]
    fn open_on(host: TestHost, settings: Value) -> Self {
        let mut whole = json!({ "format": "ndjson" });
        for (key, value) in settings.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let source = SourceHarness::open_on(host, whole).unwrap();
        Self { source, host, records: Vec::new(), rejected: Vec::new() }
    }

    fn fill(&mut self) -> Filled {
        let filled = self.source.fill().unwrap();
        self.records.extend(&filled.records);
        for (reason, count) in &filled.reasons {
            match self.rejected.iter_mut().find(|(name, _)| name == reason) {
                Some((_, total)) => *total += count,
                None => self.rejected.push((reason.clone(), *count)),
            }
        }
        filled
    }

    /// Fills until it is so.
    #[track_caller]
    fn until(&mut self, mut so: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !so(self) {
            assert!(
                Instant::now() < end,
                "waited in vain: {} records, {:?}, {:#?}",
                self.records.len(),
                self.rejected,
                self.host.logs()
            );
            self.fill();
        }
    }

    #[track_caller]
    fn until_records(&mut self, count: usize) {
        self.until(|run| run.records.len() >= count);
        assert_eq!(self.records.len(), count);
    }

    fn rejected(&self, reason: &str) -> u64 {
        self.rejected.iter().find(|(name, _)| name == reason).map_or(0, |(_, count)| *count)
    }

    fn metric(&self, name: &str) -> u64 {
        format!("{}", self.host.metric(name).unwrap()).parse().unwrap()
    }

    /// Where it listens, as the log says.
    fn address(&self) -> SocketAddr {
        let logs = self.host.logs();
        let line = logs.iter().find(|line| line.message.contains("listening")).unwrap();
        line.message.split("://").nth(1).unwrap().split([' ', '"']).next().unwrap().parse().unwrap()
    }

    fn logged(&self, text: &str) -> bool {
        self.host.logs().iter().any(|line| line.message.contains(text))
    }

    fn values(&self) -> Vec<u32> {
        self.records.iter().map(|record| format!("{}", record.value).parse().unwrap()).collect()
    }
}

fn line(number: u32) -> String {
    format!("{{\"timestamp\":1700000000,\"sensor\":\"s{}\",\"value\":{number}}}\n", number % 7)
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(line).collect()
}

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn settings_that_do_not_go_together_are_named() {
    for (settings, setting) in [
        (json!({}), "address"),
        (json!({ "address": "tcp://:1", "listener": "x" }), "listener"),
        (json!({ "address": "http://x:1" }), "address"),
        (json!({ "listener": "x", "mode": "connect" }), "mode"),
        (json!({ "address": "udp://0.0.0.0:1", "mode": "connect" }), "mode"),
        (json!({ "address": "udp://0.0.0.0:1", "framing": "length" }), "framing"),
        (json!({ "address": "tcp://x:0", "mode": "connect" }), "address"),
        (json!({ "address": "tcp://x:1", "max_connections": 0 }), "max_connections"),
        (json!({ "address": "tcp://x:1", "max_held": "1KiB" }), "max_held"),
        (json!({ "address": "tcp://x:1", "idle_timeout": "10ms" }), "idle_timeout"),
        (json!({ "address": "tcp://x:1", "receive_buffer": 1 }), "receive_buffer"),
        (json!({ "address": "tcp://x:1", "reconnect": { "first": "1ms" } }), "reconnect.first"),
        (json!({ "address": "tcp://x:1", "reconnect": { "first": "2s", "max": "1s" } }), "reconnect.max"),
        (json!({ "address": "tcp://x:1", "connect_timeout": "0s" }), "connect_timeout"),
        (json!({ "address": "unix:/x", "file_mode": "rw" }), "file_mode"),
        (json!({ "address": "unix:/x", "file_mode": "4777" }), "file_mode"),
    ] {
        let mut whole = settings.clone();
        whole["format"] = json!("ndjson");
        let description = SourceHarness::<SocketSource>::describe(whole).unwrap();
        let named: Vec<&str> = description.problems.iter().map(|problem| problem.setting.as_str()).collect();
        assert!(named.contains(&setting), "{settings}: {named:?}");
    }
    let description = SourceHarness::<SocketSource>::describe(json!({ "address": "tcp://x:1" })).unwrap();
    assert_eq!(description.problems[0].setting, "format");
}
