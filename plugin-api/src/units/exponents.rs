//! Powers of base quantities: what tells compound units apart.
//!
//! The axes are those of the SI and a few more, for quantities that share their powers with others and must not be mixed
//! up with them: an angle is no ratio, a reactive power no power, a decay no turn.

use super::dimension::Dimension as D;
use std::fmt;

/// An axis: a base quantity and the unit that it is shown in.
const SYMBOLS: [&str; AXES] =
    ["m", "kg", "s", "A", "K", "mol", "lm", "deg", "By", "dB", "[pH]", "var/W", "VA/W", "Bq/Hz", "Gy", "Sv"];
const AXES: usize = 16;

const LENGTH: usize = 0;
const MASS: usize = 1;
const TIME: usize = 2;
const CURRENT: usize = 3;
const TEMPERATURE: usize = 4;
const AMOUNT: usize = 5;
const LIGHT: usize = 6;
const ANGLE: usize = 7;
const DATA: usize = 8;
const LEVEL: usize = 9;
const ACIDITY: usize = 10;
const REACTIVE: usize = 11;
pub(super) const APPARENT: usize = 12;
const DECAY: usize = 13;
const ABSORBED: usize = 14;
const EQUIVALENT: usize = 15;

/// A power for each base quantity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Exponents([i8; AXES]);

impl Exponents {
    pub(super) const fn with(mut self, axis: usize, power: i8) -> Self {
        self.0[axis] = power;
        self
    }

    /// These and `power` times those of another; `None` past what a power can be.
    pub(super) fn plus(self, other: Self, power: i8) -> Option<Self> {
        let mut sum = self.0;
        for (own, others) in sum.iter_mut().zip(other.0) {
            *own = own.checked_add(others.checked_mul(power)?)?;
        }
        Some(Self(sum))
    }

    pub(super) const fn of(dimension: D) -> Self {
        match dimension {
            D::AbsorbedDose => mechanics(0, 0, 0, 0).with(ABSORBED, 1),
            D::Acceleration => mechanics(1, 0, -2, 0),
            D::Acidity => mechanics(0, 0, 0, 0).with(ACIDITY, 1),
            D::Amount => mechanics(0, 0, 0, 0).with(AMOUNT, 1),
            D::Angle => mechanics(0, 0, 0, 0).with(ANGLE, 1),
            D::ApparentEnergy => mechanics(2, 1, -2, 0).with(APPARENT, 1),
            D::ApparentPower => mechanics(2, 1, -3, 0).with(APPARENT, 1),
            D::Area => mechanics(2, 0, 0, 0),
            D::Capacitance => mechanics(-2, -1, 4, 2),
            D::Charge => mechanics(0, 0, 1, 1),
            D::Concentration => mechanics(-3, 0, 0, 0).with(AMOUNT, 1),
            D::Conductance => mechanics(-2, -1, 3, 2),
            D::Conductivity => mechanics(-3, -1, 3, 2),
            D::Current => mechanics(0, 0, 0, 1),
            D::Data => mechanics(0, 0, 0, 0).with(DATA, 1),
            D::DataRate => mechanics(0, 0, -1, 0).with(DATA, 1),
            D::Density => mechanics(-3, 1, 0, 0),
            D::Dose => mechanics(0, 0, 0, 0).with(EQUIVALENT, 1),
            D::DoseRate => mechanics(0, 0, -1, 0).with(EQUIVALENT, 1),
            D::Energy | D::Torque => mechanics(2, 1, -2, 0),
            D::EnergyDensity | D::Pressure => mechanics(-1, 1, -2, 0),
            D::Flow => mechanics(3, 0, -1, 0),
            D::Force => mechanics(1, 1, -2, 0),
            D::Fraction => mechanics(0, 0, 0, 0),
            D::Frequency => mechanics(0, 0, -1, 0),
            D::Illuminance => mechanics(-2, 0, 0, 0).with(LIGHT, 1),
            D::Inductance => mechanics(2, 1, -2, -2),
            D::Irradiance => mechanics(0, 1, -3, 0),
            D::KinematicViscosity => mechanics(2, 0, -1, 0),
            D::Length => mechanics(1, 0, 0, 0),
            D::Level => mechanics(0, 0, 0, 0).with(LEVEL, 1),
            D::LuminousFlux => mechanics(0, 0, 0, 0).with(LIGHT, 1),
            D::LuminousIntensity => mechanics(0, 0, 0, 0).with(LIGHT, 1).with(ANGLE, -2),
            D::MagneticFlux => mechanics(2, 1, -2, -1),
            D::MagneticFluxDensity => mechanics(0, 1, -2, -1),
            D::Mass => mechanics(0, 1, 0, 0),
            D::MassFlow => mechanics(0, 1, -1, 0),
            D::Power => mechanics(2, 1, -3, 0),
            D::Radioactivity => mechanics(0, 0, -1, 0).with(DECAY, 1),
            D::ReactiveEnergy => mechanics(2, 1, -2, 0).with(REACTIVE, 1),
            D::ReactivePower => mechanics(2, 1, -3, 0).with(REACTIVE, 1),
            D::Resistance => mechanics(2, 1, -3, -2),
            D::Rotation => mechanics(0, 0, -1, 0).with(ANGLE, 1),
            D::SolidAngle => mechanics(0, 0, 0, 0).with(ANGLE, 2),
            D::Speed => mechanics(1, 0, -1, 0),
            D::Temperature => mechanics(0, 0, 0, 0).with(TEMPERATURE, 1),
            D::Time => mechanics(0, 0, 1, 0),
            D::Viscosity => mechanics(-1, 1, -1, 0),
            D::Voltage => mechanics(2, 1, -3, -1),
            D::Volume => mechanics(3, 0, 0, 0),
            D::Compound(exponents) => exponents,
        }
    }

    /// The named dimension with these powers. Of two that share them it is the one that compounds mostly mean: energy and
    /// not torque, pressure and not energy density; those are told by what they are made of.
    pub(super) fn dimension(self) -> D {
        let by_parts = |dimension: &D| matches!(dimension, D::Torque | D::EnergyDensity);
        D::ALL
            .into_iter()
            .find(|dimension| Self::of(*dimension) == self && !by_parts(dimension))
            .unwrap_or(D::Compound(self))
    }
}

/// Powers of length, mass, time and current.
const fn mechanics(length: i8, mass: i8, time: i8, current: i8) -> Exponents {
    Exponents([0; AXES]).with(LENGTH, length).with(MASS, mass).with(TIME, time).with(CURRENT, current)
}

/// In base units: that of `W/(m2.K)` is `kg/(s3.K)`.
impl fmt::Display for Exponents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |sign: i8| -> Vec<String> {
            let powers =
                SYMBOLS.iter().zip(self.0).map(|(symbol, power)| (symbol, power.saturating_mul(sign)));
            let shown = powers.filter(|(_, power)| *power > 0);
            shown
                .map(
                    |(symbol, power)| {
                        if power == 1 { (*symbol).to_owned() } else { format!("{symbol}{power}") }
                    },
                )
                .collect()
        };
        let (above, below) = (part(1), part(-1));
        let above = if above.is_empty() { "1".to_owned() } else { above.join(".") };
        match &below[..] {
            [] => f.write_str(&above),
            [one] => write!(f, "{above}/{one}"),
            several => write!(f, "{above}/({})", several.join(".")),
        }
    }
}
