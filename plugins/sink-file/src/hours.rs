//! The date and hour of readings, for paths: in the zone of `timezone`, by the readings' own timestamps.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const NS_PER_SECOND: i64 = 1_000_000_000;
const HOUR_S: i64 = 3_600;

/// Dates and hours. Readings come in order, mostly, so the last hour is kept: most readings cost two comparisons.
pub(crate) struct Hours {
    zone: TimeZone,
    /// Of the hour: its first nanosecond and the one behind its last. It ends early where the zone's offset changes.
    from_ns: i64,
    until_ns: i64,
    date: String,
    hour: String,
}

impl Hours {
    /// Hours of a zone.
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self { zone, from_ns: 0, until_ns: 0, date: String::new(), hour: String::new() }
    }

    /// Turns to the hour of a timestamp; what it returns tells hours apart.
    #[inline]
    pub(crate) fn turn_to(&mut self, timestamp_ns: i64) -> i64 {
        if !(self.from_ns..self.until_ns).contains(&timestamp_ns) {
            self.look_up(timestamp_ns);
        }
        self.from_ns
    }

    /// `2026-11-22` and `21`.
    pub(crate) fn date_and_hour(&self) -> (&str, &str) {
        (&self.date, &self.hour)
    }

    #[cold]
    fn look_up(&mut self, timestamp_ns: i64) {
        // All of i64's nanoseconds are between the years 1677 and 2262, which jiff holds.
        let at = Timestamp::from_nanosecond(i128::from(timestamp_ns)).unwrap_or_default();
        let second = timestamp_ns.div_euclid(NS_PER_SECOND);
        let offset = i64::from(self.zone.to_offset(at).seconds());
        let begin = (second + offset).div_euclid(HOUR_S) * HOUR_S - offset;
        let ns = |second: i64| second.saturating_mul(NS_PER_SECOND);
        let (mut from, mut until) = (ns(begin), ns(begin + HOUR_S));
        // An offset can change within an hour; what comes before and behind is an hour of its own, perhaps of the
        // same name.
        let change_ns = |change: Timestamp| i64::try_from(change.as_nanosecond()).ok();
        let next = self.zone.following(at).next().and_then(|change| change_ns(change.timestamp()));
        let after = Timestamp::from_nanosecond(i128::from(timestamp_ns) + 1).unwrap_or(at);
        let last = self.zone.preceding(after).next().and_then(|change| change_ns(change.timestamp()));
        until = until.min(next.unwrap_or(i64::MAX));
        from = from.max(last.unwrap_or(i64::MIN));
        (self.from_ns, self.until_ns) = (from, until);
        let local = at.to_zoned(self.zone.clone());
        self.date = local.strftime("%Y-%m-%d").to_string();
        self.hour = local.strftime("%H").to_string();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(hours: &mut Hours, ns: i64) -> (i64, String) {
        let id = hours.turn_to(ns);
        let (date, hour) = hours.date_and_hour();
        let shown = format!("{date} {hour}");
        let plain = Timestamp::from_nanosecond(i128::from(ns)).unwrap().to_zoned(hours.zone.clone());
        assert_eq!(shown, plain.strftime("%Y-%m-%d %H").to_string(), "{ns}");
        (id, shown)
    }

    #[test]
    fn an_hour_ends_where_the_next_begins() {
        let mut hours = Hours::new(TimeZone::UTC);
        let start = 1_767_225_600_000_000_000;
        let (first, _) = check(&mut hours, start);
        assert_eq!(check(&mut hours, start + 3_600 * NS_PER_SECOND - 1).0, first);
        assert_ne!(check(&mut hours, start + 3_600 * NS_PER_SECOND).0, first);
        assert_ne!(check(&mut hours, start - 1).0, first);
        for extreme in [i64::MIN, i64::MAX, -1, 0] {
            check(&mut hours, extreme);
        }
    }

    proptest! {
        #[test]
        fn the_kept_hour_agrees_with_the_calendar(
            times in proptest::collection::vec(prop_oneof![any::<i64>(), 1_761_440_000_000_000_000_i64..1_761_450_000_000_000_000], 1..20),
            // Vienna's rule, and a zone whose clocks change by half an hour, in the middle of an hour of UTC.
            rule in prop_oneof![Just("CET-1CEST,M3.5.0,M10.5.0/3"), Just("LHST-10:30LHDT-11,M10.1.0,M4.1.0"), Just("ODD3:47")],
        ) {
            let mut hours = Hours::new(TimeZone::posix(rule).unwrap());
            for time in times {
                check(&mut hours, time);
            }
        }
    }
}
