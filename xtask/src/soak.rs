//! `cargo xtask soak`: what a suite tries some thousand times, as often as one likes.

use crate::{Failure, workspace};
use std::process::Command;

const USAGE: &str = "\
usage: cargo xtask soak --what WHAT [--count N] [--seed S] [--from NUMBER] [--kind KIND]

  --what ladder   damage a library in N ways, as linked and without a build id that can be checked,
                  and run a pipeline with each
  --what trail    change an audit trail in N ways, and look for each with `audit verify`'s eyes
  --count N       how many (100000); of the ladder, of each kind
  --seed S        which ones (1)
  --from NUMBER   the first one (0): a soak that was stopped goes on from the number that it said last
  --kind KIND     of the ladder: `linked` or `unsealed` only (both)
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    what: What,
    count: u64,
    seed: u64,
    from: u64,
    /// Empty for both.
    kind: String,
}

/// What can be soaked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Ladder,
    Trail,
}

impl What {
    /// The test that does it, as arguments of `cargo test`.
    fn test(self) -> &'static [&'static str] {
        match self {
            Self::Ladder => &["--package", "e2e", "--test", "mutation", "--", "soak"],
            // Nothing but computing, a hundred thousand times.
            Self::Trail => {
                &["--release", "--package", "cardcage-core", "--test", "suite", "--", "audit::edits::soak"]
            }
        }
    }
}

/// Runs the suite's own test, with more of everything.
pub(crate) fn soak(arguments: &[String]) -> Result<(), Failure> {
    let asked = parse(arguments)?;
    let mut test = Command::new(env!("CARGO"));
    test.arg("test")
        .args(asked.what.test())
        .args(["--ignored", "--nocapture"])
        .current_dir(workspace::root())
        .env("SOAK_COUNT", asked.count.to_string())
        .env("SOAK_SEED", asked.seed.to_string())
        .env("SOAK_FROM", asked.from.to_string())
        .env("SOAK_KIND", &asked.kind);
    workspace::succeed(&mut test)
}

fn parse(arguments: &[String]) -> Result<Asked, Failure> {
    let usage = |what: String| Failure::Usage(format!("{what}\n\n{USAGE}"));
    let mut asked = Asked { what: What::Ladder, count: 100_000, seed: 1, from: 0, kind: String::new() };
    let mut what = None;
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| usage(format!("`{name}` lacks its value")))?;
        let number = || value.parse().map_err(|_| usage(format!("`{name} {value}`: expected a number")));
        match name.as_str() {
            "--what" => what = Some(value.as_str()),
            "--count" => asked.count = number()?,
            "--seed" => asked.seed = number()?,
            "--from" => asked.from = number()?,
            "--kind" if ["linked", "unsealed"].contains(&value.as_str()) => asked.kind.clone_from(value),
            "--kind" => return Err(usage(format!("`{name} {value}`: expected `linked` or `unsealed`"))),
            _ => return Err(usage(format!("there is no option `{name}`"))),
        }
    }
    match what {
        Some("ladder") => Ok(asked),
        Some("trail") if asked.kind.is_empty() => Ok(Asked { what: What::Trail, ..asked }),
        Some("trail") => Err(usage("`--kind` is for `--what ladder` only".to_owned())),
        Some(other) => Err(usage(format!("there is nothing to soak by the name `{other}`"))),
        None => Err(usage("what to soak is missing".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Asked, Failure> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_soak_can_be_asked_to_go_on_where_it_stopped() {
        let asked = parsed("--what ladder --count 5 --seed 7 --from 300 --kind unsealed").unwrap();
        let what = What::Ladder;
        assert_eq!(asked, Asked { what, count: 5, seed: 7, from: 300, kind: "unsealed".to_owned() });
        let plain = Asked { what, count: 100_000, seed: 1, from: 0, kind: String::new() };
        assert_eq!(parsed("--what ladder").unwrap(), plain);
        assert_eq!(parsed("--what trail").unwrap(), Asked { what: What::Trail, ..plain });
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for line in [
            "",
            "--what tea",
            "--what trail --kind linked",
            "--what ladder --count many",
            "--what ladder --seed",
            "--fast yes",
            "--kind odd",
        ] {
            assert!(matches!(parsed(line), Err(Failure::Usage(_))), "{line}");
        }
    }
}
