//! NDJSON over TCP on this machine, one sender -> blackhole. The sender writes a file in large pieces and is not counted.

use super::Bench;
use super::flow::{Flow, Took};
use super::input::{self, Form, SENSORS};
use super::measure::{Running, median};
use super::report::{Report, Target, note};
use crate::Failure;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const CPU_S_PER_MILLION: Target = Target::AtMost(0.09);
const PER_SECOND: Target = Target::AtLeast(8e6);
/// How much is written at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// Longer than any start of the daemon.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn tcp(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let port = free_port().map_err(Failure::io("find a free port"))?;
    let body = format!(
        "sources:\n  input: {{ plugin: socket, settings: {{ address: 'tcp://127.0.0.1:{port}', format: ndjson }} }}\n\
         sinks:\n  nowhere: {{ plugin: blackhole, inputs: [input] }}\n"
    );
    let flow = Flow::new(bench, "tcp", &body)?;
    if let Some(why) = flow.refusal(bench)? {
        report.skipped("tcp: all of it", &why);
        return Ok(());
    }
    let input = |records| input::readings(&bench.directory, Form::Ndjson, records, SENSORS);
    let (whole, first) = (input(bench.records())?, input(1)?);
    let mut runs = Vec::new();
    for _ in 0..bench.options.runs {
        let start = run(bench, &flow, port, &first, 1)?;
        let mut took = run(bench, &flow, port, &whole, bench.records())?;
        took.cpu_s -= start.cpu_s;
        runs.push(took);
    }
    let cpu = median(runs.iter().map(|took| took.cpu_s * 1e6 / bench.records_f64()));
    report.figure("tcp: daemon", cpu, "CPU-s/M", CPU_S_PER_MILLION);
    let speed = median(runs.iter().map(|took| bench.records_f64() / took.wall_s));
    report.figure("tcp: daemon, one core, sender on another", speed, "records/s", PER_SECOND);
    let memory = runs.iter().map(|took| took.max_rss).max().map(super::mib);
    report.figure("tcp: daemon, most memory", memory, "MiB", Target::None);
    if bench.core.others()?.is_none() {
        note("there is one processor only, so the sender had to share it");
    }
    Ok(())
}

/// Sends the file to a new daemon. The wall time is from the first byte to the daemon's end of the connection.
fn run(bench: &Bench, flow: &Flow, port: u16, input: &Path, records: u64) -> Result<Took, Failure> {
    flow.forget()?;
    let daemon = Running::start(bench.core, &bench.stderr(), &mut flow.command(bench))?;
    let stream = connect(&daemon, port)?;
    let sender = || {
        if let Some(others) = bench.core.others()? {
            others.take()?;
        }
        send(stream, input).map_err(Failure::io("send to the daemon"))
    };
    let wall = scope(|scope| scope.spawn(sender).join())
        .map_err(|_| Failure::Program("the sender panicked".to_owned()))??;
    let cost = daemon.stop()?;
    let totals = flow.totals()?;
    totals.expect(records)?;
    Ok(Took {
        wall_s: wall.as_secs_f64(),
        cpu_s: cost.cpu.as_secs_f64(),
        start_cpu_s: 0.0,
        max_rss: cost.max_rss,
        totals,
    })
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Tries until the daemon listens.
fn connect(daemon: &Running, port: u16) -> Result<TcpStream, Failure> {
    let began = Instant::now();
    loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => return Ok(stream),
            Err(error) if began.elapsed() > PATIENCE => {
                return Err(Failure::Io(format!("connect to the daemon on port {port}"), error));
            }
            Err(_) => {
                daemon.rss()?;
                sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Sends everything and waits until the other side has taken it and closes.
fn send(mut stream: TcpStream, input: &Path) -> io::Result<Duration> {
    let (mut file, mut piece) = (File::open(input)?, vec![0; PIECE_BYTES]);
    let started = Instant::now();
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => stream.write_all(&piece[..read])?,
        }
    }
    stream.shutdown(Shutdown::Write)?;
    while stream.read(&mut piece)? > 0 {}
    Ok(started.elapsed())
}
