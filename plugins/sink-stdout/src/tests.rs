//! The sink as the host drives it. Under a test harness standard output is no terminal that could show a table, or it
//! is one and must not be written to, so only what needs no output is tested here.

use super::{CardcagePlugin, StdoutSink};
use crate::output::{Output, OutputError};
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::{SinkHarness, contract};
use std::fs::File;
use std::os::fd::OwnedFd;

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn an_unknown_shape_is_refused_with_the_known_ones() {
    let failure = SinkHarness::<StdoutSink>::describe(json!({ "format": "csv" })).unwrap_err();
    assert!(failure.message.contains("`ndjson`") && failure.message.contains("`table`"), "{failure}");
}

#[test]
fn a_reader_that_went_away_is_an_error_in_words() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut output = Output::to(File::from(OwnedFd::from(writer)));
    let error = output.write(b"x\n").unwrap_err();
    assert!(matches!(error, OutputError::ReaderGone));
    assert_eq!(error.to_string(), "the reader of standard output went away (broken pipe)");
    assert!(!output.is_terminal() && !output.can_show_table());
}

#[test]
fn a_pipe_that_does_not_block_still_gets_everything() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let mut output = Output::to(File::from(OwnedFd::from(writer)));
    let text = vec![b'x'; 1 << 20];
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut all).unwrap();
        all
    });
    output.write(&text).unwrap();
    drop(output);
    assert_eq!(reading.join().unwrap(), text);
}
