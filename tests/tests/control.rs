//! The control socket: commands that talk to a running daemon, health, metrics, and clients that mean no good.

#![forbid(unsafe_code)]

mod clients;

use clients::{Answer, get, over_tcp, request, socket};
use e2e::{Pipeline, Running, library, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

/// Records a second that the source below makes.
const RATE: f64 = 20_000.0;
const ENDLESS: &str = "version: 1
checkpoint: { every: 50ms }
sources:
  gen: { plugin: generate, settings: { rate: 20000, sensors: 3 } }
stages:
  plausible: { plugin: range, inputs: [gen], settings: { min: -1e12, max: 1e12 } }
sinks:
  hole: { plugin: blackhole, inputs: [plausible] }
";
const ENDLESS_PLUGINS: [&str; 3] = ["source_generate", "stage_range", "sink_blackhole"];

/// A daemon that runs, and answers.
fn daemon(yaml: &str) -> (Pipeline, Running) {
    let pipeline = Pipeline::new(yaml, &ENDLESS_PLUGINS);
    let run = started(&pipeline);
    (pipeline, run)
}

fn started(pipeline: &Pipeline) -> Running {
    let run = pipeline.start(&["run", "--summary-json", "summary.json"]);
    wait_for("the daemon to answer", || {
        let path = socket(pipeline);
        (path.exists() && request(&path, "GET", "/health", "").is_ok()).then_some(())
    });
    run
}

fn ask(pipeline: &Pipeline, arguments: &[&str]) -> Output {
    pipeline.command(arguments).output().expect("the program can be started")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Drains it; the books must balance.
fn end(pipeline: &Pipeline, run: Running) {
    run.signal(Signal::TERM);
    run.finish().expect(0);
    let summary = fs::read_to_string(pipeline.path("summary.json")).expect("a summary");
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    assert_eq!(summary["balances"], true, "{summary}");
}

#[test]
fn without_a_daemon_each_command_says_so_plainly_and_ends_with_69() {
    let pipeline = Pipeline::new(ENDLESS, &[]);
    for command in ["status", "ledger", "metrics", "log-level"] {
        let output = ask(&pipeline, &[command]);
        let stderr = text(&output.stderr);
        assert_eq!(code(&output), 69, "{command}: {stderr}");
        assert!(
            stderr.starts_with("no daemon answers at ") && stderr.contains("there is no such socket"),
            "{stderr}"
        );
        assert!(stderr.contains("cardcage run") && stderr.contains("--socket PATH"), "{stderr}");
    }
    let output = ask(&pipeline, &["status", "--socket", "elsewhere.sock"]);
    assert!(text(&output.stderr).contains("elsewhere.sock"));
    for no_socket in ["pipeline.yaml", "."] {
        let output = ask(&pipeline, &["status", "--socket", no_socket]);
        assert_eq!(code(&output), 69, "{no_socket}");
        assert!(text(&output.stderr).contains("what is there is no socket"), "{}", text(&output.stderr));
    }
}

#[test]
fn a_socket_left_by_a_daemon_that_was_killed_is_said_to_be_so_and_replaced_by_the_next() {
    let (pipeline, run) = daemon(ENDLESS);
    run.signal(Signal::KILL);
    drop(run);
    let output = ask(&pipeline, &["status"]);
    assert_eq!(code(&output), 69);
    assert!(text(&output.stderr).contains("the daemon that made this socket is gone"));
    let run = started(&pipeline);
    end(&pipeline, run);
    assert!(!socket(&pipeline).exists(), "removed at the end");
}

#[test]
fn a_socket_that_somebody_removed_is_made_anew() {
    let (pipeline, run) = daemon(ENDLESS);
    for _ in 0..2 {
        fs::remove_file(socket(&pipeline)).expect("removed");
        wait_for("the socket", || get(&pipeline, "/health").ok());
    }
    run.wait_for_stderr("was removed or replaced by somebody; it is made anew");
    assert_eq!(code(&ask(&pipeline, &["status"])), 0);
    end(&pipeline, run);
    assert!(!socket(&pipeline).exists(), "removed at the end");
}

#[test]
fn a_second_daemon_does_not_take_the_socket_of_the_first() {
    let yaml = format!("{ENDLESS}control: {{ socket: shared.sock, mode: 0640 }}\nstate_directory: first\n");
    let pipeline = Pipeline::new(&yaml, &ENDLESS_PLUGINS);
    let run = pipeline.start(&["run", "--summary-json", "summary.json"]);
    let shared = pipeline.path("shared.sock");
    wait_for("the daemon to answer", || request(&shared, "GET", "/health", "").ok());
    let mode = fs::metadata(&shared).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o640);
    fs::write(
        pipeline.path("second.yaml"),
        fs::read_to_string(pipeline.path("pipeline.yaml")).expect("read").replace("first", "second"),
    )
    .expect("written");
    let output = ask(&pipeline, &["run", "second.yaml"]);
    assert_eq!(code(&output), 73);
    assert!(text(&output.stderr).contains("a daemon answers at "), "{}", text(&output.stderr));
    assert_eq!(code(&ask(&pipeline, &["status"])), 0, "the first is still there");
    end(&pipeline, run);
}

#[test]
fn status_tells_what_each_component_does() {
    let (pipeline, run) = daemon(ENDLESS);
    let status = wait_for("rates", || {
        let status =
            serde_json::from_slice::<Value>(&ask(&pipeline, &["status", "--format", "json"]).stdout).ok()?;
        status["components"][2]["in_per_second"].as_f64().filter(|rate| *rate > 0.0)?;
        Some(status)
    });
    assert_eq!((&status["state"], &status["health"]["health"]), (&"running".into(), &"healthy".into()));
    assert_eq!((&status["health"]["live"], &status["health"]["ready"]), (&true.into(), &true.into()));
    assert_eq!(status["lanes"]["running"], 2);
    assert_eq!(status["dictionary"]["sensors"], 3);
    let plugins: Vec<_> =
        status["components"].as_array().expect("a list").iter().map(|c| &c["plugin"]).collect();
    assert_eq!(plugins, ["generate", "range", "blackhole"]);
    let output = ask(&pipeline, &["status"]);
    let shown = text(&output.stdout);
    assert!(shown.starts_with("pipeline.yaml: running for ") && shown.contains(", healthy\n"), "{shown}");
    assert!(shown.contains("plausible  stage   range      running"), "{shown}");
    assert!(shown.contains("\naudit trail: head "), "{shown}");
    end(&pipeline, run);
}

#[test]
fn a_dictionary_that_is_nearly_full_is_worth_a_warning() {
    let yaml = ENDLESS.replace("sensors: 3", "sensors: 8") + "limits: { sensors: 10 }\n";
    let (pipeline, run) = daemon(&yaml);
    wait_for("the warning", || {
        let shown = text(&ask(&pipeline, &["status"]).stdout);
        shown.contains("degraded: the dictionary has 8 of 10 sensors").then_some(())
    });
    end(&pipeline, run);
}

#[test]
fn the_log_level_changes_while_the_daemon_runs() {
    let (pipeline, run) = daemon(ENDLESS);
    assert_eq!(text(&ask(&pipeline, &["log-level"]).stdout), "info\n");
    assert_eq!(
        text(&ask(&pipeline, &["log-level", "warn,plausible=debug"]).stdout),
        "warn,plausible=debug (was info)\n"
    );
    let bad = ask(&pipeline, &["log-level", "plausibel=debug"]);
    assert_eq!(code(&bad), 64);
    assert!(text(&bad.stderr).contains("did you mean `plausible`?"), "{}", text(&bad.stderr));
    let now = ask(&pipeline, &["log-level", "--format", "json"]);
    assert_eq!(
        text(&now.stdout),
        "{\"filter\":\"warn,plausible=debug\"}\n",
        "what was refused changed nothing"
    );
    assert_eq!(text(&ask(&pipeline, &["log-level", "--reset"]).stdout), "info (was warn,plausible=debug)\n");
    end(&pipeline, run);
}

#[test]
fn nobody_changes_what_is_logged_without_a_line_in_the_log() {
    let (pipeline, run) = daemon(ENDLESS);
    let path = socket(&pipeline);
    // More often than what repeats is shown.
    for change in 0..60 {
        let level = if change % 2 == 0 { "off" } else { "error" };
        let answer = request(&path, "POST", "/log-level", &format!("{{\"filter\": \"{level}\"}}"));
        assert_eq!(answer.expect("answered").status, 200);
    }
    run.wait_for_stderr("the log's filter is `off` now, it was `info`");
    wait_for("each change", || (run.stderr().matches("the log's filter is `").count() == 60).then_some(()));
    end(&pipeline, run);
}

#[test]
fn a_hung_component_is_told_from_a_healthy_one() {
    let yaml = "version: 1
sources:
  gen: { plugin: generate, settings: { rate: 1000 } }
  other: { plugin: generate, settings: { rate: 1000 } }
stages:
  stuck: { plugin: hang, inputs: [gen], deadline: 300ms }
sinks:
  hole: { plugin: blackhole, inputs: [stuck] }
  fine: { plugin: blackhole, inputs: [other] }
";
    let pipeline = Pipeline::new(yaml, &ENDLESS_PLUGINS);
    pipeline.add(library("hang_in_process"));
    let run = started(&pipeline);
    let answer = wait_for("the hung call to be seen", || {
        get(&pipeline, "/health/live").ok().filter(|answer| answer.status == 503)
    });
    let health = answer.json();
    assert_eq!(
        (&health["live"], &health["ready"], &health["health"]),
        (&false.into(), &false.into(), &"failing".into())
    );
    assert_eq!(health["reasons"][0]["component"], "stuck");
    assert_eq!(get(&pipeline, "/health/ready").expect("answered").status, 503);
    assert_eq!(get(&pipeline, "/health").expect("answered").status, 200, "for people: the answer says it");
    let shown = text(&ask(&pipeline, &["status"]).stdout);
    assert!(shown.contains("failing: stuck: `process` has not returned for "), "{shown}");
    let states = ask(&pipeline, &["status", "--format", "json"]);
    let states: Value = serde_json::from_slice(&states.stdout).expect("JSON");
    let of = |name: &str| {
        let components = states["components"].as_array().expect("a list");
        components
            .iter()
            .find(|component| component["name"] == name)
            .map(|component| component["state"].clone())
    };
    assert_eq!(
        (of("stuck"), of("other"), of("fine")),
        (Some("hung".into()), Some("running".into()), Some("running".into()))
    );
    // What it hangs on cannot go on either, and did not come to its end.
    let words = wait_for("its source to stop", || {
        let seen = get(&pipeline, "/status").ok()?.json();
        let state = |at: usize| seen["components"][at]["state"].as_str().map(str::to_owned);
        (state(0)? != "running").then(|| [state(0), state(1)])
    });
    assert_eq!(words.map(|word| word.expect("a word")), ["stopped", "running"]);
    run.signal(Signal::TERM);
    run.finish().expect(70);
}

#[test]
fn a_healthy_daemon_is_live_and_ready() {
    let (pipeline, run) = daemon(ENDLESS);
    for path in ["/health/live", "/health/ready"] {
        let answer = get(&pipeline, path).expect("answered");
        assert_eq!((answer.status, answer.json()["health"].as_str()), (200, Some("healthy")), "{path}");
    }
    end(&pipeline, run);
}

#[test]
fn over_tcp_there_are_metrics_and_health_and_nothing_else() {
    let yaml = format!("{ENDLESS}control: {{ metrics: \"127.0.0.1:0\" }}\n");
    let (pipeline, run) = daemon(&yaml);
    let address = run.address("http");
    let metrics = over_tcp(address, "GET", "/metrics", "").expect("answered");
    assert_eq!(metrics.status, 200);
    assert!(metrics.head.contains("application/openmetrics-text") && metrics.body.ends_with("# EOF\n"));
    assert_eq!(over_tcp(address, "GET", "/health/ready", "").expect("answered").status, 200);
    for (method, path) in
        [("GET", "/status"), ("GET", "/ledger"), ("POST", "/log-level"), ("GET", "/log-level")]
    {
        assert_eq!(over_tcp(address, method, path, "").expect("answered").status, 404, "{method} {path}");
    }
    end(&pipeline, run);
}

#[test]
fn metrics_pass_promtool() {
    let Some(promtool) = promtool() else {
        return;
    };
    let (pipeline, run) = daemon(ENDLESS);
    let classic = clients::request_with(&socket(&pipeline), "GET", "/metrics", "accept: text/plain\r\n", "")
        .expect("answered");
    assert!(classic.head.contains("text/plain; version=0.0.4"), "{}", classic.head);
    fs::write(pipeline.path("classic.txt"), &classic.body).expect("written");
    let input = fs::File::open(pipeline.path("classic.txt")).expect("there");
    let check =
        std::process::Command::new(&promtool).args(["check", "metrics"]).stdin(input).output().expect("runs");
    assert!(check.status.success(), "{}{}", text(&check.stdout), text(&check.stderr));
    // The other form is read by putting it into a database, for which each sample needs a time.
    let timed: String = text(&ask(&pipeline, &["metrics"]).stdout)
        .lines()
        .map(|line| if line.starts_with('#') { format!("{line}\n") } else { format!("{line} 1700000000\n") })
        .collect();
    fs::write(pipeline.path("open.txt"), timed).expect("written");
    let read = std::process::Command::new(&promtool)
        .args(["tsdb", "create-blocks-from", "openmetrics", "open.txt", "blocks"])
        .current_dir(pipeline.folder())
        .output()
        .expect("runs");
    assert!(read.status.success(), "{}{}", text(&read.stdout), text(&read.stderr));
    end(&pipeline, run);
}

/// Where promtool is, if anywhere; a run that must be complete fails without it.
fn promtool() -> Option<std::path::PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&paths).map(|folder| folder.join("promtool")).find(|path| path.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "promtool is missing; it is in Debian's package `prometheus`"
        );
        eprintln!("skipped: promtool is missing; it is in Debian's package `prometheus`");
    }
    found
}

#[test]
fn clients_that_mean_no_good_cost_the_lanes_nothing() {
    let (pipeline, run) = daemon(ENDLESS);
    let path = socket(&pipeline);
    let before = progress(&pipeline);
    let crowd = clients::crowd(&path, 1000);
    clients::hostile(&path);
    // Those who sent nothing are thrown out after a while, and the others get their turn.
    let status = ask(&pipeline, &["status", "--format", "json"]);
    assert_eq!(code(&status), 0, "{}", text(&status.stderr));
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(status["health"]["health"], "healthy");
    // What `generate` was told to make, it made, and it arrived: not nearly so many if a lane had waited for a client.
    wait_for("two seconds among them", || (progress(&pipeline).0 > before.0 + 2.0).then_some(()));
    let now = progress(&pipeline);
    let rate = (now.1 - before.1) / (now.0 - before.0);
    assert!(rate > 0.8 * RATE, "{rate} records a second, of {RATE}");
    drop(crowd);
    end(&pipeline, run);
}

/// For how long the daemon has run, and how many records have arrived.
fn progress(pipeline: &Pipeline) -> (f64, f64) {
    let status = ask(pipeline, &["status", "--format", "json"]);
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let numbers = [&status["uptime_seconds"], &status["components"][2]["in"]].map(Value::as_f64);
    (numbers[0].expect("seconds"), numbers[1].expect("records"))
}

#[test]
fn who_keeps_all_places_does_not_keep_others_from_health_and_those_are_told() {
    let yaml = format!("{ENDLESS}control: {{ metrics: \"127.0.0.1:0\" }}\n");
    let (pipeline, run) = daemon(&yaml);
    let address = run.address("http");
    let slow = clients::slow_over_tcp(address, 32);
    let mut busy = 0;
    for _ in 0..20 {
        assert_eq!(over_tcp(address, "GET", "/health/live", "").expect("answered").status, 200);
        let metrics = over_tcp(address, "GET", "/metrics", "").expect("answered");
        if metrics.status == 503 {
            assert!(metrics.json()["error"].as_str().expect("a text").starts_with("too many connections"));
            busy += 1;
        }
    }
    // On a loaded machine the slow ones may be thrown out meanwhile.
    assert!(busy > 0);
    drop(slow);
    end(&pipeline, run);
}

#[test]
fn what_is_too_large_or_no_request_is_refused() {
    let (pipeline, run) = daemon(ENDLESS);
    let path = socket(&pipeline);
    let refused = |answer: std::io::Result<Answer>| answer.map_or(0, |answer| answer.status);
    let long_header = format!("x: {}\r\n", "a".repeat(100_000));
    assert_eq!(refused(clients::request_with(&path, "GET", "/status", &long_header, "")), 431);
    let many = "x: y\r\n".repeat(1000);
    assert_eq!(refused(clients::request_with(&path, "GET", "/status", &many, "")), 431);
    let large = request(&path, "POST", "/log-level", &"a".repeat(100_000)).expect("answered");
    assert_eq!(large.status, 413);
    assert!(large.json()["error"].as_str().expect("a text").contains("more than 8192 bytes"), "{large:?}");
    assert_eq!(refused(request(&path, "POST", "/log-level", "{\"filter\": 7}")), 400);
    assert_eq!(refused(request(&path, "GET", "/nowhere", "")), 404);
    assert_eq!(refused(request(&path, "DELETE", "/status", "")), 405);
    assert_eq!(get(&pipeline, "/health/ready").expect("answered").status, 200);
    end(&pipeline, run);
}

#[test]
fn a_rehearsal_has_no_socket() {
    let pipeline = Pipeline::new(ENDLESS, &ENDLESS_PLUGINS);
    pipeline.run(&["run", "--dry-run", "300ms"]).expect(0);
    assert!(!Path::new(&socket(&pipeline)).exists());
}
