use super::*;
use cardcage_core::yaml::Brought;
use cardcage_plugin_api::schemars::{self, JsonSchema};
use serde_json::json;

#[expect(dead_code, reason = "only its schema is used")]
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Example {
    path: String,
    #[schemars(default)]
    min: Option<f64>,
    #[schemars(default)]
    count: u16,
    #[schemars(default)]
    mode: Mode,
    #[schemars(default)]
    to: Option<To>,
    #[schemars(default)]
    rotate: Option<Rotate>,
}

#[expect(dead_code, reason = "only its schema is used")]
#[derive(JsonSchema, Default)]
#[schemars(rename_all = "snake_case")]
enum Mode {
    /// Takes it out.
    #[default]
    Drop,
    /// Marks it.
    Flag,
}

#[expect(dead_code, reason = "only its schema is used")]
#[derive(JsonSchema)]
#[schemars(untagged)]
enum To {
    One(String),
    Each(BTreeMap<String, String>),
}

#[expect(dead_code, reason = "only its schema is used")]
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Rotate {
    keep: u32,
}

fn substituted<const N: usize>(texts: [(&str, &str); N]) -> BTreeMap<String, Substituted> {
    let one = |(setting, text): (&str, &str)| {
        let brought = vec![Brought { written: "${X}".to_owned(), text: text.to_owned() }];
        let substituted = Substituted { written: "${X}".to_owned(), text: text.to_owned(), brought };
        (setting.to_owned(), substituted)
    };
    texts.into_iter().map(one).collect()
}

/// A misfit as one line; a key in brackets is one that is marked.
fn told(misfit: Misfit) -> String {
    let Misfit { setting, about, message, help } = misfit;
    let place = if matches!(about, About::Key { .. }) { format!("[{setting}]") } else { setting };
    let help = help.map_or_else(String::new, |help| format!(" ({help})"));
    format!("{place}: {message}{help}")
}

fn problems(settings: &Value) -> Vec<String> {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Example>()
        .to_value();
    match fit(&schema, settings, &substituted([("path", "7.50")])) {
        Ok(_) => Vec::new(),
        Err(misfits) => misfits.into_iter().map(told).collect(),
    }
}

#[test]
fn settings_that_fit_pass() {
    for settings in [
        json!({"path": "x"}),
        json!({"path": "x", "min": -1, "count": 7, "mode": "flag", "to": "degF", "rotate": {"keep": 1}}),
        json!({"path": "x", "min": null, "to": {"temperature": "degF"}}),
    ] {
        assert_eq!(problems(&settings), Vec::<String>::new(), "{settings}");
    }
}

#[test]
fn each_misfit_names_the_setting_what_was_found_and_what_is_expected() {
    let cases = [
        (json!({}), "path: `path` is missing"),
        (json!({"path": "x", "mni": 1}), "[mni]: there is no setting `mni` (did you mean `min`?)"),
        (json!({"path": "x", "min": "cold"}), "min: the text `cold` was found; a number is expected"),
        (json!({"path": "x", "count": 1.5}), "count: `1.5` was found; a whole number is expected"),
        (json!({"path": "x", "count": 70000}), "count: `70000` was found; at most 65535 is expected"),
        (json!({"path": "x", "count": -1}), "count: `-1` was found; at least 0 is expected"),
        (
            json!({"path": "x", "mode": "flagg"}),
            "mode: the text `flagg` was found; `drop` or `flag` is expected (did you mean `flag`?)",
        ),
        (
            json!({"path": "x", "to": 3}),
            "to: `3` was found; text or a mapping is expected (put quotes around it: `\"3\"`)",
        ),
        (
            json!({"path": "x", "to": {"temperature": 1}}),
            "to.temperature: `1` was found; text is expected (put quotes around it: `\"1\"`)",
        ),
        (json!({"path": "x", "rotate": {}}), "rotate.keep: `keep` is missing"),
        (
            json!({"path": "x", "rotate": {"keep": 1, "kep": 2}}),
            "[rotate.kep]: there is no setting `kep` (did you mean `keep`?)",
        ),
    ];
    for (settings, expected) in cases {
        assert_eq!(problems(&settings), [expected], "{settings}");
    }
}

#[test]
fn all_problems_come_at_once() {
    assert_eq!(problems(&json!({"min": "x", "count": "y", "q": 1})).len(), 4);
}

#[test]
fn a_substituted_number_is_text_where_text_is_wanted() {
    assert_eq!(problems(&json!({"path": 7.5})), Vec::<String>::new());
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let schema = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}});
    assert!(fit(&schema, &json!({}), &BTreeMap::new()).is_ok());
}

#[test]
fn alternatives_that_refer_to_each_other_end() {
    let both = json!([{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]);
    let schema = json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": both, "properties": {"a": {"$ref": "#/$defs/a"}}}}});
    assert!(fit(&schema, &json!({"a": {"a": 1}}), &substituted([("a.a", "1")])).is_ok());
}

#[test]
fn the_alternative_that_was_meant_explains_itself() {
    let schema = json!({
        "$defs": {
            "Rate": {"type": "integer", "minimum": 1},
            "Mode": {"oneOf": [{"const": "fast"}, {"enum": ["slow", "steady"]}]},
            "At": {"type": "object", "additionalProperties": false, "properties": {"rate": {"$ref": "#/$defs/Rate"}}},
        },
        "properties": {
            "rate": {"anyOf": [{"$ref": "#/$defs/Rate"}, {"type": "null"}]},
            "mode": {"anyOf": [{"$ref": "#/$defs/Mode"}, {"type": "null"}]},
            "either": {"anyOf": [{"$ref": "#/$defs/Mode"}, {"$ref": "#/$defs/At"}]},
            "deep": {"anyOf": [{"anyOf": [{"$ref": "#/$defs/Rate"}, {"const": "auto"}]}, {"type": "null"}]},
        },
    });
    let misfit = |settings: Value| match fit(&schema, &settings, &BTreeMap::new()) {
        Ok(_) => String::new(),
        Err(misfits) => misfits.into_iter().map(told).collect::<Vec<_>>().join("; "),
    };
    assert_eq!(misfit(json!({"rate": 0})), "rate: `0` was found; at least 1 is expected");
    assert_eq!(misfit(json!({"deep": 0})), "deep: `0` was found; at least 1 is expected");
    assert_eq!(misfit(json!({"rate": "3"})), "rate: the text `3` was found; a whole number is expected");
    assert_eq!(
        misfit(json!({"mode": "steadi"})),
        "mode: the text `steadi` was found; `fast`, `slow` or `steady` is expected (did you mean `steady`?)"
    );
    assert_eq!(
        misfit(json!({"either": {"rte": 1}})),
        "[either.rte]: there is no setting `rte` (did you mean `rate`?)"
    );
    assert_eq!(
        misfit(json!({"either": 1})),
        "either: `1` was found; a mapping or `fast` or `slow` or `steady` is expected"
    );
}

#[test]
fn numbers_beyond_what_the_type_holds_are_refused() {
    let schema = json!({"properties": {
        "small": {"type": "integer", "format": "uint32", "minimum": 0},
        "start": {"type": "integer", "format": "int64"},
        "count": {"type": ["integer", "null"], "format": "uint64", "minimum": 0},
        "any": {"type": "number"},
    }});
    let misfit = |text: &str| {
        let settings: Value = serde_json::from_str(text).expect("JSON");
        match fit(&schema, &settings, &BTreeMap::new()) {
            Ok(_) => String::new(),
            Err(misfits) => misfits.into_iter().map(told).collect::<Vec<_>>().join("; "),
        }
    };
    assert_eq!(
        misfit(r#"{"small": 4294967295, "start": -9223372036854775808, "count": 18446744073709551615}"#),
        ""
    );
    assert_eq!(
        misfit(r#"{"small": 4294967296}"#),
        "small: `4294967296` was found; at most 4294967295 is expected"
    );
    assert_eq!(
        misfit(r#"{"start": 9223372036854775808}"#),
        "start: `9223372036854775808` was found; at most 9223372036854775807 is expected"
    );
    assert_eq!(misfit(r#"{"count": -1}"#), "count: `-1` was found; at least 0 is expected");
    assert_eq!(
        misfit(r#"{"count": 18446744073709551616}"#),
        "count: `1.8446744073709552e+19` was found; a whole number from 0 to 18446744073709551615 is expected"
    );
    assert_eq!(
        misfit(r#"{"count": 3.0}"#),
        "count: `3.0` was found; a whole number without a point or exponent is expected (write `3`)"
    );
    assert_eq!(misfit(r#"{"any": 18446744073709551616}"#), "");
    // What YAML makes of it.
    assert_eq!(
        misfit(r#"{"start": "99999999999999999999"}"#),
        "start: the text `99999999999999999999` was found; a whole number from -9223372036854775808 to \
         9223372036854775807 is expected"
    );
}

#[test]
fn text_is_checked_against_its_pattern_and_shown_with_examples() {
    let schema = json!({"properties": {
        "every": {"type": "string", "pattern": "^\\d+(ms|s)$", "examples": ["250ms", "1s"]},
        "bare": {"type": "string", "pattern": "^a+$"},
        "odd": {"type": "string", "pattern": "(?=lookahead"},
    }});
    let fit = |settings: Value| fit(&schema, &settings, &substituted([("every", "hunter2")]));
    let told =
        |settings: Value| fit(settings).expect_err("does not fit").into_iter().map(told).collect::<Vec<_>>();
    assert!(fit(json!({"every": "20ms", "bare": "aa", "odd": "anything"})).is_ok());
    assert_eq!(
        told(json!({"bare": "b"})),
        ["bare: the text `b` was found; text that matches `^a+$` is expected"]
    );
    assert_eq!(
        told(json!({"every": "hunter2"})),
        ["every: what `${X}` stands for was found; something like `250ms`, `1s` is expected"]
    );
}

#[test]
fn what_may_be_a_secret_is_never_shown() {
    let schema = json!({"properties": {"a": {"type": "integer"}, "b": {"enum": ["hunter"]}, "c": {"type": "integer"}}});
    let settings = json!({"a": "hunter2", "b": "hunter2", "c": 1.5});
    let misfits = fit(&schema, &settings, &substituted([("a", "hunter2"), ("b", "hunter2"), ("c", "1.5")]));
    let text = misfits.expect_err("none fits").into_iter().map(told).collect::<Vec<_>>().join("\n");
    assert!(!text.contains("hunter2") && !text.contains("1.5") && !text.contains("did you mean"), "{text}");
    assert_eq!(text.matches("what `${X}` stands for").count(), 3);
    let masked = crate::loader::settings::masked("`hunter2` is no unit", &substituted([("a", "hunter2")]));
    assert_eq!(masked, "`${X}` is no unit");
}

#[test]
fn substituted_text_stays_a_number_where_a_number_may_stand() {
    let schema = json!({
        "$defs": {"Auth": {"properties": {"token": {"type": ["string", "null"]}}}},
        "properties": {
            "auth": {"anyOf": [{"$ref": "#/$defs/Auth"}, {"type": "null"}]},
            "paths": {"type": "array", "items": {"type": "string"}},
            "to": {"additionalProperties": {"type": "string"}},
            "either": {"oneOf": [{"type": "string"}, {"type": "number"}]},
            "port": {"type": "integer"},
        }
    });
    let at =
        |settings: Value, path: &str| fit(&schema, &settings, &substituted([(path, "1e5")])).expect("fits");
    assert_eq!(at(json!({"auth": {"token": 1e5}}), "auth.token"), json!({"auth": {"token": "1e5"}}));
    assert_eq!(at(json!({"paths": ["a", 1e5]}), "paths.1"), json!({"paths": ["a", "1e5"]}));
    assert_eq!(at(json!({"to": {"a": 1e5}}), "to.a"), json!({"to": {"a": "1e5"}}));
    assert_eq!(at(json!({"either": 1e5}), "either"), json!({"either": 1e5}));
    assert_eq!(at(json!({"port": 80}), "port"), json!({"port": 80}));
}

#[test]
fn huge_texts_and_keys_are_cut_in_messages() {
    let schema = json!({"properties": {"n": {"type": "integer"}}, "additionalProperties": false});
    let huge = "x".repeat(1_000_000);
    let misfits =
        fit(&schema, &json!({"n": huge, huge.clone(): 1}), &BTreeMap::new()).expect_err("neither fits");
    assert!(misfits.iter().all(|misfit| misfit.message.len() < 200), "{misfits:?}");
}
