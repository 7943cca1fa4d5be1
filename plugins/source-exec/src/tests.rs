//! The source as the host drives it, with real programs.

use super::{CardcagePlugin, ExecSource};
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{Failure, SourceHarness, TestHost, contract};
use cardcage_plugin_api::{Fill, Record};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest that any of these tests waits: far above what a loaded machine needs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A program in a folder of its own, and what came of running it.
struct Run {
    source: SourceHarness<ExecSource>,
    host: TestHost,
    folder: TempDir,
    records: Vec<Record>,
    rejected: Vec<(String, u64)>,
    last: Option<Fill>,
}

impl Run {
    /// A source that runs this script. It finds its folder in `$HERE`.
    #[expect(clippy::needless_pass_by_value, reason = "so that tests can write `json!({…})`")]
    fn of(script: &str, settings: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        // Written by a child: a file that this process had open for writing could not be run while another thread starts
        // something, which would have inherited it.
        let text = format!("#!/bin/sh\n{script}\n");
        let mut writer = std::process::Command::new("tee");
        let mut child = writer
            .arg(&program)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        child.wait().unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut whole = json!({
            "format": "ndjson",
            "command": [program, "first argument", "$HOME *"],
            "env": { "HERE": folder.path() },
            "cwd": folder.path(),
        });
        for (key, value) in settings.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let host = TestHost::of::<CardcagePlugin>("exec");
        let source = SourceHarness::open_on(host, whole).unwrap();
        Self { source, host, folder, records: Vec::new(), rejected: Vec::new(), last: None }
    }

    fn fill(&mut self) -> Result<(), Failure> {
        let filled = self.source.fill()?;
        self.records.extend(&filled.records);
        for (reason, count) in &filled.reasons {
            match self.rejected.iter_mut().find(|(name, _)| name == reason) {
                Some((_, total)) => *total += count,
                None => self.rejected.push((reason.clone(), *count)),
            }
        }
        self.last = Some(filled.fill);
        Ok(())
    }

    #[track_caller]
    fn until(&mut self, mut so: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !so(self) {
            let (records, logs) = (self.records.len(), self.host.logs());
            assert!(Instant::now() < end, "in vain: {records} records, {:?}, {logs:#?}", self.rejected);
            self.fill().unwrap();
        }
    }

    #[track_caller]
    fn until_finished(&mut self) {
        self.until(|run| run.last == Some(Fill::Finished));
    }

    fn rejected(&self, reason: &str) -> u64 {
        self.rejected.iter().find(|(name, _)| name == reason).map_or(0, |(_, count)| *count)
    }

    fn metric(&self, name: &str) -> u64 {
        format!("{}", self.host.metric(name).unwrap()).parse().unwrap()
    }

    fn logged(&self, text: &str) -> usize {
        self.host.logs().iter().filter(|line| line.message.contains(text)).count()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn number_in(&self, name: &str) -> Option<u32> {
        fs::read_to_string(self.path(name)).ok()?.trim().parse().ok()
    }
}

/// Whether there is such a process, and it is no zombie.
fn lives(pid: u32) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
    status.is_ok_and(|text| !text.contains("State:\tZ"))
}

#[track_caller]
fn wait_until_dead(pid: u32) {
    let end = Instant::now() + PATIENCE;
    while lives(pid) {
        assert!(Instant::now() < end, "process {pid} still lives");
        std::thread::yield_now();
    }
}

const ONE: &str = r#"echo '{"sensor":"a","value":1}'"#;

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn the_lines_of_a_program_come_in_order_and_its_end_is_the_end() {
    // No line end behind the last one.
    let script = r#"i=0; while [ $i -lt 3000 ]; do echo "{\"sensor\":\"a\",\"value\":$i}"; i=$((i+1)); done
        printf '{"sensor":"a","value":3000}'"#;
    let mut run = Run::of(script, json!({ "restart": "never" }));
    run.source = run.source.with_capacity(700);
    run.until_finished();
    let values: Vec<u32> =
        run.records.iter().map(|record| format!("{}", record.value).parse().unwrap()).collect();
    assert_eq!(values, (0..=3000).collect::<Vec<_>>());
    run.source.close().unwrap();
}

#[test]
fn arguments_arrive_as_they_were_written() {
    let script = format!("printf '%s\\n' \"$@\" > $HERE/arguments; pwd > $HERE/folder; {ONE}");
    let mut run = Run::of(&script, json!({ "restart": "never" }));
    run.until_finished();
    assert_eq!(fs::read_to_string(run.path("arguments")).unwrap(), "first argument\n$HOME *\n");
    let folder = fs::read_to_string(run.path("folder")).unwrap();
    assert_eq!(Path::new(folder.trim()).canonicalize().unwrap(), run.folder.path().canonicalize().unwrap());
}

#[test]
fn a_program_that_ended_is_started_again_and_each_of_its_lines_comes_once() {
    let mut run = Run::of(ONE, json!({ "backoff": { "first": "10ms", "max": "20ms" } }));
    run.until(|run| run.records.len() == 4);
    assert_eq!(run.metric("starts"), 4);
    run.source.close().unwrap();
}

#[test]
fn on_failure_it_is_started_again_until_it_ends_with_0() {
    let script = format!("{ONE}; if [ -e $HERE/second ]; then exit 0; fi; touch $HERE/second; exit 3");
    let settings = json!({ "restart": "on_failure", "backoff": { "first": "10ms", "max": "20ms" } });
    let mut run = Run::of(&script, settings);
    run.until_finished();
    assert_eq!((run.records.len(), run.metric("starts"), run.metric("failures")), (2, 2, 1));
    assert_eq!(run.logged("ended with exit status: 3"), 1, "{:?}", run.host.logs());
}

#[test]
fn never_makes_a_failure_the_sources_own_and_what_came_before_it_counts() {
    let mut run = Run::of(&format!("{ONE}; exit 3"), json!({ "restart": "never" }));
    let end = Instant::now() + PATIENCE;
    let failure = loop {
        assert!(Instant::now() < end);
        if let Err(failure) = run.fill() {
            break failure;
        }
    };
    assert!(failure.to_string().contains("exit status: 3"), "{failure}");
    assert_eq!(run.records.len(), 1);
}

#[test]
fn a_program_that_is_killed_within_a_line_gives_no_half_reading() {
    let script = format!("{ONE}; printf '{{\"sensor\":\"a\",\"value\":12'; kill -9 $$");
    let mut run = Run::of(&script, json!({ "backoff": { "first": "1m", "max": "1m" } }));
    run.until(|run| run.metric("failures") == 1);
    assert_eq!((run.records.len(), run.rejected("cut_off")), (1, 1));
}

#[test]
fn every_interval_it_runs_anew_and_one_that_hangs_is_ended_with_what_it_started() {
    let script = format!(
        "{ONE}; if [ -e $HERE/child ]; then exit 0; fi
         sleep 1000 & echo $! > $HERE/new; mv $HERE/new $HERE/child; trap '' TERM; wait; wait"
    );
    let mut run = Run::of(&script, json!({ "every": "200ms", "timeout": "100ms", "grace": "50ms" }));
    run.until(|run| run.metric("timeouts") == 1);
    let child = run.number_in("child").unwrap();
    run.until(|run| run.records.len() >= 3);
    wait_until_dead(child);
    assert_eq!(run.metric("timeouts"), 1);
    assert_eq!(run.logged("takes longer than 100 ms"), 1);
}

#[test]
fn one_that_writes_without_end_is_ended_in_its_time_too() {
    let script =
        format!("if [ -e $HERE/second ]; then {ONE}; exit; fi; touch $HERE/second; exec yes nonsense");
    let mut run = Run::of(&script, json!({ "every": "300ms", "timeout": "100ms", "grace": "50ms" }));
    run.until(|run| run.records.len() == 1);
    assert_eq!(run.metric("timeouts"), 1);
    assert!(run.rejected("bad_json") > 0);
}

#[test]
fn what_a_program_left_behind_in_its_group_ends_with_it() {
    let script = format!("sleep 1000 & echo $! > $HERE/child; {ONE}");
    let mut run = Run::of(&script, json!({ "restart": "never" }));
    run.until_finished();
    wait_until_dead(run.number_in("child").unwrap());
}

#[test]
fn close_asks_it_to_end_and_waits_for_that() {
    let script = format!("trap 'echo bye > $HERE/bye; exit 0' TERM; {ONE}; while :; do sleep 0.01; done");
    let mut run = Run::of(&script, json!({ "grace": "30s" }));
    run.until(|run| run.records.len() == 1);
    let bye = run.path("bye");
    run.source.close().unwrap();
    assert!(bye.exists(), "it had time for its last words");
}

#[test]
fn close_kills_one_that_does_not_want_to_end_and_all_that_it_started() {
    let script = format!(
        "trap '' TERM; sleep 1000 & echo $! > $HERE/child; echo $$ > $HERE/self; {ONE}; while :; do wait; done"
    );
    let mut run = Run::of(&script, json!({ "grace": "100ms" }));
    run.until(|run| run.records.len() == 1);
    let (parent, child) = (run.number_in("self").unwrap(), run.number_in("child").unwrap());
    run.source.close().unwrap();
    assert!(!Path::new("/proc").join(parent.to_string()).exists(), "not even a zombie is left");
    wait_until_dead(child);
}

#[test]
fn output_without_end_and_without_line_ends_is_bounded() {
    let script = "exec cat /dev/zero";
    let mut run = Run::of(script, json!({ "max_line": "1KiB" }));
    run.until(|run| run.metric("received_bytes") > 32_000_000);
    assert_eq!((run.records.len(), run.rejected("too_long")), (0, 1));
    run.source.close().unwrap();
}

#[test]
fn the_rest_of_a_line_that_is_too_long_is_no_line_of_its_own() {
    // Its end comes with a piece that looks like a reading.
    let script = format!(
        "{ONE}; head -c 300000 /dev/zero | tr '\\0' x; while [ ! -e $HERE/go ]; do sleep 0.01; done
         echo '{{\"sensor\":\"forged\",\"value\":666}}'; {ONE}"
    );
    let mut run = Run::of(&script, json!({ "max_line": "64KiB", "restart": "never" }));
    run.until(|run| run.metric("received_bytes") > 300_000);
    fs::write(run.path("go"), "").unwrap();
    run.until_finished();
    let values: Vec<f64> = run.records.iter().map(|record| record.value).collect();
    assert_eq!((values, run.rejected("too_long"), run.rejected("bad_json")), (vec![1.0, 1.0], 1, 0));
}

#[test]
fn a_line_of_several_readings_waits_for_room_at_the_end_too() {
    let script = "for n in 1 2 3; do echo 'm a=1,b=2,c=3 1'; done; printf 'm a=1,b=2,c=3 1'";
    let mut run = Run::of(script, json!({ "format": "line_protocol", "restart": "never" }));
    run.source = run.source.with_capacity(5);
    run.until_finished();
    assert_eq!((run.records.len(), run.rejected("cut_off")), (12, 0));
}

#[test]
fn what_a_program_wrote_to_standard_error_last_counts_too() {
    // As much as a pipe holds, at once and then the end.
    let script = format!("{ONE}; yes message | head -n 8000 >&2");
    let mut run = Run::of(&script, json!({ "restart": "never" }));
    run.until_finished();
    assert_eq!(run.metric("messages"), 8000);
}

#[test]
fn last_words_that_nobody_takes_are_warned_of() {
    let script = format!("trap 'echo lost; exit 0' TERM; {ONE}; while :; do sleep 0.01; done");
    let mut run = Run::of(&script, json!({ "grace": "30s" }));
    run.until(|run| run.records.len() == 1);
    run.source.close().unwrap();
    let logs = run.host.logs();
    assert!(logs.iter().any(|line| line.message.contains("unread_bytes=5")), "{logs:?}");
}

#[test]
fn messages_without_end_reach_the_log_as_a_few_bounded_lines() {
    let script = format!(
        "yes \"$(head -c 5000 /dev/zero | tr '\\0' x)\" | head -c 20000000 >&2; printf 'a\\033[2Jb' >&2; {ONE}"
    );
    let mut run = Run::of(&script, json!({ "restart": "never" }));
    run.until_finished();
    let logs = run.host.logs();
    assert!(logs.len() < 60, "{}", logs.len());
    assert!(logs.iter().all(|line| line.message.len() < 1200 && !line.message.contains('\u{1b}')));
    assert!(run.logged("held_back") >= 1);
    assert!(run.metric("messages") > 3000);
    assert_eq!(run.records.len(), 1);
}

#[test]
fn a_message_that_was_cut_says_so_at_the_end_of_a_character() {
    let zeros = "$(head -c 1023 /dev/zero | tr '\\0' 0)";
    let mut run = Run::of(
        &format!("echo \"{zeros}ü and more\" >&2; echo \"{zeros}\" >&2; {ONE}"),
        json!({ "restart": "never" }),
    );
    run.until_finished();
    let logs = run.host.logs();
    let said: Vec<&str> =
        logs.iter().map(|line| line.message.as_str()).filter(|said| said.contains("000")).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("000…") && !said[0].contains(char::REPLACEMENT_CHARACTER), "{}", said[0]);
    assert!(said[1].contains("000") && !said[1].contains('…'), "{}", said[1]);
}

#[test]
fn a_program_that_cannot_be_run_is_refused_at_once() {
    let refused = |command: Value| {
        let settings = json!({ "format": "ndjson", "command": command });
        SourceHarness::<ExecSource>::open(settings).err().unwrap().to_string()
    };
    assert!(refused(json!(["/no/such/program"])).contains("there is no program `/no/such/program`"));
    assert!(refused(json!(["no-such-program-anywhere"])).contains("in any folder of PATH"));
    assert!(refused(json!(["/etc/passwd"])).contains("chmod +x"));
    assert!(refused(json!(["/etc"])).contains("is a folder"));
}

#[test]
fn settings_that_do_not_go_together_are_named() {
    for (settings, setting) in [
        (json!({ "command": [] }), "command"),
        (json!({ "command": [""] }), "command"),
        (json!({ "command": ["ls -l /"] }), "command"),
        (json!({ "command": ["a", "b\u{0}"] }), "command"),
        (json!({ "command": ["a"], "env": { "A=B": "c" } }), "env"),
        (json!({ "command": ["a"], "grace": "2m" }), "grace"),
        (json!({ "command": ["a"], "backoff": { "first": "1ms" } }), "backoff.first"),
        (json!({ "command": ["a"], "backoff": { "first": "2s", "max": "1s" } }), "backoff.max"),
        (json!({ "command": ["a"], "timeout": "1s" }), "timeout"),
        (json!({ "command": ["a"], "every": "1s", "timeout": "2s" }), "timeout"),
        (json!({ "command": ["a"], "every": "1ms" }), "every"),
        (json!({ "command": ["a"], "every": "1s", "restart": "never" }), "restart"),
    ] {
        let mut whole = settings.clone();
        whole["format"] = json!("ndjson");
        let description = SourceHarness::<ExecSource>::describe(whole).unwrap();
        let named: Vec<&str> = description.problems.iter().map(|problem| problem.setting.as_str()).collect();
        assert!(named.contains(&setting), "{settings}: {named:?}");
    }
}
