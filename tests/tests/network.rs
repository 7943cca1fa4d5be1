//! Readings from the network and from programs, through the real program: sent, drained, and accounted for.

#![forbid(unsafe_code)]

use e2e::{Pipeline, wait_for, wait_for_lines};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

fn line(sensor: &str, value: u32) -> String {
    format!("{{\"timestamp\":1700000000,\"sensor\":\"{sensor}\",\"value\":{value}}}\n")
}

fn summary(pipeline: &Pipeline) -> Value {
    let text = fs::read_to_string(pipeline.path("summary.json")).expect("a summary");
    serde_json::from_str(&text).expect("JSON")
}

fn component<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let rows = summary["books"]["components"].as_array().expect("rows");
    rows.iter().find(|row| row["name"] == name).expect("a row")
}

/// How often this sensor is in a file.
fn readings_of(file: &Path, sensor: &str) -> usize {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| line.contains(&format!("\"{sensor}\""))).count()
}

#[test]
fn what_is_sent_by_tcp_udp_and_a_unix_socket_arrives_and_the_books_balance() {
    let yaml = "version: 1
sources:
  tcp: { plugin: socket, settings: { address: 'tcp://127.0.0.1:0', format: ndjson } }
  udp: { plugin: socket, settings: { address: 'udp://127.0.0.1:0', format: ndjson } }
  local: { plugin: socket, settings: { address: 'unix:readings.sock', format: ndjson, framing: length } }
sinks:
  archive: { plugin: file, inputs: [tcp, udp, local], settings: { path: out/readings.ndjson } }
";
    let pipeline = Pipeline::new(yaml, &["source_socket", "sink_file"]);
    let run = pipeline.start(&["run", "--summary-json", "summary.json"]);
    let mut tcp = TcpStream::connect(run.address("tcp")).expect("it listens");
    let text: String = (0..5000).map(|value| line("by-tcp", value)).collect();
    tcp.write_all(format!("{text}nonsense\n{{}}\n").as_bytes()).expect("sent");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    udp.connect(run.address("udp")).expect("it listens");
    for value in 0..20 {
        udp.send(format!("{}{}", line("by-udp", value), line("by-udp", value)).as_bytes()).expect("sent");
    }
    let path = pipeline.path("readings.sock");
    let mut local = wait_for("the socket's file", || UnixStream::connect(&path).ok());
    for value in 0..300 {
        let text = line("local", value);
        let len = u32::try_from(text.len()).expect("short");
        local.write_all(&[&len.to_be_bytes()[..], text.as_bytes()].concat()).expect("sent");
    }
    let archive = pipeline.path("out/readings.ndjson");
    for (sensor, count) in [("by-tcp", 5000), ("by-udp", 40), ("local", 300)] {
        wait_for(&format!("{count} readings of {sensor}"), || {
            (readings_of(&archive, sensor) == count).then_some(())
        });
    }
    run.wait_for_stderr("line rejected");
    run.signal(Signal::TERM);
    let run = run.finish().expect(0);
    let summary = summary(&pipeline);
    assert_eq!(summary["balances"], true, "{}", run.stderr);
    assert_eq!(summary["ended"], "drained");
    let tcp = component(&summary, "tcp");
    assert_eq!((&tcp["in"], &tcp["out"]), (&Value::from(5002), &Value::from(5000)));
    assert_eq!((&tcp["rejected"]["bad_json"], &tcp["rejected"]["missing_value"]), (&1.into(), &1.into()));
    assert_eq!(component(&summary, "udp")["out"], 40);
    assert_eq!(component(&summary, "local")["out"], 300);
    assert!(!path.exists(), "the socket's file is taken away");
}

#[test]
fn a_program_that_ends_ends_the_pipeline_and_one_that_runs_on_is_ended_with_it() {
    let yaml = "version: 1
sources:
  once:
    plugin: exec
    settings: { command: [printf, '{\"sensor\":\"once\",\"value\":%s}\\n', '1', '2', '3'], format: ndjson, restart: never }
sinks:
  archive: { plugin: file, inputs: [once], settings: { path: out/readings.ndjson } }
";
    let pipeline = Pipeline::new(yaml, &["source_exec", "sink_file"]);
    let run = pipeline.run(&["run", "--summary-json", "summary.json"]).expect(0);
    assert_eq!(component(&summary(&pipeline), "once")["out"], 3, "{}", run.stderr);
    // Lines, a number that tells which process it is, and then nothing for ever.
    let forever = "{ echo '{\"sensor\":\"pid\",\"value\":'$$'}'; exec tail -f /dev/null; }";
    pipeline.write_yaml(
        &yaml
            .replace(
                "[printf, '{\"sensor\":\"once\",\"value\":%s}\\n', '1', '2', '3']",
                &format!("[sh, -c, {forever:?}]"),
            )
            .replace("readings", "forever"),
    );
    let run = pipeline.start(&["run", "--summary-json", "summary.json"]);
    let archive = pipeline.path("out/forever.ndjson");
    wait_for_lines(&archive, 1);
    run.signal(Signal::TERM);
    let run = run.finish().expect(0);
    let summary = summary(&pipeline);
    assert_eq!(
        (&summary["balances"], &summary["ended"]),
        (&true.into(), &"drained".into()),
        "{}",
        run.stderr
    );
    let text = fs::read_to_string(&archive).expect("written");
    let reading: Value = serde_json::from_str(text.trim()).expect("JSON");
    let pid = reading["value"].as_f64().expect("a number");
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "it is gone, and no zombie: {}", run.stderr);
}

#[test]
fn a_program_that_is_missing_and_a_port_that_is_taken_are_refused_before_anything_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let yaml = format!(
        "version: 1
sources:
  meter: {{ plugin: exec, settings: {{ command: [no-such-meter], format: ndjson }} }}
  net: {{ plugin: socket, settings: {{ address: 'tcp://127.0.0.1:{port}', format: ndjson }} }}
sinks:
  hole: {{ plugin: blackhole, inputs: [meter, net] }}
"
    );
    let pipeline = Pipeline::new(&yaml, &["source_exec", "source_socket", "sink_blackhole"]);
    let run = pipeline.run(&["run"]).expect(78);
    assert!(run.stderr.contains("there is no program `no-such-meter`"), "{}", run.stderr);
    pipeline.write_yaml(&yaml.replace("no-such-meter", "cat"));
    let run = pipeline.run(&["run"]).expect(78);
    assert!(run.stderr.contains(&format!("cannot listen on `tcp://127.0.0.1:{port}`")), "{}", run.stderr);
    assert!(run.stderr.contains("in use"), "{}", run.stderr);
}

#[test]
fn a_socket_that_a_service_manager_opened_is_listened_on() {
    let yaml = "version: 1
sources:
  plant: { plugin: socket, settings: { listener: plant, format: ndjson } }
sinks:
  archive: { plugin: file, inputs: [plant], settings: { path: out/readings.ndjson } }
";
    let pipeline = Pipeline::new(yaml, &["source_socket", "sink_file"]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    // As systemd does it: the socket is number 3, and the variables name the process that it is for.
    fcntl_setfd(&listener, FdFlags::empty()).expect("inherited");
    let script = format!(
        "exec 3<&{}; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=plant exec \"$0\" \"$@\"",
        listener.as_raw_fd()
    );
    let program = pipeline.command(&["run"]);
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(script).arg(program.get_program()).args(program.get_args());
    shell.current_dir(program.get_current_dir().expect("the pipeline's folder"));
    let run = pipeline.spawn(shell);
    let mut connection = TcpStream::connect(address).expect("it listens");
    connection.write_all(line("by-tcp", 1).as_bytes()).expect("sent");
    let archive = pipeline.path("out/readings.ndjson");
    wait_for("the reading", || (readings_of(&archive, "by-tcp") == 1).then_some(()));
    run.signal(Signal::TERM);
    run.finish().expect(0);
}
