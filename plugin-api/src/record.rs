//! The record: one reading of one sensor, 24 bytes, the same layout on both sides of the ABI.

use abi_stable::StableAbi;

/// A sensor's name and tags, interned in the host's dictionary.
///
/// Local to this process: anything that leaves it carries the name instead.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, StableAbi)]
pub struct SensorId(pub u32);

/// A unit's code, interned in the host's dictionary. [`UnitId::NONE`] is "no unit given".
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, StableAbi)]
pub struct UnitId(pub u16);

impl UnitId {
    /// A reading that came without a unit. The dictionary never gives this id to a code.
    pub const NONE: Self = Self(0);
}

/// What is known about how far a value can be trusted, and what kind of value it is.
///
/// From the lowest bit: 2 bits [`Status`], 6 flag bits, 4 bits value kind, 4 bits zero.
/// Zero is a good `f64` with no flags.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, StableAbi)]
pub struct Quality(pub u16);

/// The first two bits of a [`Quality`], with the meaning that OPC UA gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The value can be used.
    Good,
    /// The value may be off: a substitute, an estimate, an instrument out of calibration.
    Uncertain,
    /// The value must not be used.
    Bad,
}

impl Status {
    /// The name used in files and settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Uncertain => "uncertain",
            Self::Bad => "bad",
        }
    }

    /// The status with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Good, Self::Uncertain, Self::Bad].into_iter().find(|status| status.name() == name)
    }
}

impl Quality {
    /// Usable, unflagged, an `f64`.
    pub const GOOD: Self = Self(0);
    /// The value was limited to the instrument's or a stage's range.
    pub const CLAMPED: Self = Self(1 << 2);
    /// The value was computed from its neighbours.
    pub const INTERPOLATED: Self = Self(1 << 3);
    /// The value is older than its timestamp says, because nothing newer came.
    pub const STALE: Self = Self(1 << 4);
    /// The value lies outside the range that a stage was told to expect.
    pub const OUT_OF_RANGE: Self = Self(1 << 5);
    /// The timestamp was given by Cardcage, because the data had none.
    pub const TIME_SUBSTITUTED: Self = Self(1 << 6);
    /// The unit is not known to the stage that was asked to convert it.
    pub const UNIT_UNKNOWN: Self = Self(1 << 7);

    const STATUS_BITS: u16 = 0b11;
    const KIND_SHIFT: u16 = 8;

    /// Every flag with the name it has in files and settings.
    pub const FLAGS: [(Self, &'static str); 6] = [
        (Self::CLAMPED, "clamped"),
        (Self::INTERPOLATED, "interpolated"),
        (Self::STALE, "stale"),
        (Self::OUT_OF_RANGE, "out_of_range"),
        (Self::TIME_SUBSTITUTED, "time_substituted"),
        (Self::UNIT_UNKNOWN, "unit_unknown"),
    ];

    /// The status bits; the reserved pattern 3 reads as bad, so that an unknown status is never trusted.
    pub const fn status(self) -> Status {
        match self.0 & Self::STATUS_BITS {
            0 => Status::Good,
            1 => Status::Uncertain,
            _ => Status::Bad,
        }
    }

    /// The same flags and kind with another status.
    #[must_use]
    pub const fn with_status(self, status: Status) -> Self {
        let bits = match status {
            Status::Good => 0,
            Status::Uncertain => 1,
            Status::Bad => 2,
        };
        Self(self.0 & !Self::STATUS_BITS | bits)
    }

    /// This quality with the flags of `other` set as well.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all flags of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The value kind: 0 is `f64`; 1 to 4 are reserved (`i64`, `u64`, `bool`, text id).
    pub const fn kind(self) -> u8 {
        (self.0 >> Self::KIND_SHIFT & 0b1111) as u8
    }
}

/// One reading of one sensor.
///
/// 24 bytes, no padding, no invalid bit pattern: any 24 bytes are a record, so a record that crossed the
/// ABI can be read before anything about it is checked.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi)]
pub struct Record {
    /// UTC nanoseconds since 1970.
    pub timestamp_ns: i64,
    /// The reading, in `unit`.
    pub value: f64,
    /// Which sensor it came from.
    pub sensor: SensorId,
    /// The unit of `value`.
    pub unit: UnitId,
    /// Status, flags and kind of `value`.
    pub quality: Quality,
}

const _: () = assert!(size_of::<Record>() == 24 && align_of::<Record>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_round_trips_and_leaves_flags_alone() {
        for status in [Status::Good, Status::Uncertain, Status::Bad] {
            let quality = Quality::GOOD.with(Quality::CLAMPED).with(Quality::STALE).with_status(status);
            assert_eq!(quality.status(), status);
            assert!(quality.has(Quality::CLAMPED) && quality.has(Quality::STALE));
            assert!(!quality.has(Quality::INTERPOLATED));
            assert_eq!(Status::from_name(status.name()), Some(status));
        }
    }

    #[test]
    fn the_reserved_status_is_not_trusted() {
        assert_eq!(Quality(3).status(), Status::Bad);
    }

    #[test]
    fn flags_are_distinct_and_outside_status_and_kind() {
        let mut seen = 0;
        for (flag, _) in Quality::FLAGS {
            assert_eq!(flag.0.count_ones(), 1);
            assert_eq!(seen & flag.0, 0);
            assert_eq!(flag.0 & 0b1111_0000_0011, 0, "status and kind bits are not flags");
            assert_eq!(flag.kind(), 0);
            seen |= flag.0;
        }
    }
}
