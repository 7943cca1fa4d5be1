//! Units of measure at run time: codes, everyday names, dimensions, exact conversions.
//!
//! Codes are those of UCUM where it has one (`Cel`, `[degF]`, `m3/h`, `KiBy`); the names that people write instead
//! (`degC`, `°F`, `psi`, `MiB`) are understood as well, and so is whatever can be made of them: `W/(m2.K)`, `mol/(L.h)`.
//! Dimensions have names (`temperature`, `flow`), since powers of base units can't tell a torque from an energy or a
//! percentage from an angle; a compound that has no name is told by its powers. `docs/decisions/0005` says why the table
//! is our own.

mod compound;
mod dimension;
mod exponents;
mod ratio;
mod suggest;
mod table;

pub use dimension::Dimension;
pub use exponents::Exponents;
pub use suggest::{nearest, nearest_dimension, nearest_of};

use compound::Factors;
use ratio::Ratio;
use table::{PREFIXES, Prefix, ROWS, Row};

/// Longer texts are no unit: the longest code in use has 30 bytes.
const CODE_MAX_BYTES: usize = 64;

/// A unit: one of the table's, perhaps with a prefix, or a compound of such.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    factors: Factors,
    dimension: Dimension,
    ratio: Ratio,
    /// Above 0 only for a unit that stands alone: in a compound a temperature is a difference.
    zero_hundredths: u32,
}

/// Whether they are made of the same units: `L/min` and `l/min` are, `J` and `W.s` are not.
impl PartialEq for Unit {
    fn eq(&self, other: &Self) -> bool {
        self.factors == other.factors
    }
}

/// The unit with this code or name; `None` for what is none. A reading without a unit (the empty code) has none.
pub fn parse(code: &str) -> Option<Unit> {
    let code = code.trim();
    if code.is_empty() || code.len() > CODE_MAX_BYTES {
        return None;
    }
    let plain = plain(code);
    if let Some(atom) = simple(&plain) {
        return Unit::simple(atom);
    }
    let factors = Factors::parse(&plain)?;
    // What comes to a unit of the table is that unit: `(m3)/h` is `m3/h`.
    if let Some(atom) = simple(&factors.to_string()) {
        return Unit::simple(atom);
    }
    Some(Unit { factors, dimension: factors.dimension()?, ratio: factors.ratio()?, zero_hundredths: 0 })
}

/// Every code and name of the table with the prefixes in use, for listings. [`parse`] takes more: every SI prefix with
/// every unit of the SI, and compounds.
pub fn names() -> impl Iterator<Item = String> {
    ROWS.iter().flat_map(|row| {
        let plain = row.symbols().chain(row.words.iter().copied()).map(str::to_owned);
        let prefixed = row
            .prefixes
            .iter()
            .flat_map(|prefix| row.behind_prefix().map(move |symbol| format!("{prefix}{symbol}")));
        plain.chain(prefixed)
    })
}

impl Unit {
    fn simple(atom: Atom) -> Option<Self> {
        let row = atom.row();
        Some(Self {
            factors: Factors::one(atom),
            dimension: row.dimension,
            ratio: atom.ratio()?,
            zero_hundredths: row.zero_hundredths,
        })
    }

    /// What it measures.
    pub fn dimension(self) -> Dimension {
        self.dimension
    }

    /// Its code: what [`parse`] reads as this unit again.
    pub fn code(self) -> String {
        self.factors.to_string()
    }

    /// How many base units one of it is: `base = (value + offset) * scale`.
    pub fn scale(self) -> f64 {
        let (numerator, denominator) = self.ratio.fraction();
        numerator / denominator
    }

    /// What is added to a value before scaling: its zero, measured in the unit itself.
    pub fn offset(self) -> f64 {
        f64::from(self.zero_hundredths) / 100.0
    }

    /// How to turn values of this unit into `target`; `None` if they measure different things.
    pub fn to(self, target: Self) -> Option<Conversion> {
        if self.dimension != target.dimension {
            return None;
        }
        let (multiply, divide) = match self.ratio.times(target.ratio.inverse()) {
            Some(ratio) => ratio.fraction(),
            None => (self.scale(), target.scale()),
        };
        // In hundredths, since those are whole numbers: 0 degC is then 32 degF and not 31.999999999999943.
        let zero = |unit: Self| f64::from(unit.zero_hundredths);
        let add = (zero(self) * multiply - zero(target) * divide) / 100.0;
        Some(Conversion { multiply, add, divide })
    }

    /// A value of this unit in `target`; `None` if they measure different things. For many values keep [`Unit::to`].
    pub fn convert(self, target: Self, value: f64) -> Option<f64> {
        self.to(target).map(|conversion| conversion.apply(value))
    }
}

/// A row of the table with a prefix, as indices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Atom {
    row: u8,
    prefix: Option<u8>,
}

impl Atom {
    fn row(self) -> &'static Row {
        &ROWS[usize::from(self.row)]
    }

    fn prefix(self) -> Option<&'static Prefix> {
        self.prefix.map(|prefix| &PREFIXES[usize::from(prefix)])
    }

    fn code(self) -> String {
        format!("{}{}", self.prefix().map_or("", |prefix| prefix.code), self.row().code)
    }

    fn ratio(self) -> Option<Ratio> {
        let ratio = self.row().ratio();
        self.prefix().map_or(Some(ratio), |prefix| ratio.times(prefix.ratio))
    }

    /// Whether it is the plain number 1.
    fn is_one(self) -> bool {
        self.row().code == "1"
    }

    /// Whether its code is a compound of others (`km/h`, `W.h`, `m3`).
    fn is_made_of_others(self) -> bool {
        let outside = self.row().code.split(['[', ']']).step_by(2);
        outside.into_iter().any(|part| part.contains(['.', '/']) || part.ends_with(['2', '3']))
    }
}

/// The table's unit with this name, which [`plain`] went through.
fn simple(name: &str) -> Option<Atom> {
    let at = |index: usize| u8::try_from(index).ok();
    if let Some(row) = ROWS.iter().position(|row| row.is_named(name)) {
        return Some(Atom { row: at(row)?, prefix: None });
    }
    // The prefixes that are in use come first.
    [true, false].into_iter().find_map(|in_use| {
        PREFIXES.iter().enumerate().find_map(|(prefix_at, prefix)| {
            let rest = name.strip_prefix(prefix.code)?;
            let row = ROWS.iter().position(|row| {
                let takes =
                    if in_use { row.prefixes.contains(&prefix.code) } else { row.metric && prefix.si };
                takes && row.behind_prefix().any(|symbol| symbol == rest)
            })?;
            Some(Atom { row: at(row)?, prefix: Some(at(prefix_at)?) })
        })
    })
}

/// `(value * multiply + add) / divide`.
///
/// A fraction and not one factor: 101325 Pa are 101.325 kPa when divided by 1000, and 101.32500000000002 when
/// multiplied by the double next to 0.001.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion {
    /// Applied first.
    pub multiply: f64,
    /// Applied second.
    pub add: f64,
    /// Applied last; 1 where a multiplication does as well.
    pub divide: f64,
}

impl Conversion {
    /// Changes nothing.
    pub const IDENTITY: Self = Self { multiply: 1.0, add: 0.0, divide: 1.0 };

    /// Whether there is nothing to divide by.
    pub fn is_product(self) -> bool {
        self.divide.to_bits() == 1.0_f64.to_bits()
    }

    /// The converted value.
    #[inline]
    pub fn apply(self, value: f64) -> f64 {
        // No fused multiply-add: without the CPU feature it is a call into libm.
        (value * self.multiply + self.add) / self.divide
    }
}

/// Other ways to write the same letters.
fn plain(code: &str) -> String {
    let mut plain = String::with_capacity(code.len());
    for c in code.chars() {
        match c {
            // The micro sign and the Greek letter.
            '\u{B5}' | '\u{3BC}' => plain.push('u'),
            // The letter omega and the ohm sign.
            '\u{3A9}' | '\u{2126}' => plain.push_str("Ohm"),
            '⁻' => plain.push('-'),
            '·' | '⋅' | '×' => plain.push('.'),
            'º' => plain.push('°'),
            other => plain.push(superscript(other).unwrap_or(other)),
        }
    }
    // Spaces around a division or a product mean nothing; any other separates words.
    for operator in ["/", ".", "*"] {
        for spaced in [format!(" {operator}"), format!("{operator} ")] {
            while plain.contains(&spaced) {
                plain = plain.replace(&spaced, operator);
            }
        }
    }
    plain
}

fn superscript(c: char) -> Option<char> {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    RAISED.iter().zip('0'..='9').find(|(raised, _)| **raised == c).map(|(_, digit)| digit)
}

#[cfg(test)]
mod tests;
