//! Compound units: products, quotients and powers of the table's (`W/(m2.K)`), as UCUM writes them and as people do.
//!
//! ```text
//! product = ["/"] term {("." | "*" | "/") term}      term = atom [power] | "(" product ")" [power]
//! ```
//! No product stands behind a quotient without parentheses: UCUM reads `W/m2.K` as W·K/m², whoever writes it means
//! W/(m²·K), and a reading converted the wrong way is worse than a refused one.

use super::dimension::Dimension;
use super::exponents::{APPARENT, Exponents};
use super::ratio::Ratio;
use super::table::ROWS;
use super::{Atom, simple};
use std::fmt;

/// Different units in a compound. None in use has more than five; the bound keeps a unit a small value to copy.
const FACTORS_MAX: usize = 8;
/// The largest power of one unit. Physics ends at four.
const POWER_MAX: i8 = 9;

/// A unit of the table with a power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Factor {
    pub(super) atom: Atom,
    pub(super) power: i8,
}

/// What a unit is made of, in the order of the table; equal where the units are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Factors {
    factors: [Factor; FACTORS_MAX],
    len: usize,
}

impl Factors {
    pub(super) fn one(atom: Atom) -> Self {
        let mut factors = Self::default();
        factors.factors[0] = Factor { atom, power: 1 };
        factors.len = 1;
        factors
    }

    pub(super) fn as_slice(&self) -> &[Factor] {
        &self.factors[..self.len]
    }

    /// Reads a compound; `None` for what is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text, factors: Self::default() };
        reader.product(1)?;
        if !reader.rest.is_empty() {
            return None;
        }
        let mut factors = reader.factors;
        factors.tidy();
        Some(factors)
    }

    pub(super) fn ratio(&self) -> Option<Ratio> {
        let mut factors = self.as_slice().iter();
        factors
            .try_fold(Ratio::ONE, |product, factor| product.times(factor.atom.ratio()?.power(factor.power)?))
    }

    /// What it measures: by its powers, but for quantities that share theirs with others, which are told by their parts.
    pub(super) fn dimension(&self) -> Option<Dimension> {
        let mut exponents = Exponents::default();
        for factor in self.as_slice() {
            exponents = exponents.plus(Exponents::of(factor.atom.row().dimension), factor.power)?;
        }
        let power_of = |dimension: Dimension| -> i8 {
            let of = self.as_slice().iter().filter(|factor| factor.atom.row().dimension == dimension);
            of.map(|factor| factor.power).sum()
        };
        let (volts, amperes) = (power_of(Dimension::Voltage), power_of(Dimension::Current));
        if volts == amperes && volts != 0 {
            exponents = exponents.plus(Exponents::default().with(APPARENT, 1), volts)?;
        }
        if let Some(told) = self.told_by_parts() {
            return Some(told);
        }
        let ratio = self.as_slice().iter().any(|factor| factor.atom.row().dimension == Dimension::Fraction);
        Some(match exponents.dimension() {
            // Percent an hour is no frequency.
            Dimension::Frequency if ratio => Dimension::Compound(exponents),
            dimension => dimension,
        })
    }

    /// A force at a lever is a torque, an energy in a volume no pressure.
    fn told_by_parts(&self) -> Option<Dimension> {
        use Dimension as D;
        let mut parts: Vec<(D, i8)> = Vec::new();
        for factor in self.as_slice() {
            let (dimension, power) = match factor.atom.row().dimension {
                D::Area => (D::Length, factor.power * 2),
                D::Volume => (D::Length, factor.power * 3),
                other => (other, factor.power),
            };
            match parts.iter_mut().find(|(known, _)| *known == dimension) {
                Some((_, sum)) => *sum += power,
                None => parts.push((dimension, power)),
            }
        }
        parts.sort_unstable();
        let is = |wanted: &[(D, i8)]| parts == wanted;
        if is(&[(D::Force, 1), (D::Length, 1)]) {
            return Some(D::Torque);
        }
        let energy = [(D::Energy, 1), (D::Length, -3)];
        let work = [(D::Length, -3), (D::Power, 1), (D::Time, 1)];
        (is(&energy) || is(&work)).then_some(D::EnergyDensity)
    }

    fn add(&mut self, atom: Atom, power: i8) -> Option<()> {
        if let Some(known) = self.factors[..self.len].iter_mut().find(|factor| factor.atom == atom) {
            known.power = known.power.checked_add(power)?;
            return (known.power.abs() <= POWER_MAX).then_some(());
        }
        *self.factors.get_mut(self.len)? = Factor { atom, power };
        self.len += 1;
        (power.abs() <= POWER_MAX).then_some(())
    }

    /// In the order of the table, without what cancelled out.
    fn tidy(&mut self) {
        let mut kept: Vec<Factor> = self.as_slice().to_vec();
        kept.retain(|factor| factor.power != 0 && !factor.atom.is_one());
        kept.sort_unstable();
        *self = Self { len: kept.len(), ..Self::default() };
        self.factors[..kept.len()].copy_from_slice(&kept);
    }
}

/// As it can be read again: `W/(m2.K)`, `1/s`, `1` for what cancelled out.
impl fmt::Display for Factors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |sign: i8| -> Vec<String> {
            let shown = self.as_slice().iter().filter(|factor| factor.power.signum() == sign);
            shown.map(|factor| powered(factor.atom, factor.power.abs())).collect()
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

fn powered(atom: Atom, power: i8) -> String {
    if power == 1 { atom.code() } else { format!("{}{power}", atom.code()) }
}

/// What is still to be read, and what was. Text is bounded ([`super::CODE_MAX_BYTES`]), and so is how deep it nests.
struct Reader<'a> {
    rest: &'a str,
    factors: Factors,
}

impl<'a> Reader<'a> {
    /// A product, each power of which is multiplied by `outer`.
    fn product(&mut self, outer: i8) -> Option<()> {
        let mut divided = self.take('/');
        self.term(if divided { -outer } else { outer })?;
        loop {
            if self.take('/') {
                divided = true;
                self.term(-outer)?;
            } else if self.take('.') || self.take('*') {
                if divided {
                    return None;
                }
                self.term(outer)?;
            } else {
                return Some(());
            }
        }
    }

    fn term(&mut self, outer: i8) -> Option<()> {
        if !self.take('(') {
            let text = self.atom_text()?;
            return self.atom(text, outer);
        }
        // The power stands behind the group, and is needed inside.
        let end = closing(self.rest)?;
        let (group, behind) = (&self.rest[..end], &self.rest[end + 1..]);
        let digits = behind.find(['.', '*', '/', '(', ')']).unwrap_or(behind.len());
        let power = if digits == 0 { 1 } else { power(&behind[..digits])? };
        self.rest = group;
        self.product(outer.checked_mul(power)?)?;
        let all_read = self.rest.is_empty();
        self.rest = &behind[digits..];
        all_read.then_some(())
    }

    /// Up to the next operator; what stands in brackets belongs to a code.
    fn atom_text(&mut self) -> Option<&'a str> {
        let mut brackets = 0_usize;
        let end = self.rest.find(|c: char| {
            match c {
                '[' | '{' => brackets += 1,
                ']' | '}' => brackets = brackets.saturating_sub(1),
                _ => {}
            }
            brackets == 0 && matches!(c, '.' | '*' | '/' | '(' | ')')
        });
        let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        (!text.is_empty()).then_some(text)
    }

    fn atom(&mut self, text: &str, outer: i8) -> Option<()> {
        // UCUM's annotations say what is counted (`mol{Cr}`) and do not change the unit.
        let text = match (text.find('{'), text.ends_with('}')) {
            (None, false) => text,
            (Some(0), true) => return Some(()),
            (Some(start), true) => &text[..start],
            _ => return None,
        };
        let digits = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let name = digits.trim_end_matches(['-', '+', '^']);
        if digits.len() < text.len()
            && !name.ends_with(|c: char| c.is_ascii_digit())
            && let Some(atom) = simple(name)
        {
            return self.unit(atom, outer.checked_mul(power(&text[name.len()..])?)?);
        }
        self.unit(simple(text)?, outer)
    }

    /// A unit of the table; one that is itself written as a compound (`mph`, `kWh`) as what it is made of.
    fn unit(&mut self, atom: Atom, power: i8) -> Option<()> {
        let code = atom.code();
        if !atom.is_made_of_others() {
            return self.factors.add(atom, power);
        }
        let mut parts = Reader { rest: &code, factors: std::mem::take(&mut self.factors) };
        let read = parts.product(power);
        self.factors = parts.factors;
        read
    }

    fn take(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

/// Where the parenthesis that is open closes.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    text.char_indices().find_map(|(at, c)| {
        match c {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        (open == 0).then_some(at)
    })
}

/// `2`, `-1`, `^3`: a power that is neither 0 nor past the bound.
fn power(text: &str) -> Option<i8> {
    let number = text.strip_prefix('^').unwrap_or(text);
    let power: i8 = number.parse().ok()?;
    (power != 0 && power.abs() <= POWER_MAX).then_some(power)
}

const _: () = assert!(ROWS.len() <= u8::MAX as usize, "an atom names its row in 8 bits");
