use super::*;
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
    Each(std::collections::BTreeMap<String, String>),
}

#[expect(dead_code, reason = "only its schema is used")]
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Rotate {
    keep: u32,
}

fn problems(settings: &Value) -> Vec<String> {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Example>()
        .to_value();
    match fit(&schema, settings, &|at| (at == "path").then(|| "7.50".to_owned())) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|p| format!("{}: {}", p.setting, p.message)).collect(),
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
        (json!({"path": "x", "mni": 1}), "mni: unknown setting `mni`; did you mean `min`?"),
        (json!({"path": "x", "min": "cold"}), "min: the text `cold` was found; a number is expected"),
        (json!({"path": "x", "count": 1.5}), "count: `1.5` was found; a whole number is expected"),
        (json!({"path": "x", "count": 70000}), "count: 70000 was found; at most 65535 is expected"),
        (json!({"path": "x", "count": -1}), "count: -1 was found; at least 0 is expected"),
        (
            json!({"path": "x", "mode": "flagg"}),
            "mode: the text `flagg` was found; `drop`, `flag` is expected; did you mean `flag`?",
        ),
        (json!({"path": "x", "to": 3}), "to: `3` was found; text or a mapping is expected"),
        (json!({"path": "x", "to": {"temperature": 1}}), "to.temperature: `1` was found; text is expected"),
        (json!({"path": "x", "rotate": {}}), "rotate.keep: `keep` is missing"),
        (
            json!({"path": "x", "rotate": {"keep": 1, "kep": 2}}),
            "rotate.kep: unknown setting `kep`; did you mean `keep`?",
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
    assert!(fit(&schema, &json!({}), &|_| None).is_ok());
}
