//! The log as whoever reads it gets it: on stderr as text or JSON, in a journal that is a socket of the test's own.

#![forbid(unsafe_code)]

use e2e::{Finished, Pipeline, library};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::thread::JoinHandle;

const PASSWORD: &str = "hunter2-of-the-\"press\"";

/// One record through a stage that talks, with these settings.
fn talkative(settings: &str) -> Pipeline {
    let yaml = "version: 1
sources:
  gen: { plugin: generate, settings: { count: 1, sensors: 1 } }
stages:
  press: { plugin: talkative, inputs: [gen], settings: { SETTINGS } }
sinks:
  nowhere: { plugin: blackhole, inputs: [press] }
";
    let pipeline = Pipeline::new(&yaml.replace("SETTINGS", settings), &["source_generate", "sink_blackhole"]);
    pipeline.add(library("talkative"));
    pipeline
}

fn run(pipeline: &Pipeline, set_up: impl FnOnce(&mut Command)) -> Finished {
    let mut command = pipeline.command(&["run"]);
    command.env_remove("JOURNAL_STREAM").env_remove("CARDCAGE_LOG");
    set_up(&mut command);
    pipeline.spawn(command).finish()
}

/// Makes stderr look as if it led to the journal: the harness writes to this very file.
fn stderr_is_the_journal(pipeline: &Pipeline, command: &mut Command) {
    let path = pipeline.path("stderr.txt");
    File::create(&path).expect("a file");
    let metadata = fs::metadata(&path).expect("it is there");
    command.env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()));
}

/// A journal that keeps what it is sent.
struct FakeJournal {
    path: PathBuf,
    reader: JoinHandle<Vec<Entry>>,
}

type Entry = BTreeMap<String, String>;

impl FakeJournal {
    fn of(pipeline: &Pipeline, command: &mut Command) -> Self {
        let path = pipeline.path("journal.socket");
        let socket = UnixDatagram::bind(&path).expect("bound");
        command.env("CARDCAGE_JOURNAL_SOCKET", &path);
        // At once: a socket whose queue is full makes the daemon wait.
        let reader = std::thread::spawn(move || {
            let (mut entries, mut bytes) = (Vec::new(), vec![0; 256 * 1024]);
            loop {
                let length = socket.recv(&mut bytes).expect("a datagram");
                if length == 0 {
                    return entries;
                }
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let fields = text.lines().filter_map(|line| line.split_once('='));
                entries.push(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
            }
        });
        Self { path, reader }
    }

    /// What it was sent, once nobody sends any more.
    fn entries(self) -> Vec<Entry> {
        let end = UnixDatagram::unbound().and_then(|socket| socket.send_to(&[], &self.path));
        end.expect("the journal listens");
        self.reader.join().expect("it read")
    }
}

/// The entry whose message holds this.
fn entry<'a>(entries: &'a [Entry], text: &str) -> &'a Entry {
    let found = entries.iter().find(|entry| entry["MESSAGE"].contains(text));
    found.unwrap_or_else(|| panic!("no entry with `{text}` in {entries:?}"))
}

#[test]
fn in_the_journal_a_line_is_an_entry_with_its_priority_component_and_plugin() {
    let pipeline = talkative("times: 1");
    let mut journal = None;
    let ended = run(&pipeline, |command| {
        stderr_is_the_journal(&pipeline, command);
        journal = Some(FakeJournal::of(&pipeline, command));
    })
    .expect(0);
    let entries = journal.expect("there is one").entries();
    let host = entry(&entries, "running pipeline.yaml");
    assert_eq!((host["PRIORITY"].as_str(), host["SYSLOG_IDENTIFIER"].as_str()), ("6", "cardcage"));
    assert!(host["CODE_FILE"].ends_with("run.rs") && !host.contains_key("CARDCAGE_COMPONENT"), "{host:?}");
    let plugin = entry(&entries, "the press jumped");
    assert_eq!(plugin["MESSAGE"], "press: the press jumped n=0");
    assert_eq!(plugin["PRIORITY"], "4");
    assert_eq!(plugin["CARDCAGE_COMPONENT"], "press");
    assert_eq!(plugin["CARDCAGE_PLUGIN"], "talkative");
    assert_eq!(plugin["CARDCAGE_MODULE"], "talkative");
    assert!(plugin["CODE_LINE"].parse::<u32>().is_ok(), "{plugin:?}");
    assert!(!ended.stderr.contains("jumped"), "only once: {}", ended.stderr);
}

#[test]
fn lines_that_the_journal_does_not_take_are_on_stderr_with_their_priority() {
    let pipeline = talkative("times: 1");
    let ended = run(&pipeline, |command| {
        stderr_is_the_journal(&pipeline, command);
        command.env("CARDCAGE_JOURNAL_SOCKET", pipeline.path("nobody"));
    })
    .expect(0);
    let lost: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("takes no lines")).collect();
    assert_eq!(lost.len(), 1, "said once: {}", ended.stderr);
    assert!(lost[0].starts_with("<4>the journal at ") && lost[0].contains("No such file"), "{}", lost[0]);
    assert!(ended.stderr.contains("\n<6>running pipeline.yaml"), "{}", ended.stderr);
    assert!(ended.stderr.contains("\n<4>press: the press jumped n=0\n"), "{}", ended.stderr);
}

#[test]
fn a_refused_pipeline_is_an_error_in_the_journal_line_by_line() {
    let pipeline = talkative("times: -1");
    let ended = run(&pipeline, |command| stderr_is_the_journal(&pipeline, command)).expect(78);
    assert!(ended.stderr.lines().count() > 3, "{}", ended.stderr);
    assert!(ended.stderr.lines().all(|line| line.starts_with("<3>")), "{}", ended.stderr);
}

#[test]
fn each_form_can_be_forced() {
    let pipeline = talkative("times: 1");
    let yaml = fs::read_to_string(pipeline.path("pipeline.yaml")).expect("there");
    let forced = |format: &str| {
        pipeline.write_yaml(&format!("log: {{ format: {format} }}\n{yaml}"));
        let mut journal = None;
        let ended = run(&pipeline, |command| {
            // Where it leads to the journal, the journal is what would be taken.
            if format != "journal" {
                stderr_is_the_journal(&pipeline, command);
            }
            let _ = fs::remove_file(pipeline.path("journal.socket"));
            journal = Some(FakeJournal::of(&pipeline, command));
        });
        let ended = ended.expect(0);
        let line = ended.stderr.lines().find(|line| line.contains("the press jumped")).map(str::to_owned);
        (line, journal.expect("there is one").entries())
    };
    let human = forced("human").0.expect("on stderr");
    let said = " WARN the press jumped n=0 component=\"press\" plugin=\"talkative\" module=\"talkative\"";
    assert!(human.ends_with(said) && human.as_bytes()[4] == b'-', "{human}");
    let json = forced("json").0.expect("on stderr");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json["level"], &json["component"], &json["plugin"]),
        (&"WARN".into(), &"press".into(), &"talkative".into())
    );
    let (stderr, entries) = forced("journal");
    assert_eq!(stderr, None);
    entry(&entries, "the press jumped");
}

#[test]
fn a_journal_stream_that_is_another_one_leaves_json_for_a_file() {
    let pipeline = talkative("times: 1");
    let ended = run(&pipeline, |command| {
        command.env("JOURNAL_STREAM", "1:1");
    })
    .expect(0);
    let line = ended.stderr.lines().find(|line| line.contains("the press jumped")).expect("on stderr");
    assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
}

#[test]
fn a_plugin_that_repeats_itself_is_held_back_and_counted_without_hiding_others() {
    let pipeline = talkative("times: 1000");
    let ended = run(&pipeline, |_| {}).expect(0);
    let lines: Vec<Value> = ended.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let with = |text: &str| -> Vec<&Value> {
        lines
            .iter()
            .filter(|line| line["message"].as_str().is_some_and(|message| message.starts_with(text)))
            .collect()
    };
    assert_eq!(with("the press jumped").len(), 50, "{}", ended.stderr);
    assert_eq!(with("another place").len(), 1, "{}", ended.stderr);
    let held = with("950 more like this were held back; the last: the press jumped");
    let [held] = held.as_slice() else { panic!("{}", ended.stderr) };
    assert_eq!(
        (&held["held_back"], &held["level"], &held["component"]),
        (&950.into(), &"WARN".into(), &"press".into())
    );
}

#[test]
fn a_filter_of_the_environment_holds_for_one_component_and_a_wrong_one_is_left_aside() {
    let pipeline = talkative("");
    let log = |filter: &str| {
        run(&pipeline, |command| {
            command.env("CARDCAGE_LOG", filter);
        })
        .expect(0)
        .stderr
    };
    assert!(log("press=debug").contains("details of the login"));
    assert!(!log("gen=debug").contains("details of the login"));
    let wrong = log("pres=debug");
    assert!(
        wrong.contains(
            "CARDCAGE_LOG is left aside: `pres` is no component of this pipeline, did you mean `press`?"
        ),
        "{wrong}"
    );
    assert!(wrong.contains("running pipeline.yaml") && !wrong.contains("details of the login"), "{wrong}");
    let off = log("off");
    assert!(!off.contains("running pipeline.yaml") && off.contains("balance:"), "only the summary: {off}");
    assert!(off.contains("audit head "), "and the end of the trail, which nobody can hide: {off}");
}

/// What is said anywhere when a plugin quotes its secret there.
fn said_about(secret: &str, fail_in: &str, arguments: &[&str]) -> String {
    let settings = format!("secret: \"{secret}\", fail_in: {fail_in}");
    let pipeline = talkative(&settings);
    fs::write(pipeline.path("password"), format!("{PASSWORD}\n")).expect("written");
    let mut command = pipeline.command(arguments);
    command
        .env("CREDENTIALS_DIRECTORY", pipeline.folder())
        .env("PASSWORD", PASSWORD)
        .env_remove("JOURNAL_STREAM");
    let ended = pipeline.spawn(command).finish();
    let summary = fs::read_to_string(pipeline.path("summary.json")).unwrap_or_default();
    format!("{}\n{}\n{summary}", ended.stdout, ended.stderr)
}

#[test]
fn no_secret_is_shown_wherever_a_plugin_quotes_it() {
    let written = [
        "${credential:password}",
        "${file:password}",
        "${PASSWORD}",
        "tcp://me:${credential:password}@meter",
    ];
    for secret in written {
        for (fail_in, arguments) in [
            ("describe", &["check"][..]),
            ("describe", &["check", "--format", "json"]),
            ("open", &["run"]),
            ("process", &["run", "--summary-json", "summary.json"]),
            ("nothing", &["run"]),
        ] {
            let said = said_about(secret, fail_in, arguments);
            let expected = match fail_in {
                "nothing" => "logging in as",
                _ => "no login with",
            };
            assert!(said.contains(expected), "{secret} {fail_in} {arguments:?}: {said}");
            assert!(!said.contains("hunter2"), "{secret} {fail_in} {arguments:?}: {said}");
            let form = &secret[secret.find('$').expect("one")..=secret.find('}').expect("one")];
            assert!(said.contains(form), "{secret} {fail_in} {arguments:?}: {said}");
        }
    }
}

#[test]
fn what_a_cut_has_left_of_a_secret_is_not_shown() {
    // A plugin's message is cut after 8 KiB, a line of a program after 1 KiB.
    let pipeline = talkative(&format!("secret: \"{}${{file:password}}\"", "x".repeat(8 * 1024 - 14 - 9)));
    fs::write(pipeline.path("password"), "S3CRETPREFIX-and-more").expect("written");
    let ended = run(&pipeline, |_| {}).expect(0);
    assert!(ended.stderr.contains("xxx${file:password}…"), "cut there: {}", ended.stderr);
    assert!(!ended.stderr.contains("S3CRET"), "{}", ended.stderr);

    let yaml = r#"version: 1
sources:
  meter:
    plugin: exec
    settings:
      command: [sh, -c, 'printf "%01014d%s\n" 0 "$TOKEN" >&2; echo "{\"sensor\":\"a\",\"value\":1}"']
      env: { TOKEN: "${file:password}" }
      format: ndjson
      restart: never
sinks:
  nowhere: { plugin: blackhole, inputs: [meter] }
"#;
    let pipeline = Pipeline::new(yaml, &["source_exec", "sink_blackhole"]);
    fs::write(pipeline.path("password"), "S3CRETPREFIX-and-more").expect("written");
    let ended = run(&pipeline, |_| {}).expect(0);
    assert!(ended.stderr.contains("000${file:password}…"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("S3CRET"), "{}", ended.stderr);
}

#[test]
fn lines_of_a_file_of_secrets_are_not_shown_by_themselves() {
    let pipeline = talkative("secret: \"${file:creds}\", lines: true");
    fs::write(pipeline.path("creds"), "operator\nhunter2-pass\n").expect("written");
    let ended = run(&pipeline, |_| {}).expect(0);
    assert!(ended.stderr.contains("a line of it: [${file:creds}]"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}
