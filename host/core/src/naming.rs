//! "Did you mean": the known name that somebody probably wanted to write.

/// The candidate that is nearest to `name`, if one is near enough to be a likely misspelling.
///
/// Near enough is one edit in a short name and one in every three letters of a longer one, swapped neighbours
/// counting as one edit; upper and lower case, `-` and `_` count as the same. Among equally near ones the first wins.
/// Where none is, it is the only one that begins with `name`.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(name);
    let allowed = (wanted.chars().count() / 3).max(1);
    let candidates: Vec<(&str, String)> = candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= NAME_MAX_BYTES)
        .map(|candidate| (candidate, folded(candidate)))
        .collect();
    let misspelt = candidates
        .iter()
        .map(|(candidate, folded)| (strsim::osa_distance(&wanted, folded), *candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance);
    let shortened = || {
        let mut longer = candidates.iter().filter(|(_, folded)| folded.starts_with(&wanted));
        let first = longer.next()?;
        (wanted.len() >= SHORTENED_MIN_BYTES && longer.next().is_none()).then_some(first.0)
    };
    misspelt.map(|(_, candidate)| candidate).or_else(shortened)
}

/// Fewer letters begin too many names to tell which was meant.
const SHORTENED_MIN_BYTES: usize = 3;
/// Longer names are not compared: the comparison's cost grows with the product of both lengths.
const NAME_MAX_BYTES: usize = 256;

fn folded(name: &str) -> String {
    name.chars()
        .take(NAME_MAX_BYTES)
        .flat_map(char::to_lowercase)
        .map(|c| if c == '-' { '_' } else { c })
        .collect()
}

/// `did you mean ...?` for the nearest candidate, or else the list of all of them, cut after ten.
pub(crate) fn suggestion(name: &str, candidates: &[&str]) -> Option<String> {
    /// More names than this are no help to read.
    const LISTED_MAX: usize = 10;
    if let Some(near) = nearest(name, candidates.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    if candidates.is_empty() {
        return None;
    }
    let listed: Vec<String> =
        candidates.iter().take(LISTED_MAX).map(|candidate| format!("`{candidate}`")).collect();
    let more = candidates.len().saturating_sub(LISTED_MAX);
    let tail = if more == 0 { String::new() } else { format!(" and {more} more") };
    Some(format!("known here: {}{tail}", listed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KEYS: [&str; 5] = ["settings", "inputs", "tags", "dead_letter", "on_failure"];

    #[test]
    fn a_misspelt_name_finds_the_one_that_was_meant() {
        assert_eq!(nearest("setings", KEYS), Some("settings"));
        assert_eq!(nearest("input", KEYS), Some("inputs"));
        assert_eq!(nearest("tgas", KEYS), Some("tags"), "swapped letters are one edit");
        assert_eq!(nearest("dead-letter", KEYS), Some("dead_letter"));
        assert_eq!(nearest("On_Failure", KEYS), Some("on_failure"));
        assert_eq!(nearest("dead", KEYS), Some("dead_letter"), "shortened");
    }

    #[test]
    fn a_name_unlike_all_others_finds_nothing() {
        assert_eq!(nearest("frequency", KEYS), None);
        assert_eq!(nearest("x", ["a"]), None, "one letter for another is no misspelling");
        assert_eq!(nearest("", KEYS), None);
        assert_eq!(nearest("range", []), None);
    }

    #[test]
    fn a_huge_name_costs_little() {
        let huge = "a".repeat(1_000_000);
        assert_eq!(nearest(&huge, KEYS), None);
        assert_eq!(nearest("inputs", [huge.as_str()]), None);
    }
}
