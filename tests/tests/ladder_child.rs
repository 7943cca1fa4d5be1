//! Rungs 4 and 5 against plugins that crash, hang, exit and change the process: each does so in the vetting child, is
//! refused by a stable code that says what it did, and leaves nothing behind.
//!
//! The plugins are one library that does what a text in it says; the tests write the text.

#![forbid(unsafe_code)]

use e2e::{Finished, Pipeline, library, plugin, wait_for};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The text in the library, and how long it is.
const ORDER: &[u8] = b"misbehave:never nothing";
const ORDER_BYTES: usize = 64;
/// By this a linker is known whose build ids can be made again.
const LINKER: &[u8] = b"Linker: LLD";
/// Enough for a plugin that does not hang, on a loaded machine; those that hang wait for it.
const DEADLINE: &str = "2s";
/// Two at a time use the cores that there are without making each other late.
const SIDE_BY_SIDE: usize = 2;

/// The library, told to do something at a moment.
struct Ordered {
    folder: tempfile::TempDir,
}

impl Ordered {
    fn new(library_name: &str, order: &str) -> Self {
        let mut bytes = std::fs::read(library(library_name)).unwrap();
        let at = bytes
            .windows(ORDER.len())
            .position(|window| window == ORDER)
            .expect("the text is in the library");
        let mut text = format!("misbehave:{order}").into_bytes();
        assert!(text.len() <= ORDER_BYTES, "{order}");
        text.resize(ORDER_BYTES, b' ');
        bytes[at..at + ORDER_BYTES].copy_from_slice(&text);
        // A file that is not as its linker left it is refused before anything of it runs, so it must not say who linked
        // it.
        while let Some(at) = bytes.windows(LINKER.len()).position(|window| window == LINKER) {
            bytes[at..at + LINKER.len()].make_ascii_lowercase();
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("libmisbehave.so"), bytes).unwrap();
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("libmisbehave.so")
    }
}

fn checked(file: &Path, more: &[&str]) -> Finished {
    let pipeline = Pipeline::new("version: 1", &[]);
    let path = file.display().to_string();
    pipeline.run(&[&["plugin", "check", "--deadline", DEADLINE, &path], more].concat())
}

fn report(file: &Path) -> Value {
    let finished = checked(file, &["--format", "json"]);
    let report = finished.json();
    let expected = if report["accepted"] == true { 0 } else { 78 };
    assert_eq!(finished.code(), expected, "{report:#}");
    report
}

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
    ("constructor writes-to-all-files", "ladder.vetting.scribbled"),
    ("constructor forges-a-verdict", "ladder.vetting.scribbled"),
    ("constructor starts-a-thread", "ladder.open.process-changed"),
    ("describe aborts", "ladder.vetting.died"),
    ("describe changes-its-folder", "ladder.probe.process-changed"),
    ("describe changes-the-umask", "ladder.probe.process-changed"),
    ("open hangs", "ladder.vetting.timeout"),
    ("open exits-0", "ladder.vetting.died"),
    ("open panics", "ladder.probe.panicked"),
    ("open fails-at-length", "ladder.probe.failed"),
    ("open starts-a-thread", "ladder.probe.threads"),
    ("open leaves-a-file-open", "ok"),
    ("open writes-to-all-files", "ladder.vetting.scribbled"),
    ("process spins", "ladder.vetting.timeout"),
    ("process flushes-to-zero", "ladder.probe.process-changed"),
    ("process sets-a-timer", "ladder.probe.process-changed"),
    ("process closes-all-files", "ladder.vetting.silenced"),
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
    let mut masked = String::new();
    let mut rest = text;
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
fn what_the_sandbox_denies_is_not_probed_and_never_a_refusal() {
    for (order, words) in [
        ("open reads-a-file", "the sandbox denied reading /etc/passwd"),
        ("process writes-a-file", "the sandbox denied writing /var/tmp/cardcage-misbehave"),
        (
            "open makes-a-socket",
            "the sandbox denied a socket: the plugin declares neither `connect` nor `listen`",
        ),
        ("open runs-a-program", "the sandbox denied another process: the plugin does not declare `exec`"),
    ] {
        let report = report(Ordered::new("misbehave", order).file().as_path());
        assert_eq!(report["accepted"], true, "{order}: {report:#}");
        let probe = &report["rungs"][8];
        assert_eq!(probe["result"], "not_probed", "{order}: {report:#}");
        let note = probe["note"].as_str().unwrap();
        assert!(note.contains(words), "{order}: {note}");
    }
    assert!(!Path::new("/var/tmp/cardcage-misbehave").exists());
}

#[test]
fn a_program_that_is_declared_can_be_run_in_the_probe() {
    let report = report(Ordered::new("misbehave_exec", "open runs-a-program").file().as_path());
    assert_eq!(report["accepted"], true, "{report:#}");
    assert_eq!(report["rungs"][8]["result"], "passed", "{report:#}");
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
fn the_child_of_a_sandboxed_machine_is_confined_as_the_kernel_offers() {
    // Where the kernel has both, nothing is said; where it has not, it is said and nothing fails.
    let text = checked(plugin("stage_range"), &[]).stdout;
    let landlock =
        std::fs::read_to_string("/sys/kernel/security/lsm").is_ok_and(|all| all.contains("landlock"));
    let seccomp = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail")
        .is_ok_and(|all| all.contains("user_notif"));
    if landlock && seccomp {
        assert!(!text.contains("vetted without"), "{text}");
    }
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

#[test]
fn a_plugin_that_changes_the_process_only_in_the_daemon_is_refused_there_and_the_change_taken_back() {
    let changes = [
        ("daemon changes-the-umask", "the umask went from"),
        ("daemon changes-its-folder", "the working folder went from"),
        ("daemon changes-the-environment", "the environment changed: TZ"),
        ("daemon changes-the-locale", "the locale went from"),
        ("daemon flushes-to-zero", "the floating-point control word went from"),
        ("daemon takes-over-a-handler", "the disposition of SIGSEGV went from"),
        ("daemon blocks-a-signal", "the blocked signals (a bit mask) went from"),
        ("daemon sets-a-timer", "it left a timer running"),
    ];
    // All in one daemon, a quiet one last: each is compared with the process as the one before left it.
    let orders = changes.iter().map(|(order, _)| *order).chain(["never nothing"]);
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
    for (order, words) in changes {
        assert_eq!(finished.stderr.matches(words).count(), 1, "{order}: {}", finished.stderr);
    }
    let refused = finished.stderr.matches("[ladder.open.process-changed]").count();
    assert_eq!(refused, changes.len(), "{}", finished.stderr);
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
