//! Times on the command line and on the page.

use cardcage_core::config::quantity;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A time, in UTC nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct When(pub(super) i64);

/// RFC 3339, a date or a date and time in UTC, or how long ago.
pub(super) fn parse(text: &str) -> Result<When, String> {
    at(text, Timestamp::now()).ok_or_else(|| {
        "a time is `2026-03-01T12:00:00Z`, `2026-03-01 12:00` or `2026-03-01` (both in UTC), or how long ago: `10m`"
            .to_owned()
    })
}

fn at(text: &str, now: Timestamp) -> Option<When> {
    let utc = |time: DateTime| TimeZone::UTC.to_timestamp(time).ok();
    let time = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| text.parse::<DateTime>().ok().and_then(utc))
        .or_else(|| text.parse::<Date>().ok().and_then(|date| utc(date.into())))
        .or_else(|| {
            let ago = quantity::duration(text).ok()?;
            now.checked_sub(ago).ok()
        })?;
    i64::try_from(time.as_nanosecond()).ok().map(When)
}

/// `2026-03-01T12:00:00.123456Z`: to the microsecond, which clocks here are good for.
pub(super) fn show(time_ns: i64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(time_ns));
    // Every i64 is a time that jiff has.
    time.map_or_else(|_| format!("{time_ns} ns"), |time| format!("{time:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_as_people_say_it() {
        let now: Timestamp = "2026-03-02T00:00:00Z".parse().expect("a time");
        let shown = |text| at(text, now).map(|When(time_ns)| show(time_ns));
        for text in ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00", "2026-03-01 12:00", "12h"] {
            assert_eq!(shown(text).as_deref(), Some("2026-03-01T12:00:00.000000Z"), "{text}");
        }
        assert_eq!(shown("2026-03-01").as_deref(), Some("2026-03-01T00:00:00.000000Z"));
        for text in ["", "yesterday", "12", "2026-13-01", "-10m"] {
            assert_eq!(at(text, now), None, "{text}");
        }
    }
}
