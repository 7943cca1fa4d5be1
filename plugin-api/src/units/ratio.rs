//! Ratios of units, exactly: whole numbers, with powers of two, five and pi beside them.

use std::f64::consts::PI;

/// `over / under * 2^twos * 5^fives * pi^pi`, in lowest terms: two and five divide neither `over` nor `under`, so that
/// equal ratios are equal values and prefixes stay small numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio {
    over: u128,
    under: u128,
    twos: i32,
    fives: i32,
    pi: i32,
}

impl Ratio {
    pub(super) const ONE: Self = Self { over: 1, under: 1, twos: 0, fives: 0, pi: 0 };

    pub(super) fn new(over: u64, under: u64, pi: i8) -> Self {
        let ratio = Self { over: u128::from(over), under: u128::from(under), pi: i32::from(pi), ..Self::ONE };
        ratio.reduced()
    }

    pub(super) const fn power_of_ten(tens: i32) -> Self {
        Self { twos: tens, fives: tens, ..Self::ONE }
    }

    pub(super) const fn power_of_two(twos: i32) -> Self {
        Self { twos, ..Self::ONE }
    }

    /// `None` where the numbers become too large to be kept exactly.
    pub(super) fn times(self, other: Self) -> Option<Self> {
        // Crosswise first, so that numbers that cancel out never meet.
        let (a, d) = lowest(self.over, other.under);
        let (c, b) = lowest(other.over, self.under);
        Some(Self {
            over: a.checked_mul(c)?,
            under: b.checked_mul(d)?,
            twos: self.twos.checked_add(other.twos)?,
            fives: self.fives.checked_add(other.fives)?,
            pi: self.pi.checked_add(other.pi)?,
        })
    }

    pub(super) fn inverse(self) -> Self {
        Self { over: self.under, under: self.over, twos: -self.twos, fives: -self.fives, pi: -self.pi }
    }

    /// `None` where the numbers become too large to be kept exactly.
    pub(super) fn power(self, exponent: i8) -> Option<Self> {
        let base = if exponent < 0 { self.inverse() } else { self };
        (0..exponent.unsigned_abs()).try_fold(Self::ONE, |power, _| power.times(base))
    }

    /// As a fraction of two doubles, in lowest terms; 1 below where that is as exact.
    pub(super) fn fraction(self) -> (f64, f64) {
        let (over, under) = match self.whole() {
            Some((over, under)) => (double(over), double(under)),
            None => self.nearest(),
        };
        let (over, under) = match self.pi {
            0 => (over, under),
            above @ 1.. => (over * PI.powi(above), under),
            below => (over, under * PI.powi(-below)),
        };
        // A power of two: its reciprocal is exact.
        if under.to_bits().trailing_zeros() >= f64::MANTISSA_DIGITS - 1 {
            (over / under, 1.0)
        } else {
            (over, under)
        }
    }

    /// Both numbers with the powers in them, if they fit.
    fn whole(self) -> Option<(u128, u128)> {
        let with = |number: u128, base: u128, power: i32| match u32::try_from(power) {
            Ok(power) => number.checked_mul(base.checked_pow(power)?),
            Err(_) => Some(number),
        };
        let over = with(with(self.over, 2, self.twos)?, 5, self.fives)?;
        let under = with(with(self.under, 2, -self.twos)?, 5, -self.fives)?;
        Some((over, under))
    }

    /// Beyond whole numbers: tens are read from text, which rounds once, and twos are exact.
    fn nearest(self) -> (f64, f64) {
        let tens = |power: i32| format!("1e{}", power.max(0)).parse().unwrap_or(f64::INFINITY);
        let twos = |power: i32| 2_f64.powi(power.max(0));
        let rest = self.twos - self.fives;
        let over = double(self.over) * tens(self.fives) * twos(rest);
        let under = double(self.under) * tens(-self.fives) * twos(-rest);
        (over, under)
    }

    fn reduced(self) -> Self {
        let (mut over, mut under) = lowest(self.over, self.under);
        let mut without = |factor: u128| {
            let mut power = 0;
            while over > 0 && over.is_multiple_of(factor) {
                over /= factor;
                power += 1;
            }
            while under > 0 && under.is_multiple_of(factor) {
                under /= factor;
                power -= 1;
            }
            power
        };
        let (twos, fives) = (self.twos + without(2), self.fives + without(5));
        Self { over, under, twos, fives, pi: self.pi }
    }
}

fn lowest(over: u128, under: u128) -> (u128, u128) {
    let (mut a, mut b) = (over, under);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    // Both are above zero: each comes from a table of units or from a product of such.
    (over / a.max(1), under / a.max(1))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "whole numbers that fit are exact; larger ones become the nearest double"
)]
fn double(whole: u128) -> f64 {
    whole as f64
}
