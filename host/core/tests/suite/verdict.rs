//! Remembered verdicts: what was written is read again, and nothing else is.

use cardcage_core::verdict::{ComponentVerdict, Probed, Rung, Sample, Sandbox, Verdict, entry, remembered};
use cardcage_plugin_api::describe::Description;
use cardcage_plugin_api::manifest::Kind;
use proptest::prelude::*;
use serde_json::{Value, json};

const KEY: &str = "0af1";

fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has finite numbers only", |x| x.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn components() -> impl Strategy<Value = ComponentVerdict> {
    let kinds = prop_oneof![Just(Kind::Source), Just(Kind::Stage), Just(Kind::Sink)];
    let probes = prop_oneof![
        any::<u32>().prop_map(|calls| Probed::Passed { calls }),
        any::<String>().prop_map(|reason| Probed::NotProbed { reason }),
    ];
    let samples = prop::option::of(schemas().prop_map(|settings| Sample {
        settings,
        description: Description::stage().drops("late").port("late"),
    }));
    (kinds, any::<String>(), schemas(), samples, probes).prop_map(|(kind, name, schema, sample, probe)| {
        ComponentVerdict { kind, name, schema, sample, probe }
    })
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    let sandboxes =
        (any::<Option<u8>>(), any::<bool>()).prop_map(|(landlock, seccomp)| Sandbox { landlock, seccomp });
    let rungs = prop::collection::vec((prop::sample::select(&Rung::OF_A_PLUGIN), any::<u64>()), 0..8);
    (sandboxes, prop::collection::vec(components(), 0..4), rungs)
        .prop_map(|(sandbox, components, rungs)| Verdict { sandbox, components, rungs })
}

fn some() -> Verdict {
    Verdict {
        sandbox: Sandbox { landlock: Some(7), seccomp: true },
        components: vec![ComponentVerdict {
            kind: Kind::Stage,
            name: "rate".to_owned(),
            schema: json!({ "type": "object", "properties": { "per": { "type": "string" } } }),
            sample: Some(Sample { settings: json!({ "per": "1s" }), description: Description::stage() }),
            probe: Probed::Passed { calls: 212 },
        }],
        rungs: vec![(Rung::Open, 900), (Rung::Probe, 2_100)],
    }
}

proptest! {
    #[test]
    fn a_verdict_is_read_as_it_was_written(verdict in verdicts()) {
        let bytes = entry(KEY, &verdict).unwrap();
        prop_assert_eq!(remembered(KEY, &bytes), Some(verdict));
    }

    #[test]
    fn any_bytes_are_a_verdict_or_none_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert_eq!(remembered(KEY, &bytes), None);
    }

    /// What a program of another format wrote, whose hash is right.
    #[test]
    fn a_whole_entry_with_anything_in_it_is_no_panic(body in "\\PC*") {
        let hash = blake3::hash(format!("{KEY}{body}").as_bytes());
        let bytes = format!("cardcage-verdict 2 {KEY} {}\n{body}", hash.to_hex());
        prop_assert_eq!(remembered(KEY, bytes.as_bytes()), None);
    }

    #[test]
    fn whatever_is_changed_in_an_entry_makes_it_none(
        verdict in verdicts(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        how in 0..4_u8,
    ) {
        let whole = entry(KEY, &verdict).unwrap();
        let at = place.index(whole.len());
        let mut bytes = whole.clone();
        match how {
            0 => bytes[at] = byte,
            1 => bytes.truncate(at),
            2 => bytes.insert(at, byte),
            _ => { bytes.remove(at); }
        }
        let expected = (bytes == whole).then_some(verdict);
        prop_assert_eq!(remembered(KEY, &bytes), expected);
    }

    #[test]
    fn an_entry_of_another_key_is_none(key in "[0-9a-f]{4}") {
        let bytes = entry(KEY, &some()).unwrap();
        prop_assert_eq!(remembered(&key, &bytes).is_some(), key == KEY);
    }
}

#[test]
fn every_single_bit_and_every_length_counts() {
    let whole = entry(KEY, &some()).unwrap();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            assert_eq!(remembered(KEY, &bytes), None, "bit {bit} of byte {at}");
        }
        assert_eq!(remembered(KEY, &whole[..at]), None, "cut at {at}");
    }
    assert_eq!(remembered(KEY, &whole), Some(some()));
}

#[test]
fn an_entry_of_more_than_its_bound_is_none() {
    let mut verdict = some();
    verdict.components[0].schema = json!("x".repeat(cardcage_core::verdict::ENTRY_MAX_BYTES));
    let bytes = entry(KEY, &verdict).unwrap();
    assert_eq!(remembered(KEY, &bytes), None);
}
