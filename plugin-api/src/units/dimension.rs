//! What units measure.

use super::exponents::Exponents;
use std::fmt;

/// What a unit measures: one of the quantities that have a name, or what a compound unit comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// In grays.
    AbsorbedDose,
    /// In m/s².
    Acceleration,
    /// As pH.
    Acidity,
    /// In moles.
    Amount,
    /// In degrees.
    Angle,
    /// In volt-ampere seconds.
    ApparentEnergy,
    /// In volt-amperes.
    ApparentPower,
    /// In m².
    Area,
    /// In farads.
    Capacitance,
    /// In coulombs.
    Charge,
    /// Of an amount, in mol/m³.
    Concentration,
    /// In siemens.
    Conductance,
    /// In S/m.
    Conductivity,
    /// In amperes.
    Current,
    /// In bytes.
    Data,
    /// In bytes a second.
    DataRate,
    /// In kg/m³; mass concentrations, too.
    Density,
    /// In sieverts.
    Dose,
    /// In sieverts a second.
    DoseRate,
    /// In joules.
    Energy,
    /// In J/m³: what a gas or a fuel gives when it burns.
    EnergyDensity,
    /// In m³/s.
    Flow,
    /// In newtons.
    Force,
    /// A plain number: ratios, percentages, humidity, counts.
    Fraction,
    /// In hertz.
    Frequency,
    /// In lux.
    Illuminance,
    /// In henries.
    Inductance,
    /// In W/m².
    Irradiance,
    /// In m²/s.
    KinematicViscosity,
    /// In metres.
    Length,
    /// In decibels.
    Level,
    /// In lumens.
    LuminousFlux,
    /// In lumens per square degree.
    LuminousIntensity,
    /// In webers.
    MagneticFlux,
    /// In teslas.
    MagneticFluxDensity,
    /// In kilograms.
    Mass,
    /// In kg/s.
    MassFlow,
    /// In watts.
    Power,
    /// In pascals.
    Pressure,
    /// In becquerels.
    Radioactivity,
    /// In var seconds.
    ReactiveEnergy,
    /// In vars.
    ReactivePower,
    /// In ohms.
    Resistance,
    /// In degrees a second.
    Rotation,
    /// In square degrees.
    SolidAngle,
    /// In m/s.
    Speed,
    /// In kelvins.
    Temperature,
    /// In seconds.
    Time,
    /// In newton metres.
    Torque,
    /// Dynamic, in Pa·s.
    Viscosity,
    /// In volts.
    Voltage,
    /// In m³.
    Volume,
    /// Of a compound unit that measures nothing with a name of its own (`W/(m2.K)`); equal where the powers are.
    Compound(Exponents),
}

impl Dimension {
    /// All that have names, in the order of listings.
    pub const ALL: [Self; 52] = [
        Self::AbsorbedDose,
        Self::Acceleration,
        Self::Acidity,
        Self::Amount,
        Self::Angle,
        Self::ApparentEnergy,
        Self::ApparentPower,
        Self::Area,
        Self::Capacitance,
        Self::Charge,
        Self::Concentration,
        Self::Conductance,
        Self::Conductivity,
        Self::Current,
        Self::Data,
        Self::DataRate,
        Self::Density,
        Self::Dose,
        Self::DoseRate,
        Self::Energy,
        Self::EnergyDensity,
        Self::Flow,
        Self::Force,
        Self::Fraction,
        Self::Frequency,
        Self::Illuminance,
        Self::Inductance,
        Self::Irradiance,
        Self::KinematicViscosity,
        Self::Length,
        Self::Level,
        Self::LuminousFlux,
        Self::LuminousIntensity,
        Self::MagneticFlux,
        Self::MagneticFluxDensity,
        Self::Mass,
        Self::MassFlow,
        Self::Power,
        Self::Pressure,
        Self::Radioactivity,
        Self::ReactiveEnergy,
        Self::ReactivePower,
        Self::Resistance,
        Self::Rotation,
        Self::SolidAngle,
        Self::Speed,
        Self::Temperature,
        Self::Time,
        Self::Torque,
        Self::Viscosity,
        Self::Voltage,
        Self::Volume,
    ];

    /// The name used in settings and descriptions; `compound` for all that have none.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AbsorbedDose => "absorbed_dose",
            Self::Acceleration => "acceleration",
            Self::Acidity => "acidity",
            Self::Amount => "amount",
            Self::Angle => "angle",
            Self::ApparentEnergy => "apparent_energy",
            Self::ApparentPower => "apparent_power",
            Self::Area => "area",
            Self::Capacitance => "capacitance",
            Self::Charge => "charge",
            Self::Concentration => "concentration",
            Self::Conductance => "conductance",
            Self::Conductivity => "conductivity",
            Self::Current => "current",
            Self::Data => "data",
            Self::DataRate => "data_rate",
            Self::Density => "density",
            Self::Dose => "dose",
            Self::DoseRate => "dose_rate",
            Self::Energy => "energy",
            Self::EnergyDensity => "energy_density",
            Self::Flow => "flow",
            Self::Force => "force",
            Self::Fraction => "fraction",
            Self::Frequency => "frequency",
            Self::Illuminance => "illuminance",
            Self::Inductance => "inductance",
            Self::Irradiance => "irradiance",
            Self::KinematicViscosity => "kinematic_viscosity",
            Self::Length => "length",
            Self::Level => "level",
            Self::LuminousFlux => "luminous_flux",
            Self::LuminousIntensity => "luminous_intensity",
            Self::MagneticFlux => "magnetic_flux",
            Self::MagneticFluxDensity => "magnetic_flux_density",
            Self::Mass => "mass",
            Self::MassFlow => "mass_flow",
            Self::Power => "power",
            Self::Pressure => "pressure",
            Self::Radioactivity => "radioactivity",
            Self::ReactiveEnergy => "reactive_energy",
            Self::ReactivePower => "reactive_power",
            Self::Resistance => "resistance",
            Self::Rotation => "rotation",
            Self::SolidAngle => "solid_angle",
            Self::Speed => "speed",
            Self::Temperature => "temperature",
            Self::Time => "time",
            Self::Torque => "torque",
            Self::Viscosity => "viscosity",
            Self::Voltage => "voltage",
            Self::Volume => "volume",
            Self::Compound(_) => "compound",
        }
    }

    /// The dimension with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.name() == name)
    }
}

/// The name; what a compound comes to in base units for one without.
impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compound(exponents) => write!(f, "{exponents}"),
            named => f.write_str(named.name()),
        }
    }
}
