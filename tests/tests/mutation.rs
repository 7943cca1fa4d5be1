//! Seeded damage to a good library: the program neither dies nor hangs over it, and takes nothing that does other than
//! the whole library does.
//!
//! What breaks a rule of the file format is refused by rung 2. Damage inside code, constants and data breaks none: there
//! it is the build id that tells, where the linker was LLD, which it is for Rust on Linux. A library of another linker has
//! no seal of this kind; for those the promise is only that the program survives, and this suite says how many came
//! through. `cargo xtask soak --what ladder` makes as many as one likes (docs/decisions/0009).

#![forbid(unsafe_code)]

use e2e::library;
use e2e::mutation::{Outcome, Tally, Whole};
use std::sync::Mutex;

/// How many of each kind CI makes: both kinds within a minute on two cores.
const COUNT_SEALED: u64 = 2_000;
const COUNT_UNSEALED: u64 = 1_000;
const SEED: u64 = 20_260;
/// How many a soak makes between two lines of progress: one sees how far it is, and can go on from there.
const PIECE: u64 = 1_000;
/// Two cores are the smallest machine that this is developed on.
const WORKERS: u64 = 2;

fn tally(whole: &Whole, seed: u64, from: u64, count: u64) -> Tally {
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let tally = &tally;
            scope.spawn(move || {
                let numbers = (from..from + count).filter(|number| number % WORKERS == worker);
                whole.try_all(seed, numbers, &mut |case| {
                    tally.lock().expect("no worker panics").add(case);
                });
            });
        }
    });
    tally.into_inner().expect("no worker panics")
}

#[test]
fn no_damaged_library_is_taken_that_does_other_than_the_whole_one() {
    let whole = Whole::new(library("exercise"), true);
    let tally = tally(&whole, SEED, 0, COUNT_SEALED);
    println!("{}", tally.summary());
    assert!(tally.odd.is_empty(), "{}", tally.summary());
    // Most of it must be caught by what the ladder knows, and not by chance: the build id sees what nothing else does.
    let altered = tally.count(|outcome| *outcome == Outcome::Refused("ladder.elf.altered".to_owned()));
    assert!(altered > COUNT_SEALED / 10, "{}", tally.summary());
}

#[test]
fn without_a_build_id_nothing_that_the_linker_reads_is_taken_damaged_and_the_program_survives() {
    let whole = Whole::new(library("exercise"), false);
    let tally = tally(&whole, SEED, 0, COUNT_UNSEALED);
    println!("{}", tally.summary());
    assert_eq!(tally.count(Outcome::is_fatal), 0, "{}", tally.summary());
    let structural: Vec<_> = tally
        .odd
        .iter()
        .filter(|case| case.outcome == Outcome::Different && !whole.is_content(&case.places))
        .collect();
    assert!(structural.is_empty(), "{structural:#?}");
}

/// `cargo xtask soak --what ladder` runs this one with more of them: `SOAK_COUNT`, `SOAK_SEED`, `SOAK_FROM`,
/// `SOAK_KIND` (`linked` or `unsealed`; both if it is not set).
#[test]
#[ignore = "takes as long as one likes"]
fn soak() {
    let asked = |name: &str, default: u64| {
        std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
    };
    let (seed, from, count) = (asked("SOAK_SEED", 1), asked("SOAK_FROM", 0), asked("SOAK_COUNT", 100_000));
    let kind = std::env::var("SOAK_KIND").unwrap_or_default();
    let kinds =
        [("linked", true, "as linked"), ("unsealed", false, "without a build id that can be checked")];
    for (_, sealed, what) in kinds.into_iter().filter(|(name, ..)| kind.is_empty() || kind == *name) {
        let whole = Whole::new(library("exercise"), sealed);
        let mut all = Tally::default();
        let mut done = 0;
        while done < count {
            let piece = PIECE.min(count - done);
            let found = tally(&whole, seed, from + done, piece);
            for (outcome, count) in found.counts {
                *all.counts.entry(outcome).or_default() += count;
            }
            all.odd.extend(found.odd);
            done += piece;
            println!(
                "{what}: {done} of {count} (seed {seed}, next number {}): {} died or hung, {} taken and different",
                from + done,
                all.count(Outcome::is_fatal),
                all.count(|outcome| *outcome == Outcome::Different),
            );
        }
        println!("{what}, seed {seed}, numbers {from} to {}:\n{}", from + count, all.summary());
        assert_eq!(all.count(Outcome::is_fatal), 0);
        assert!(!sealed || all.odd.is_empty());
    }
}
