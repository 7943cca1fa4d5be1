//! A typo in every key and name of the default `pipeline.yaml`, one by one and all together: each is refused, at exactly
//! its place, with the spelling that was meant.

#![forbid(unsafe_code)]

use e2e::checkout::{PLUGINS, checkout};
use e2e::{Pipeline, plugin};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;

/// What a word of the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A key of Cardcage or of a plugin's settings.
    Key,
    /// A plugin, unit or component that is referred to.
    Value,
    /// A component's own name, that something else refers to.
    Defined,
    /// A component's own name that nothing refers to: any spelling is as good.
    Free,
}

/// A word of the file and where it stands; lines and columns count from 1.
#[derive(Clone, Debug)]
struct Word {
    text: String,
    role: Role,
    line: usize,
    column: usize,
}

/// Typos that are no mistakes: what they make is as good as what stood there.
const GOOD_TYPOS: [(&str, &str); 1] = [("MiB", "MB")];

/// Where the program does not do what this suite wants: the word, the typo, and what is wrong. Must be empty in the end.
const KNOWN_FAULTS: &[(&str, &str, &str)] = &[];

/// Keys whose typo hides typos below them, and so are left out when all others are misspelt together. Must be empty in
/// the end.
const HIDING: &[&str] = &[];

/// What the default pipeline uses: reading other plugins again and again only costs time.
const USED: [&str; 5] = ["source_host", "stage_range", "stage_convert", "sink_file", "sink_stdout"];

/// All words of a file but paths, numbers, durations and comments.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or(line);
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_./${}:-".contains(c);
        let mut start = 0;
        for part in code.split_inclusive(|c: char| !is_part(c)) {
            let bare = part.trim_end_matches(|c: char| !is_part(c));
            let key = bare.strip_suffix(':');
            let word = key.unwrap_or(bare);
            if word.starts_with(|c: char| c.is_ascii_alphabetic()) && !word.contains(['/', '.', '$']) {
                let role = role(word, key.is_some(), start);
                words.push(Word { text: word.to_owned(), role, line: index + 1, column: start + 1 });
            }
            start += part.len();
        }
    }
    words
}

/// Components are what stands indented by two, as a key.
fn role(word: &str, is_key: bool, indent: usize) -> Role {
    match (is_key, indent, word) {
        (false, ..) => Role::Value,
        (true, 2, "archive" | "terminal") => Role::Free,
        (true, 2, "directories") => Role::Key,
        (true, 2, _) => Role::Defined,
        (true, ..) => Role::Key,
    }
}

/// The second letter left out, swapped with the third, and doubled.
fn typos(word: &str) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    let mut without = letters.clone();
    without.remove(1);
    let mut doubled = letters.clone();
    doubled.insert(1, letters[1]);
    let mut swapped = letters.clone();
    swapped.swap(letters.len().min(3) - 2, letters.len().min(3) - 1);
    let all: BTreeSet<String> =
        [without, doubled, swapped].iter().map(|typo| typo.iter().collect()).collect();
    all.into_iter().filter(|typo| typo != word && !GOOD_TYPOS.contains(&(word, typo))).collect()
}

/// The text with some words replaced; places of words that stand behind on the same line move.
fn with(text: &str, replaced: &[(&Word, &str)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (word, typo) in replaced.iter().rev() {
        let start = word.column - 1;
        lines[word.line - 1].replace_range(start..start + word.text.len(), typo);
    }
    lines.join("\n") + "\n"
}

struct Original {
    checkout: Pipeline,
    text: String,
    words: Vec<Word>,
}

/// A built clone in which every plugin was vetted once.
fn original() -> Original {
    let checkout = checkout();
    let text = fs::read_to_string(checkout.path("pipeline.yaml")).expect("there is a default pipeline");
    fs::create_dir(checkout.path(".cardcage")).expect("made");
    for unused in PLUGINS.iter().filter(|name| !USED.contains(name)) {
        let name = plugin(unused).file_name().expect("a library has a name");
        fs::remove_file(checkout.path("target/release").join(name)).expect("removed");
    }
    let words = words(&text);
    let original = Original { checkout, text, words };
    let good = original.check(&original.text);
    assert_eq!(good["ok"], true, "{good}");
    assert!(original.words.len() > 30, "{:?}", original.words);
    original
}

impl Original {
    fn check(&self, text: &str) -> Value {
        fs::write(self.checkout.path("pipeline.yaml"), text).expect("written");
        let mut command = self.checkout.command(&["check", "--format", "json"]);
        command.env_remove("CARGO_TARGET_DIR");
        self.checkout.spawn(command).finish().json()
    }
}

/// Whether a problem is an error at exactly this place and proposes this word.
fn is_meant(problem: &Value, line: usize, column: usize, length: usize, meant: &str) -> bool {
    let place = &problem["location"];
    // What a plugin has against its settings is one sentence, with the proposal in it.
    let says = |key: &str| {
        problem[key].as_str().is_some_and(|text| text.contains(&format!("did you mean `{meant}`?")))
    };
    problem["severity"] == "error"
        && place["line"] == line
        && place["column"] == column
        && place["end_column"] == column + length
        && (says("help") || says("message"))
}

fn problems(checked: &Value) -> &[Value] {
    checked["problems"].as_array().expect("a list")
}

/// What is wrong with the answer to a typo, if anything is.
fn fault(original: &Original, word: &Word, typo: &str) -> Option<String> {
    let checked = original.check(&with(&original.text, &[(word, typo)]));
    let found = problems(&checked);
    let right = match word.role {
        Role::Key | Role::Value => {
            found.iter().any(|problem| is_meant(problem, word.line, word.column, typo.len(), &word.text))
        }
        // The name is as good as any other; what refers to it now names nothing, and the new name is proposed there.
        Role::Defined => {
            let mut references = original
                .words
                .iter()
                .filter(|other| other.role == Role::Value && refers(&original.text, other, word));
            references.all(|at| {
                found.iter().any(|problem| is_meant(problem, at.line, at.column, word.text.len(), typo))
            })
        }
        Role::Free => {
            return (checked["ok"] != true).then(|| format!("{typo} for {word:?} is refused: {checked}"));
        }
    };
    (!right || checked["ok"] == true).then(|| format!("{typo} for {word:?}: {checked:#}"))
}

/// Whether a word is this component's name in the `inputs` of another.
fn refers(text: &str, word: &Word, defined: &Word) -> bool {
    let line = text.lines().nth(word.line - 1).unwrap_or_default();
    word.text == defined.text && line.trim_start().starts_with("inputs:")
}

/// Each word with its typos; a word that stands in the file several times gets all of them only once.
fn all_typos(original: &Original) -> Vec<(&Word, String)> {
    let mut seen: BTreeMap<(&str, bool), usize> = BTreeMap::new();
    let mut all = Vec::new();
    for word in &original.words {
        let typos = typos(&word.text);
        let times = seen.entry((&word.text, word.role == Role::Key)).or_default();
        let again = (*times > 0).then(|| typos[*times % typos.len()].clone());
        *times += 1;
        let these = again.map_or(typos, |one| vec![one]);
        all.extend(these.into_iter().map(|typo| (word, typo)));
    }
    all
}

#[test]
fn every_typo_is_found_at_its_place_with_what_was_meant() {
    let originals = [original(), original()];
    let typos = all_typos(&originals[0]);
    // Two at a time: most of it is waiting for the program.
    let halves: [Vec<_>; 2] = [0, 1].map(|half| typos.iter().skip(half).step_by(2).collect());
    let faults: Vec<(&Word, &str, Option<String>)> = thread::scope(|scope| {
        let threads = originals.iter().zip(&halves).map(|(original, half)| {
            let each = half.iter().map(|(word, typo)| (*word, typo.as_str(), fault(original, word, typo)));
            scope.spawn(move || each.collect::<Vec<_>>())
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let known = |word: &Word, typo: &str| {
        KNOWN_FAULTS.iter().any(|(of, as_typo, _)| *of == word.text && *as_typo == typo)
    };
    let new: Vec<&str> = faults
        .iter()
        .filter(|(word, typo, _)| !known(word, typo))
        .filter_map(|(.., fault)| fault.as_deref())
        .collect();
    assert!(new.is_empty(), "{} of {} typos:\n{}", new.len(), typos.len(), new.join("\n"));
    let fixed: Vec<&str> = faults
        .iter()
        .filter(|(word, typo, fault)| known(word, typo) && fault.is_none())
        .map(|(_, typo, _)| *typo)
        .collect();
    assert!(fixed.is_empty(), "no fault any more, so no exception either: {fixed:?}");
}

/// Misspells these keys all at once, and says which of the typos were not found.
fn missed(original: &Original, misspelt: impl Fn(&Word) -> bool) -> Vec<String> {
    let keys = original.words.iter().filter(|word| word.role == Role::Key && misspelt(word));
    let replaced: Vec<(&Word, String)> = keys.map(|word| (word, typos(&word.text).remove(0))).collect();
    let replaced: Vec<(&Word, &str)> = replaced.iter().map(|(word, typo)| (*word, typo.as_str())).collect();
    assert!(!replaced.is_empty(), "there are no such keys");
    let checked = original.check(&with(&original.text, &replaced));
    let found = |at: usize, word: &Word, typo: &str| {
        // What stands before it on its line has moved it.
        let before = || replaced[..at].iter().filter(|(other, _)| other.line == word.line);
        let longer: usize = before().map(|(_, typo)| typo.len()).sum();
        let shorter: usize = before().map(|(other, _)| other.text.len()).sum();
        let column = word.column + longer - shorter;
        problems(&checked).iter().any(|problem| is_meant(problem, word.line, column, typo.len(), &word.text))
    };
    let missed = replaced.iter().enumerate().filter(|(at, (word, typo))| !found(*at, word, typo));
    missed.map(|(_, (word, typo))| format!("`{typo}` for `{}` in line {}", word.text, word.line)).collect()
}

#[test]
fn typos_in_all_keys_of_one_level_are_found_all_at_once() {
    const LEVELS: [&[&str]; 3] = [
        &["version", "plugins", "state_directory", "sources", "stages", "sinks"],
        &["directories", "plugin", "inputs", "settings"],
        &["every", "min", "max", "to", "path"],
    ];
    let original = original();
    for level in LEVELS {
        let missed = missed(&original, |word| level.contains(&word.text.as_str()));
        assert_eq!(missed, Vec::<String>::new(), "{level:?}");
    }
}

#[test]
fn typos_in_all_keys_are_found_all_at_once() {
    let missed = missed(&original(), |word| !HIDING.contains(&word.text.as_str()));
    assert_eq!(missed, Vec::<String>::new());
}

#[test]
fn a_key_that_hides_no_other_is_no_exception() {
    let original = original();
    for key in HIDING {
        let missed = missed(&original, |word| word.text == *key || !HIDING.contains(&word.text.as_str()));
        assert!(!missed.is_empty(), "`{key}` hides nothing any more");
    }
}
