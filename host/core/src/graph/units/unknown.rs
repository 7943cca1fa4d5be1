//! Readings whose units stand in the data: all that can be known is what they measure.

use cardcage_plugin_api::units::Dimension;

/// What readings of unknown units may measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// One bit a dimension, in the order of [`Dimension::ALL`], and the two below.
    bits: u64,
}

/// Readings without a unit.
const NO_UNIT: u64 = 1 << 62;
/// Units that the host's table lacks; a plugin may know them and take them as anything.
const BEYOND: u64 = 1 << 63;
/// There is room for more dimensions, but not for any number.
const _: () = assert!(Dimension::ALL.len() < 62);

impl Unknown {
    /// There are no such readings.
    pub const NONE: Self = Self { bits: 0 };
    /// They may measure anything.
    pub const ANY: Self = Self { bits: u64::MAX };

    /// Whether there are no such readings.
    pub fn is_none(self) -> bool {
        self.bits == 0
    }

    /// Whether they may measure this.
    pub fn may_measure(self, dimension: Dimension) -> bool {
        self.bits & bit(dimension) != 0
    }

    pub(super) fn unite(&mut self, other: Self) {
        self.bits |= other.bits;
    }

    /// Whether some may have no unit.
    pub(super) fn may_lack_a_unit(self) -> bool {
        self.bits & NO_UNIT != 0
    }

    /// What of them may measure one of these dimensions, by name.
    pub(super) fn of_dimensions(mut self, names: &[String]) -> Self {
        let known = names.iter().filter_map(|name| Dimension::from_name(name));
        self.bits &= known.fold(BEYOND, |bits, dimension| bits | bit(dimension));
        self
    }

    /// Those whose units the host's table lacks.
    pub(super) fn beyond_the_table(mut self) -> Self {
        self.bits &= BEYOND;
        self
    }

    /// Without what measures this: it was converted to a unit that is known.
    pub(super) fn without(mut self, dimension: Dimension) -> Self {
        // Compounds have no bit of their own: what is converted is one of many that may come.
        if !matches!(dimension, Dimension::Compound(_)) {
            self.bits &= !bit(dimension);
        }
        self
    }
}

fn bit(dimension: Dimension) -> u64 {
    let at = Dimension::ALL.iter().position(|other| *other == dimension);
    at.map_or(BEYOND, |at| 1 << at)
}
