//! Tags in one text: `site=graz;line=2`. A backslash takes the meaning from the character behind it.

/// The pairs of a text; of a key that comes twice the last wins. `None` if a part is no pair, or there are more than
/// `most`.
pub(crate) fn parse(text: &[u8], most: usize) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut tags: Vec<(String, String)> = Vec::new();
    let (mut key, mut part, mut escaped) = (None, String::new(), false);
    // A semicolon behind the last pair ends it as one between two does.
    for char in text.chars().chain((!text.is_empty()).then_some(';')) {
        match char {
            _ if escaped => {
                part.push(char);
                escaped = false;
            }
            '\\' => escaped = true,
            '=' if key.is_none() => key = Some(std::mem::take(&mut part)),
            ';' => {
                let key = key.take().filter(|key| !key.is_empty())?;
                tags.retain(|(earlier, _)| *earlier != key);
                tags.push((key, std::mem::take(&mut part)));
            }
            _ => part.push(char),
        }
    }
    (key.is_none() && part.is_empty() && tags.len() <= most).then_some(tags)
}

/// Appends pairs as [`parse`] reads them.
pub(crate) fn write(tags: &[(&str, &str)], into: &mut String) {
    for (index, (key, value)) in tags.iter().enumerate() {
        if index > 0 {
            into.push(';');
        }
        escape(key, into);
        into.push('=');
        escape(value, into);
    }
}

fn escape(text: &str, into: &mut String) {
    for char in text.chars() {
        if matches!(char, '\\' | '=' | ';') {
            into.push('\\');
        }
        into.push(char);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_pair_is_refused() {
        for text in ["a", "=b", "a=b;c", "a=b;;c=d", "a=b\\", ";", "a=b;;"] {
            assert_eq!(parse(text.as_bytes(), 9), None, "{text}");
        }
        assert_eq!(parse(b"a=1;b=2", 1), None);
        assert_eq!(parse(b"", 9), Some(Vec::new()));
        assert_eq!(parse(b"a=b=c;a=d", 9), Some(vec![("a".to_owned(), "d".to_owned())]));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(tags in proptest::collection::btree_map("\\PC{1,5}|[=;\\\\a]{1,4}", any::<String>(), 0..5)) {
            let borrowed: Vec<(&str, &str)> = tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let mut text = String::new();
            write(&borrowed, &mut text);
            let mut back = parse(text.as_bytes(), 9).unwrap();
            back.sort();
            prop_assert_eq!(back, tags.into_iter().collect::<Vec<_>>());
        }
    }
}
