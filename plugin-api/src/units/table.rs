//! The table itself: one row a unit, in terms of its dimension's base unit: the SI unit, but degrees for angles (in
//! radians, all others would carry a rounded pi) and bytes for data.

use super::dimension::Dimension;
use std::f64::consts::PI;

/// A unit. One of it is `over / under` of the dimension's base unit.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) dimension: Dimension,
    /// The UCUM code; the symbol in use where UCUM has none.
    pub(super) code: &'static str,
    /// Other symbols, which take the prefixes as well.
    symbols: &'static [&'static str],
    /// Names that take no prefix; letter case does not matter.
    pub(super) words: &'static [&'static str],
    /// Prefixes in use with it.
    pub(super) prefixes: &'static [&'static str],
    pub(super) over: f64,
    pub(super) under: f64,
    /// What is added to a value before scaling, in hundredths of the unit, so that it is a whole number.
    pub(super) zero_hundredths: f64,
}

impl Row {
    pub(super) fn symbols(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.code).chain(self.symbols.iter().copied())
    }

    pub(super) fn has_symbol(&self, name: &str) -> bool {
        self.symbols().any(|symbol| symbol == name)
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.has_symbol(name) || self.words.iter().any(|word| word.eq_ignore_ascii_case(name))
    }

    const fn words(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    const fn prefixes(self, prefixes: &'static [&'static str]) -> Self {
        Self { prefixes, ..self }
    }

    const fn zero_hundredths(self, zero_hundredths: f64) -> Self {
        Self { zero_hundredths, ..self }
    }
}

/// `1000` as `k`.
#[derive(Debug)]
pub(super) struct Prefix {
    pub(super) code: &'static str,
    pub(super) over: f64,
    pub(super) under: f64,
}

const fn prefix(code: &'static str, over: f64, under: f64) -> Prefix {
    Prefix { code, over, under }
}

/// Binary prefixes first, so that `Mi` is not read as `M` and a unit that begins with `i`.
pub(super) static PREFIXES: &[Prefix] = &[
    prefix("Ki", 1024.0, 1.0),
    prefix("Mi", 1_048_576.0, 1.0),
    prefix("Gi", 1_073_741_824.0, 1.0),
    prefix("Ti", 1_099_511_627_776.0, 1.0),
    prefix("T", 1e12, 1.0),
    prefix("G", 1e9, 1.0),
    prefix("M", 1e6, 1.0),
    prefix("k", 1e3, 1.0),
    prefix("h", 1e2, 1.0),
    prefix("d", 1.0, 10.0),
    prefix("c", 1.0, 100.0),
    prefix("m", 1.0, 1e3),
    prefix("u", 1.0, 1e6),
    prefix("n", 1.0, 1e9),
];

const SMALL: &[&str] = &["m", "u", "n"];
const LARGE: &[&str] = &["k", "M", "G"];
const BOTH: &[&str] = &["G", "M", "k", "m", "u", "n"];
const BYTES: &[&str] = &["Ki", "Mi", "Gi", "Ti", "k", "M", "G", "T"];

const fn row(
    dimension: Dimension,
    code: &'static str,
    symbols: &'static [&'static str],
    over: f64,
    under: f64,
) -> Row {
    Row { dimension, code, symbols, words: &[], prefixes: &[], over, under, zero_hundredths: 0.0 }
}

use Dimension as D;

/// Definitions: the SI Brochure (9th edition), NIST SP 811 appendix B for customary units.
#[rustfmt::skip] // One line a unit.
pub(super) static ROWS: &[Row] = &[
    row(D::Temperature, "K", &[], 1.0, 1.0).words(&["kelvin", "degK", "°K"]).prefixes(&["m"]),
    row(D::Temperature, "Cel", &["degC", "°C", "℃", "C"], 1.0, 1.0).words(&["celsius", "centigrade", "deg_c"]).zero_hundredths(27_315.0),
    row(D::Temperature, "[degF]", &["degF", "°F", "℉"], 5.0, 9.0).words(&["fahrenheit", "deg_f"]).zero_hundredths(45_967.0),
    row(D::Temperature, "[degR]", &["degR", "°R"], 5.0, 9.0).words(&["rankine"]),

    row(D::Pressure, "Pa", &[], 1.0, 1.0).words(&["pascal"]).prefixes(&["G", "M", "k", "h", "m", "u"]),
    row(D::Pressure, "bar", &[], 1e5, 1.0).prefixes(&["k", "m", "u"]),
    row(D::Pressure, "atm", &[], 101_325.0, 1.0),
    row(D::Pressure, "[psi]", &["psi"], 44_482_216_152_605.0, 6_451_600_000.0).words(&["lbf/in2"]).prefixes(&["k"]),
    row(D::Pressure, "kgf/cm2", &["att", "kg/cm2"], 98_066.5, 1.0),
    // The conventional column of mercury; UCUM rounds it to 133.322 kPa.
    row(D::Pressure, "m[Hg]", &["mHg"], 133_322.387_415, 1.0).prefixes(&["m", "c"]),
    row(D::Pressure, "Torr", &[], 101_325.0, 760.0).words(&["torr"]),
    row(D::Pressure, "[in_i'Hg]", &["inHg"], 133_322.387_415 * 254.0, 10_000.0),
    row(D::Pressure, "m[H2O]", &["mH2O"], 9_806.65, 1.0).prefixes(&["m", "c"]),
    row(D::Pressure, "[in_i'H2O]", &["inH2O"], 9_806.65 * 254.0, 10_000.0),

    row(D::Length, "m", &[], 1.0, 1.0).words(&["meter", "metre", "meters", "metres"]).prefixes(&["k", "d", "c", "m", "u", "n"]),
    row(D::Length, "[in_i]", &["in"], 254.0, 10_000.0).words(&["inch", "inches"]),
    row(D::Length, "[ft_i]", &["ft"], 3_048.0, 10_000.0).words(&["foot", "feet"]),
    row(D::Length, "[yd_i]", &["yd"], 9_144.0, 10_000.0).words(&["yard", "yards"]),
    row(D::Length, "[mi_i]", &["mi"], 1_609_344.0, 1_000.0).words(&["mile", "miles"]),
    row(D::Length, "[nmi_i]", &["nmi"], 1_852.0, 1.0),

    row(D::Area, "m2", &["m^2"], 1.0, 1.0),
    row(D::Area, "km2", &["km^2"], 1e6, 1.0),
    row(D::Area, "cm2", &["cm^2"], 1.0, 1e4),
    row(D::Area, "mm2", &["mm^2"], 1.0, 1e6),
    row(D::Area, "har", &["ha"], 1e4, 1.0).words(&["hectare"]),
    row(D::Area, "[sft_i]", &["ft2", "ft^2"], 9_290_304.0, 1e8),

    row(D::Volume, "m3", &["m^3"], 1.0, 1.0),
    row(D::Volume, "dm3", &["dm^3"], 1.0, 1e3),
    row(D::Volume, "cm3", &["cm^3"], 1.0, 1e6),
    row(D::Volume, "mm3", &["mm^3"], 1.0, 1e9),
    row(D::Volume, "L", &["l"], 1.0, 1e3).words(&["liter", "litre", "liters", "litres"]).prefixes(&["h", "d", "c", "m", "u"]),
    row(D::Volume, "[cft_i]", &["ft3", "ft^3"], 28_316_846_592.0, 1e12),
    row(D::Volume, "[gal_us]", &["gal"], 3_785_411_784.0, 1e12).words(&["gallon", "gallons"]),

    row(D::Flow, "m3/s", &[], 1.0, 1.0),
    row(D::Flow, "m3/min", &[], 1.0, 60.0),
    row(D::Flow, "m3/h", &["m3/hr", "m^3/h"], 1.0, 3_600.0),
    row(D::Flow, "L/s", &["l/s"], 1.0, 1e3).prefixes(&["m"]),
    row(D::Flow, "L/min", &["l/min"], 1.0, 60_000.0).words(&["lpm"]).prefixes(&["m"]),
    row(D::Flow, "L/h", &["l/h"], 1.0, 3_600_000.0).prefixes(&["m"]),
    row(D::Flow, "[gal_us]/min", &["gal/min"], 3_785_411_784.0, 60e12).words(&["gpm"]),
    row(D::Flow, "[cft_i]/min", &["ft3/min"], 28_316_846_592.0, 60e12).words(&["cfm"]),

    row(D::Speed, "m/s", &[], 1.0, 1.0).prefixes(&["k", "c", "m", "u"]),
    row(D::Speed, "km/h", &["kmh", "kph", "km/hr"], 1_000.0, 3_600.0),
    row(D::Speed, "m/min", &[], 1.0, 60.0).prefixes(&["m"]),
    row(D::Speed, "m/h", &[], 1.0, 3_600.0).prefixes(&["c", "m"]),
    row(D::Speed, "[mi_i]/h", &["mi/h", "mph"], 1_609_344.0, 3_600_000.0),
    row(D::Speed, "[kn_i]", &["kn", "kt", "kts"], 1_852.0, 3_600.0).words(&["knot", "knots"]),
    row(D::Speed, "[ft_i]/s", &["ft/s"], 3_048.0, 10_000.0),
    row(D::Speed, "[ft_i]/min", &["ft/min"], 3_048.0, 600_000.0),

    row(D::Acceleration, "m/s2", &["m/s^2"], 1.0, 1.0).prefixes(&["c", "m"]),
    row(D::Acceleration, "[g]", &["gn"], 980_665.0, 100_000.0).prefixes(&["m"]),

    row(D::Mass, "g", &[], 1.0, 1e3).words(&["gram", "grams"]).prefixes(&["k", "m", "u", "n"]),
    row(D::Mass, "t", &[], 1e3, 1.0).words(&["tonne", "tonnes"]),
    row(D::Mass, "[lb_av]", &["lb", "lbs"], 45_359_237.0, 1e8).words(&["pound", "pounds"]),
    row(D::Mass, "[oz_av]", &["oz"], 45_359_237.0, 16e8).words(&["ounce", "ounces"]),

    row(D::MassFlow, "g/s", &[], 1.0, 1e3).prefixes(&["k", "m"]),
    row(D::MassFlow, "g/min", &[], 1.0, 60_000.0).prefixes(&["k", "m"]),
    row(D::MassFlow, "g/h", &[], 1.0, 3_600_000.0).prefixes(&["k", "m"]),
    row(D::MassFlow, "t/h", &[], 1e3, 3_600.0),

    row(D::Density, "kg/m3", &[], 1.0, 1.0),
    row(D::Density, "g/m3", &[], 1.0, 1e3).prefixes(SMALL),
    row(D::Density, "g/L", &["g/l"], 1.0, 1.0).prefixes(&["k", "m", "u", "n"]),
    row(D::Density, "g/cm3", &["g/mL", "g/ml"], 1e3, 1.0).prefixes(&["m"]),

    row(D::Force, "N", &[], 1.0, 1.0).words(&["newton"]).prefixes(&["M", "k", "m"]),
    row(D::Force, "[lbf_av]", &["lbf"], 44_482_216_152_605.0, 1e13),
    row(D::Torque, "N.m", &["Nm"], 1.0, 1.0).prefixes(&["k", "m"]),

    row(D::Voltage, "V", &[], 1.0, 1.0).words(&["volt", "volts"]).prefixes(&["M", "k", "m", "u", "n"]),
    row(D::Current, "A", &[], 1.0, 1.0).words(&["amp", "amps", "ampere", "amperes"]).prefixes(&["k", "m", "u", "n"]),
    // UCUM's code for the coulomb is `C`, which on a sensor's label means Celsius.
    row(D::Charge, "A.s", &["As"], 1.0, 1.0).words(&["coulomb", "coulombs"]),
    row(D::Charge, "A.h", &["Ah"], 3_600.0, 1.0).prefixes(&["k", "m"]),
    row(D::Resistance, "Ohm", &["ohm"], 1.0, 1.0).words(&["ohms"]).prefixes(BOTH),
    row(D::Conductance, "S", &[], 1.0, 1.0).words(&["siemens"]).prefixes(SMALL),
    row(D::Conductivity, "S/m", &[], 1.0, 1.0).prefixes(SMALL),
    row(D::Conductivity, "S/cm", &[], 100.0, 1.0).prefixes(SMALL),
    row(D::MagneticFluxDensity, "T", &[], 1.0, 1.0).words(&["tesla"]).prefixes(SMALL),
    row(D::MagneticFluxDensity, "G", &[], 1.0, 1e4).words(&["gauss"]).prefixes(&["m", "k"]),

    row(D::Power, "W", &[], 1.0, 1.0).words(&["watt", "watts"]).prefixes(BOTH),
    row(D::Power, "[HP]", &["hp"], 7_456_998_715_822_702.0, 1e13).words(&["horsepower"]),
    row(D::ApparentPower, "V.A", &["VA"], 1.0, 1.0).prefixes(LARGE),
    row(D::ReactivePower, "var", &["VAr", "VAR"], 1.0, 1.0).prefixes(LARGE),
    row(D::Energy, "J", &[], 1.0, 1.0).words(&["joule", "joules"]).prefixes(BOTH),
    row(D::Energy, "W.h", &["Wh"], 3_600.0, 1.0).prefixes(&["G", "M", "k", "m"]),
    row(D::Energy, "W.s", &["Ws"], 1.0, 1.0).prefixes(&["k"]),
    row(D::Energy, "cal", &[], 4_184.0, 1_000.0).prefixes(&["k"]),
    row(D::Energy, "[Btu_IT]", &["BTU", "Btu"], 105_505_585_262.0, 1e8),
    row(D::Irradiance, "W/m2", &["W/m^2"], 1.0, 1.0).prefixes(&["k", "m"]),

    row(D::Frequency, "Hz", &[], 1.0, 1.0).words(&["hertz"]).prefixes(&["G", "M", "k", "m", "u"]),
    row(D::Frequency, "/s", &["1/s"], 1.0, 1.0),
    row(D::Frequency, "/min", &["1/min", "{beats}/min"], 1.0, 60.0).words(&["bpm"]),
    row(D::Frequency, "/h", &["1/h"], 1.0, 3_600.0),
    row(D::Rotation, "rad/s", &[], 180.0, PI).prefixes(&["m"]),
    row(D::Rotation, "deg/s", &["°/s"], 1.0, 1.0),
    row(D::Rotation, "rpm", &["{rev}/min"], 6.0, 1.0).words(&["r/min", "rev/min"]),
    row(D::Rotation, "rps", &["{rev}/s"], 360.0, 1.0).words(&["r/s", "rev/s"]),
    row(D::Angle, "rad", &[], 180.0, PI).words(&["radian", "radians"]).prefixes(&["m", "u"]),
    row(D::Angle, "deg", &["°"], 1.0, 1.0).words(&["degree", "degrees"]),
    row(D::Angle, "'", &["arcmin"], 1.0, 60.0),
    row(D::Angle, "''", &["arcsec"], 1.0, 3_600.0),

    row(D::Time, "s", &[], 1.0, 1.0).words(&["sec", "second", "seconds"]).prefixes(SMALL),
    row(D::Time, "min", &[], 60.0, 1.0).words(&["minute", "minutes"]),
    row(D::Time, "h", &["hr"], 3_600.0, 1.0).words(&["hour", "hours"]),
    row(D::Time, "d", &[], 86_400.0, 1.0).words(&["day", "days"]),
    row(D::Time, "wk", &[], 604_800.0, 1.0).words(&["week", "weeks"]),

    row(D::Data, "By", &["B"], 1.0, 1.0).words(&["byte", "bytes"]).prefixes(BYTES),
    row(D::Data, "bit", &["b"], 1.0, 8.0).words(&["bits"]).prefixes(BYTES),
    row(D::DataRate, "By/s", &["B/s"], 1.0, 1.0).words(&["bytes/s"]).prefixes(BYTES),
    row(D::DataRate, "bit/s", &["b/s", "bps"], 1.0, 8.0).words(&["bits/s"]).prefixes(BYTES),

    row(D::Fraction, "1", &[], 1.0, 1.0).words(&["ratio", "fraction"]),
    row(D::Fraction, "%", &[], 1.0, 100.0).words(&["percent", "pct", "%rh"]),
    row(D::Fraction, "[ppth]", &["‰"], 1.0, 1e3).words(&["permille"]),
    row(D::Fraction, "[ppm]", &["ppm"], 1.0, 1e6),
    row(D::Fraction, "[ppb]", &["ppb"], 1.0, 1e9),

    row(D::Illuminance, "lx", &[], 1.0, 1.0).words(&["lux"]).prefixes(&["k", "m"]),
    row(D::LuminousFlux, "lm", &[], 1.0, 1.0).words(&["lumen"]).prefixes(&["k"]),
    row(D::Level, "dB", &[], 1.0, 1.0).words(&["decibel"]),
    row(D::Acidity, "[pH]", &["pH"], 1.0, 1.0),
    row(D::Radioactivity, "Bq", &[], 1.0, 1.0).words(&["becquerel"]).prefixes(LARGE),
    row(D::Dose, "Sv", &[], 1.0, 1.0).words(&["sievert"]).prefixes(SMALL),
    row(D::DoseRate, "Sv/h", &[], 1.0, 3_600.0).prefixes(SMALL),
];
