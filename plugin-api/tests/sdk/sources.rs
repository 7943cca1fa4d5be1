//! Sources: producing, idling, finishing, positions, rejected input, waiting.

use cardcage_plugin_api::abi::StreamPosition;
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::{Failure, START_NS, SourceHarness, record};

const SECOND_NS: i64 = 1_000_000_000;

/// Reads lines from its settings, one a second.
struct Numbers {
    lines: Vec<String>,
    next: usize,
    due_ns: i64,
    safe: u64,
    host: Host,
}

#[derive(Deserialize, JsonSchema)]
struct NumbersSettings {
    lines: Vec<String>,
}

impl Source for Numbers {
    type Settings = NumbersSettings;
    fn describe(_: &NumbersSettings) -> Description {
        Description::source().rejects("not_a_number").does(Capability::Finite).does(Capability::Acknowledged)
    }
    fn open(settings: NumbersSettings, host: &Host) -> Result<Self, PluginError> {
        Ok(Self { lines: settings.lines, next: 0, due_ns: host.now_ns(), safe: 0, host: host.clone() })
    }
    fn fill(&mut self, out: &mut Batch<'_>, _: i64) -> Result<Fill, PluginError> {
        if out.now_ns() < self.due_ns {
            return Ok(Fill::IdleUntil(self.due_ns));
        }
        let Some(line) = self.lines.get(self.next) else {
            return Ok(Fill::Finished);
        };
        match line.parse() {
            Ok(value) => {
                out.push(record(value));
            }
            Err(_) => out.reject("not_a_number", 1),
        }
        self.next += 1;
        self.due_ns += SECOND_NS;
        out.set_position(4, self.next as u64);
        Ok(Fill::Produced)
    }
    fn acknowledge(&mut self, positions: &[StreamPosition]) -> Result<(), PluginError> {
        for position in positions {
            if position.stream != 4 || position.position < self.safe {
                return Err(PluginError::new(format!("{position:?} after {}", self.safe)));
            }
            self.safe = position.position;
        }
        Ok(())
    }
    fn close(self) -> Result<(), PluginError> {
        if self.host.cancelled() {
            return Ok(());
        }
        Err(PluginError::new("closing begins with cancellation"))
    }
}

#[test]
fn a_source_produces_idles_and_finishes_by_the_hosts_clock() -> Result<(), Failure> {
    let mut source = SourceHarness::<Numbers>::open(json!({ "lines": ["1.5", "oops", "2.5"] }))?;
    let filled = source.fill()?;
    assert_eq!((filled.records.len(), filled.fill), (1, Fill::Produced));
    assert_eq!((filled.header.stream, filled.header.position), (4, 1));
    assert_eq!(source.fill()?.fill, Fill::IdleUntil(START_NS + SECOND_NS));
    source.host().set_now_ns(START_NS + SECOND_NS);
    let filled = source.fill()?;
    assert_eq!((filled.records.len(), filled.rejected("not_a_number")), (0, 1));
    assert_eq!(source.until_finished()?.len(), 1);
    assert_eq!(source.host().now_ns(), START_NS + 3 * SECOND_NS);
    source.close()
}

#[test]
fn positions_are_acknowledged_and_a_wrong_one_is_an_error_with_words() -> Result<(), Failure> {
    let at = |stream, position| StreamPosition { stream, reserved: 0, position };
    let mut source = SourceHarness::<Numbers>::open(json!({ "lines": [] }))?;
    source.acknowledge(&[])?;
    source.acknowledge(&[at(4, 2), at(4, 3)])?;
    let failure = source.acknowledge(&[at(4, 1)]).err();
    assert!(failure.is_some_and(|failure| failure.message.ends_with("after 3")));
    Ok(())
}

/// Waits inside `fill`, as a source that polls a device does.
struct Waiting {
    host: Host,
}

impl Source for Waiting {
    type Settings = NoSettings;
    fn describe(_: &NoSettings) -> Description {
        Description::source().does(Capability::State)
    }
    fn open(_: NoSettings, host: &Host) -> Result<Self, PluginError> {
        Ok(Self { host: host.clone() })
    }
    fn fill(&mut self, out: &mut Batch<'_>, wait_until_ns: i64) -> Result<Fill, PluginError> {
        if !self.host.wait_until(wait_until_ns) {
            return Ok(Fill::Finished);
        }
        out.fill_with(|room| {
            room[0] = record(0.5);
            // More than there is: must be cut, not believed.
            usize::MAX
        });
        Ok(Fill::Produced)
    }
}

impl State for Waiting {
    const VERSION: u32 = 1;
    fn snapshot(&mut self, _: u32) -> Result<Vec<u8>, PluginError> {
        Ok(vec![7; 2 * 1024 * 1024])
    }
    fn restore(&mut self, _: u32, _: &[u8]) -> Result<(), PluginError> {
        Ok(())
    }
}

#[test]
fn waiting_moves_the_clock_until_the_pipeline_drains() -> Result<(), Failure> {
    let mut source = SourceHarness::<Waiting>::open(json!({}))?.with_capacity(3);
    let filled = source.fill()?;
    assert_eq!((filled.records.len(), filled.records[0]), (3, record(0.5)));
    assert!(source.host().now_ns() > START_NS);
    source.host().cancel();
    assert_eq!(source.fill()?.fill, Fill::Finished);
    Ok(())
}

#[test]
fn a_state_larger_than_the_host_takes_is_a_failure_and_not_half_a_state() -> Result<(), Failure> {
    let mut source = SourceHarness::<Waiting>::open(json!({}))?;
    let failure = source.snapshot().err();
    assert!(failure.is_some_and(|failure| failure.message.contains("larger than the host takes")));
    Ok(())
}
