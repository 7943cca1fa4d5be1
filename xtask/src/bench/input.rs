//! The bench's input: NDJSON lines of about 100 bytes, the same bytes on every machine.

use crate::Failure;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// As many as a plant's gateway sees; enough that per-sensor tables don't sit in the first-level cache.
const SENSORS: u64 = 1000;
/// Changing what a line looks like makes another file; an old one must not be taken for it.
const VERSION: u32 = 1;

/// The input with this many records; written unless an earlier bench left it.
pub(super) fn ndjson(directory: &Path, records: u64) -> Result<PathBuf, Failure> {
    let path = directory.join(format!("readings-{records}-v{VERSION}.ndjson"));
    if !path.exists() {
        eprintln!("writing {}", path.display());
        // Under another name first: a run that was interrupted must not leave half an input behind.
        let unfinished = path.with_extension("unfinished");
        let failed = || Failure::io(format!("write {}", unfinished.display()));
        let file = File::create(&unfinished).map_err(failed())?;
        write(BufWriter::with_capacity(1 << 20, file), records).map_err(failed())?;
        fs::rename(&unfinished, &path).map_err(failed())?;
    }
    Ok(path)
}

fn write(mut out: impl Write, records: u64) -> io::Result<()> {
    let mut random = SplitMix(0x00CA_4DCA_6E00_5EED);
    let mut timestamp_ns = 1_700_000_000_000_000_000_u64;
    for _ in 0..records {
        timestamp_ns += 500_000 + random.below(1_000_000);
        let sensor = random.below(SENSORS);
        // From -28 to 132 in steps of 1/10,000: a tenth is outside of -20 to 124.
        let steps = random.below(1_600_000);
        let (sign, distance) = if steps < 280_000 { ("-", 280_000 - steps) } else { ("", steps - 280_000) };
        writeln!(
            out,
            r#"{{"timestamp":{timestamp_ns},"sensor":"plant-{}/press-{:02}/bearing","value":{sign}{}.{:04},"unit":"degC"}}"#,
            sensor / 100,
            sensor % 100,
            distance / 10_000,
            distance % 10_000,
        )?;
    }
    out.flush()
}

/// Small, seeded, the same everywhere; not for secrets.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::write;

    #[test]
    fn the_input_is_the_same_each_time_and_about_100_bytes_a_line() {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        write(&mut first, 1000).unwrap();
        write(&mut second, 1000).unwrap();
        assert_eq!(first, second);
        assert!((95_000..105_000).contains(&first.len()), "{} bytes", first.len());
        assert!(first.starts_with(br#"{"timestamp":17000000000"#));
    }
}
