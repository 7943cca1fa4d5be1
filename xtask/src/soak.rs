//! `cargo xtask soak`: what a suite tries some thousand times, as often as one likes.

use crate::{Failure, workspace};
use std::process::Command;

const USAGE: &str = "\
usage: cargo xtask soak --what ladder [--count N] [--seed S] [--from NUMBER] [--kind KIND]

  --what ladder   damage a library in N ways, as linked and without a build id that can be checked,
                  and run a pipeline with each
  --count N       how many of each kind (100000)
  --seed S        which ones (1)
  --from NUMBER   the first one (0): a soak that was stopped goes on from the number that it said last
  --kind KIND     `linked` or `unsealed` only (both)
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    count: u64,
    seed: u64,
    from: u64,
    /// Empty for both.
    kind: String,
}

/// Runs the suite's own test, with more of everything.
pub(crate) fn soak(arguments: &[String]) -> Result<(), Failure> {
    let asked = parse(arguments)?;
    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--package", "e2e", "--test", "mutation", "--", "soak", "--ignored", "--nocapture"])
        .current_dir(workspace::root())
        .env("SOAK_COUNT", asked.count.to_string())
        .env("SOAK_SEED", asked.seed.to_string())
        .env("SOAK_FROM", asked.from.to_string())
        .env("SOAK_KIND", &asked.kind);
    workspace::succeed(&mut test)
}

fn parse(arguments: &[String]) -> Result<Asked, Failure> {
    let usage = |what: String| Failure::Usage(format!("{what}\n\n{USAGE}"));
    let mut asked = Asked { count: 100_000, seed: 1, from: 0, kind: String::new() };
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
        assert_eq!(asked, Asked { count: 5, seed: 7, from: 300, kind: "unsealed".to_owned() });
        let plain = Asked { count: 100_000, seed: 1, from: 0, kind: String::new() };
        assert_eq!(parsed("--what ladder").unwrap(), plain);
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for line in [
            "",
            "--what tea",
            "--what ladder --count many",
            "--what ladder --seed",
            "--fast yes",
            "--kind odd",
        ] {
            assert!(matches!(parsed(line), Err(Failure::Usage(_))), "{line}");
        }
    }
}
