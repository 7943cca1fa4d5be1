//! The bench's inputs: the same readings in several forms, the same bytes on every machine.

mod form;

use crate::Failure;
pub(super) use form::Form;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// As many as a plant's gateway sees; enough that per-sensor tables don't sit in the first-level cache.
pub(super) const SENSORS: u64 = 1000;
/// Changing what a line looks like makes another file; an old one must not be taken for it.
const VERSION: u32 = 1;

/// One reading, in whole numbers, so that every machine writes the same digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    timestamp_ns: u64,
    sensor: u64,
    /// In 1/10,000.
    value: i64,
    /// What may look different from line to line.
    taste: u64,
}

/// The readings, without end.
struct Readings {
    random: SplitMix,
    tastes: SplitMix,
    timestamp_ns: u64,
    sensors: u64,
    turns: Turns,
}

/// Whose reading is next.
#[derive(Clone, Copy, Debug)]
enum Turns {
    /// Anyone's.
    Random,
    /// Everyone's once, far from the last one's, then again; this many had theirs.
    Rounds(u64),
}

/// From one sensor to the next in a round: no factor of a power of ten, so that a round of so many sensors goes through
/// all of them; large, so that neighbours in time are none in memory.
const STRIDE: u64 = 618_033_989;

impl Readings {
    fn of(sensors: u64) -> Self {
        Self {
            random: SplitMix(0x00CA_4DCA_6E00_5EED),
            // Of its own, so that a form that has none holds the same readings.
            tastes: SplitMix(0x7A57_E000_0000_0001),
            timestamp_ns: 1_700_000_000_000_000_000,
            sensors,
            turns: Turns::Random,
        }
    }
}

impl Iterator for Readings {
    type Item = Made;

    fn next(&mut self) -> Option<Made> {
        self.timestamp_ns += 500_000 + self.random.below(1_000_000);
        let sensor = match &mut self.turns {
            Turns::Random => self.random.below(self.sensors),
            Turns::Rounds(had) => {
                *had += 1;
                *had % self.sensors * (STRIDE % self.sensors) % self.sensors
            }
        };
        // From -28 to 132 in steps of 1/10,000: a tenth is outside of -20 to 124.
        let value = self.random.below(1_600_000).cast_signed() - 280_000;
        Some(Made { timestamp_ns: self.timestamp_ns, sensor, value, taste: self.tastes.next() })
    }
}

/// The input with this many records of this many sensors; written unless an earlier bench left it.
pub(super) fn readings(directory: &Path, form: Form, records: u64, sensors: u64) -> Result<PathBuf, Failure> {
    let path = directory.join(format!("readings-{records}-of-{sensors}-v{VERSION}.{}", form.ending()));
    if !path.exists() {
        write_file(&path, form, records, Readings::of(sensors))?;
    }
    Ok(path)
}

/// NDJSON in which each of the sensors had its turn before any has the next.
pub(super) fn rounds(directory: &Path, records: u64, sensors: u64) -> Result<PathBuf, Failure> {
    let path = directory.join(format!("rounds-{records}-of-{sensors}-v{VERSION}.ndjson"));
    let readings = Readings { turns: Turns::Rounds(0), ..Readings::of(sensors) };
    write_file(&path, Form::Ndjson, records, readings)?;
    Ok(path)
}

fn write_file(path: &Path, form: Form, records: u64, readings: Readings) -> Result<(), Failure> {
    eprintln!("writing {}", path.display());
    // Under another name first: a run that was interrupted must not leave half an input behind.
    let unfinished = path.with_extension("unfinished");
    let failed = || Failure::io(format!("write {}", unfinished.display()));
    let file = File::create(&unfinished).map_err(failed())?;
    write(BufWriter::with_capacity(1 << 20, file), form, records, readings).map_err(failed())?;
    fs::rename(&unfinished, path).map_err(failed())
}

/// The same readings spread over many files of nearly the same size, in a folder of their own.
pub(super) fn folder(directory: &Path, records: u64, files: u64) -> Result<PathBuf, Failure> {
    let folder = directory.join(format!("readings-{records}-in-{files}-v{VERSION}"));
    if !folder.exists() {
        eprintln!("writing {}", folder.display());
        let unfinished = folder.with_extension("unfinished");
        super::remove(&unfinished)?;
        let failed = || Failure::io(format!("write {}", unfinished.display()));
        fs::create_dir_all(&unfinished).map_err(failed())?;
        let mut readings = Readings::of(SENSORS);
        for number in 0..files {
            let share = records * (number + 1) / files - records * number / files;
            let file = File::create(unfinished.join(format!("{number:05}.ndjson"))).map_err(failed())?;
            write(BufWriter::with_capacity(1 << 16, file), Form::Ndjson, share, &mut readings)
                .map_err(failed())?;
        }
        fs::rename(&unfinished, &folder).map_err(failed())?;
    }
    Ok(folder)
}

fn write(
    mut out: impl Write,
    form: Form,
    records: u64,
    readings: impl IntoIterator<Item = Made>,
) -> io::Result<()> {
    form.begin(&mut out)?;
    let mut readings = readings.into_iter();
    for _ in 0..records {
        if let Some(reading) = readings.next() {
            form.line(&mut out, reading)?;
        }
    }
    out.flush()
}

/// Small, seeded, the same everywhere; not for secrets.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(form: Form) -> String {
        let mut text = Vec::new();
        write(&mut text, form, 1000, Readings::of(SENSORS)).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_input_is_the_same_each_time_and_about_100_bytes_a_line() {
        let first = text(Form::Ndjson);
        assert_eq!(first, text(Form::Ndjson));
        assert!((95_000..105_000).contains(&first.len()), "{} bytes", first.len());
        assert!(first.starts_with(r#"{"timestamp":17000000000"#));
    }

    #[test]
    fn every_form_holds_the_same_readings() {
        let stamps = |form| -> Vec<String> {
            let stamp = |line: &str| line.find("17000000").map(|at| line[at..at + 19].to_owned());
            text(form).lines().filter_map(stamp).collect()
        };
        let expected = stamps(Form::Ndjson);
        assert_eq!(expected.len(), 1000);
        for form in [Form::Csv, Form::LineProtocol, Form::Unusual] {
            assert_eq!(stamps(form), expected, "{form:?}");
        }
    }

    #[test]
    fn in_a_round_each_sensor_has_its_turn_once() {
        for sensors in [10, 1_000] {
            let readings = Readings { turns: Turns::Rounds(0), ..Readings::of(sensors) };
            let mut round: Vec<_> = (0..sensors).zip(readings).map(|(_, reading)| reading.sensor).collect();
            round.sort_unstable();
            assert!(round.into_iter().eq(0..sensors), "{sensors}");
        }
    }

    #[test]
    fn unusual_lines_differ_in_their_keys_their_texts_and_their_order() {
        let text = text(Form::Unusual);
        for part in ["\\/", "\\u00", "\"meta\":{", "\"note\":"] {
            assert!((100..1000).contains(&text.matches(part).count()), "{part}");
        }
        let first_keys: std::collections::BTreeSet<_> = text.lines().map(|line| &line[..6]).collect();
        assert!(first_keys.len() >= 5, "{first_keys:?}");
    }

    #[test]
    fn readings_spread_over_files_are_all_there() {
        let directory = std::env::temp_dir().join(format!("cardcage-bench-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let folder = folder(&directory, 1000, 7).unwrap();
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let whole: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!((files.len(), whole), (7, text(Form::Ndjson)));
    }
}
