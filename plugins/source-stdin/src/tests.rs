//! The source on a pipe, as the host drives it.

use super::{CardcagePlugin, StdinSettings, StdinSource};
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{SourceHarness, contract};
use std::cell::RefCell;
use std::fs::File;
use std::io::{PipeWriter, Write as _, pipe};
use std::os::fd::OwnedFd;

thread_local! {
    /// What the next source on this thread reads.
    static INPUT: RefCell<Option<File>> = const { RefCell::new(None) };
}

/// The source, but for where its bytes come from.
struct Piped(StdinSource);

impl Source for Piped {
    type Settings = StdinSettings;
    fn describe(settings: &StdinSettings) -> Description {
        StdinSource::describe(settings)
    }
    fn open(settings: StdinSettings, host: &Host) -> Result<Self, PluginError> {
        let input = INPUT.take().ok_or_else(|| PluginError::new("the test gave no input"))?;
        StdinSource::reading(input, &settings, host).map(Self)
    }
    fn fill(&mut self, out: &mut Batch<'_>, wait_until_ns: i64) -> Result<Fill, PluginError> {
        self.0.fill(out, wait_until_ns)
    }
}

fn piped(settings: Value) -> (SourceHarness<Piped>, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    INPUT.set(Some(File::from(OwnedFd::from(reader))));
    (SourceHarness::open(settings).unwrap(), writer)
}

fn line(number: u32) -> String {
    format!("{{\"sensor\":\"a\",\"value\":{number}}}\n")
}

#[test]
fn the_plugin_keeps_its_contract() {
    assert_eq!(contract::<CardcagePlugin>(), Vec::<String>::new());
}

#[test]
fn what_is_piped_in_comes_at_once_and_the_last_line_may_lack_its_end() {
    let (mut source, mut writer) = piped(json!({}));
    assert!(matches!(source.fill().unwrap().fill, Fill::IdleUntil(_)));
    write!(writer, "{}{}{}", line(1), line(2), &line(3)[..9]).unwrap();
    let filled = source.fill().unwrap();
    assert_eq!((filled.records.len(), filled.fill), (2, Fill::Produced));
    assert_eq!(filled.header.position, (line(1) + &line(2)).len() as u64);
    assert!(matches!(source.fill().unwrap().fill, Fill::IdleUntil(_)));
    write!(writer, "{}nonsense\n{}", &line(3)[9..], line(4).trim_end()).unwrap();
    drop(writer);
    let filled = source.fill().unwrap();
    assert_eq!((filled.records.len(), filled.rejected("bad_json"), filled.fill), (2, 1, Fill::Finished));
    assert_eq!(source.fill().unwrap().fill, Fill::Finished);
    let logs = source.host().logs();
    assert!(
        logs.iter().any(|log| log.message.contains("stdin") && log.message.contains("line=4")),
        "{logs:?}"
    );
}

#[test]
fn a_line_that_is_too_long_is_rejected_without_being_held() {
    let (mut source, mut writer) = piped(json!({ "max_line": "64B" }));
    for _ in 0..3 {
        write!(writer, "{}", "x".repeat(1000)).unwrap();
        source.fill().unwrap();
    }
    write!(writer, "\n{}", line(5)).unwrap();
    drop(writer);
    assert_eq!(source.until_finished().unwrap().len(), 1);
}

#[test]
fn a_text_with_line_ends_is_read_wherever_the_pipe_was_empty() {
    let text = "m a=1,note=\"x\n y=\n\",b=2 1\nm a=3,b=4 2\nm note=\"\n\" 3\nm a=5,b=6 4\n";
    for (capacity, cut) in [100, 3].into_iter().flat_map(|c| (0..=text.len()).map(move |cut| (c, cut))) {
        let (source, mut writer) = piped(json!({ "format": "line_protocol" }));
        let mut source = source.with_capacity(capacity);
        let (mut values, mut texts, mut calls) = (Vec::new(), 0, 0);
        let mut take = |source: &mut SourceHarness<Piped>| {
            loop {
                calls += 1;
                assert!(calls < 1000, "the source stands still at {values:?}");
                let filled = source.fill().unwrap();
                values.extend(filled.records.iter().map(|record| record.value));
                texts += filled.rejected("text_field");
                if filled.fill != Fill::Produced {
                    return filled.fill;
                }
            }
        };
        write!(writer, "{}", &text[..cut]).unwrap();
        assert!(matches!(take(&mut source), Fill::IdleUntil(_)));
        write!(writer, "{}", &text[cut..]).unwrap();
        drop(writer);
        assert_eq!(take(&mut source), Fill::Finished);
        assert_eq!((values, texts), (vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2), "{capacity} {cut}");
    }
}

#[test]
fn only_one_component_reads_standard_input() {
    let first = SourceHarness::<StdinSource>::open(json!({})).unwrap();
    let message = SourceHarness::<StdinSource>::open(json!({})).err().unwrap().message;
    assert!(message.contains("another component"), "{message}");
    first.close().unwrap();
    SourceHarness::<StdinSource>::open(json!({})).unwrap();
}
