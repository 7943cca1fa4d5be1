//! What is said of trails that were made for it: whole ones, and damaged in each way.

use crate::trail::{COUNTER, Files, GAUGE, HISTOGRAM, Scribe, put, sample};
use cardcage_core::audit::{Entry, Note, Record, What, file_name};
use e2e::Pipeline;
use std::fs;
use std::io::Read as _;
use std::process::Stdio;

/// Runs `cardcage audit` on these files; what it printed, both outputs, with its exit code.
fn audit(pipeline: &Pipeline, arguments: &[&str]) -> String {
    let all = [&["audit"], arguments, &["--state", "state"]].concat();
    let done = pipeline.run(&all);
    let code = done.code();
    format!("$ cardcage audit {}\n{}{}exit code {code}\n", arguments.join(" "), done.stdout, done.stderr)
}

/// The same for each of these command lines.
fn audits(pipeline: &Pipeline, lines: &[&[&str]]) -> String {
    lines.iter().map(|line| audit(pipeline, line)).collect::<Vec<_>>().join("\n")
}

fn with(files: &[(u64, Vec<u8>)]) -> Pipeline {
    let pipeline = Pipeline::new("", &[]);
    put(pipeline.folder(), files);
    pipeline
}

#[test]
fn a_whole_trail_is_told_and_proven() {
    let (files, head) = sample();
    let pipeline = with(&files);
    let head = head.hash.to_string();
    insta::assert_snapshot!("verify-whole", audits(&pipeline, &[&["verify"], &["verify", "--head", &head]]));
    let show: &[&[&str]] = &[
        &["show"],
        &["show", "--violations"],
        &["show", "--component", "archive"],
        &["show", "--metric", "cardcage_queue_records"],
        &["show", "--since", "2026-03-01T12:00:00.5Z", "--until", "2026-03-01 12:00:00.6"],
        &["show", "--format", "json"],
        &["show", "--component", "plausibel"],
        &["show", "--metric", "nothing"],
    ];
    insta::assert_snapshot!("show", audits(&pipeline, show));
    let explain: &[&[&str]] = &[
        &["explain", "plausible.out_of_range", "--head", &head],
        &["explain", "cardcage_queue_records"],
        &["explain", "archive.write_seconds"],
        &["explain", "plausible.out_of_rnge"],
        &["explain", "other"],
    ];
    insta::assert_snapshot!("explain", audits(&pipeline, explain));
}

#[test]
fn answers_for_scripts_are_json() {
    let (files, head) = sample();
    let pipeline = with(&files);
    let head = head.hash.to_string();
    let verified =
        pipeline.run(&["audit", "verify", "--state", "state", "--head", &head, "--format", "json"]);
    let verified = verified.expect(0).json();
    assert_eq!((&verified["proven"], &verified["damaged"]), (&true.into(), &false.into()));
    assert_eq!(verified["head"]["hash"], head.as_str());
    let told =
        pipeline.run(&["audit", "explain", "plausible.out_of_range", "--state", "state", "--format", "json"]);
    insta::assert_snapshot!(
        "explain-json",
        serde_json::to_string_pretty(&told.expect(0).json()).expect("is JSON")
    );
}

#[test]
fn what_is_wrong_with_a_trail_is_said_with_its_place_and_what_still_holds() {
    let (files, head) = sample();
    let hash = head.hash.to_string();
    let other = "0123456789abcdef".repeat(4);
    let verify: &[&str] = &["verify", "--head", &hash];
    let pipeline = with(&files);
    let mut said = String::new();
    let mut case = |title: &str, change: &dyn Fn(&mut Files), line: &[&str]| {
        let mut changed = files.clone();
        change(&mut changed);
        put(pipeline.folder(), &changed);
        said.extend(["== ", title, "\n", &audit(&pipeline, line), "\n"]);
    };
    case("a bit in a block", &|files| files[1].1[150] ^= 1, verify);
    case("a bit in the first block", &|files| files[0].1[150] ^= 1, verify);
    case("a bit in a file's header", &|files| files[1].1[25] ^= 1, verify);
    case("a version of the format that this program does not know", &|files| files[2].1[16] = 9, verify);
    case("no trail file", &|files| files[2].1 = b"something else altogether".repeat(9), verify);
    case("a file in the middle is gone", &|files| drop(files.remove(1)), verify);
    case("the first file is gone", &|files| drop(files.remove(0)), verify);
    case("the last file is gone, with a head", &|files| files.truncate(2), verify);
    case("the last file is gone, without a head", &|files| files.truncate(2), &["verify"]);
    case("the tail is cut off, without a head", &|files| files[2].1.truncate(300), &["verify"]);
    case("a file is there twice", &|files| files.push((4, files[2].1.clone())), verify);
    case("another head", &|_| {}, &["verify", "--head", &other]);
    case("damage under `show`", &|files| files[1].1[150] ^= 1, &["show", "--violations"]);
    case("damage under `explain`", &|files| files[1].1[150] ^= 1, &["explain", "plausible.out_of_range"]);
    insta::assert_snapshot!("damaged", said);
}

#[test]
fn a_value_that_was_set_by_hand_is_a_gap_whoever_computes_the_hashes() {
    let mut scribe = Scribe::new();
    scribe.write(COUNTER, 10.0, 10);
    let [old, new] = [7f64, 8f64].map(f64::to_bits);
    let time_ns = 1_772_366_401_000_000_000;
    let entry = Entry { cell: COUNTER, writer: 0, time_ns, old, new, count: 1, what: What::Write };
    scribe.forge(&Record::Entry(entry));
    let (files, _) = scribe.files();
    insta::assert_snapshot!("set-by-hand", audits(&with(&files), &[&["verify"]]));
}

#[test]
fn what_is_odd_and_no_damage_is_a_note() {
    let mut scribe = Scribe::new();
    scribe.write(COUNTER, 10.0, 10);
    scribe.rotate();
    scribe.write(COUNTER, 20.0, 10);
    scribe.rotate();
    scribe.note(Note::Removed { first_kept: 2 });
    // Killed, and started again.
    scribe.begin();
    scribe.write(HISTOGRAM + 1, 0.75, 1);
    scribe.note(Note::Remark { text: "the disk was full from 12:00 to 12:05".into() });
    let (mut files, head) = scribe.files();
    files.remove(0);
    // The beginning of a block, as a reader beside a running daemon may see it.
    files[1].1.extend_from_slice(b"blk\n\x01\0\0\0");
    let pipeline = with(&files);
    fs::write(pipeline.path("state/audit/00000007.trail.damaged-1"), "").expect("can be written");
    let head = head.hash.to_string();
    let lines: &[&[&str]] = &[&["verify", "--head", &head], &["explain", "plausible.out_of_range"]];
    insta::assert_snapshot!("notes", audits(&pipeline, lines));
}

#[test]
fn where_there_is_no_trail_it_is_said() {
    let pipeline = Pipeline::new("", &[]);
    let lines: &[&[&str]] = &[&["verify"], &["show"], &["explain", "a.b"], &["verify", "--head", "12"]];
    insta::assert_snapshot!("none", audits(&pipeline, lines));
    let refused = pipeline.run(&["audit", "verify"]).expect(78).stderr;
    assert!(refused.contains("--state DIRECTORY"), "{refused}");
}

#[test]
fn a_reader_that_is_slower_than_retention_reads_everything_that_was_there() {
    let mut scribe = Scribe::new();
    // More in each file than a pipe holds.
    for file in 0..4u32 {
        for write in 0..2000 {
            scribe.write(GAUGE, f64::from(file * 2000 + write), 1);
        }
        scribe.rotate();
    }
    scribe.end();
    let (files, _) = scribe.files();
    let pipeline = with(&files);
    let mut command = pipeline.command(&["audit", "show", "--state", "state"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("can be started");
    let mut page = child.stdout.take().expect("a pipe");
    let mut text = vec![0];
    page.read_exact(&mut text).expect("something is printed");
    for (number, _) in &files[..4] {
        fs::remove_file(pipeline.path("state/audit").join(file_name(*number))).expect("was there");
    }
    page.read_to_end(&mut text).expect("the rest");
    let ended = child.wait_with_output().expect("ends");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
    assert_eq!(String::from_utf8_lossy(&text).matches("cardcage_queue_records").count(), 8000);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (files, _) = sample();
    let pipeline = with(&files);
    let mut command = pipeline.command(&["audit", "show", "--state", "state"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = command.stdout(writer).status().expect("can be started");
    assert_eq!(status.code(), Some(0));
}
