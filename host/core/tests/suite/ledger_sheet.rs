//! The balance sheet as a person reads it, and plugins' claims beside the host's counts.

use cardcage_core::ledger::claims::{Claim, compare};
use cardcage_core::ledger::{Account, Books, ComponentRow, EdgeAccount, EdgeRow, OutputName, sheet};
use cardcage_plugin_api::manifest::Kind;

fn row(name: &str, kind: Kind, account: Account) -> ComponentRow {
    ComponentRow { name: name.to_owned(), kind, account }
}

fn edge(from: &str, output: OutputName, to: &str, account: EdgeAccount) -> EdgeRow {
    EdgeRow { from: from.to_owned(), output, to: to.to_owned(), account }
}

/// A press whose readings are partly out of range; some are under way.
fn books() -> Books {
    let press = Account {
        input: 1_000_100,
        output: 1_000_000,
        rejected: vec![("not_json".to_owned(), 60)],
        held: 40,
        ..Account::default()
    };
    let plausible = Account {
        input: 1_000_000,
        output: 876_000,
        dropped: vec![("out_of_range".to_owned(), 120_000)],
        failed: 3_000,
        dead_lettered: 900,
        held: 100,
        in_hand: 100,
        ..Account::default()
    };
    let archive = Account { input: 875_800, output: 870_000, held: 5_800, ..Account::default() };
    let spare = Account { input: 900, output: 900, ..Account::default() };
    let passed = |sent, received| EdgeAccount { sent, received, queued: sent - received, discarded: 0 };
    Books {
        components: vec![
            row("press", Kind::Source, press),
            row("plausible", Kind::Stage, plausible),
            row("archive", Kind::Sink, archive),
            row("spare", Kind::Sink, spare),
        ],
        edges: vec![
            edge("press", OutputName::Main, "plausible", passed(1_000_000, 1_000_000)),
            edge("plausible", OutputName::Main, "archive", passed(876_000, 875_800)),
            edge("plausible", OutputName::DeadLetter, "spare", passed(900, 900)),
        ],
    }
}

#[test]
fn the_sheet_tells_where_every_record_is() {
    let books = books();
    assert_eq!(books.imbalances(), []);
    insta::assert_snapshot!("sheet", sheet(&books, true, &[]));
}

#[test]
fn a_sheet_of_books_that_moved_says_so_and_blames_nobody() {
    let mut books = books();
    books.components[2].account.output += 4096;
    let text = sheet(&books, false, &[]);
    let last = text.lines().last().unwrap_or_default();
    assert!(last.ends_with("- 4,096 that moved while this was read"), "{last}");
    assert!(!text.contains("UNEXPLAINED"));
}

#[test]
fn a_sheet_of_books_that_do_not_balance_names_who_is_off() {
    let mut books = books();
    books.components[1].account.dropped[0].1 -= 7;
    insta::assert_snapshot!("sheet-unbalanced", sheet(&books, true, &[]));
}

#[test]
fn a_pipeline_that_has_seen_nothing_says_so() {
    let none = Books { components: vec![row("s", Kind::Source, Account::default())], edges: Vec::new() };
    assert!(sheet(&none, true, &[]).contains("no record has come in yet"));
}

fn claim(account: &Account, kind: Kind, metric: &str, claimed: f64) -> Option<Claim> {
    let row = row("c", kind, account.clone());
    compare(&row, &row, 0, metric, claimed)
}

#[test]
fn a_counter_is_a_claim_by_its_name_and_is_held_against_what_it_names() {
    let account = Account {
        input: 100,
        created: 7,
        output: 80,
        dropped: vec![("odd".to_owned(), 20)],
        rejected: vec![("unfit".to_owned(), 2)],
        held: 5,
        ..Account::default()
    };
    let cases = [
        (Kind::Stage, "records", 100_u32),
        (Kind::Source, "records_total", 85),
        (Kind::Stage, "records_in_total", 100),
        (Kind::Stage, "records_out", 80),
        (Kind::Sink, "records_out", 85),
        (Kind::Stage, "records_created", 7),
        (Kind::Stage, "records_dropped", 20),
        (Kind::Stage, "records_rejected", 2),
        (Kind::Stage, "records_odd", 20),
        (Kind::Stage, "records_unfit_total", 2),
    ];
    for (kind, metric, counted) in cases {
        let truth = claim(&account, kind, metric, f64::from(counted)).expect("a claim");
        assert_eq!((truth.counted, truth.is_false), (u64::from(counted), false), "{metric}");
        for lie in [f64::from(counted) + 1.0, f64::from(counted) - 1.0, f64::NAN] {
            assert!(
                claim(&account, kind, metric, lie).is_some_and(|claim| claim.is_false),
                "{metric}: {lie}"
            );
        }
    }
    for other in ["bytes_written", "record", "records_per_second", "recordss"] {
        assert_eq!(claim(&account, Kind::Stage, other, 1.0), None, "{other}");
    }
}

#[test]
fn what_a_call_under_way_or_a_failed_one_may_have_counted_is_no_lie() {
    let account = Account { input: 100, output: 70, in_hand: 10, held: 10, failed: 20, ..Account::default() };
    let is_false =
        |claimed| claim(&account, Kind::Stage, "records_in", claimed).is_some_and(|claim| claim.is_false);
    // 10 in hand, before and after, and 20 failed.
    assert!(!is_false(60.0) && !is_false(100.0) && is_false(59.0));
    // Records went on between the two looks at the host's counts.
    let (before, after) =
        (Account { input: 100, ..Account::default() }, Account { input: 500, ..Account::default() });
    let look = |claimed| {
        compare(
            &row("c", Kind::Sink, before.clone()),
            &row("c", Kind::Sink, after.clone()),
            0,
            "records",
            claimed,
        )
    };
    assert!([100.0, 300.0, 500.0].iter().all(|claimed| look(*claimed).is_some_and(|claim| !claim.is_false)));
    assert!([99.0, 501.0].iter().all(|claimed| look(*claimed).is_some_and(|claim| claim.is_false)));
}
