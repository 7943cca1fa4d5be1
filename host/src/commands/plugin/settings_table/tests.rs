use super::*;
use serde_json::json;

fn lines(schema: &Value) -> Vec<String> {
    let line = |row: &Row| {
        let words: Vec<String> =
            row.words.iter().map(|word| format!(" [{}: {}]", word.word, word.description)).collect();
        let examples: Vec<String> = row.examples.iter().map(|example| format!(" <{example}>")).collect();
        let Row { name, takes, default, description, .. } = row;
        format!("{name} ({takes}; {}) {description}{}{}", default.words(), words.concat(), examples.concat())
    };
    rows(schema).iter().map(line).collect()
}

#[test]
fn nested_settings_have_dotted_names_and_required_ones_come_first() {
    let schema = json!({
        "title": "Settings",
        "required": ["path"],
        "properties": {
            "keep": {"type": ["integer", "null"], "minimum": 1, "description": "How many."},
            "path": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}], "examples": ["a b", 1]},
            "rotate": {"anyOf": [{"$ref": "#/$defs/Rotate"}, {"type": "null"}], "description": "When a new\nfile is begun."},
            "sync": {"$ref": "#/$defs/Sync", "default": "commit"},
            "to": {"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}},
        },
        "$defs": {
            "Rotate": {"type": "object", "properties": {"size": {"type": "string", "examples": ["64MiB"], "default": "1MiB"}}},
            "Sync": {"description": "When.", "oneOf": [
                {"const": "commit", "description": "At each\ncheckpoint."}, {"const": "never", "description": "Not."},
            ]},
        },
    });
    let expected = [
        "path (text | list of text; required)  <a b> <1>",
        "keep (whole number, at least 1; optional) How many.",
        "rotate (mapping; optional) When a new file is begun.",
        "rotate.size (text; 1MiB)  <64MiB>",
        "sync (commit | never; commit) When. [commit: At each checkpoint.] [never: Not.]",
        "to (mapping of number, more than 0, at most 1; optional) ",
    ];
    assert_eq!(lines(&schema), expected);
}

#[test]
fn a_schema_that_refers_to_itself_makes_few_rows() {
    let schema = json!({
        "title": "Tree",
        "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#/$defs/a"}},
        "$defs": {"a": {"properties": {"again": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}}},
    });
    assert!(lines(&schema).len() < 20, "{:#?}", lines(&schema));
}

#[test]
fn a_schema_that_is_no_schema_has_no_rows() {
    for odd in [json!(null), json!(true), json!({"properties": 3}), json!({"$ref": "#"})] {
        assert_eq!(rows(&odd), []);
    }
}
