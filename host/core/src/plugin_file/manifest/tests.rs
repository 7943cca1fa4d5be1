//! What a manifest may say, and the code of each lie and slip.

use super::*;
use serde_json::{Value, json};

struct Here;

impl System for Here {
    fn machine(&self) -> object::elf::Machine {
        object::elf::EM_X86_64
    }
    fn architecture(&self) -> &'static str {
        "x86_64"
    }
    fn has_feature(&self, name: &str) -> Option<bool> {
        Some(name == "sse2")
    }
    fn lacks(&mut self, _: &str, _: &str) -> Option<String> {
        None
    }
}

fn good() -> Value {
    json!({
        "manifest": 1, "name": "x", "version": "1.0.0", "abi": 1,
        "build": {"panic": "unwind", "arch": "x86_64", "features": "", "api": "0.1.0"},
        "description": "",
        "components": [{
            "kind": "stage", "name": "x", "description": "", "probe": {"settings": {}},
            "permissions": {}, "capabilities": {}, "metrics": [],
        }],
    })
}

fn read_bytes(notes: &[&[u8]]) -> Result<Manifest, Fault> {
    let notes = notes.iter().map(|note| note.to_vec()).collect();
    read_manifest(&Image { notes, ..Image::default() }, &Here)
}

fn read_note(manifest: &Value) -> Result<Manifest, Fault> {
    read_bytes(&[&serde_json::to_vec(manifest).unwrap()])
}

#[test]
fn a_good_manifest_passes() {
    assert_eq!(read_note(&good()).unwrap().name, "x");
}

#[test]
fn each_lie_and_each_slip_has_its_own_code() {
    let two = json!({"kind": "stage", "name": "x", "probe": {"settings": {}}});
    let cases = [
        ("/manifest", json!(2), "format"),
        ("/abi", json!(2), "abi-version"),
        ("/name", json!("../x"), "ill-formed"),
        ("/name", json!(7), "malformed"),
        ("/version", json!("1.0"), "ill-formed"),
        ("/version", json!("+1.0.0"), "ill-formed"),
        ("/version", json!("1.00.0"), "ill-formed"),
        ("/version", json!("1.0.0.0"), "ill-formed"),
        ("/version", json!("1.0.4294967296"), "ill-formed"),
        ("/build/panic", json!("abort"), "panic-strategy"),
        ("/build/arch", json!("vax"), "architecture"),
        ("/build/features", json!("sse2 warp9"), "cpu-features"),
        ("/components", json!([]), "ill-formed"),
        ("/components", json!([two, two]), "ill-formed"),
        ("/components/0/probe", json!({"none": " "}), "ill-formed"),
        ("/components/0/probe", json!({"settings": 1}), "ill-formed"),
        ("/components/0/probe", json!({"none": "\u{1b}[2J"}), "ill-formed"),
        ("/components/0/probe", json!({"none": "x".repeat(5000)}), "ill-formed"),
        ("/components/0/permissions", json!({"read": ["etc/passwd"]}), "ill-formed"),
        ("/components/0/permissions", json!({"listen": ["0.0.0.0:99999"]}), "ill-formed"),
        ("/description", json!("a\u{202e}b"), "ill-formed"),
        ("/components/0/kind", json!("filter"), "malformed"),
        ("/components/0/kind", json!(1e300), "malformed"),
        ("/abi", json!(1e300), "malformed"),
        ("/description", json!("\u{1b}[31m"), "ill-formed"),
        ("/components/0/description", json!("x".repeat(5000)), "ill-formed"),
        ("/components/0/permissions", json!({"read": ["/a", "/a"]}), "ill-formed"),
        ("/components/0/permissions", json!({"fly": []}), "malformed"),
        ("/components/0/capabilities", json!({"threads": 65}), "ill-formed"),
        ("/components/0/metrics", json!([{"name": "A", "kind": "gauge"}]), "ill-formed"),
        (
            "/components/0/metrics",
            json!([{"name": "a", "kind": "gauge"}, {"name": "a", "kind": "counter"}]),
            "ill-formed",
        ),
        (
            "/components/0/metrics",
            json!([{"name": "a", "kind": "gauge", "min": 2.0, "max": 1.0}]),
            "ill-formed",
        ),
        ("/components/0/metrics", json!([{"name": "a", "kind": "gauge", "buckets": [1.0]}]), "ill-formed"),
        (
            "/components/0/metrics",
            json!([{"name": "a", "kind": "histogram", "buckets": [2.0, 2.0]}]),
            "ill-formed",
        ),
        (
            "/components/0/metrics",
            json!([{"name": "a", "kind": "histogram", "buckets": (0..65).collect::<Vec<_>>()}]),
            "ill-formed",
        ),
        (
            "/components/0/metrics",
            json!([{"name": "a", "kind": "histogram", "largest_step": 1.0}]),
            "ill-formed",
        ),
    ];
    for (at, value, code) in cases {
        let mut manifest = good();
        *manifest.pointer_mut(at).unwrap() = value.clone();
        let refusal = read_note(&manifest).expect_err(&format!("{at} = {value}"));
        assert_eq!(refusal.what, code, "{at} = {value}: {refusal:?}");
    }
}

#[test]
fn what_is_ill_formed_is_said_with_what_it_should_be() {
    let metric = |rules: Value| {
        let mut metric = json!({"name": "a", "kind": "gauge"});
        metric.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
        json!([metric])
    };
    let cases = [
        ("/description", json!("x".repeat(5000)), "a description of 5000 bytes", "at most 4096 bytes"),
        ("/version", json!("+1.0.0"), "version `+1.0.0`", "three numbers without leading zeros: `1.4.0`"),
        ("/components/0/capabilities", json!({"threads": 65}), "stage `x`: threads 65", "at most 64"),
        (
            "/components/0/metrics",
            metric(json!({"min": 5.0, "max": 1.0})),
            "stage `x`: metric `a`: `min` 5 and `max` 1",
            "a `max` that is not below `min`: no write could keep to both",
        ),
        (
            "/components/0/metrics",
            metric(json!({"kind": "histogram", "buckets": [1.5, 1.5]})),
            "stage `x`: metric `a`: the bucket 1.5 behind 1.5",
            "buckets that rise",
        ),
        (
            "/build/features",
            json!("warp9 sse2"),
            "code that uses warp9, which this CPU does not have",
            "code that this CPU can run",
        ),
    ];
    for (at, value, found, expected) in cases {
        let mut manifest = good();
        *manifest.pointer_mut(at).unwrap() = value;
        let fault = read_note(&manifest).unwrap_err();
        assert_eq!((fault.found.as_str(), fault.expected.as_str()), (found, expected));
    }
}

#[test]
fn an_unknown_key_in_a_newer_manifest_reads_as_newer() {
    let mut manifest = good();
    manifest["manifest"] = json!(9);
    manifest["signature"] = json!("abc");
    assert_eq!(read_note(&manifest).unwrap_err().what, "format");
    manifest["manifest"] = json!(1);
    assert_eq!(read_note(&manifest).unwrap_err().what, "malformed");
}

#[test]
fn the_note_is_there_once_and_is_bounded_text() {
    let note = serde_json::to_vec(&good()).unwrap();
    let large = vec![b' '; MANIFEST_MAX_BYTES + 1];
    let no_text = [&note[..], &[0xff]].concat();
    let trailing = [&note[..], b"}"].concat();
    let deep = [b"{\"manifest\":".as_slice(), "[".repeat(100_000).as_bytes()].concat();
    let twice = String::from_utf8(note.clone()).unwrap().replacen('{', "{\"abi\":1,", 1);
    let cases: [(&[&[u8]], &str); 8] = [
        (&[], "missing"),
        (&[&note, &note], "several"),
        (&[&large], "too-large"),
        (&[&no_text], "not-utf8"),
        (&[&trailing], "malformed"),
        (&[&deep], "malformed"),
        (&[twice.as_bytes()], "malformed"),
        (&[&note[..note.len() - 1]], "malformed"),
    ];
    for (notes, what) in cases {
        assert_eq!(read_bytes(notes).unwrap_err().what, what);
    }
}

#[test]
fn the_age_of_another_abi_is_said() {
    for (abi, age) in [(0, "older"), (2, "newer")] {
        let mut manifest = good();
        manifest["abi"] = json!(abi);
        let fault = read_note(&manifest).unwrap_err();
        assert!(fault.found.contains(age), "{fault:?}");
    }
}
