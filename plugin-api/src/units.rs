//! Units of measure at run time: codes, everyday names, dimensions, exact conversions.
//!
//! Codes are those of UCUM where it has one (`Cel`, `[degF]`, `m3/h`, `KiBy`); the names that people write instead
//! (`degC`, `°F`, `psi`, `MiB`) are understood as well. Dimensions have names (`temperature`, `flow`) instead of
//! exponents, since exponents can't tell a torque from an energy or a percentage from an angle.
//! `docs/decisions/0005` says why the table is our own.

mod dimension;
mod table;

pub use dimension::Dimension;

use table::{PREFIXES, Prefix, ROWS, Row};

/// A unit of the table, perhaps with a prefix.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    row: &'static Row,
    prefix: Option<&'static Prefix>,
}

impl PartialEq for Unit {
    fn eq(&self, other: &Self) -> bool {
        self.row.code == other.row.code
            && self.prefix.map(|prefix| prefix.code) == other.prefix.map(|prefix| prefix.code)
    }
}

/// The unit with this code or name; `None` for one that the table lacks. A reading without a unit (the empty code)
/// has none.
pub fn parse(code: &str) -> Option<Unit> {
    let plain = plain(code);
    let exact = ROWS.iter().find(|row| row.is_named(&plain));
    let unit = |row, prefix| Unit { row, prefix };
    exact.map(|row| unit(row, None)).or_else(|| {
        PREFIXES.iter().find_map(|prefix| {
            let rest = plain.strip_prefix(prefix.code)?;
            let takes = |row: &&Row| row.prefixes.contains(&prefix.code) && row.has_symbol(rest);
            ROWS.iter().find(takes).map(|row| unit(row, Some(prefix)))
        })
    })
}

/// The known code or name that a misspelt one is closest to, if one is close.
pub fn nearest(code: &str) -> Option<String> {
    closest(code, names())
}

/// The known code or name of a unit of this dimension that a misspelt one is closest to, if one is close.
pub fn nearest_of(dimension: Dimension, code: &str) -> Option<String> {
    closest(code, names().filter(|name| parse(name).is_some_and(|unit| unit.dimension() == dimension)))
}

/// The name of a dimension that a misspelt one is closest to, if one is close.
pub fn nearest_dimension(name: &str) -> Option<&'static str> {
    closest(name, Dimension::ALL.iter().map(|dimension| dimension.name()))
}

/// Every code and name that [`parse`] takes, for listings.
pub fn names() -> impl Iterator<Item = String> {
    ROWS.iter().flat_map(|row| {
        let plain = row.symbols().chain(row.words.iter().copied()).map(str::to_owned);
        let prefixed = row
            .prefixes
            .iter()
            .flat_map(|prefix| row.symbols().map(move |symbol| format!("{prefix}{symbol}")));
        plain.chain(prefixed)
    })
}

impl Unit {
    /// What it measures.
    pub fn dimension(self) -> Dimension {
        self.row.dimension
    }

    /// Its code.
    pub fn code(self) -> String {
        format!("{}{}", self.prefix.map_or("", |prefix| prefix.code), self.row.code)
    }

    /// How many base units one of it is: `base = (value + offset) * scale`.
    pub fn scale(self) -> f64 {
        let (numerator, denominator) = self.ratio();
        numerator / denominator
    }

    /// What is added to a value before scaling: its zero, measured in the unit itself.
    pub fn offset(self) -> f64 {
        self.row.zero_hundredths / 100.0
    }

    /// How to turn values of this unit into `target`; `None` if they measure different things.
    pub fn to(self, target: Self) -> Option<Conversion> {
        if self.dimension() != target.dimension() {
            return None;
        }
        let ((from_over, from_under), (to_over, to_under)) = (self.ratio(), target.ratio());
        let (multiply, divide) = reduced(from_over * to_under, from_under * to_over);
        // In hundredths, since those are whole numbers: 0 degC is then 32 degF and not 31.999999999999943.
        let add = (self.row.zero_hundredths * multiply - target.row.zero_hundredths * divide) / 100.0;
        Some(Conversion { multiply, add, divide })
    }

    /// A value of this unit in `target`; `None` if they measure different things. For many values keep [`Unit::to`].
    pub fn convert(self, target: Self, value: f64) -> Option<f64> {
        self.to(target).map(|conversion| conversion.apply(value))
    }

    /// Base units as a fraction of numbers that are whole wherever the unit's definition allows it.
    fn ratio(self) -> (f64, f64) {
        let (over, under) = self.prefix.map_or((1.0, 1.0), |prefix| (prefix.over, prefix.under));
        (self.row.over * over, self.row.under * under)
    }
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

/// The same fraction in lowest terms, with 1 below where that is exact.
fn reduced(over: f64, under: f64) -> (f64, f64) {
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    let whole = |x: f64| x.fract() == 0.0 && x <= WHOLE_MAX;
    let (mut over, mut under) = (over, under);
    if whole(over) && whole(under) {
        let (mut a, mut b) = (over, under);
        while b != 0.0 {
            (a, b) = (b, a % b);
        }
        (over, under) = (over / a, under / a);
    }
    // A power of two: its reciprocal is exact.
    if under.to_bits().trailing_zeros() >= f64::MANTISSA_DIGITS - 1 {
        (over / under, 1.0)
    } else {
        (over, under)
    }
}

/// Other ways to write the same letters.
fn plain(code: &str) -> String {
    let mut plain = String::with_capacity(code.len());
    for c in code.trim().chars() {
        match c {
            // The micro sign and the Greek letter.
            '\u{B5}' | '\u{3BC}' => plain.push('u'),
            // The letter omega and the ohm sign.
            '\u{3A9}' | '\u{2126}' => plain.push_str("Ohm"),
            '²' => plain.push('2'),
            '³' => plain.push('3'),
            '·' | '⋅' => plain.push('.'),
            'º' => plain.push('°'),
            other => plain.push(other),
        }
    }
    plain
}

fn closest<N: AsRef<str>>(wanted: &str, names: impl Iterator<Item = N>) -> Option<N> {
    let wanted = wanted.trim().to_lowercase();
    // One slip in a short code, two in a word: more would suggest at random.
    let slips = if wanted.chars().count() <= 4 { 1 } else { 2 };
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    let own = letters(&wanted);
    names
        .map(|name| {
            let folded = name.as_ref().to_lowercase();
            // Among equally close ones, letters in another order are likelier than others.
            let key = (strsim::osa_distance(&wanted, &folded), letters(&folded) != own);
            (key, name)
        })
        .filter(|((distance, _), _)| *distance <= slips)
        .min_by_key(|(key, _)| *key)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests;
