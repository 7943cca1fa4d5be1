//! The example pipelines of `docs/examples`: each is checked and run as its first lines say, and its output looked at.

#![forbid(unsafe_code)]

use e2e::checkout::checkout;
use e2e::{Finished, Pipeline, Running, wait_for_lines, workspace};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};

/// Every example, so that one without a test is noticed.
const EXAMPLES: [&str; 9] = [
    "growing-log",
    "live-and-archive",
    "load-test",
    "network-input",
    "per-site",
    "plant-units",
    "program-input",
    "quality-gate",
    "slow-link",
];

/// An example in a clone of its own.
struct Example {
    checkout: Pipeline,
    name: &'static str,
}

impl Example {
    fn new(name: &'static str) -> Self {
        assert!(EXAMPLES.contains(&name));
        Self { checkout: checkout(), name }
    }

    fn file(&self) -> String {
        format!("docs/examples/{}/pipeline.yaml", self.name)
    }

    fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
        let mut command = self.checkout.command(arguments);
        // Where the plugins are is then as the example says, and not where the tests were built.
        command.env_remove("CARGO_TARGET_DIR").envs(environment.iter().copied());
        self.checkout.spawn(command)
    }

    /// Checks it, and runs it; `until` says when a live one has run long enough.
    fn run(&self, environment: &[(&str, &str)], until: impl FnOnce(&Running)) -> (Finished, Value) {
        let file = self.file();
        let checked = self.start(&["check", &file], environment).finish().expect(0);
        assert!(!checked.stderr.contains("warning"), "{}", checked.stderr);
        let run = self.start(&["run", &file, "--summary-json", "summary.json"], environment);
        until(&run);
        let run = run.finish().expect(0);
        let summary = fs::read_to_string(self.checkout.path("summary.json")).expect("a summary");
        let summary: Value = serde_json::from_str(&summary).expect("JSON");
        assert_eq!(summary["balances"], true, "{}", run.stderr);
        (run, summary)
    }

    fn to_its_end(&self, environment: &[(&str, &str)]) -> (Finished, Value) {
        self.run(environment, |_| {})
    }

    fn readings(&self, file: &str) -> Vec<Value> {
        let path = self.checkout.path(&format!("docs/examples/{}/out/{file}", self.name));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.lines().map(|line| serde_json::from_str(line).expect("a whole line of JSON")).collect()
    }
}

fn component<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let rows = summary["books"]["components"].as_array().expect("rows");
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no row for {name}"))
}

fn number(reading: &Value) -> f64 {
    reading["value"].as_f64().expect("a number")
}

#[track_caller]
fn assert_reads(reading: &Value, sensor: &str, value: f64, unit: &str) {
    assert_eq!(
        (reading["sensor"].as_str(), reading["unit"].as_str()),
        (Some(sensor), Some(unit)),
        "{reading}"
    );
    assert!((number(reading) - value).abs() < 1e-6 * value.abs().max(1.0), "{value} is expected: {reading}");
}

#[test]
fn every_example_is_tested_here_says_what_it_is_for_and_names_its_schema() {
    let examples = fs::read_dir(workspace().join("docs/examples")).expect("there are examples");
    let folders =
        examples.map(|entry| entry.expect("an entry can be read").path()).filter(|path| path.is_dir());
    let mut found = BTreeSet::new();
    for folder in folders {
        let name = folder.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8").to_owned();
        let text = fs::read_to_string(folder.join("pipeline.yaml")).expect("an example has a pipeline.yaml");
        let comment: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(comment.len() >= 4, "{name} begins with what it is for");
        let schema = "# yaml-language-server: $schema=../pipeline.schema.json";
        assert_eq!(comment.last(), Some(&schema), "{name}");
        let tried = comment.iter().find(|line| line.starts_with("# Try it:")).expect("says how to try it");
        assert!(
            tried.contains(&format!("target/release/cardcage run docs/examples/{name}/pipeline.yaml")),
            "{tried}"
        );
        found.insert(name);
    }
    assert_eq!(found, EXAMPLES.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn plant_units_come_out_metric_and_an_unknown_unit_is_flagged() {
    let example = Example::new("plant-units");
    let (_, summary) = example.to_its_end(&[]);
    assert_eq!(summary["totals"]["in"], 8);
    let readings = example.readings("readings.ndjson");
    assert_eq!(readings.len(), 8);
    assert_reads(&readings[0], "boiler-1.steam", 100.0, "degC");
    assert_reads(&readings[1], "boiler-1.drum", 1000.0, "kPa");
    assert_reads(&readings[2], "boiler-2.steam", 100.0, "degC");
    assert_reads(&readings[3], "boiler-2.drum", 1000.0, "kPa");
    assert_reads(&readings[4], "feed.flow", 10.0, "m3/h");
    assert_reads(&readings[5], "feed.pump", 7.456_998_7, "kW");
    assert_reads(&readings[6], "feed.speed", 1450.0, "rpm");
    assert_reads(&readings[7], "stack.smoke", 1.5, "Ringelmann");
    assert_eq!(readings[7]["quality"], "uncertain|unit_unknown");
    assert_eq!(readings[0]["timestamp"], 1_767_225_600_000_000_000_i64, "milliseconds became nanoseconds");
}

#[test]
fn the_quality_gate_archives_the_running_machine_and_keeps_what_it_refused() {
    let example = Example::new("quality-gate");
    let (run, summary) = example.to_its_end(&[]);
    // 288 real readings, 24 of them below 40 °F; of the broken logger's lines one is good, one too hot, three no readings.
    let machine = component(&summary, "machine");
    assert_eq!((&machine["in"], &machine["out"]), (&Value::from(293), &Value::from(290)));
    for reason in ["bad_json", "bad_number", "missing_value"] {
        assert_eq!(machine["rejected"][reason], 1, "{reason}: {}", run.stderr);
    }
    assert_eq!(component(&summary, "gate")["dropped"]["out_of_range"], 0, "diverted, not dropped");
    let (running, rejects) = (example.readings("running.ndjson"), example.readings("out-of-range.ndjson"));
    assert_eq!((running.len(), rejects.len()), (265, 25));
    assert_reads(&running[0], "machine-7.bearing", 19.386_754_744, "degC");
    let in_range = 4.4..=65.6;
    assert!(running.iter().all(|reading| in_range.contains(&number(reading))), "40 to 150 °F, in °C");
    assert!(
        rejects.iter().all(|reading| reading["unit"] == "degF" && !(40.0..=150.0).contains(&number(reading)))
    );
    let coldest = rejects.iter().map(number).fold(f64::INFINITY, f64::min);
    assert!((coldest - 2.084_721_206).abs() < 1e-9, "the coldest moment of the shutdown: {coldest}");
    assert_eq!(example.readings("dead-letters.ndjson").len(), 0, "nothing failed");
}

#[test]
fn live_and_archive_each_get_every_reading_in_their_own_unit() {
    let example = Example::new("live-and-archive");
    let archive = example.checkout.path("docs/examples/live-and-archive/out/line-3.ndjson");
    let (run, summary) = example.run(&[], |run| {
        wait_for_lines(&archive, 16);
        run.signal(Signal::TERM);
    });
    assert_eq!(summary["ended"], "drained");
    let archived = example.readings("line-3.ndjson");
    let shown: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(shown.len(), archived.len());
    assert_eq!(component(&summary, "line")["out"], archived.len());
    for (shown, archived) in shown.iter().zip(&archived) {
        let celsius = number(archived);
        assert!((45.0..=75.0).contains(&celsius), "{archived}");
        assert_eq!((&archived["unit"], &archived["tags"]["line"]), (&"degC".into(), &"3".into()));
        let sensor = archived["sensor"].as_str().expect("a name");
        assert_reads(shown, sensor, celsius * 1.8 + 32.0, "degF");
    }
}

#[test]
fn the_slow_link_carries_every_hundredth_reading_of_each_sensor() {
    let example = Example::new("slow-link");
    let (_, summary) = example.to_its_end(&[]);
    assert_eq!(component(&summary, "thinned")["dropped"]["not_sampled"], 19_800);
    let (full, sent) = (example.readings("full.ndjson"), example.readings("uplink.ndjson"));
    assert_eq!((full.len(), sent.len()), (20_000, 200));
    for (sensor, start) in [("generate-0", 0), ("generate-1", 1)] {
        let of_sensor: Vec<&Value> = sent.iter().filter(|reading| reading["sensor"] == sensor).collect();
        let expected: Vec<&Value> = full[start..].iter().step_by(200).collect();
        assert_eq!(of_sensor, expected, "the very readings that are kept on site, ten a second");
    }
}

#[test]
fn one_file_serves_any_site_and_readings_say_which() {
    let example = Example::new("per-site");
    let archive = example.checkout.path("docs/examples/per-site/out/hamburg.ndjson");
    let (_, summary) = example.run(&[("SITE", "hamburg"), ("EVERY", "200ms")], |run| {
        wait_for_lines(&archive, 10);
        run.signal(Signal::TERM);
    });
    let readings = example.readings("hamburg.ndjson");
    assert_eq!(component(&summary, "archive")["out"], readings.len());
    for reading in &readings {
        let tags = &reading["tags"];
        assert_eq!((&tags["site"], &tags["rack"]), (&"hamburg".into(), &"b-17".into()), "{reading}");
    }
    assert!(readings.iter().any(|reading| reading["sensor"] == "memory.used" && reading["unit"] == "By"));
    assert!(!readings.iter().any(|reading| reading["sensor"] == "network.received"), "not in `groups`");
    fs::remove_file(example.checkout.path("docs/examples/per-site/rack.txt")).expect("can be removed");
    let refused = example.start(&["check", &example.file()], &[]).finish().expect(78);
    assert!(refused.stderr.contains("rack.txt"), "{}", refused.stderr);
}

#[test]
fn a_growing_log_comes_whole_through_a_rotation() {
    let example = Example::new("growing-log");
    let folder = example.checkout.path("docs/examples/growing-log");
    let (log, archive) = (folder.join("press.ndjson"), folder.join("out/press.ndjson"));
    let append = |text: &str| {
        let mut log = OpenOptions::new().append(true).create(true).open(&log).expect("the log can be opened");
        log.write_all(text.as_bytes()).expect("written");
    };
    // The line that the example's first lines tell people to append.
    let text = fs::read_to_string(folder.join("pipeline.yaml")).expect("there");
    let (_, after) = text.split_once("echo '").expect("says what to append");
    let (line, _) = after.split_once('\'').expect("in quotes");
    let (_, summary) = example.run(&[], |run| {
        wait_for_lines(&archive, 2);
        append(&format!("{line}\n"));
        wait_for_lines(&archive, 3);
        fs::rename(&log, folder.join("press.ndjson.1")).expect("renamed");
        append("{\"sensor\":\"press-7.force\",\"value\":300,\"unit\":\"kN\"}\n");
        wait_for_lines(&archive, 4);
        run.signal(Signal::TERM);
    });
    let values: Vec<f64> = example.readings("press.ndjson").iter().map(number).collect();
    assert_eq!(format!("{values:?}"), "[411.0, 415.5, 412.5, 300.0]", "without the jitter");
    assert_eq!(component(&summary, "press")["out"], 5);
}

#[test]
fn the_load_test_counts_what_it_made() {
    let example = Example::new("load-test");
    let (_, summary) = example.to_its_end(&[("COUNT", "500000")]);
    assert_eq!(component(&summary, "load")["out"], 500_000);
    assert_eq!(component(&summary, "tenth")["dropped"]["not_sampled"], 450_000);
    assert_eq!(component(&summary, "nowhere")["out"], 50_000);
}

#[test]
fn what_is_sent_over_the_network_ends_in_one_file() {
    let example = Example::new("network-input");
    let archive = example.checkout.path("docs/examples/network-input/out/readings.ndjson");
    let anywhere = [("LOGGERS", "tcp://127.0.0.1:0"), ("DEVICES", "udp://127.0.0.1:0")];
    let (_, summary) = example.run(&anywhere, |run| {
        let mut logger = TcpStream::connect(run.address("tcp")).expect("it listens");
        logger.write_all(b"{\"sensor\":\"hall-2.door\",\"value\":1}\nhello\n").expect("sent");
        let device = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        device.send_to(b"{\"sensor\":\"hall-2.light\",\"value\":300}", run.address("udp")).expect("sent");
        run.wait_for_stderr("line rejected");
        wait_for_lines(&archive, 2);
        run.signal(Signal::TERM);
    });
    assert_eq!(component(&summary, "loggers")["rejected"]["bad_json"], 1);
    assert_eq!(component(&summary, "devices")["out"], 1);
    let mut sensors: Vec<String> =
        example.readings("readings.ndjson").iter().map(|reading| reading["sensor"].to_string()).collect();
    sensors.sort_unstable();
    assert_eq!(sensors, ["\"hall-2.door\"", "\"hall-2.light\""]);
}

#[test]
fn a_program_is_asked_again_and_again() {
    let example = Example::new("program-input");
    let archive = example.checkout.path("docs/examples/program-input/out/readings.ndjson");
    let (run, summary) = example.run(&[], |run| {
        wait_for_lines(&archive, 4);
        run.signal(Signal::TERM);
    });
    let readings = example.readings("readings.ndjson");
    assert_eq!(component(&summary, "meter")["out"], readings.len());
    assert_eq!(readings[0]["sensor"], "hall-2.meter-7.energy");
    assert_reads(&readings[1], "hall-2.meter-7.voltage", 229.5, "V");
    assert!(run.stderr.contains("asking meter 7"), "{}", run.stderr);
}
