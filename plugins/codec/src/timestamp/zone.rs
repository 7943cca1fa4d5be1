//! Time zones by their IANA name.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use thiserror::Error;

/// A time zone; UTC unless named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A `timezone:` that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no time zone; name one of the IANA database, such as `UTC` or `Europe/Vienna`")]
pub struct UnknownZone(pub String);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Zone {
    /// The zone of this name: by the system's database, which is kept up to date, else by the one built in.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        match name {
            "UTC" => Ok(Self::default()),
            _ => jiff::tz::db().get(name).map(Self).or_else(|_| Self::built_in(name)),
        }
    }

    /// The zone of this name by the database that is built in, without a look at any file.
    pub fn built_in(name: &str) -> Result<Self, UnknownZone> {
        match name {
            "UTC" => Ok(Self::default()),
            _ => TimeZoneDatabase::bundled().get(name).map(Self).map_err(|_| UnknownZone(name.to_owned())),
        }
    }

    pub(super) fn time_zone(&self) -> &TimeZone {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_without_a_system_database() {
        assert_eq!(Zone::built_in("UTC"), Ok(Zone::default()));
        assert!(Zone::built_in("Europe/Vienna").is_ok() && Zone::named("America/New_York").is_ok());
        let error = Zone::named("Mars/Olympus").unwrap_err().to_string();
        assert!(error.contains("Mars/Olympus") && error.contains("Europe/Vienna"), "{error}");
    }
}
