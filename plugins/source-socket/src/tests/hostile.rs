//! Clients that don't mean well, or know no better.

use super::{PATIENCE, Run, line, lines};
use cardcage_plugin_api::serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

#[test]
fn a_line_without_an_end_is_rejected_without_being_held_and_what_follows_is_read() {
    let mut run = Run::open(json!({ "address": "tcp://127.0.0.1:0", "max_line": "1KiB" }));
    let address = run.address();
    let sender = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        for _ in 0..1000 {
            stream.write_all(&[b'x'; 10_000]).unwrap();
        }
        stream.write_all(format!("\n{}", line(1)).as_bytes()).unwrap();
    });
    run.until_records(1);
    sender.join().unwrap();
    assert_eq!(run.rejected("too_long"), 1);
}

#[test]
fn garbage_is_counted_and_does_not_end_the_connection() {
    let mut run = Run::open(json!({ "address": "tcp://127.0.0.1:0" }));
    let mut stream = TcpStream::connect(run.address()).unwrap();
    let garbage: Vec<u8> = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
    stream.write_all(&garbage).unwrap();
    stream.write_all(format!("\n{}", lines(0..3)).as_bytes()).unwrap();
    run.until_records(3);
    assert!(run.rejected("bad_json") > 100);
}

#[test]
fn what_can_be_no_length_ends_the_connection_and_no_other() {
    let mut run = Run::open(json!({ "address": "tcp://127.0.0.1:0", "framing": "length" }));
    let mut good = TcpStream::connect(run.address()).unwrap();
    let mut lost = TcpStream::connect(run.address()).unwrap();
    // Lines, where lengths are expected: `{"ti` is 2 GB.
    lost.write_all(lines(0..3).as_bytes()).unwrap();
    run.until(|run| run.rejected("bad_frame") == 1);
    let (text, mut sent) = (line(7), Vec::new());
    sent.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
    sent.extend_from_slice(text.as_bytes());
    good.write_all(&sent).unwrap();
    run.until_records(1);
    assert_eq!(run.metric("connections"), 1);
    lost.set_read_timeout(Some(PATIENCE)).unwrap();
    // Closed: the end, or a reset because it had more to read.
    assert!(!matches!(lost.read(&mut [0; 1]), Ok(1)));
}

#[test]
fn what_connections_left_behind_is_not_held_against_later_ones() {
    let settings = json!({ "address": "tcp://127.0.0.1:0", "framing": "length", "max_line": "1KiB", "max_held": "1KiB" });
    let mut run = Run::open(settings);
    for round in 1..=10 {
        let mut lost = TcpStream::connect(run.address()).unwrap();
        lost.write_all(&[b'x'; 900]).unwrap();
        run.until(|run| run.rejected("bad_frame") == round);
    }
    let (text, mut good) = (line(7), TcpStream::connect(run.address()).unwrap());
    good.write_all(&u32::try_from(text.len()).unwrap().to_be_bytes()).unwrap();
    for half in [&text[..20], &text[20..]] {
        good.write_all(half.as_bytes()).unwrap();
        let received = run.metric("received_bytes");
        run.until(|run| run.metric("received_bytes") > received);
    }
    run.until_records(1);
    assert_eq!(run.rejected("too_long"), 0);
}

#[test]
fn a_frame_that_is_too_long_is_skipped_and_the_next_one_read() {
    let settings = json!({ "address": "tcp://127.0.0.1:0", "framing": "length", "max_line": "1KiB" });
    let mut run = Run::open(settings);
    let mut stream = TcpStream::connect(run.address()).unwrap();
    for text in ["x".repeat(300_000), line(7)] {
        stream.write_all(&u32::try_from(text.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        run.fill();
    }
    run.until_records(1);
    assert_eq!(run.rejected("too_long"), 1);
}

#[test]
fn a_connection_that_breaks_within_a_line_gives_no_half_reading() {
    let settings = json!({ "address": "tcp://127.0.0.1:0", "framing": "length" });
    let mut run = Run::open(settings);
    let mut stream = TcpStream::connect(run.address()).unwrap();
    stream.write_all(&100_u32.to_be_bytes()).unwrap();
    stream.write_all(b"{\"sensor\":\"a\",\"value\":12").unwrap();
    drop(stream);
    run.until(|run| run.rejected("cut_off") == 1);
    assert_eq!(run.records.len(), 0);
}

#[test]
fn one_that_floods_does_not_keep_another_from_its_turn() {
    let mut run = Run::open(json!({ "address": "tcp://127.0.0.1:0" }));
    let mut flood = TcpStream::connect(run.address()).unwrap();
    let text = "no reading\n".repeat(100_000);
    let flooding = std::thread::spawn(move || while flood.write_all(text.as_bytes()).is_ok() {});
    run.until(|run| run.rejected("bad_json") > 1_000_000);
    let mut quiet = TcpStream::connect(run.address()).unwrap();
    quiet.write_all(lines(0..5).as_bytes()).unwrap();
    let before = run.rejected("bad_json");
    run.until_records(5);
    let meanwhile = run.rejected("bad_json") - before;
    // A handful of reads of the flood; a turn is one read of at most 512 KiB, which is 48,000 of these lines.
    assert!(meanwhile < 2_000_000, "{meanwhile} lines of the flood went first");
    run.source.close().unwrap();
    flooding.join().unwrap();
}

#[test]
fn more_connections_than_allowed_are_refused_and_the_others_served() {
    let mut run = Run::open(json!({ "address": "tcp://127.0.0.1:0", "max_connections": 3 }));
    let mut streams: Vec<_> = (0..10).map(|_| TcpStream::connect(run.address()).unwrap()).collect();
    run.until(|run| run.metric("refused") == 7);
    assert_eq!(run.metric("connections"), 3);
    for (number, stream) in (0..3).zip(&mut streams) {
        stream.write_all(line(number).as_bytes()).unwrap();
    }
    run.until_records(3);
    drop(streams);
    run.until(|run| run.metric("connections") == 0);
    let _one = TcpStream::connect(run.address()).unwrap();
    run.until(|run| run.metric("connections") == 1);
}

#[test]
fn a_storm_of_connections_that_say_nothing_leaves_nothing_behind() {
    let mut run = Run::open(json!({ "address": "tcp://127.0.0.1:0" }));
    let address = run.address();
    let storm =
        std::thread::spawn(move || (0..10_000).filter(|_| TcpStream::connect(address).is_ok()).count());
    let mut good = TcpStream::connect(address).unwrap();
    good.write_all(lines(0..5).as_bytes()).unwrap();
    run.until_records(5);
    run.until(|_| storm.is_finished());
    let connected = storm.join().unwrap();
    run.until(|run| run.metric("accepted") + run.metric("refused") > connected as u64);
    run.until(|run| run.metric("connections") == 1);
    good.write_all(line(5).as_bytes()).unwrap();
    run.until_records(6);
}

#[test]
fn unfinished_lines_of_all_together_are_bounded() {
    let settings = json!({ "address": "tcp://127.0.0.1:0", "max_line": "64KiB", "max_held": "256KiB" });
    let mut run = Run::open(settings);
    let mut streams: Vec<_> = (0..20).map(|_| TcpStream::connect(run.address()).unwrap()).collect();
    for stream in &mut streams {
        stream.write_all(&vec![b'x'; 60_000]).unwrap();
    }
    // Four of them fit.
    run.until(|run| run.rejected("too_long") >= 16);
    assert_eq!(run.rejected("too_long"), 16);
    for stream in &mut streams {
        stream.write_all(format!("\n{}", line(1)).as_bytes()).unwrap();
    }
    run.until_records(20);
    assert_eq!((run.rejected("too_long"), run.rejected("bad_json")), (16, 4));
}

#[test]
fn one_that_never_ends_its_line_is_closed_when_its_time_is_over() {
    let mut run = Run::open(json!({ "address": "tcp://127.0.0.1:0", "idle_timeout": "1s" }));
    let mut stream = TcpStream::connect(run.address()).unwrap();
    let begun = Instant::now();
    // Byte after byte, and never a line.
    run.until(|run| {
        let _ = (&stream).write_all(b"x");
        run.metric("idle_timeouts") == 1
    });
    assert!(begun.elapsed().as_secs() >= 1);
    assert_eq!(run.rejected("cut_off"), 1);
    assert!(stream.write_all(&vec![b'x'; 1 << 24]).is_err());
}
