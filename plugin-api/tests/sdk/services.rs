//! What the host does for components: names, metrics, log, threads, folders, sockets.

use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::{Failure, LogLine, SinkHarness, TestHost, contract, record};
use cardcage_plugin_api::{Counter, DictionaryFull, Gauge, Histogram, Thread, tracing};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

/// Logs, counts, and has a thread that waits for time to pass.
struct Busy {
    taken: Counter,
    level: Gauge,
    spread: Histogram,
    thread: Thread,
    rang: Receiver<i64>,
    host: Host,
}

#[derive(Deserialize, JsonSchema)]
struct BusySettings {
    #[serde(default)]
    thread: AtAlarm,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum AtAlarm {
    #[default]
    Ring,
    Fail,
    Panic,
}

const ALARM_NS: i64 = cardcage_plugin_api::testing::START_NS + 5_000_000_000;

impl Sink for Busy {
    type Settings = BusySettings;
    fn describe(_: &BusySettings) -> Description {
        Description::sink().threads(1)
    }
    fn open(settings: BusySettings, host: &Host) -> Result<Self, PluginError> {
        let missing = || PluginError::new("a declared metric is missing");
        let (bell, rang) = channel();
        let thread = host.spawn("alarm", move |host| {
            while host.now_ns() < ALARM_NS {
                if !host.wait_until(ALARM_NS) {
                    return Ok(());
                }
            }
            tracing::warn!(at_ns = host.now_ns(), "the alarm rang");
            match settings.thread {
                AtAlarm::Ring => bell.send(host.now_ns())?,
                AtAlarm::Fail => return Err(PluginError::new("no bell")),
                AtAlarm::Panic => panic!("the bell fell off"),
            }
            Ok(())
        })?;
        Ok(Self {
            taken: host.counter("taken").ok_or_else(missing)?,
            level: host.gauge("level").ok_or_else(missing)?,
            spread: host.histogram("spread").ok_or_else(missing)?,
            thread,
            rang,
            host: host.clone(),
        })
    }
    fn write(&mut self, batch: &Delivery<'_>) -> Result<(), PluginError> {
        for record in batch.records() {
            let (taken, level) = (self.taken.add(1.0), self.level.set(record.value));
            self.spread.observe(record.value);
            tracing::debug!(taken, level, value = record.value, "took {}", record.value);
        }
        Ok(())
    }
    /// Waits for the thread to get to its alarm.
    fn commit(&mut self, _: u64) -> Result<Commit, PluginError> {
        Ok(match self.rang.recv() {
            Ok(_) => Commit::Committed,
            Err(gone) => Commit::Permanent { why: gone.to_string() },
        })
    }
    fn close(self) -> Result<(), PluginError> {
        self.thread.join(self.host.now_ns() + 1_000_000_000)
    }
}

cardcage_plugin_api::export_plugin! {
    name: "busy",
    components: [sink Busy {
        threads: 1,
        metrics: [counter "taken" { max: 3.0 }, gauge "level" { min: -10.0, max: 10.0, largest_step: 5.0 },
            histogram "spread" { max: 10.0, buckets: [1.0, 2.5] }],
    }],
    probe: {},
}

fn open(host: TestHost, thread: &str) -> Result<SinkHarness<Busy>, Failure> {
    SinkHarness::open_on(host, json!({ "thread": thread }))
}

#[test]
fn a_plugin_in_the_same_crate_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn metrics_keep_the_rules_of_the_manifest() -> Result<(), Failure> {
    let host = TestHost::of::<CardcagePlugin>("busy");
    let mut sink = open(host, "ring")?;
    // 9 is a step of 6, NaN is no level, 11 is above the maximum.
    sink.write(&[3.0, 9.0, f64::NAN, 8.0, 11.0].map(record))?;
    assert_eq!(host.metric("level"), Some(8.0));
    assert_eq!(host.metric("taken"), Some(3.0), "the counter's maximum");
    assert_eq!(host.observed("spread"), [3.0, 9.0, 8.0], "an observation has rules, too");
    assert_eq!(host.metric("none such"), None);
    sink.close()
}

#[test]
fn events_arrive_with_level_target_and_fields_and_obey_the_level() -> Result<(), Failure> {
    let host = TestHost::of::<CardcagePlugin>("busy");
    let mut sink = open(host, "ring")?;
    sink.write(&[record(2.5)])?;
    let expected = LogLine {
        level: 4,
        target: "sdk::services".to_owned(),
        message: "took 2.5 taken=true level=true value=2.5".to_owned(),
    };
    assert_eq!(host.logs(), [expected]);
    let _quiet = host.with_log_level(3);
    sink.write(&[record(2.5)])?;
    assert_eq!(host.logs().len(), 1);
    sink.close()
}

/// The messages of a host's log once its component's thread ended that way, and how closing went.
fn after_the_alarm(thread: &str) -> Result<(Vec<String>, Result<(), Failure>), Failure> {
    let host = TestHost::of::<CardcagePlugin>("busy");
    let mut sink = open(host, thread)?;
    host.set_now_ns(ALARM_NS);
    let rang = sink.commit(1)? == Commit::Committed;
    assert_eq!(rang, thread == "ring");
    let closed = sink.close();
    Ok((host.logs().into_iter().map(|line| line.message).collect(), closed))
}

#[test]
fn a_thread_waits_for_the_hosts_clock_and_logs_as_its_component() -> Result<(), Failure> {
    let (messages, closed) = after_the_alarm("ring")?;
    assert_eq!(messages, [format!("the alarm rang at_ns={ALARM_NS}")]);
    closed
}

#[test]
fn a_thread_that_fails_or_panics_is_logged_and_told_by_close() -> Result<(), Failure> {
    let (messages, closed) = after_the_alarm("fail")?;
    assert_eq!(messages[1], "a thread failed: no bell");
    assert!(closed.is_err_and(|failure| failure.message == "a thread failed"));

    let (messages, closed) = after_the_alarm("panic")?;
    assert!(messages[1].starts_with("a thread panicked: the bell fell off at "), "{}", messages[1]);
    assert!(closed.is_err_and(|failure| failure.message == "a thread panicked"));
    Ok(())
}

#[test]
fn a_thread_that_still_waits_is_ended_by_closing() -> Result<(), Failure> {
    open(TestHost::of::<CardcagePlugin>("busy"), "ring")?.close()
}

#[test]
fn a_thread_past_the_declared_number_is_not_started() -> Result<(), Failure> {
    let host = TestHost::of::<CardcagePlugin>("busy");
    let first = open(host, "ring")?;
    let failure = open(host, "ring").err();
    assert!(failure.is_some_and(|failure| failure.message.contains("`alarm` is one more than")));
    first.close()
}

#[test]
fn a_sensor_is_its_name_and_its_tags_in_any_order() -> Result<(), DictionaryFull> {
    let host = TestHost::new().with_limits(2, 1).host();
    let plain = host.sensor("t")?;
    let tagged = host.tagged_sensor("t", &[("site", "b"), ("line", "a")])?;
    assert_eq!(tagged, host.tagged_sensor("t", &[("line", "a"), ("site", "b")])?);
    assert_ne!(plain, tagged);
    let tags: Vec<_> = host.sensor_entry(tagged).into_iter().flat_map(|sensor| sensor.tags()).collect();
    assert_eq!(tags, [("line", "a"), ("site", "b")]);
    assert_eq!(host.sensor("u"), Err(DictionaryFull));
    assert!(host.sensor_entry(SensorId(2)).is_none());

    assert_eq!(host.unit("")?, UnitId::NONE);
    let kelvin = host.unit("K")?;
    assert_eq!((host.unit_code(kelvin), host.unit_code(UnitId::NONE)), (Some("K"), Some("")));
    assert_eq!(host.unit("V"), Err(DictionaryFull));
    assert_eq!(host.unit_code(UnitId(9)), None);

    let mut cache = SensorCache::new(&host);
    assert_eq!((cache.id("t")?, cache.id("t")?), (plain, plain));
    assert_eq!(cache.id_by("t b a", |_| Ok(tagged))?, tagged);
    assert_eq!(cache.id("new"), Err(DictionaryFull));
    Ok(())
}

#[test]
fn a_folder_and_a_socket_are_handed_over() -> Result<(), PluginError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let host =
        TestHost::new().with_state_directory("/var/lib/x").with_listener("http", listener.into()).host();
    assert_eq!(host.state_directory(), Some("/var/lib/x".into()));
    let taken = host.listener("http").ok_or_else(|| PluginError::new("no listener"))?;
    assert_eq!(TcpListener::from(taken).local_addr()?, address);
    assert!(host.listener("http").is_none(), "it has one owner");
    assert!(TestHost::new().host().state_directory().is_none());
    Ok(())
}
