//! Numbers for names, as any program needs that has something to do for each sensor.

/// The first of it holds all of a small plant; it grows with what comes.
const SLOTS_AT_FIRST: usize = 1 << 12;
const FREE: u32 = u32::MAX;

/// Names, numbered in the order in which they came first: a hash table with open addressing.
pub(crate) struct Sensors {
    /// Name and hash by number.
    names: Vec<(Box<[u8]>, u64)>,
    /// Numbers by hash; at most half of them taken. As many as a power of two.
    slots: Vec<u32>,
}

impl Sensors {
    pub(crate) fn new() -> Self {
        Self { names: Vec::new(), slots: vec![FREE; SLOTS_AT_FIRST] }
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The name's number.
    #[inline]
    pub(crate) fn number(&mut self, name: &[u8]) -> u32 {
        let hash = hash(name);
        let mut slot = self.slot(hash);
        loop {
            let number = self.slots[slot];
            let Some((known, _)) = self.names.get(number as usize) else {
                return self.add(name, hash, slot);
            };
            if same(known, name) {
                return number;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    /// The upper bits: every part of the name reaches them.
    #[inline]
    fn slot(&self, hash: u64) -> usize {
        usize::try_from(hash >> 20).unwrap_or(0) & (self.slots.len() - 1)
    }

    #[cold]
    fn add(&mut self, name: &[u8], hash: u64, slot: usize) -> u32 {
        let number = u32::try_from(self.names.len()).unwrap_or(FREE);
        self.names.push((name.into(), hash));
        self.slots[slot] = number;
        if self.names.len() * 2 > self.slots.len() {
            self.slots = vec![FREE; self.slots.len() * 2];
            for (number, (_, hash)) in (0..).zip(&self.names) {
                let mut slot = self.slot(*hash);
                while self.slots[slot] != FREE {
                    slot = (slot + 1) & (self.slots.len() - 1);
                }
                self.slots[slot] = number;
            }
        }
        number
    }
}

/// Eight bytes at a time; the last eight overlap what was taken before.
#[inline]
fn hash(name: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * u128::from(FACTOR);
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
        let folded = product as u64 ^ (product >> 64) as u64;
        folded
    };
    let mut hash = name.len() as u64 ^ FACTOR;
    let mut rest = name;
    while let Some((word, behind)) = rest.split_first_chunk() {
        hash = mix(hash, u64::from_le_bytes(*word));
        rest = behind;
    }
    match (rest.is_empty(), name.last_chunk()) {
        (true, _) => hash,
        (false, Some(word)) => mix(hash, u64::from_le_bytes(*word)),
        (false, None) => rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte))),
    }
}

/// Whether they are equal, eight bytes at a time: names are too short for a call of `memcmp`.
#[inline]
fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (mut left, mut right) = (one, other);
    while let (Some((word, behind)), Some((same, behind_same))) =
        (left.split_first_chunk::<8>(), right.split_first_chunk::<8>())
    {
        if word != same {
            return false;
        }
        (left, right) = (behind, behind_same);
    }
    match (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        (Some(word), Some(same)) => word == same,
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::{Sensors, same};

    #[test]
    fn a_name_keeps_its_number_while_the_table_grows() {
        let mut sensors = Sensors::new();
        let name = |number: u32| format!("plant-{}/press-{:02}/bearing", number / 100, number % 100);
        for round in 0..2 {
            for number in 0..20_000 {
                assert_eq!(sensors.number(name(number).as_bytes()), number, "round {round}");
            }
        }
        assert_eq!(sensors.len(), 20_000);
    }

    #[test]
    fn names_of_every_length_are_told_apart() {
        let mut sensors = Sensors::new();
        let text = "abcdefghijklmnopqrstuvwxyz";
        for length in 0..text.len() {
            assert_eq!(sensors.number(&text.as_bytes()[..length]) as usize, length);
            let mut other = text.as_bytes()[..length].to_vec();
            assert!(same(&other, &text.as_bytes()[..length]));
            for at in 0..length {
                other[at] ^= 1;
                assert!(!same(&other, &text.as_bytes()[..length]));
                other[at] ^= 1;
            }
        }
    }
}
