//! Where the source connects: servers that are late, leave and come back.

use super::{Run, line, lines};
use cardcage_plugin_api::serde_json::{Value, json};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

fn connect(address: &str) -> Value {
    json!({ "address": address, "mode": "connect", "reconnect": { "first": "10ms", "max": "50ms" } })
}

#[test]
fn it_connects_and_connects_again_when_the_server_leaves() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut run = Run::open(connect(&format!("tcp://{}", server.local_addr().unwrap())));
    for round in 0..3 {
        run.until(|run| run.metric("connects") > u64::from(round));
        let (mut stream, _) = server.accept().unwrap();
        stream.write_all(lines(round * 10..round * 10 + 10).as_bytes()).unwrap();
        drop(stream);
        run.until_records(usize::try_from(round * 10 + 10).unwrap());
    }
    assert_eq!(run.values(), (0..30).collect::<Vec<_>>());
    run.source.close().unwrap();
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for() {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut run = Run::open(connect(&format!("tcp://{free}")));
    run.until(|run| run.metric("connect_failures") >= 3);
    assert!(run.logged("cannot connect"), "{:?}", run.host.logs());
    let server = TcpListener::bind(free).unwrap();
    run.until(|run| run.metric("connects") == 1);
    server.accept().unwrap().0.write_all(line(1).as_bytes()).unwrap();
    run.until_records(1);
}

#[test]
fn a_name_is_asked_for_and_one_that_nobody_knows_is_no_end() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let mut run = Run::open(connect(&format!("tcp://localhost:{port}")));
    run.until(|run| run.metric("connects") == 1);
    server.accept().unwrap().0.write_all(line(1).as_bytes()).unwrap();
    run.until_records(1);
    run.source.close().unwrap();
    let mut run = Run::open(connect("tcp://nobody.invalid:9000"));
    run.until(|run| run.metric("connect_failures") >= 2);
    run.source.close().unwrap();
}

#[test]
fn a_unix_socket_that_appears_later_is_connected_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.sock");
    let mut run = Run::open(connect(&format!("unix:{}", path.display())));
    run.until(|run| run.metric("connect_failures") >= 2);
    let server = UnixListener::bind(&path).unwrap();
    run.until(|run| run.metric("connects") == 1);
    server.accept().unwrap().0.write_all(lines(0..4).as_bytes()).unwrap();
    run.until_records(4);
}
