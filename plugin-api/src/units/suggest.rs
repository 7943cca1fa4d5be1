//! What somebody meant who wrote a unit or a dimension that there is not.

use super::{Dimension, names, parse};

/// The known code or name that a misspelt one is closest to, if one is close.
pub fn nearest(code: &str) -> Option<String> {
    in_parentheses(code).or_else(|| closest(code, names()))
}

/// The known code or name of a unit of this dimension that a misspelt one is closest to, if one is close.
pub fn nearest_of(dimension: Dimension, code: &str) -> Option<String> {
    let measures = |name: &str| parse(name).is_some_and(|unit| unit.dimension() == dimension);
    let compound = || in_parentheses(code).filter(|code| measures(code));
    compound().or_else(|| closest(code, names().filter(|name| measures(name))))
}

/// The name of a dimension that a misspelt one is closest to, if one is close.
pub fn nearest_dimension(name: &str) -> Option<&'static str> {
    closest(name, Dimension::ALL.iter().map(|dimension| dimension.name()))
}

/// `W/m2.K` as it was meant: `W/(m2.K)`.
fn in_parentheses(code: &str) -> Option<String> {
    let (above, below) = code.trim().split_once('/')?;
    let meant = format!("{above}/({})", below.replace('/', "."));
    (parse(code).is_none() && parse(&meant).is_some()).then_some(meant)
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
