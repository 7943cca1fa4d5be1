//! Trails that the daemon wrote.

use e2e::{Pipeline, wait_for};
use rustix::process::Signal;
use std::fs;
use std::path::PathBuf;

const YAML: &str = "\
version: 1
state_directory: state
sources: { numbers: { plugin: generate, settings: { count: 20000 } } }
stages: { plausible: { plugin: range, inputs: [numbers], settings: { min: 0.5, max: 10 } } }
sinks: { nowhere: { plugin: blackhole, inputs: [plausible] } }
";

fn pipeline(yaml: &str) -> Pipeline {
    Pipeline::new(yaml, &["source_generate", "stage_range", "sink_blackhole"])
}

/// The same without an end.
fn endless() -> Pipeline {
    pipeline(&YAML.replace("count: 20000", "rate: 20000"))
}

/// The hash in the last log line `audit head`: what an auditor has.
fn logged_head(stderr: &str) -> String {
    let (_, after) = stderr.rsplit_once("audit head ").expect("the log has the chain's head");
    after.chars().take_while(char::is_ascii_hexdigit).collect()
}

/// The trail's only file.
fn only_file(pipeline: &Pipeline) -> PathBuf {
    let entries = fs::read_dir(pipeline.path("state/audit")).expect("there is a trail").flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn a_run_leaves_a_trail_that_its_logged_head_proves_and_that_accounts_for_every_record() {
    let pipeline = pipeline(YAML);
    let ran = pipeline.run(&["run", "--summary-json", "summary.json"]).expect(0);
    let head = logged_head(&ran.stderr);
    let verified = pipeline.run(&["audit", "verify", "--head", &head]).expect(0).stdout;
    assert!(verified.contains("intact, and proven to its end"), "{verified}");
    let summary: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(pipeline.path("summary.json")).expect("was written"))
            .expect("is JSON");
    let told = pipeline.run(&["audit", "explain", "nowhere.records", "--format", "json"]).expect(0).json();
    let run = &told["runs"][0];
    let delivered = run["value"].as_f64().expect("a number");
    assert!(delivered > 0.0 && run["ended"].is_string(), "{told}");
    assert!(summary.to_string().contains(&format!("{delivered}")), "{delivered} records in {summary}");
    // What each writer added makes the value.
    let by = run["shares"].as_array().expect("a list").iter().filter_map(|share| share["by"].as_f64());
    assert!((by.sum::<f64>() - delivered).abs() < 1e-9, "{told}");
    // The sink has a lane of its own, whose thread has its name; `main` only opened it.
    let shares = run["shares"].as_array().expect("a list");
    let threads: Vec<_> = shares.iter().map(|share| &share["who"]["thread"]).collect();
    assert_eq!(threads, ["nowhere"], "{told}");
    let text = pipeline.run(&["audit", "explain", "nowhere.records"]).expect(0).stdout;
    assert!(text.contains("thread nowhere, generation 0") && !text.contains("thread main"), "{text}");
}

#[test]
fn a_bit_flipped_in_a_real_trail_is_found_wherever_it_is() {
    let pipeline = pipeline(YAML);
    let head = logged_head(&pipeline.run(&["run"]).expect(0).stderr);
    let file = only_file(&pipeline);
    let whole = fs::read(&file).expect("can be read");
    for part in 0..7 {
        let mut changed = whole.clone();
        changed[(whole.len() - 1) * part / 6] ^= 0x20;
        fs::write(&file, changed).expect("can be written");
        let verified = pipeline.run(&["audit", "verify", "--head", &head]).expect(65);
        assert!(verified.stdout.contains("DAMAGED"), "{}", verified.stdout);
    }
    fs::write(&file, &whole[..whole.len() / 2]).expect("can be written");
    pipeline.run(&["audit", "verify", "--head", &head]).expect(65);
    fs::write(&file, whole).expect("can be written");
    pipeline.run(&["audit", "verify", "--head", &head]).expect(0);
}

#[test]
fn the_head_is_logged_from_the_first_run_on_whatever_the_log_leaves_out() {
    let pipeline = pipeline(&format!("{YAML}log: {{ level: error }}\n"));
    for _ in 0..2 {
        let log = pipeline.run(&["run"]).expect(0).stderr;
        assert!(log.matches("audit head ").count() >= 2, "when it begins, and when it ends: {log}");
    }
}

/// Its hash and its block.
fn head_and_block(stderr: &str) -> (String, usize) {
    let head = logged_head(stderr);
    let (_, after) = stderr.rsplit_once(&format!("{head} block ")).expect("its block stands behind it");
    let number: String = after.chars().take_while(char::is_ascii_digit).collect();
    (head, number.parse().expect("a number"))
}

#[test]
fn what_is_whole_in_what_was_set_aside_is_still_proven_by_its_heads() {
    let pipeline = pipeline(YAML);
    let [(first, last_kept), _, (third, last)] =
        [(); 3].map(|()| head_and_block(&pipeline.run(&["run"]).expect(0).stderr));
    let file = only_file(&pipeline);
    let mut bytes = fs::read(&file).expect("can be read");
    let blocks = bytes.windows(4).enumerate().filter(|(_, four)| four == b"blk\n").map(|(at, _)| at);
    let damaged = blocks.collect::<Vec<_>>()[last_kept];
    bytes[damaged + 70] ^= 1;
    fs::write(&file, bytes).expect("can be written");
    let ran = pipeline.run(&["run"]).expect(0).stderr;
    assert!(ran.contains("was set aside") && ran.contains("was changed"), "{ran}");
    let aside = "00000001.trail.damaged-1";
    let now = logged_head(&ran);

    let told = pipeline.run(&["audit", "verify", "--head", &first, "--head", &now]).expect(65).stdout;
    assert!(told.contains(&format!("DAMAGED: {aside} was set aside: the block was changed")), "{told}");
    assert!(told.contains("proven to its end"), "the trail itself is whole: {told}");
    let told = pipeline.run(&["audit", "verify", "--head", &third]).expect(65).stdout;
    let (from, in_it) = (last_kept + 2, format!("block {last} in {aside}"));
    assert!(
        told.contains(&in_it) && told.contains(&format!("proves blocks {from} to {last} there")),
        "{told}"
    );
    let json = pipeline.run(&["audit", "verify", "--head", &third, "--format", "json"]).expect(65).json();
    assert_eq!(json["heads_given"][0]["set_aside"]["proves_from"], from, "{json}");

    // Who has looked into it puts it elsewhere.
    fs::remove_file(pipeline.path("state/audit").join(aside)).expect("was there");
    pipeline.run(&["audit", "verify", "--head", &first, "--head", &now]).expect(0);
    let told = pipeline.run(&["audit", "verify", "--head", &third]).expect(65).stdout;
    assert!(told.contains("no block has the hash"), "{told}");
}

#[test]
fn the_trail_can_be_read_while_it_is_written() {
    let pipeline = endless();
    let running = pipeline.start(&["run"]);
    let trail = || pipeline.path("state/audit/00000001.trail").exists().then_some(());
    wait_for("the trail's file", trail);
    let mut command = pipeline.command(&["audit", "show", "--follow", "--component", "nowhere"]);
    let page = fs::File::create(pipeline.path("followed.txt")).expect("can be made");
    let mut follower = command.stdout(page).spawn().expect("can be started");
    let lines = |least: usize| {
        let text = fs::read_to_string(pipeline.path("followed.txt")).unwrap_or_default();
        (text.matches("nowhere.records").count() >= least).then_some(())
    };
    wait_for("the first entries", || lines(1));
    for _ in 0..5 {
        pipeline
            .command(&["audit", "verify"])
            .output()
            .map(|output| assert!(output.status.success()))
            .expect("runs");
    }
    let so_far = fs::read_to_string(pipeline.path("followed.txt")).unwrap_or_default();
    wait_for("entries of later blocks", || lines(so_far.matches("nowhere.records").count() + 1));
    follower.kill().expect("can be ended");
    follower.wait().expect("ends");
    running.signal(Signal::TERM);
    let ended = running.finish().expect(0);
    pipeline.run(&["audit", "verify", "--head", &logged_head(&ended.stderr)]).expect(0);
}

#[test]
fn a_daemon_that_was_killed_leaves_a_trail_that_the_next_one_goes_on_with() {
    let pipeline = endless();
    let running = pipeline.start(&["run"]);
    let written = || {
        let output = pipeline.command(&["audit", "show", "--metric", "records"]).output().expect("runs");
        String::from_utf8_lossy(&output.stdout).contains("nowhere.records").then_some(())
    };
    wait_for("entries in the trail", written);
    running.signal(Signal::KILL);
    running.finish();
    pipeline.write_yaml(YAML);
    let head = logged_head(&pipeline.run(&["run"]).expect(0).stderr);
    let verified = pipeline.run(&["audit", "verify", "--head", &head]).expect(0).stdout;
    assert!(verified.contains("2 runs") && verified.contains("did not say that it ended"), "{verified}");
    let told = pipeline.run(&["audit", "explain", "nowhere.records"]).expect(0).stdout;
    assert!(told.contains("was ended without a word") && told.contains("it ended in order"), "{told}");
}
