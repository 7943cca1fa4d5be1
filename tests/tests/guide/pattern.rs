//! What a page shows against what was printed.
//!
//! `…` stands for any text within a line, or, as a line of its own, for any number of lines. Runs of spaces are equal.
//! Times, durations and hashes are equal to any others; in a block that is `live`, all numbers are.
//! Lines of the log that follow each other may come in any order: they are from different threads.

/// Whether what was printed is what the page shows.
pub(crate) fn matches(shown: &str, printed: &str, live: bool) -> bool {
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.trim_matches('\n').lines().map(|line| masked(line, live)).collect();
        let is_log = |line: &String| line.starts_with("TIME ");
        lines.chunk_by_mut(|one, next| is_log(one) && is_log(next)).for_each(<[String]>::sort);
        lines
    };
    lines_match(&lines(shown), &lines(printed))
}

fn lines_match(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..]))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, others)| line_matches(first, line) && lines_match(rest, others)),
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let mut pieces = shown.split('…');
    let Some(mut rest) = pieces.next().and_then(|start| printed.strip_prefix(start)) else {
        return false;
    };
    let others: Vec<&str> = pieces.collect();
    let Some((last, middle)) = others.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// A line without what differs from run to run.
fn masked(text: &str, live: bool) -> String {
    let columns: Vec<&str> = text.split_whitespace().collect();
    let mut kept = Vec::with_capacity(columns.len());
    for (index, word) in columns.iter().enumerate() {
        let timed = columns.get(index + 1) == Some(&"ms") || (index > 0 && columns[index - 1] == "took");
        let duration = timed && word.parse::<f64>().is_ok();
        let hash = word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let time = word.len() == 27 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
        kept.push(match (duration, hash, time) {
            (true, _, _) => "DURATION".to_owned(),
            (_, true, _) => "HASH".to_owned(),
            (_, _, true) => "TIME".to_owned(),
            _ if live => numbers_masked(word),
            _ => (*word).to_owned(),
        });
    }
    kept.join(" ")
}

fn numbers_masked(word: &str) -> String {
    let mut masked = String::new();
    for c in word.chars() {
        match c {
            '0'..='9' | '.' | ',' if masked.ends_with('0') => {}
            '0'..='9' => masked.push('0'),
            other => masked.push(other),
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn dots_stand_for_text_and_for_lines() {
        assert!(matches("a\n…\nd\n", "a\nb\nc\nd\n", false));
        assert!(matches("a\n…\nb", "a\nb", false));
        assert!(matches("took … of …", "took 1 of 2", false));
        assert!(!matches("a\n…\nd", "a\nb\n", false));
        assert!(!matches("took … of 3", "took 1 of 2", false));
    }

    #[test]
    fn neighbours_in_the_log_may_change_places() {
        let (one, two) = ("2026-11-22T18:28:20.092636Z INFO a", "2026-11-22T18:28:20.092999Z WARN b");
        assert!(matches(&format!("{one}\n{two}\nx"), &format!("{two}\n{one}\nx"), false));
        assert!(!matches(&format!("{one}\nx\n{two}"), &format!("{two}\nx\n{one}"), false));
    }

    #[test]
    fn only_what_differs_from_run_to_run_is_masked() {
        assert!(matches("  1 file  ok  0.1 ms", " 1 file ok 22.35 ms", false));
        assert!(!matches("2 in = 2 out", "3 in = 3 out", false));
        assert!(matches("2 in = 1,002 out", "113 in = 5 out", true));
        assert!(!matches("2 in = 2 out", "2 in = 2 off", true));
    }
}
