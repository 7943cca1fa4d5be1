//! A log that nobody reads: a pipe whose other end is stuck, a journal that is full. Nothing else may wait for it.

#![forbid(unsafe_code)]

#[expect(dead_code, reason = "shared with the suite of the control socket")]
mod clients;

use clients::get;
use e2e::{Pipeline, library, wait_for};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{PipeReader, Read as _, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};

/// Two lanes that have nothing to do with each other; in one of them a plugin talks.
const TALK: &str = "version: 1
log: { level: debug }
checkpoint: { every: 50ms }
audit: { rotate: { every: 1s } }
sources:
  gen: { plugin: generate, settings: { rate: 20000 } }
  other: { plugin: generate, settings: { rate: 20000 } }
stages:
  press: { plugin: talkative, inputs: [gen], settings: { times: 1000 } }
sinks:
  hole: { plugin: blackhole, inputs: [press] }
  fine: { plugin: blackhole, inputs: [other] }
";

fn pipeline(yaml: &str) -> Pipeline {
    let pipeline = Pipeline::new(yaml, &["source_generate", "sink_blackhole"]);
    pipeline.add(library("talkative"));
    pipeline
}

/// The daemon with a full pipe as its standard error, of which nobody reads.
struct Unread {
    child: Child,
    reader: PipeReader,
}

impl Unread {
    fn start(pipeline: &Pipeline) -> Self {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let flags = fcntl_getfl(&writer).expect("flags");
        fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("set");
        while writer.write(b"#\n").is_ok() {}
        fcntl_setfl(&writer, flags).expect("set");
        let mut command = pipeline.command(&["run", "--summary-json", "summary.json"]);
        command.env_remove("JOURNAL_STREAM").stdout(Stdio::null()).stderr(writer);
        let unread = Self { child: command.spawn().expect("the program can be started"), reader };
        wait_for("the daemon to answer", || get(pipeline, "/health").ok());
        unread
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a number"), signal).expect("a child can be signalled");
    }

    fn end(&mut self) -> ExitStatus {
        wait_for("its end", || self.child.try_wait().expect("a child can be waited for"))
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // Ended already, as a rule.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn status(pipeline: &Pipeline) -> Value {
    wait_for("the status", || get(pipeline, "/status").ok().filter(|answer| answer.status == 200)).json()
}

/// Records that each sink took.
fn taken(status: &Value) -> [u64; 2] {
    let components = status["components"].as_array().expect("a list");
    ["hole", "fine"].map(|name| {
        let component = components.iter().find(|component| component["name"] == name).expect("it is there");
        component["in"].as_u64().expect("a count")
    })
}

#[test]
fn who_does_not_read_standard_error_holds_up_neither_lanes_nor_the_trail_nor_the_end() {
    let pipeline = pipeline(TALK);
    let mut run = Unread::start(&pipeline);
    let stuck = wait_for("the log to be stuck", || {
        let status = status(&pipeline);
        (status["log"]["stuck_seconds"].as_f64()? > 1.0).then_some(status)
    });
    wait_for("both lanes to go on", || {
        let (before, now) = (taken(&stuck), taken(&status(&pipeline)));
        (0..2).all(|sink| now[sink] > before[sink] + 20_000).then_some(())
    });
    wait_for("the trail to go on", || {
        let blocks = |status: &Value| status["audit"]["blocks"].as_u64().expect("a count");
        (blocks(&status(&pipeline)) > blocks(&stuck) + 1).then_some(())
    });
    let shown = pipeline.command(&["status"]).output().expect("the program can be started").stdout;
    let shown = String::from_utf8(shown).expect("text");
    assert!(shown.contains("log: nobody has read it for "), "{shown}");
    run.signal(Signal::TERM);
    assert_eq!(run.end().code(), Some(0));
    let summary = fs::read_to_string(pipeline.path("summary.json")).expect("a summary");
    assert_eq!(serde_json::from_str::<Value>(&summary).expect("JSON")["balances"], true);
}

#[test]
fn a_second_signal_ends_at_once_though_nobody_reads_standard_error() {
    let pipeline = Pipeline::new(
        "version: 1
sources:
  gen: { plugin: generate, settings: { rate: 1000 } }
stages:
  stuck: { plugin: hang, inputs: [gen], deadline: 1h }
sinks:
  hole: { plugin: blackhole, inputs: [stuck] }
",
        &["source_generate", "sink_blackhole"],
    );
    pipeline.add(library("hang_in_process"));
    let mut run = Unread::start(&pipeline);
    run.signal(Signal::TERM);
    wait_for("the drain", || (status(&pipeline)["state"] == "draining").then_some(()));
    run.signal(Signal::TERM);
    assert_eq!(run.end().code(), Some(143));
}

#[test]
fn who_reads_late_reads_everything_in_order() {
    let pipeline = pipeline(TALK);
    let mut run = Unread::start(&pipeline);
    wait_for("the log to be stuck", || {
        (status(&pipeline)["log"]["waiting_lines"].as_u64()? > 50).then_some(())
    });
    let mut reader = run.reader.try_clone().expect("another");
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        text
    });
    run.signal(Signal::TERM);
    assert_eq!(run.end().code(), Some(0));
    let text = reading.join().expect("read");
    let places = [
        "\"running pipeline.yaml",
        "the press jumped n=0\"",
        "the press jumped n=49\"",
        "draining",
        "balance: ",
    ]
    .map(|said| text.find(said).unwrap_or_else(|| panic!("no `{said}` in {text}")));
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn a_journal_that_is_full_does_not_hold_up_a_lane() {
    let yaml = TALK.replace("rate: 20000", "count: 100");
    let pipeline = pipeline(&yaml.replace("level: debug", "level: debug, format: journal"));
    let _nobody_reads = UnixDatagram::bind(pipeline.path("journal")).expect("bound");
    fill(&pipeline.path("journal"));
    let mut command = pipeline.command(&["run"]);
    command.env_remove("JOURNAL_STREAM").env("CARDCAGE_JOURNAL_SOCKET", pipeline.path("journal"));
    let ended = pipeline.spawn(command).finish().expect(0);
    assert!(!ended.stderr.contains("past its deadline"), "{}", ended.stderr);
    assert!(ended.stderr.contains("the press jumped n=49"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("takes no lines").count(), 1, "{}", ended.stderr);
}

/// Sends until nobody can send any more: how many letters a socket takes differs from one system to the next, and each sender
/// may have so many on their way only.
fn fill(socket: &Path) {
    for _ in 0..1000 {
        let sender = UnixDatagram::unbound().expect("a socket");
        sender.set_nonblocking(true).expect("set");
        let mut sent = 0;
        while sender.send_to(b"MESSAGE=full\n", socket).is_ok() {
            sent += 1;
        }
        if sent == 0 {
            return;
        }
    }
    panic!("the socket takes more and more");
}
