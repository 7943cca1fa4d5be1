//! The limit that the daemon is measured against: jobs written by hand, each as one loop on one thread, with nothing
//! around it: no plugins, no ledger, no batches, no checks of what the bench's own files do not hold.
//! `cargo xtask bench` runs it beside the daemon on the same input.
//!
//! - `fused INPUT OUTPUT`: NDJSON file -> range -> convert -> NDJSON file.
//! - `fused INPUT`: the same without an output, to see what reading and parsing take.
//! - `fused ndjson|csv|lp INPUT`: every record read, its sensor looked up, and summed.
//!
//! What makes it fast: it learns the order of the keys and the bytes between the values from one line and then only
//! compares; a line that differs is learned anew. What it must not do is less work than the job: every value is parsed
//! exactly, every sensor known by its whole name, every record of the first job checked and printed again.

#![forbid(unsafe_code)]

mod csv;
mod files;
mod layout;
mod line_protocol;
mod ndjson;
mod scan;
mod sensors;
mod sum;
mod window;

use std::fs::File;
use std::io;
use std::process::ExitCode;

const USAGE: &str = "usage: fused INPUT [OUTPUT] | fused ndjson|csv|lp INPUT";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("fused: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the job has to say: its counts and sums.
fn run(arguments: &[&str]) -> io::Result<String> {
    let open = |input: &str| File::open(input);
    match arguments {
        ["ndjson", input] => ndjson::run(open(input)?).map(|sum| sum.to_string()),
        ["csv", input] => csv::run(open(input)?).map(|sum| sum.to_string()),
        ["lp", input] => line_protocol::run(open(input)?).map(|sum| sum.to_string()),
        [input] => files::run(open(input)?, None).map(|counts| counts.to_string()),
        [input, output] => {
            let input = open(input)?;
            files::run(input, Some(File::create(output)?)).map(|counts| counts.to_string())
        }
        _ => Err(io::Error::other(USAGE)),
    }
}
