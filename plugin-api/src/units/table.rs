//! The table itself: one row a unit, in terms of its dimension's base unit: the SI unit, but degrees for angles (in
//! radians, all others would carry a rounded pi) and bytes for data.

use super::dimension::Dimension;
use super::ratio::Ratio;

/// A unit. One of it is `over / under`, times pi to a power, of its dimension's base unit.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) dimension: Dimension,
    /// The UCUM code; the symbol in use where UCUM has none.
    pub(super) code: &'static str,
    /// Other symbols, which take the prefixes as well.
    symbols: &'static [&'static str],
    /// Symbols that mean this unit only behind a prefix, since alone they are read as something else.
    prefixed: &'static [&'static str],
    /// Names that take no prefix; letter case does not matter.
    pub(super) words: &'static [&'static str],
    /// Prefixes in use with it: those of listings and of proposals for misspelt names.
    pub(super) prefixes: &'static [&'static str],
    /// Whether it takes every SI prefix, in use or not.
    pub(super) metric: bool,
    over: u64,
    under: u64,
    /// The power of pi in it.
    pi: i8,
    /// What is added to a value before scaling, in hundredths of the unit, so that it is a whole number.
    pub(super) zero_hundredths: u32,
}

impl Row {
    /// One of it in the base unit.
    pub(super) fn ratio(&self) -> Ratio {
        Ratio::new(self.over, self.under, self.pi)
    }

    pub(super) fn symbols(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.code).chain(self.symbols.iter().copied())
    }

    /// Symbols as they stand behind a prefix.
    pub(super) fn behind_prefix(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.symbols().chain(self.prefixed.iter().copied())
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.symbols().any(|symbol| symbol == name)
            || self.words.iter().any(|word| word.eq_ignore_ascii_case(name))
    }

    const fn words(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    const fn prefixes(self, prefixes: &'static [&'static str]) -> Self {
        Self { prefixes, ..self }
    }

    const fn prefixed(self, prefixed: &'static [&'static str]) -> Self {
        Self { prefixed, ..self }
    }

    const fn metric(self) -> Self {
        Self { metric: true, ..self }
    }

    const fn pi(self, pi: i8) -> Self {
        Self { pi, ..self }
    }

    const fn zero_hundredths(self, zero_hundredths: u32) -> Self {
        Self { zero_hundredths, ..self }
    }
}

/// `1000` as `k`.
#[derive(Debug)]
pub(super) struct Prefix {
    pub(super) code: &'static str,
    pub(super) ratio: Ratio,
    /// Whether it is a power of ten.
    pub(super) si: bool,
}

const fn binary(code: &'static str, bits: i32) -> Prefix {
    Prefix { code, ratio: Ratio::power_of_two(bits), si: false }
}

const fn si(code: &'static str, tens: i32) -> Prefix {
    Prefix { code, ratio: Ratio::power_of_ten(tens), si: true }
}

/// Binary prefixes first, so that `Mi` is not read as `M` and a unit that begins with `i`; `da` before `d` likewise.
pub(super) static PREFIXES: &[Prefix] = &[
    binary("Ki", 10),
    binary("Mi", 20),
    binary("Gi", 30),
    binary("Ti", 40),
    binary("Pi", 50),
    binary("Ei", 60),
    si("Q", 30),
    si("R", 27),
    si("Y", 24),
    si("Z", 21),
    si("E", 18),
    si("P", 15),
    si("T", 12),
    si("G", 9),
    si("M", 6),
    si("k", 3),
    si("h", 2),
    si("da", 1),
    si("d", -1),
    si("c", -2),
    si("m", -3),
    si("u", -6),
    si("n", -9),
    si("p", -12),
    si("f", -15),
    si("a", -18),
    si("z", -21),
    si("y", -24),
    si("r", -27),
    si("q", -30),
];

const SMALL: &[&str] = &["m", "u", "n"];
const LARGE: &[&str] = &["k", "M", "G"];
const BOTH: &[&str] = &["G", "M", "k", "m", "u", "n"];
const BYTES: &[&str] = &["Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "k", "M", "G", "T", "P", "E"];

const fn row(
    dimension: Dimension,
    code: &'static str,
    symbols: &'static [&'static str],
    over: u64,
    under: u64,
) -> Row {
    let none: &[&str] = &[];
    Row {
        dimension,
        code,
        symbols,
        prefixed: none,
        words: none,
        prefixes: none,
        metric: false,
        over,
        under,
        pi: 0,
        zero_hundredths: 0,
    }
}

use Dimension as D;

/// Definitions: the SI Brochure (9th edition), NIST SP 811 appendix B for customary units.
#[rustfmt::skip] // One line a unit.
pub(super) static ROWS: &[Row] = &[
    row(D::Temperature, "K", &[], 1, 1).words(&["kelvin", "degK", "°K"]).prefixes(&["m"]).metric(),
    row(D::Temperature, "Cel", &["degC", "°C", "℃", "C"], 1, 1).words(&["celsius", "centigrade", "deg_c"]).zero_hundredths(27_315),
    row(D::Temperature, "[degF]", &["degF", "°F", "℉"], 5, 9).words(&["fahrenheit", "deg_f"]).zero_hundredths(45_967),
    row(D::Temperature, "[degR]", &["degR", "°R"], 5, 9).words(&["rankine"]),

    row(D::Pressure, "Pa", &[], 1, 1).words(&["pascal"]).prefixes(&["G", "M", "k", "h", "m", "u"]).metric(),
    row(D::Pressure, "bar", &[], 100_000, 1).prefixes(&["k", "m", "u"]).metric(),
    row(D::Pressure, "atm", &[], 101_325, 1),
    row(D::Pressure, "[psi]", &["psi"], 44_482_216_152_605, 6_451_600_000).words(&["lbf/in2"]).prefixes(&["k"]),
    row(D::Pressure, "kgf/cm2", &["att", "kg/cm2"], 196_133, 2),
    // The conventional column of mercury; UCUM rounds it to 133.322 kPa.
    row(D::Pressure, "m[Hg]", &["mHg"], 133_322_387_415, 1_000_000).prefixes(&["m", "c"]),
    row(D::Pressure, "Torr", &[], 101_325, 760).words(&["torr"]),
    row(D::Pressure, "[in_i'Hg]", &["inHg"], 133_322_387_415 * 254, 10_000_000_000),
    row(D::Pressure, "m[H2O]", &["mH2O"], 980_665, 100).prefixes(&["m", "c"]),
    row(D::Pressure, "[in_i'H2O]", &["inH2O"], 980_665 * 254, 1_000_000),

    row(D::Length, "m", &[], 1, 1).words(&["meter", "metre", "meters", "metres"]).prefixes(&["k", "d", "c", "m", "u", "n"]).metric(),
    row(D::Length, "[in_i]", &["in"], 254, 10_000).words(&["inch", "inches"]),
    row(D::Length, "[ft_i]", &["ft"], 3048, 10_000).words(&["foot", "feet"]),
    row(D::Length, "[yd_i]", &["yd"], 9144, 10_000).words(&["yard", "yards"]),
    row(D::Length, "[mi_i]", &["mi"], 1_609_344, 1000).words(&["mile", "miles"]),
    row(D::Length, "[nmi_i]", &["nmi"], 1852, 1),
    row(D::Length, "Ao", &["Å"], 1, 10_000_000_000).words(&["angstrom"]),

    row(D::Area, "m2", &["m^2"], 1, 1),
    row(D::Area, "km2", &["km^2"], 1_000_000, 1),
    row(D::Area, "cm2", &["cm^2"], 1, 10_000),
    row(D::Area, "mm2", &["mm^2"], 1, 1_000_000),
    row(D::Area, "har", &["ha"], 10_000, 1).words(&["hectare"]),
    row(D::Area, "[sft_i]", &["ft2", "ft^2"], 9_290_304, 100_000_000),
    // UCUM has the acres of the British and of the American survey only, and not the international one.
    row(D::Area, "acre", &[], 40_468_564_224, 10_000_000).words(&["acres"]),
    row(D::Area, "[acr_br]", &[], 15_808_008_005_469_801, 3_906_250_000_000),
    row(D::Area, "[acr_us]", &[], 62_726_400_000, 15_499_969),

    row(D::Volume, "m3", &["m^3"], 1, 1),
    row(D::Volume, "dm3", &["dm^3"], 1, 1000),
    row(D::Volume, "cm3", &["cm^3"], 1, 1_000_000),
    row(D::Volume, "mm3", &["mm^3"], 1, 1_000_000_000),
    row(D::Volume, "L", &["l"], 1, 1000).words(&["liter", "litre", "liters", "litres"]).prefixes(&["h", "d", "c", "m", "u"]).metric(),
    row(D::Volume, "[cft_i]", &["ft3", "ft^3"], 28_316_846_592, 1_000_000_000_000),
    row(D::Volume, "[gal_us]", &["gal"], 3_785_411_784, 1_000_000_000_000).words(&["gallon", "gallons"]),
    row(D::Volume, "[gal_br]", &[], 454_609, 100_000_000).words(&["imperial gallon"]),
    row(D::Volume, "[bbl_us]", &["bbl"], 158_987_294_928, 1_000_000_000_000).words(&["barrel", "barrels"]),
    row(D::Volume, "[foz_us]", &["floz"], 295_735_295_625, 10_000_000_000_000_000),

    row(D::Flow, "m3/s", &[], 1, 1),
    row(D::Flow, "m3/min", &[], 1, 60),
    row(D::Flow, "m3/h", &["m3/hr", "m^3/h"], 1, 3600),
    row(D::Flow, "L/s", &["l/s"], 1, 1000).prefixes(&["m"]),
    row(D::Flow, "L/min", &["l/min"], 1, 60_000).words(&["lpm"]).prefixes(&["m"]),
    row(D::Flow, "L/h", &["l/h"], 1, 3_600_000).prefixes(&["m"]),
    row(D::Flow, "[gal_us]/min", &["gal/min"], 3_785_411_784, 60_000_000_000_000).words(&["gpm"]),
    row(D::Flow, "[cft_i]/min", &["ft3/min"], 28_316_846_592, 60_000_000_000_000).words(&["cfm"]),

    row(D::Speed, "m/s", &[], 1, 1).prefixes(&["k", "c", "m", "u"]),
    row(D::Speed, "km/h", &["kmh", "kph", "km/hr"], 1000, 3600),
    row(D::Speed, "m/min", &[], 1, 60).prefixes(&["m"]),
    row(D::Speed, "m/h", &[], 1, 3600).prefixes(&["c", "m"]),
    row(D::Speed, "[mi_i]/h", &["mi/h", "mph"], 1_609_344, 3_600_000),
    row(D::Speed, "[kn_i]", &["kn", "kt", "kts"], 1852, 3600).words(&["knot", "knots"]),
    row(D::Speed, "[ft_i]/s", &["ft/s"], 3048, 10_000),
    row(D::Speed, "[ft_i]/min", &["ft/min"], 3048, 600_000),

    row(D::Acceleration, "m/s2", &["m/s^2"], 1, 1).prefixes(&["c", "m"]),
    row(D::Acceleration, "[g]", &["gn"], 980_665, 100_000).prefixes(&["m"]),
    row(D::Acceleration, "Gal", &[], 1, 100).prefixes(&["m", "u"]),

    row(D::Mass, "g", &[], 1, 1000).words(&["gram", "grams"]).prefixes(&["k", "m", "u", "n"]).metric(),
    row(D::Mass, "t", &[], 1000, 1).words(&["tonne", "tonnes"]),
    row(D::Mass, "[lb_av]", &["lb", "lbs"], 45_359_237, 100_000_000).words(&["pound", "pounds"]),
    row(D::Mass, "[oz_av]", &["oz"], 45_359_237, 1_600_000_000).words(&["ounce", "ounces"]),

    row(D::MassFlow, "g/s", &[], 1, 1000).prefixes(&["k", "m"]),
    row(D::MassFlow, "g/min", &[], 1, 60_000).prefixes(&["k", "m"]),
    row(D::MassFlow, "g/h", &[], 1, 3_600_000).prefixes(&["k", "m"]),
    row(D::MassFlow, "t/h", &[], 1000, 3600),

    row(D::Density, "kg/m3", &[], 1, 1),
    row(D::Density, "g/m3", &[], 1, 1000).prefixes(SMALL),
    row(D::Density, "g/L", &["g/l"], 1, 1).prefixes(&["k", "m", "u", "n"]),
    row(D::Density, "g/cm3", &["g/mL", "g/ml"], 1000, 1).prefixes(&["m"]),

    row(D::Force, "N", &[], 1, 1).words(&["newton"]).prefixes(&["M", "k", "m"]).metric(),
    row(D::Force, "[lbf_av]", &["lbf"], 44_482_216_152_605, 10_000_000_000_000),
    row(D::Force, "kgf", &["kp"], 980_665, 100_000),
    row(D::Force, "dyn", &[], 1, 100_000),
    row(D::Torque, "N.m", &["Nm"], 1, 1).prefixes(&["k", "m"]),

    row(D::Voltage, "V", &[], 1, 1).words(&["volt", "volts"]).prefixes(&["M", "k", "m", "u", "n"]).metric(),
    row(D::Current, "A", &[], 1, 1).words(&["amp", "amps", "ampere", "amperes"]).prefixes(&["k", "m", "u", "n"]).metric(),
    // UCUM's code for the coulomb is `C`, which on a sensor's label means Celsius.
    row(D::Charge, "A.s", &["As"], 1, 1).words(&["coulomb", "coulombs"]),
    row(D::Charge, "A.h", &["Ah"], 3600, 1).prefixes(&["k", "m"]),
    row(D::Resistance, "Ohm", &["ohm"], 1, 1).words(&["ohms"]).prefixes(BOTH).metric(),
    row(D::Conductance, "S", &[], 1, 1).words(&["siemens"]).prefixes(SMALL).metric(),
    row(D::Conductivity, "S/m", &[], 1, 1).prefixes(SMALL),
    row(D::Conductivity, "S/cm", &[], 100, 1).prefixes(SMALL),
    row(D::MagneticFluxDensity, "T", &[], 1, 1).words(&["tesla"]).prefixes(SMALL).metric(),
    row(D::MagneticFluxDensity, "G", &[], 1, 10_000).words(&["gauss"]).prefixes(&["m", "k"]),
    row(D::MagneticFlux, "Wb", &[], 1, 1).words(&["weber"]).prefixes(&["m", "u"]).metric(),
    row(D::Inductance, "H", &[], 1, 1).words(&["henry"]).prefixes(SMALL).metric(),
    // A bare `F` on a sensor's label means Fahrenheit.
    row(D::Capacitance, "farad", &[], 1, 1).prefixed(&["F"]).prefixes(&["m", "u", "n", "p"]).metric(),

    row(D::Power, "W", &[], 1, 1).words(&["watt", "watts"]).prefixes(BOTH).metric(),
    row(D::Power, "[HP]", &["hp"], 7_456_998_715_822_702, 10_000_000_000_000).words(&["horsepower"]),
    row(D::Power, "PS", &[], 73_549_875, 100_000),
    row(D::ApparentPower, "V.A", &["VA"], 1, 1).prefixes(LARGE),
    row(D::ReactivePower, "var", &["VAr", "VAR"], 1, 1).prefixes(LARGE).metric(),
    row(D::ApparentEnergy, "V.A.h", &["VAh"], 3_600, 1).prefixes(LARGE),
    row(D::ReactiveEnergy, "var.h", &["varh", "VArh", "VARh"], 3_600, 1).prefixes(LARGE),
    row(D::Energy, "J", &[], 1, 1).words(&["joule", "joules"]).prefixes(BOTH).metric(),
    row(D::Energy, "W.h", &["Wh"], 3600, 1).prefixes(&["G", "M", "k", "m"]),
    row(D::Energy, "W.s", &["Ws"], 1, 1).prefixes(&["k"]),
    row(D::Energy, "cal", &[], 4184, 1000).prefixes(&["k"]),
    row(D::Energy, "erg", &[], 1, 10_000_000),
    row(D::Energy, "[Btu_IT]", &["BTU", "Btu"], 105_505_585_262, 100_000_000),
    row(D::Irradiance, "W/m2", &["W/m^2"], 1, 1).prefixes(&["k", "m"]),
    row(D::EnergyDensity, "J/m3", &["J/m^3"], 1, 1).prefixes(LARGE),
    row(D::EnergyDensity, "W.h/m3", &["Wh/m3", "Wh/m^3"], 3_600, 1).prefixes(&["k", "M"]),

    row(D::Amount, "mol", &[], 1, 1).words(&["mole", "moles"]).prefixes(&["k", "m", "u", "n"]).metric(),
    row(D::Concentration, "mol/L", &["mol/l"], 1_000, 1).prefixes(SMALL),
    row(D::Viscosity, "Pa.s", &[], 1, 1).prefixes(&["m"]),
    row(D::Viscosity, "P", &[], 1, 10).words(&["poise"]).prefixes(&["c"]),
    row(D::KinematicViscosity, "St", &[], 1, 10_000).words(&["stokes"]).prefixes(&["c"]),

    row(D::Frequency, "Hz", &[], 1, 1).words(&["hertz"]).prefixes(&["G", "M", "k", "m", "u"]).metric(),
    row(D::Frequency, "/s", &["1/s"], 1, 1),
    row(D::Frequency, "/min", &["1/min", "{beats}/min"], 1, 60).words(&["bpm"]),
    row(D::Frequency, "/h", &["1/h"], 1, 3600),
    row(D::Rotation, "rad/s", &[], 180, 1).pi(-1).prefixes(&["m"]),
    row(D::Rotation, "deg/s", &["°/s"], 1, 1),
    row(D::Rotation, "rpm", &["{rev}/min"], 6, 1).words(&["r/min", "rev/min"]),
    row(D::Rotation, "rps", &["{rev}/s"], 360, 1).words(&["r/s", "rev/s"]),
    row(D::Angle, "rad", &[], 180, 1).pi(-1).words(&["radian", "radians"]).prefixes(&["m", "u"]).metric(),
    row(D::Angle, "deg", &["°"], 1, 1).words(&["degree", "degrees"]),
    row(D::Angle, "'", &["arcmin"], 1, 60),
    row(D::Angle, "''", &["arcsec"], 1, 3600),

    row(D::Time, "s", &[], 1, 1).words(&["sec", "second", "seconds"]).prefixes(SMALL).metric(),
    row(D::Time, "min", &[], 60, 1).words(&["minute", "minutes"]),
    row(D::Time, "h", &["hr"], 3600, 1).words(&["hour", "hours"]),
    row(D::Time, "d", &[], 86_400, 1).words(&["day", "days"]),
    row(D::Time, "wk", &[], 604_800, 1).words(&["week", "weeks"]),
    row(D::Time, "mo", &[], 2_629_800, 1).words(&["month", "months"]),
    row(D::Time, "a", &["yr"], 31_557_600, 1).words(&["year", "years"]),

    row(D::Data, "By", &["B"], 1, 1).words(&["byte", "bytes"]).prefixes(BYTES),
    row(D::Data, "bit", &["b"], 1, 8).words(&["bits"]).prefixes(BYTES),
    row(D::DataRate, "By/s", &["B/s"], 1, 1).words(&["bytes/s"]).prefixes(BYTES),
    row(D::DataRate, "bit/s", &["b/s", "bps"], 1, 8).words(&["bits/s"]).prefixes(BYTES),

    row(D::Fraction, "1", &[], 1, 1).words(&["ratio", "fraction"]),
    row(D::Fraction, "%", &[], 1, 100).words(&["percent", "pct", "%rh"]),
    row(D::Fraction, "[ppth]", &["‰"], 1, 1000).words(&["permille"]),
    row(D::Fraction, "[ppm]", &["ppm"], 1, 1_000_000),
    row(D::Fraction, "[ppb]", &["ppb"], 1, 1_000_000_000),

    row(D::Illuminance, "lx", &[], 1, 1).words(&["lux"]).prefixes(&["k", "m"]).metric(),
    row(D::LuminousFlux, "lm", &[], 1, 1).words(&["lumen"]).prefixes(&["k"]).metric(),
    row(D::LuminousIntensity, "cd", &[], 1, 32_400).pi(2).words(&["candela"]).prefixes(&["m"]).metric(),
    row(D::SolidAngle, "sr", &[], 32_400, 1).pi(-2).words(&["steradian"]).metric(),
    row(D::Level, "dB", &[], 1, 1).words(&["decibel"]),
    row(D::Acidity, "[pH]", &["pH"], 1, 1),
    row(D::Radioactivity, "Bq", &[], 1, 1).words(&["becquerel"]).prefixes(LARGE).metric(),
    row(D::Dose, "Sv", &[], 1, 1).words(&["sievert"]).prefixes(SMALL).metric(),
    row(D::AbsorbedDose, "Gy", &[], 1, 1).words(&["gray"]).prefixes(SMALL).metric(),
    row(D::DoseRate, "Sv/h", &[], 1, 3600).prefixes(SMALL),
];
