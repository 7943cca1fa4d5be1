//! Clients that mean well.

use super::{Run, line, lines};
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::TestHost;
use std::io::Write as _;
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

fn tcp() -> Run {
    Run::open(json!({ "address": "tcp://127.0.0.1:0" }))
}

#[test]
fn every_line_of_a_connection_comes_once_and_in_order() {
    let mut run = tcp();
    let address = run.address();
    let sender = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        // No line end behind the last one.
        stream.write_all(lines(0..50_000).trim_end().as_bytes()).unwrap();
    });
    run.until_records(50_000);
    sender.join().unwrap();
    assert_eq!(run.values(), (0..50_000).collect::<Vec<_>>());
    run.until(|run| run.metric("connections") == 0);
    assert_eq!(run.metric("accepted"), 1);
    assert_eq!(run.metric("received_bytes"), lines(0..50_000).len() as u64 - 1);
    run.source.close().unwrap();
}

#[test]
fn lines_that_arrive_in_pieces_are_put_together_each_with_its_own_connection() {
    let mut run = tcp();
    let mut streams: Vec<_> = (0..20).map(|_| TcpStream::connect(run.address()).unwrap()).collect();
    for piece in 0..line(0).len() {
        for (number, stream) in (0..).zip(&mut streams) {
            stream.write_all(&line(number % 10).as_bytes()[piece..=piece]).unwrap();
        }
        run.fill();
    }
    run.until_records(20);
    let mut values = run.values();
    values.sort_unstable();
    assert_eq!(values, (0..20).map(|n| n / 2).collect::<Vec<_>>());
}

#[test]
fn a_small_batch_is_filled_again_and_again_from_one_read() {
    let mut run = tcp();
    run.source = run.source.with_capacity(3);
    let mut stream = TcpStream::connect(run.address()).unwrap();
    stream.write_all(lines(0..100).as_bytes()).unwrap();
    drop(stream);
    run.until_records(100);
    assert_eq!(run.values(), (0..100).collect::<Vec<_>>());
}

#[test]
fn frames_with_lengths_hold_one_line_or_several() {
    let mut run = Run::open(json!({ "address": "tcp://127.0.0.1:0", "framing": "length" }));
    let mut stream = TcpStream::connect(run.address()).unwrap();
    let mut sent = Vec::new();
    for text in [line(1), line(2).trim_end().to_owned(), String::new(), lines(3..6)] {
        sent.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
        sent.extend_from_slice(text.as_bytes());
    }
    for byte in sent {
        stream.write_all(&[byte]).unwrap();
    }
    run.until_records(5);
    assert_eq!(run.values(), [1, 2, 3, 4, 5]);
    stream.shutdown(Shutdown::Write).unwrap();
    run.until(|run| run.metric("connections") == 0);
    assert_eq!(run.rejected("cut_off"), 0);
}

#[test]
fn a_datagram_holds_one_line_or_several_and_what_is_wrong_names_its_sender() {
    let mut run = Run::open(json!({ "address": "udp://127.0.0.1:0" }));
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(run.address()).unwrap();
    for text in [line(1).trim_end(), "", &lines(2..5), "nonsense", &line(5)] {
        sender.send(text.as_bytes()).unwrap();
    }
    run.until_records(5);
    assert_eq!(run.values(), [1, 2, 3, 4, 5]);
    assert_eq!(run.rejected("bad_json"), 1);
    assert_eq!(run.metric("datagrams"), 5);
    assert!(run.logged(&sender.local_addr().unwrap().to_string()));
}

#[test]
fn a_datagram_with_more_lines_than_a_batch_goes_on_in_the_next() {
    let mut run = Run::open(json!({ "address": "udp://127.0.0.1:0" }));
    run.source = run.source.with_capacity(4);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for numbers in [0..10, 10..30] {
        sender.send_to(lines(numbers).as_bytes(), run.address()).unwrap();
    }
    run.until_records(30);
    assert_eq!(run.values(), (0..30).collect::<Vec<_>>());
}

#[test]
fn a_unix_socket_is_there_while_it_runs_and_gone_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("readings.sock");
    let mut run = Run::open(json!({ "address": format!("unix:{}", path.display()) }));
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(format!("{}nonsense\n", lines(0..3)).as_bytes()).unwrap();
    run.until_records(3);
    run.until(|run| run.rejected("bad_json") == 1);
    assert!(run.logged(&format!("process {}", std::process::id())), "{:?}", run.host.logs());
    run.source.close().unwrap();
    assert!(!path.exists());
}

#[test]
fn a_listener_that_the_host_was_handed_is_used() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let host =
        TestHost::of::<super::CardcagePlugin>("socket").with_listener("readings", OwnedFd::from(listener));
    let mut run = Run::open_on(host, json!({ "listener": "readings" }));
    TcpStream::connect(address).unwrap().write_all(lines(0..2).as_bytes()).unwrap();
    run.until_records(2);
}

#[test]
fn draining_reads_what_has_arrived_and_accepts_no_more() {
    let mut run = tcp();
    let mut stream = TcpStream::connect(run.address()).unwrap();
    stream.write_all(line(0).as_bytes()).unwrap();
    run.until_records(1);
    stream.write_all(lines(1..100).as_bytes()).unwrap();
    let _late = TcpStream::connect(run.address()).unwrap();
    run.host.cancel();
    run.until_records(100);
    assert_eq!(run.metric("accepted"), 1);
}
