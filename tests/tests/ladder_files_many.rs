//! Many plugins, some of them bad: the good ones run.

#![forbid(unsafe_code)]

#[path = "hostile/mod.rs"]
#[expect(dead_code, reason = "other suites use the rest")]
mod hostile;

use e2e::{Pipeline, library};
use hostile::renamed;
use std::fmt::Write as _;
use std::fs;

/// The good ones: a source, a sink, and stages between them.
const GOOD: usize = 37;

/// A pipeline through all good ones, and this stage at its end.
fn through_all(stage: &str) -> String {
    let last = GOOD - 1;
    let mut yaml =
        "version: 1\nsources:\n  s: { plugin: ex000000/count, settings: { count: 100 } }\nstages:\n"
            .to_owned();
    for n in 1..last {
        let input = if n == 1 { "s".to_owned() } else { format!("p{}", n - 1) };
        writeln!(yaml, "  p{n}: {{ plugin: ex{n:06}/delay, inputs: [{input}], settings: {{ hold: 1 }} }}")
            .unwrap();
    }
    yaml.push_str(stage);
    let input = if stage.is_empty() { format!("p{}", last - 1) } else { "bad".to_owned() };
    writeln!(
        yaml,
        "sinks:\n  k: {{ plugin: ex{last:06}/lines, inputs: [{input}], settings: {{ path: lines.txt }} }}"
    )
    .unwrap();
    yaml
}

#[test]
fn of_forty_plugins_with_three_bad_ones_among_them_the_good_ones_run() {
    let pipeline = Pipeline::new(&through_all(""), &[]);
    let whole = fs::read(library("exercise")).unwrap();
    for n in 0..GOOD {
        let renamed = renamed(&whole, "exercise", &format!("ex{n:06}"));
        fs::write(pipeline.path(&format!("plugins/lib{n}.so")), renamed).unwrap();
    }
    fs::write(pipeline.path("plugins/libcut.so"), &whole[..whole.len() / 2]).unwrap();
    fs::write(pipeline.path("plugins/libtext.so"), "no plugin ".repeat(100)).unwrap();
    pipeline.add(library("abort_in_constructor"));
    let ran = pipeline.run(&["run"]).expect(0);
    assert!(ran.stderr.contains("libcut.so") && ran.stderr.contains("libtext.so"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(pipeline.path("lines.txt")).unwrap().lines().count(), 100);
    // What nothing uses is not vetted; used, it is refused, and it alone.
    assert!(!ran.stderr.contains("libabort_in_constructor.so"), "{}", ran.stderr);
    fs::remove_dir_all(pipeline.path(".cardcage/verdicts")).unwrap();
    let stage = format!("  bad: {{ plugin: abort-in-constructor, inputs: [p{}] }}\n", GOOD - 2);
    pipeline.write_yaml(&through_all(&stage));
    let refused = pipeline.run(&["run"]).expect(78);
    assert_eq!(refused.stderr.matches("error[plugin.refused]").count(), 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("libabort_in_constructor.so"), "{}", refused.stderr);
    let remembered = fs::read_dir(pipeline.path(".cardcage/verdicts")).unwrap().count();
    assert_eq!(remembered, GOOD, "each good one was vetted beside it, and passed");
}
