//! YAML: types, places, bounds, and that no text makes it panic.

use crate::pipeline::{FILE, parse};
use cardcage_core::codes;
use cardcage_core::diagnostic::{Code, Diagnostics};
use cardcage_core::yaml::{self, Node, Typed, Value};
use proptest::prelude::*;
use std::fmt::Write as _;

fn read(text: &str) -> (Option<Node>, Vec<Code>) {
    let mut problems = Diagnostics::new();
    let node = yaml::parse(FILE, text, &mut problems);
    (node, problems.iter().map(|problem| problem.code).collect())
}

/// The tree as `serde_yaml` would have it.
fn untyped(node: &Node) -> serde_yaml::Value {
    match &node.value {
        Value::Scalar(scalar) => match scalar.typed {
            Typed::Null => serde_yaml::Value::Null,
            Typed::Bool(value) => value.into(),
            Typed::Integer(value) => value.into(),
            Typed::Unsigned(value) => value.into(),
            Typed::Float(value) => value.into(),
            Typed::Text => scalar.text.clone().into(),
        },
        Value::Sequence(items) => items.iter().map(untyped).collect(),
        Value::Mapping(entries) => {
            let entries = entries.iter().map(|entry| (yaml::type_of(&entry.key), entry));
            let entries =
                entries.map(|(_, entry)| (serde_yaml::Value::from(entry.key.clone()), untyped(&entry.node)));
            serde_yaml::Value::Mapping(entries.collect())
        }
    }
}

#[test]
fn plain_scalars_have_the_type_that_serde_yaml_gives_them() {
    for text in [
        "~",
        "null",
        "Null",
        "nULL",
        "true",
        "True",
        "yes",
        "on",
        "1",
        "-1",
        "+1",
        "007",
        "0x1F",
        "0o17",
        "0b11",
        "1_000",
        "1e3",
        "1.",
        ".5",
        "-.5",
        ".inf",
        "-.inf",
        ".nan",
        ".NaN",
        "1e",
        "e1",
        "1.2.3",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "1700000000000000000",
        "12:30",
        "---a",
        "---",
        "...",
        "-",
        "+",
        ".",
        "..",
        "a b",
        "0.1",
        "1e400",
        "-0",
        "0x",
        "nan",
        "inf",
        "2024-01-01",
    ] {
        let (node, problems) = read(&format!("a: {text}\n"));
        let expected: Result<serde_yaml::Value, _> = serde_yaml::from_str(&format!("a: {text}\n"));
        let Ok(expected) = expected else {
            // No YAML at all, or a number beyond `u64`: text, so that whoever reads it can say what is wrong.
            match node {
                Some(node) => assert_eq!(untyped(&node)["a"], serde_yaml::Value::from(text)),
                None => assert_eq!(problems, [codes::SYNTAX], "{text}"),
            }
            continue;
        };
        let node = node.expect("is YAML");
        // NaN is not equal to itself.
        assert_eq!(format!("{:?}", untyped(&node)), format!("{expected:?}"), "{text}");
    }
}

#[test]
fn quoted_and_block_scalars_are_text() {
    let (node, problems) = read("a: ['1', \"true\", 'null']\nb: |\n  7\n");
    assert_eq!(problems, []);
    let expected: serde_yaml::Value =
        serde_yaml::from_str("a: ['1', \"true\", 'null']\nb: |\n  7\n").expect("is YAML");
    assert_eq!(untyped(&node.expect("is YAML")), expected);
}

#[test]
fn places_count_characters_from_one() {
    let (node, _) = read("grüße: { 'k€y': wert }\nlist:\n  - a\n  - >\n    folded\n    text\n");
    let Some(Node { value: Value::Mapping(top), .. }) = node else {
        panic!("a mapping");
    };
    let place = |span: yaml::Span| (span.line, span.column, span.end_column);
    assert_eq!(place(top[0].span), (1, 1, 6));
    let Value::Mapping(inner) = &top[0].node.value else {
        panic!("a mapping");
    };
    assert_eq!(place(inner[0].span), (1, 10, 15), "with its quotes");
    assert_eq!(place(inner[0].node.span), (1, 17, 21));
    let Value::Sequence(items) = &top[1].node.value else {
        panic!("a list");
    };
    assert_eq!(place(items[0].span), (3, 5, 6));
    assert_eq!((items[1].span.line, items[1].span.column), (5, 5), "a block begins with its text");
}

#[test]
fn each_duplicate_key_is_reported_at_every_level() {
    let text = "a: 1\nb: { x: 1, x: 2 }\na: 2\nc: [{ y: 1, 'y': 2, y: 3 }]\n";
    let (node, problems) = read(text);
    assert_eq!(problems, [codes::DUPLICATE_KEY; 4]);
    assert!(node.is_some(), "the rest can be checked");
}

#[test]
fn an_alias_stands_for_its_anchor_and_a_bomb_is_refused() {
    let (node, problems) = read("a: &x { k: [1] }\nb: *x\n");
    assert_eq!(problems, []);
    let expected: serde_yaml::Value = serde_yaml::from_str("a: { k: [1] }\nb: { k: [1] }").expect("is YAML");
    assert_eq!(untyped(&node.expect("is YAML")), expected);

    let mut bomb = String::from("a0: &a0 lol\n");
    for level in 1..40 {
        let below = level - 1;
        let _ = writeln!(bomb, "a{level}: &a{level} [*a{below}, *a{below}, *a{below}, *a{below}]");
    }
    assert_eq!(read(&bomb), (None, vec![codes::TOO_LARGE]));
}

#[test]
fn aliases_of_a_long_text_are_refused() {
    let text = format!("a: &x {}\nb: [*x, *x, *x]\n", "long ".repeat(yaml::ALIASED_MAX_BYTES / 15));
    assert_eq!(read(&text), (None, vec![codes::TOO_LARGE]));
}

#[test]
fn nested_anchors_do_not_multiply_the_tree() {
    let open: String = (0..60).fold(String::new(), |mut text, level| {
        let _ = write!(text, "&a{level} [");
        text
    });
    let text = format!("{open}{}{}", "'0123456789',".repeat(40_000), "]".repeat(60));
    assert_eq!(read(&text), (None, vec![codes::TOO_LARGE]));
}

#[test]
fn what_is_too_large_or_too_deep_is_refused() {
    assert_eq!(read(&"x".repeat(yaml::TEXT_MAX_BYTES + 1)), (None, vec![codes::TOO_LARGE]));
    assert_eq!(read(&"[".repeat(100_000)), (None, vec![codes::TOO_LARGE]));
    assert_eq!(read(&"- ".repeat(100_000)), (None, vec![codes::TOO_LARGE]));
    assert_eq!(read(&format!("[{}]", "1,".repeat(yaml::NODES_MAX + 1))), (None, vec![codes::TOO_LARGE]));
}

#[test]
fn a_tab_as_indentation_says_so() {
    let mut problems = Diagnostics::new();
    yaml::parse(FILE, "a:\n\tb: 1\n", &mut problems);
    let help = problems.iter().find_map(|problem| problem.help.clone());
    assert_eq!(help.as_deref(), Some("indent with spaces: YAML takes no tabs there"), "{problems}");
}

const SEED: &str = "
version: 1
plugins: { directories: [target/release], trust: { sha256: [] } }
limits: { sensors: 10, memory: 64MiB }
sources:
  host: &h { plugin: host, settings: { every: 1s, list: [a, 'b', \"c\\n\"] } }
stages:
  plausible:
    plugin: range/x@1.0.0
    inputs: [host, \"host.dropped\"]
    settings: { min: -50, max: 1e12, secret: \"${credential:token}\" }
    tags: { a: |
      block
      }
sinks:
  archive: { plugin: file, inputs: [plausible], settings: *h }
";

/// Pieces that mean something in YAML or in a config, to put where they don't belong.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "{", "}", "[", "]", ":", ": ", "- ", ",", "'", "\"", "&a ", "*a", "*h", "<<: ", "? ", "!", "!!", "|",
        ">", "%", "@", "`", "#", " #", "\n", "\r", "\t", "\0", "---\n", "...\n", "${", "}", "${ROOM}",
        "${file:", "~", "\u{feff}", "\u{85}", "\u{2028}", "🦀", "é", "\\x", "1e999", ".nan", "\n  ", "  ",
    ];
    prop_oneof![
        proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn random_pieces_never_panic(pieces in proptest::collection::vec(piece(), 0..60)) {
        let _ = parse(&pieces.concat());
    }

    #[test]
    fn a_mutated_config_never_panics(
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), 0_usize..6, piece()), 1..8)
    ) {
        let mut chars: Vec<char> = SEED.chars().collect();
        for (at, remove, piece) in edits {
            let at = at.index(chars.len());
            let end = (at + remove).min(chars.len());
            chars.splice(at..end, piece.chars());
        }
        let text: String = chars.into_iter().collect();
        if let Err(problems) = parse(&text) {
            prop_assert!(problems.has_errors());
            let _ = problems.render();
        }
    }

    /// What both libraries take, they read alike.
    #[test]
    fn the_tree_is_what_serde_yaml_reads(value in value()) {
        let text = serde_yaml::to_string(&value).expect("is YAML");
        let (node, problems) = read(&text);
        prop_assert_eq!(problems, vec![]);
        let again: serde_yaml::Value = serde_yaml::from_str(&text).expect("is YAML");
        prop_assert_eq!(untyped(&node.expect("is YAML")), again);
    }
}

fn value() -> impl Strategy<Value = serde_yaml::Value> {
    let scalar = prop_oneof![
        Just(serde_yaml::Value::Null),
        any::<bool>().prop_map(serde_yaml::Value::from),
        any::<i64>().prop_map(serde_yaml::Value::from),
        any::<u64>().prop_map(serde_yaml::Value::from),
        (-1e300..1e300_f64).prop_map(serde_yaml::Value::from),
        "[ -~\n]{0,20}".prop_map(serde_yaml::Value::from),
        "[a-z0-9.+-]{1,6}".prop_map(serde_yaml::Value::from),
    ];
    scalar.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(serde_yaml::Value::Sequence),
            proptest::collection::btree_map("[a-z][a-z_]{0,8}", inner, 0..5).prop_map(|entries| {
                let entries = entries.into_iter().map(|(key, value)| (serde_yaml::Value::from(key), value));
                serde_yaml::Value::Mapping(entries.collect())
            }),
        ]
    })
}
