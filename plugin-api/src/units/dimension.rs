//! What units measure.

/// What a unit measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// In m/s².
    Acceleration,
    /// As pH.
    Acidity,
    /// In degrees.
    Angle,
    /// In m².
    Area,
    /// In volt-amperes.
    ApparentPower,
    /// In coulombs.
    Charge,
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
    /// In W/m².
    Irradiance,
    /// In metres.
    Length,
    /// In decibels.
    Level,
    /// In lumens.
    LuminousFlux,
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
    /// In vars.
    ReactivePower,
    /// In ohms.
    Resistance,
    /// In degrees a second.
    Rotation,
    /// In m/s.
    Speed,
    /// In kelvins.
    Temperature,
    /// In seconds.
    Time,
    /// In newton metres.
    Torque,
    /// In volts.
    Voltage,
    /// In m³.
    Volume,
}

impl Dimension {
    /// All, in the order of listings.
    pub const ALL: [Self; 39] = [
        Self::Acceleration,
        Self::Acidity,
        Self::Angle,
        Self::Area,
        Self::ApparentPower,
        Self::Charge,
        Self::Conductance,
        Self::Conductivity,
        Self::Current,
        Self::Data,
        Self::DataRate,
        Self::Density,
        Self::Dose,
        Self::DoseRate,
        Self::Energy,
        Self::Flow,
        Self::Force,
        Self::Fraction,
        Self::Frequency,
        Self::Illuminance,
        Self::Irradiance,
        Self::Length,
        Self::Level,
        Self::LuminousFlux,
        Self::MagneticFluxDensity,
        Self::Mass,
        Self::MassFlow,
        Self::Power,
        Self::Pressure,
        Self::Radioactivity,
        Self::ReactivePower,
        Self::Resistance,
        Self::Rotation,
        Self::Speed,
        Self::Temperature,
        Self::Time,
        Self::Torque,
        Self::Voltage,
        Self::Volume,
    ];

    /// The name used in settings and descriptions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acceleration => "acceleration",
            Self::Acidity => "acidity",
            Self::Angle => "angle",
            Self::Area => "area",
            Self::ApparentPower => "apparent_power",
            Self::Charge => "charge",
            Self::Conductance => "conductance",
            Self::Conductivity => "conductivity",
            Self::Current => "current",
            Self::Data => "data",
            Self::DataRate => "data_rate",
            Self::Density => "density",
            Self::Dose => "dose",
            Self::DoseRate => "dose_rate",
            Self::Energy => "energy",
            Self::Flow => "flow",
            Self::Force => "force",
            Self::Fraction => "fraction",
            Self::Frequency => "frequency",
            Self::Illuminance => "illuminance",
            Self::Irradiance => "irradiance",
            Self::Length => "length",
            Self::Level => "level",
            Self::LuminousFlux => "luminous_flux",
            Self::MagneticFluxDensity => "magnetic_flux_density",
            Self::Mass => "mass",
            Self::MassFlow => "mass_flow",
            Self::Power => "power",
            Self::Pressure => "pressure",
            Self::Radioactivity => "radioactivity",
            Self::ReactivePower => "reactive_power",
            Self::Resistance => "resistance",
            Self::Rotation => "rotation",
            Self::Speed => "speed",
            Self::Temperature => "temperature",
            Self::Time => "time",
            Self::Torque => "torque",
            Self::Voltage => "voltage",
            Self::Volume => "volume",
        }
    }

    /// The dimension with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.name() == name)
    }
}
