//! Rungs 4 and 5 against plugins that crash, hang, exit and change the process: each does so in the vetting child, is
//! refused by a stable code that says what it did, and leaves nothing behind.
//!
//! The plugins are one library that does what a text in it says; the tests write the text.

#![forbid(unsafe_code)]

mod ordered;

use e2e::{Pipeline, wait_for};
use ordered::{Ordered, report};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Two at a time use the cores that there are without making each other late.
const SIDE_BY_SIDE: usize = 2;

/// What each order leads to: `ok`, or a code.
const ROWS: &[(&str, &str)] = &[
    ("constructor panics", "ladder.vetting.died"),
    ("constructor aborts", "ladder.vetting.died"),
    ("constructor exits-0", "ladder.vetting.died"),
    ("constructor exits-1", "ladder.vetting.died"),
    ("constructor exits-at-once", "ladder.vetting.died"),
    ("constructor kills-itself", "ladder.vetting.died"),
    ("constructor segfaults", "ladder.vetting.died"),
    ("constructor overflows-the-stack", "ladder.vetting.died"),
    ("constructor allocates-without-end", "ladder.vetting.died"),
    ("constructor hangs", "ladder.vetting.timeout"),
    ("constructor stops-itself", "ladder.vetting.timeout"),
    ("constructor floods-its-output", "ladder.vetting.timeout"),
    ("constructor forks", "ladder.open.reached-out"),
    ("constructor daemonises", "ladder.open.reached-out"),
    ("constructor forks-without-end", "ladder.open.reached-out"),
    ("constructor kills-its-parent", "ladder.open.reached-out"),
    ("constructor runs-a-program", "ladder.vetting.died"),
    ("constructor reads-a-file", "ladder.vetting.died"),
    ("constructor reads-a-clock-and-a-library", "ok"),
    ("constructor changes-its-folder", "ladder.open.process-changed"),
    ("constructor changes-the-umask", "ladder.open.process-changed"),
    ("constructor changes-the-environment", "ladder.open.process-changed"),
    ("constructor changes-the-locale", "ladder.open.process-changed"),
    ("constructor flushes-to-zero", "ladder.open.process-changed"),
    ("constructor handles-a-signal", "ladder.open.process-changed"),
    ("constructor takes-over-a-handler", "ladder.open.process-changed"),
    ("constructor ignores-a-signal", "ladder.open.process-changed"),
    ("constructor blocks-a-signal", "ladder.open.process-changed"),
    ("constructor sets-a-timer", "ladder.open.process-changed"),
    ("constructor lowers-a-limit", "ladder.open.process-changed"),
    ("constructor is-nice", "ladder.open.process-changed"),
    ("constructor replaces-the-signal-stack", "ladder.open.process-changed"),
    ("constructor leaves-a-file-open", "ladder.open.process-changed"),
    ("constructor closes-standard-input", "ladder.open.process-changed"),
    ("constructor closes-all-files", "ladder.vetting.silenced"),
    ("constructor replaces-its-streams", "ladder.open.process-changed"),
    ("constructor replaces-all-files", "ladder.open.process-changed"),
    ("constructor replaces-every-file", "ladder.vetting.silenced"),
    ("constructor closes-file-6", "ladder.open.process-changed"),
    ("constructor writes-to-file-7", "ladder.open.process-changed"),
    ("constructor never-waits-for-output", "ladder.open.process-changed"),
    ("constructor runs-when-idle", "ladder.open.process-changed"),
    ("constructor reads-when-idle", "ladder.open.process-changed"),
    ("constructor lets-timers-be-late", "ladder.open.process-changed"),
    ("constructor hides-its-memory", "ladder.open.process-changed"),
    ("constructor renames-the-thread", "ladder.open.process-changed"),
    ("constructor adopts-orphans", "ladder.open.process-changed"),
    ("constructor gives-up-a-privilege", "ladder.open.process-changed"),
    ("constructor takes-a-locale-of-its-own", "ladder.open.process-changed"),
    ("constructor writes-to-all-files", "ladder.vetting.scribbled"),
    ("constructor forges-a-verdict", "ladder.vetting.scribbled"),
    ("constructor starts-a-thread", "ladder.open.process-changed"),
    ("constructor closes-its-file-to-others", "ladder.open.reached-out"),
    ("constructor makes-its-file-old", "ladder.open.reached-out"),
    ("constructor limits-its-parent", "ladder.open.reached-out"),
    ("constructor slows-its-parent", "ladder.open.reached-out"),
    ("constructor schedules-its-parent", "ladder.open.reached-out"),
    ("constructor corrects-the-clock", "ladder.open.reached-out"),
    ("constructor shares-memory", "ladder.open.reached-out"),
    ("constructor looks-at-other-limits-and-the-clock", "ok"),
    ("constructor takes-much-memory-at-once", "ladder.vetting.died"),
    ("constructor opens-many-files", "ladder.vetting.died"),
    ("constructor makes-a-large-file", "ladder.vetting.died"),
    ("describe aborts", "ladder.vetting.died"),
    ("describe changes-its-folder", "ladder.probe.process-changed"),
    ("describe changes-the-umask", "ladder.probe.process-changed"),
    ("open hangs", "ladder.vetting.timeout"),
    ("open exits-0", "ladder.vetting.died"),
    ("open panics", "ladder.probe.panicked"),
    ("open fails-at-length", "ladder.probe.failed"),
    ("open says-it-was-denied", "ladder.probe.failed"),
    ("open allocates-without-end", "ladder.vetting.died"),
    ("open starts-a-thread", "ladder.probe.threads"),
    ("open leaves-a-file-open", "ok"),
    ("open writes-to-all-files", "ladder.vetting.scribbled"),
    ("process spins", "ladder.vetting.timeout"),
    ("process flushes-to-zero", "ladder.probe.process-changed"),
    ("process sets-a-timer", "ladder.probe.process-changed"),
    ("process closes-all-files", "ladder.vetting.silenced"),
    ("process replaces-its-streams", "ladder.probe.process-changed"),
    ("process writes-to-file-7", "ladder.probe.process-changed"),
    ("process runs-when-idle", "ladder.probe.process-changed"),
    ("close aborts", "ladder.vetting.died"),
    ("destructor aborts", "ladder.vetting.died"),
    ("destructor exits-at-once", "ladder.vetting.died"),
    ("destructor hangs", "ladder.vetting.timeout"),
];

#[test]
fn whatever_a_plugin_does_in_the_child_is_refused_by_its_code_and_says_what_it_did() {
    let next = AtomicUsize::new(0);
    let mut found: Vec<(usize, String, Value)> = std::thread::scope(|scope| {
        let worker = || {
            let mut found = Vec::new();
            while let Some((at, (order, code))) = {
                let at = next.fetch_add(1, Ordering::Relaxed);
                ROWS.get(at).map(|row| (at, row))
            } {
                let ordered = Ordered::new("misbehave", order);
                let report = report(&ordered.file());
                let got = report["refusal"]["code"].as_str().unwrap_or("ok").to_owned();
                found.push((
                    at,
                    if got == *code { String::new() } else { format!("{order}: {got}\n") },
                    report,
                ));
            }
            found
        };
        let workers: Vec<_> = (0..SIDE_BY_SIDE).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    found.sort_by_key(|(at, ..)| *at);
    let wrong: String = found.iter().map(|(_, wrong, _)| wrong.as_str()).collect();
    assert_eq!(wrong, "", "other codes than expected");
    let mut text = String::new();
    for (at, _, report) in &found {
        let refusal = &report["refusal"];
        if refusal.is_object() {
            let part = |name: &str| masked(refusal[name].as_str().unwrap());
            let (rung, code) = (refusal["rung"].as_str().unwrap(), refusal["code"].as_str().unwrap());
            let parts = [part("found"), part("expected"), part("help")]
                .map(|part| part.replace('\n', "\n            "));
            let [found, expected, help] = parts;
            writeln!(
                text,
                "{}: {code} at {rung}\n  found:    {found}\n  expected: {expected}\n  help:     {help}",
                ROWS[*at].0
            )
            .unwrap();
        }
    }
    insta::assert_snapshot!("rows", text);
}

/// Without what differs from run to run, or between machines; and short, where the plugin said a lot.
fn masked(text: &str) -> String {
    const SHOWN: usize = 400;
    /// How the folders that tests run in begin; letters and digits follow.
    const FOLDER: &str = "/tmp/.tmp";
    let mut text = text.to_owned();
    while let Some(at) = text.find(FOLDER) {
        let rest = text[at + FOLDER.len()..].trim_start_matches(char::is_alphanumeric);
        text = format!("{}[folder]{rest}", &text[..at]);
    }
    let mut masked = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(at);
        let end = number.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(number.len());
        let (number, after) = number.split_at(end);
        masked += before;
        // Thread numbers, addresses, sizes of the machine: short numbers say something, long ones don't.
        masked += if number.len() > 3 { "[number]" } else { number };
        rest = after;
    }
    masked += rest;
    // Where the standard library was when it was compiled, and lines in the plugin.
    let lines: Vec<&str> =
        masked.lines().map(|line| line.split(" panicked at ").next().unwrap_or(line)).collect();
    lines.join("\n").chars().take(SHOWN).collect()
}

#[test]
fn no_process_is_left_of_a_plugin_that_starts_some() {
    // Both declare that they run programs, so that processes are let come about at all.
    for order in ["open forks", "open daemonises", "open forks-without-end", "process daemonises"] {
        let ordered = Ordered::new("misbehave_exec", order);
        let file = ordered.file();
        report(&file);
        // Its name is an argument of the child, and so of all that were forked from it.
        let left = wait_for("the processes to end", || {
            let left = processes_with(&file);
            left.is_empty().then_some(left)
        });
        assert_eq!(left, Vec::<u32>::new(), "{order}");
    }
}

/// Those that are not dead, by their arguments.
fn processes_with(file: &Path) -> Vec<u32> {
    let name = file.display().to_string();
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|number: &u32| {
            let arguments = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(&name)
        })
        .collect()
}

#[test]
fn a_daemon_that_is_asked_for_all_of_them_refuses_each_and_runs_without_them() {
    let pipeline = Pipeline::new("version: 1", &["source_generate", "sink_stdout"]);
    let head = "version: 1\nplugins: { directories: [plugins] }\nstate_directory: state\n";
    let good = "sources: { made: { plugin: generate, settings: { count: 3 } } }\nsinks: { shown: { plugin: stdout, inputs: [made] } }\n";
    let mut stages = String::from("stages:\n");
    let mut asked = 0;
    // Those that hang would each cost the daemon's own deadline, which is ten seconds.
    for (at, (order, code)) in
        ROWS.iter().enumerate().filter(|(_, (_, code))| *code != "ladder.vetting.timeout")
    {
        let name = format!("misbeh-{at:02}");
        let bytes = std::fs::read(Ordered::new("misbehave", order).file()).unwrap();
        let renamed = replaced(&bytes, br#""name":"misbehave""#, format!(r#""name":"{name}""#).as_bytes());
        std::fs::write(pipeline.path("plugins").join(format!("lib{name}.so")), renamed).unwrap();
        writeln!(stages, "  stage{at}: {{ plugin: {name}, inputs: [made] }}").unwrap();
        asked += usize::from(*code != "ok");
    }
    pipeline.write_yaml(&format!("{head}{good}"));
    let finished = pipeline.run(&["run"]).expect(0);
    assert_eq!(finished.stdout.lines().count(), 3);
    pipeline.write_yaml(&format!("{head}{good}{stages}"));
    let finished = pipeline.run(&["run"]).expect(78);
    let refused = finished.stderr.matches("error[plugin.refused]").count();
    assert_eq!(refused, asked, "{}", finished.stderr);
}

/// What a plugin does in the daemon only, and what is said of it.
const CHANGES: &[(&str, &str)] = &[
    ("daemon changes-the-umask", "the umask went from"),
    ("daemon changes-its-folder", "the working folder went from"),
    ("daemon changes-the-environment", "the environment changed: TZ"),
    ("daemon changes-the-locale", "the locale went from"),
    ("daemon flushes-to-zero", "the floating-point control word went from"),
    ("daemon takes-over-a-handler", "the disposition of SIGSEGV went from"),
    ("daemon ignores-a-signal", "the disposition of SIGUSR2 went from"),
    ("daemon blocks-a-signal", "the blocked signals (a bit mask) went from"),
    ("daemon replaces-the-signal-stack", "the stack for signal handlers was replaced"),
    ("daemon sets-a-timer", "it left a timer running"),
    ("daemon lowers-a-soft-limit", "the limit on open files went from"),
    ("daemon runs-when-idle", "the scheduling policy went from SCHED_OTHER to SCHED_IDLE"),
    ("daemon reads-when-idle", "the priority of reading and writing went from"),
    ("daemon lets-timers-be-late", "how late timers may be (in nanoseconds) went from"),
    ("daemon hides-its-memory", "whether its memory may be looked at and dumped went from 1 to 0"),
    ("daemon renames-the-thread", "the thread's name went from"),
    ("daemon adopts-orphans", "whether it adopts orphaned processes went from 0 to 1"),
    ("daemon takes-a-locale-of-its-own", "this thread got a locale of its own"),
    ("daemon replaces-its-streams", "it put another file in the place of the descriptors 0 to 2"),
    ("daemon replaces-all-files", "it put another file in the place of the descriptors 3"),
    ("daemon closes-file-6", "it closed the descriptor 6 that it had not opened"),
    ("daemon never-waits-for-output", "it changed the flags of the descriptor 2"),
];

#[test]
fn a_plugin_that_changes_the_process_only_in_the_daemon_is_refused_there_and_the_change_taken_back() {
    // All in one daemon, each twice and a quiet one last: each is compared with the process as the one before left it,
    // and would find nothing to change if that had not been set back.
    let twice = CHANGES.iter().flat_map(|(order, _)| [*order, *order]);
    let orders = twice.chain(["never nothing"]);
    let pipeline = Pipeline::new("version: 1", &["source_generate", "sink_stdout"]);
    let mut stages = String::new();
    let mut input = "made".to_owned();
    for (at, order) in orders.enumerate() {
        let bytes = std::fs::read(Ordered::new("misbehave", order).file()).unwrap();
        let name = format!("misbeh-{at:02}");
        let renamed = replaced(&bytes, br#""name":"misbehave""#, format!(r#""name":"{name}""#).as_bytes());
        std::fs::write(pipeline.path("plugins").join(format!("lib{name}.so")), renamed).unwrap();
        writeln!(stages, "  stage{at}: {{ plugin: {name}, inputs: [{input}] }}").unwrap();
        input = format!("stage{at}");
    }
    pipeline.write_yaml(&format!(
        "version: 1\nplugins: {{ directories: [plugins] }}\nsources: {{ made: {{ plugin: generate }} }}\nstages:\n{stages}\
         sinks: {{ shown: {{ plugin: stdout, inputs: [{input}] }} }}\n"
    ));
    let finished = pipeline.run(&["run"]).expect(78);
    let counts: Vec<_> =
        CHANGES.iter().map(|(order, words)| (*order, finished.stderr.matches(words).count())).collect();
    let wrong: Vec<_> = counts.iter().filter(|(_, count)| *count != 2).collect();
    assert!(wrong.is_empty(), "{wrong:?}: {}", finished.stderr);
    let refused = finished.stderr.matches("[ladder.open.process-changed]").count();
    assert_eq!(refused, CHANGES.len() * 2, "{}", finished.stderr);
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut places = 0;
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
            places += 1;
        }
    }
    assert!(places >= 2, "the note, and the data that it is compared with");
    bytes
}
