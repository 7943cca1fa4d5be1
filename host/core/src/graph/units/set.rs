//! Sets of units, as bits: a graph has thousands of edges, and each may carry many units.

use super::table::UnitIndex;

const BITS: usize = u64::BITS as usize;

/// A set of units.
#[derive(Clone, Debug, Default)]
pub struct UnitSet {
    /// Words beyond the end are zero.
    words: Vec<u64>,
}

impl UnitSet {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether a unit is in it.
    pub fn contains(&self, unit: UnitIndex) -> bool {
        self.words.get(unit.0 / BITS).is_some_and(|word| word >> (unit.0 % BITS) & 1 == 1)
    }

    /// Puts a unit in.
    pub fn insert(&mut self, unit: UnitIndex) {
        let word = unit.0 / BITS;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (unit.0 % BITS);
    }

    /// Puts all units of another set in.
    pub fn unite(&mut self, other: &Self) {
        if other.words.len() > self.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// Each unit, in the order of their indices.
    pub fn iter(&self) -> impl Iterator<Item = UnitIndex> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    UnitIndex(at * BITS + bit)
                })
            })
        })
    }
}

impl PartialEq for UnitSet {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for UnitSet {}

impl Extend<UnitIndex> for UnitSet {
    fn extend<I: IntoIterator<Item = UnitIndex>>(&mut self, units: I) {
        for unit in units {
            self.insert(unit);
        }
    }
}

impl FromIterator<UnitIndex> for UnitSet {
    fn from_iter<I: IntoIterator<Item = UnitIndex>>(units: I) -> Self {
        let mut set = Self::default();
        set.extend(units);
        set
    }
}
