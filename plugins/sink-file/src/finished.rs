//! The names of files that were rotated out: `readings-20261122T214944Z-000.ndjson`.
//!
//! They sort by age: each is named by the time at which it was finished, in UTC, and a number that tells apart those of
//! one second. A clock that goes backwards does not break that: the next name then counts on from the newest there is.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};

const STAMP: &str = "%Y%m%dT%H%M%SZ";
const STAMP_BYTES: usize = 16;
const NUMBER_BYTES: usize = 3;
const NUMBER_MAX: u16 = 999;

/// How the finished files of a path are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Naming {
    folder: PathBuf,
    /// What stands before the time, and what behind the number.
    base: String,
    ending: String,
}

/// Which of them a name is; in order of age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Serial {
    stamp: String,
    number: u16,
}

impl Naming {
    /// Names of what is finished at this path; `None` for one whose name is not UTF-8.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let split = |name: &str| name.rfind('.').filter(|at| *at > 0).unwrap_or(name.len());
        let mut at = split(name);
        if matches!(&name[at..], ".gz" | ".zst" | ".GZ" | ".ZST") {
            at = split(&name[..at]);
        }
        Some(Self {
            folder: crate::disk::folder_of(path).to_owned(),
            base: name[..at].to_owned(),
            ending: name[at..].to_owned(),
        })
    }

    /// The folder that they are in.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of one of them.
    pub(crate) fn path(&self, serial: &Serial) -> PathBuf {
        let Self { base, ending, .. } = self;
        self.folder.join(format!("{base}-{}-{:03}{ending}", serial.stamp, serial.number))
    }

    /// Those among a folder's names that are ours, oldest first. Every other name is somebody else's.
    pub(crate) fn serials(&self, names: &[String]) -> Vec<Serial> {
        let mut serials: Vec<Serial> = names.iter().filter_map(|name| self.serial(name)).collect();
        serials.sort();
        serials
    }

    fn serial(&self, name: &str) -> Option<Serial> {
        Serial::read(name.strip_prefix(&*self.base)?.strip_prefix('-')?.strip_suffix(&*self.ending)?)
    }
}

impl Serial {
    fn read(text: &str) -> Option<Self> {
        let (stamp, number) = (text.get(..STAMP_BYTES)?, text.get(STAMP_BYTES + 1..)?);
        let well_formed = text.as_bytes()[STAMP_BYTES] == b'-'
            && number.len() == NUMBER_BYTES
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && read(stamp).is_some_and(|time| time.strftime(STAMP).to_string() == stamp);
        let number = number.parse().ok().filter(|_| well_formed)?;
        Some(Self { stamp: stamp.to_owned(), number })
    }
}

/// Where the `-` in front of the time is, if a path ends as that of a finished file does.
pub(crate) fn looks_finished(path: &str) -> Option<usize> {
    let Naming { base, ending, .. } = Naming::of(Path::new(path))?;
    let serial = base.len().checked_sub(STAMP_BYTES + 1 + NUMBER_BYTES)?;
    let is_one = Serial::read(base.get(serial..)?).is_some() && base[..serial].ends_with('-');
    is_one.then(|| path.len() - ending.len() - (base.len() - serial) - 1)
}

/// What follows the newest one there is, at this time.
pub(crate) fn next(newest: Option<&Serial>, now_ns: i64) -> Serial {
    let now = Timestamp::from_nanosecond(i128::from(now_ns)).unwrap_or_default();
    let stamp = now.to_zoned(TimeZone::UTC).strftime(STAMP).to_string();
    match newest {
        Some(newest) if newest.stamp >= stamp && newest.number < NUMBER_MAX => {
            Serial { stamp: newest.stamp.clone(), number: newest.number + 1 }
        }
        Some(newest) if newest.stamp >= stamp => {
            let next = read(&newest.stamp)
                .and_then(|time| time.checked_add(jiff::SignedDuration::from_secs(1)).ok());
            Serial { stamp: next.map_or(stamp, |next| next.strftime(STAMP).to_string()), number: 0 }
        }
        _ => Serial { stamp, number: 0 },
    }
}

fn read(stamp: &str) -> Option<DateTime> {
    DateTime::strptime(STAMP, stamp).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_NS: i64 = 1_767_225_600_000_000_000;

    fn names(naming: &Naming, serials: &[Serial]) -> Vec<String> {
        serials
            .iter()
            .map(|serial| naming.path(serial).file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn names_sort_by_age_whatever_the_clock_does() {
        let naming = Naming::of(Path::new("out/readings.ndjson.gz")).unwrap();
        let mut serials: Vec<Serial> = Vec::new();
        for clock_s in [0, 0, 5, 4, -86_400, 5, 6].into_iter().chain(std::iter::repeat_n(0, 2_500)) {
            serials.push(next(serials.last(), NOW_NS + clock_s * 1_000_000_000));
        }
        let made = names(&naming, &serials);
        assert_eq!(made[0], "readings-20260101T000000Z-000.ndjson.gz");
        assert_eq!(made[1], "readings-20260101T000000Z-001.ndjson.gz");
        assert_eq!(made[3], "readings-20260101T000005Z-001.ndjson.gz");
        assert!(made.is_sorted() && made.windows(2).all(|two| two[0] != two[1]));
        assert_eq!(naming.serials(&made), serials, "each reads back");
        assert_eq!(naming.path(&serials[0]), Path::new("out").join(&made[0]));
    }

    #[test]
    fn names_of_others_are_not_ours() {
        let naming = Naming::of(Path::new("a.csv")).unwrap();
        let others = [
            "a.csv",
            "a-20260101T000000Z-000.csv.bak",
            "a-20260101T000000Z-00.csv",
            "a-20260101T000000Z-0000.csv",
            "a-20260101T000000Z-x00.csv",
            "a-20261301T000000Z-000.csv",
            "a-2026-01-01-000000-000.csv",
            "a-b-20260101T000000Z-000.csv",
            "ab-20260101T000000Z-000.csv",
            "a-20260101T000000Z-000",
            "a-٢٠٢٦0101-000.csv",
        ];
        assert_eq!(naming.serials(&others.map(str::to_owned)), []);
        assert_eq!(naming.serials(&["a-20260101T000000Z-000.csv".to_owned()]).len(), 1);
    }

    #[test]
    fn a_path_that_could_be_a_finished_file_is_seen() {
        for (path, at) in [
            ("out/a-20260101T000000Z-000.ndjson", Some(5)),
            ("a-20260101T000000Z-000.csv.gz", Some(1)),
            ("-20260101T000000Z-000", Some(0)),
            ("Büro-20260101T000000Z-999", Some(5)),
            ("out/a.ndjson", None),
            ("out/20260101T000000Z-000.ndjson", None),
            ("a-20260101T000000Z-000/a.ndjson", None),
            ("a-20261301T000000Z-000.ndjson", None),
            ("é20260101T000000Z-000.ndjson", None),
        ] {
            assert_eq!(looks_finished(path), at, "{path}");
        }
    }

    #[test]
    fn names_without_an_ending_work_too() {
        for (path, name) in [
            ("plain", "plain-20260101T000000Z-000"),
            (".env", ".env-20260101T000000Z-000"),
            ("a.gz", "a-20260101T000000Z-000.gz"),
        ] {
            let naming = Naming::of(Path::new(path)).unwrap();
            assert_eq!(names(&naming, &[next(None, NOW_NS)]), [name]);
        }
    }
}
