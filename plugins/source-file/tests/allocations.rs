//! In steady state reading allocates nothing, whether one thread parses or several.
//!
//! One test in a binary of its own: the counts are those of the whole process.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::SourceHarness;
use cardcage_source_file::FileSource;
use std::fmt::Write as _;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Fills before anything is counted: buffers get their sizes, names their ids.
const WARM_UP: u64 = 60;

/// The source, with a count of what its `fill` allocates. Harness and host allocate on their own account.
struct Counted {
    source: FileSource,
    fills: u64,
    allocations: u64,
}

impl Source for Counted {
    type Settings = <FileSource as Source>::Settings;

    fn describe(settings: &Self::Settings) -> Description {
        FileSource::describe(settings).drops("allocations")
    }

    fn open(settings: Self::Settings, host: &Host) -> Result<Self, PluginError> {
        Ok(Self { source: FileSource::open(settings, host)?, fills: 0, allocations: 0 })
    }

    fn fill(&mut self, out: &mut Batch<'_>, wait_until_ns: i64) -> Result<Fill, PluginError> {
        let before = dhat::HeapStats::get().total_blocks;
        let fill = self.source.fill(out, wait_until_ns);
        let allocated = dhat::HeapStats::get().total_blocks - before;
        self.fills += 1;
        if self.fills > WARM_UP && matches!(fill, Ok(Fill::Produced)) {
            self.allocations += allocated;
        }
        out.reject("allocations", std::mem::take(&mut self.allocations));
        fill
    }

    fn close(self) -> Result<(), PluginError> {
        self.source.close()
    }
}

#[test]
fn steady_reading_allocates_nothing() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let folder = tempfile::TempDir::new().unwrap();
    let (mut ndjson, mut csv, mut protocol) =
        (String::new(), String::from("timestamp,sensor,value\n"), String::new());
    for number in 0..600_000_u32 {
        let sensor = number % 50;
        writeln!(
            ndjson,
            "{{\"timestamp\":1700000000,\"sensor\":\"s{sensor}\",\"unit\":\"Cel\",\"value\":{number}}}"
        )
        .unwrap();
        writeln!(csv, "1700000000,s{sensor},{number}").unwrap();
        writeln!(protocol, "m,host=h{sensor} a={number},b=2,c=3 1700000000000000000").unwrap();
    }
    for (name, text, threads) in
        [("a.ndjson", &ndjson, 1), ("a.csv", &csv, 1), ("a.lp", &protocol, 1), ("b.ndjson", &ndjson, 3)]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mut source = SourceHarness::<Counted>::open(json!({ "path": path, "threads": threads })).unwrap();
        let (mut fills, mut allocations) = (0, 0);
        loop {
            let filled = source.fill().unwrap();
            fills += 1;
            allocations += filled.rejected("allocations");
            if filled.fill == Fill::Finished {
                break;
            }
        }
        assert!(fills > 2 * WARM_UP, "{name}: {fills} fills are too few to tell");
        // Other threads may still grow a buffer for the first time: a handful in all, and none per batch.
        let most = if threads == 1 { 0 } else { 20 };
        assert!(allocations <= most, "{name}: {allocations} allocations in {} fills", fills - WARM_UP);
        source.close().unwrap();
    }
}
