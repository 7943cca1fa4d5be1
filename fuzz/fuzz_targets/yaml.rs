//! The one module that knows YAML: text to a tree with places, or to problems.
//!
//! Whatever comes in ends in one of the two; every place lies in the text, and no bound is passed.

#![no_main]

use cardcage_core::diagnostic::{Diagnostics, lines};
use cardcage_core::yaml::{self, DEPTH_MAX, Node, Span, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut problems = Diagnostics::new();
    let tree = yaml::parse("f", text, &mut problems);
    assert!(tree.is_some() || problems.has_errors(), "neither a tree nor an error");
    let lines = lines(text);
    for problem in &problems {
        assert!(!problem.message.is_empty());
    }
    if let Some(tree) = tree {
        check(&tree, lines.len(), 0);
    }
});

fn check(node: &Node, lines: usize, depth: usize) {
    assert!(depth <= DEPTH_MAX, "deeper than the bound");
    inside(node.span, lines);
    match &node.value {
        Value::Scalar(_) => {}
        Value::Sequence(items) => items.iter().for_each(|item| check(item, lines, depth + 1)),
        Value::Mapping(entries) => {
            for entry in entries {
                inside(entry.span, lines);
                check(&entry.node, lines, depth + 1);
            }
        }
    }
}

/// A place begins on a line of the text (or right behind the last one) and ends behind where it begins.
fn inside(span: Span, lines: usize) {
    assert!(span.line >= 1 && span.column >= 1 && span.end_column >= span.column, "{span:?}");
    assert!(span.line as usize <= lines + 1, "{span:?} of {lines} lines");
}
