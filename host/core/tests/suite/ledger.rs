//! The ledger: every consistent history balances, and any single count that is off is found.

use crate::graph::pipeline;
use crate::pipeline::{descriptions, good, graph};
use cardcage_core::graph::{Graph, Output};
use cardcage_core::ledger::{Account, Books, ComponentRow, EdgeAccount, EdgeRow, Imbalance, OutputName, Who};
use cardcage_plugin_api::Description;
use cardcage_plugin_api::manifest::Kind;
use proptest::prelude::*;

/// Deals out what random numbers say, by a simple rule, so that a history is made of them.
struct Dice(u64);

impl Dice {
    /// From 0 to `most`.
    fn up_to(&mut self, most: u64) -> u64 {
        // Knuth's MMIX constants.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % (most + 1)
    }
}

/// Runs a made-up history over a graph, in the order of the flow, and keeps the books of it.
fn history(graph: &Graph, described: &[Description], seed: u64) -> Books {
    let mut dice = Dice(seed);
    let mut books = Books::default();
    let mut arrived = vec![0_u64; graph.nodes.len()];
    let mut rows: Vec<Option<ComponentRow>> = vec![None; graph.nodes.len()];
    for node in graph.topological() {
        let kind = graph.nodes[node].kind;
        let mut account = Account {
            carried: dice.up_to(50),
            input: if kind == Kind::Source { dice.up_to(10_000) } else { arrived[node] },
            created: dice.up_to(100),
            ..Account::default()
        };
        let mut rest = account.carried + account.input + account.created;
        let mut take = |dice: &mut Dice, share: u64| {
            let taken = dice.up_to(rest / share);
            rest -= taken;
            taken
        };
        account.dropped = vec![("a".to_owned(), take(&mut dice, 4)), ("b".to_owned(), take(&mut dice, 4))];
        account.rejected = vec![("unfit".to_owned(), take(&mut dice, 8))];
        account.failed = take(&mut dice, 8);
        account.held = take(&mut dice, 8);
        let mut outputs: Vec<Output> = graph.outgoing(node).map(|edge| edge.output).collect();
        outputs.sort_unstable();
        outputs.dedup();
        for output in outputs.iter().filter(|output| **output != Output::Main) {
            let given = take(&mut dice, 4);
            match output {
                Output::DeadLetter => account.dead_lettered += given,
                Output::Main | Output::Port(_) => account.output += given,
            }
            send(&mut dice, graph, described, (node, *output), given, &mut arrived, &mut books);
        }
        account.output += rest;
        if outputs.contains(&Output::Main) {
            send(&mut dice, graph, described, (node, Output::Main), rest, &mut arrived, &mut books);
        }
        let name = graph.nodes[node].name.clone();
        rows[node] = Some(ComponentRow { name, kind, account });
    }
    books.components = rows.into_iter().flatten().collect();
    books
}

fn send(
    dice: &mut Dice,
    graph: &Graph,
    described: &[Description],
    (node, output): (usize, Output),
    given: u64,
    arrived: &mut [u64],
    books: &mut Books,
) {
    for to in graph.consumers(node, output) {
        let discarded = dice.up_to(given / 10);
        let queued = dice.up_to((given - discarded) / 10);
        let received = given - discarded - queued;
        arrived[to] += received;
        let output = match output {
            Output::Main => OutputName::Main,
            Output::Port(index) => OutputName::Port(described[node].ports[index].clone()),
            Output::DeadLetter => OutputName::DeadLetter,
        };
        books.edges.push(EdgeRow {
            from: graph.nodes[node].name.clone(),
            output,
            to: graph.nodes[to].name.clone(),
            account: EdgeAccount { sent: given, received, queued, discarded },
        });
    }
}

/// All counts of the books, to alter one.
fn counts(books: &mut Books) -> Vec<&mut u64> {
    let mut counts = Vec::new();
    for row in &mut books.components {
        let account = &mut row.account;
        counts.extend([
            &mut account.carried,
            &mut account.input,
            &mut account.created,
            &mut account.output,
            &mut account.failed,
            &mut account.dead_lettered,
            &mut account.held,
        ]);
        counts.extend(account.dropped.iter_mut().map(|(_, count)| count));
        counts.extend(account.rejected.iter_mut().map(|(_, count)| count));
    }
    for row in &mut books.edges {
        let account = &mut row.account;
        counts.extend([
            &mut account.sent,
            &mut account.received,
            &mut account.queued,
            &mut account.discarded,
        ]);
    }
    counts
}

proptest! {
    #[test]
    fn every_consistent_history_balances(text in pipeline(), seed in any::<u64>()) {
        let config = good(&text);
        let books = history(&graph(&config), &descriptions(&config), seed);
        prop_assert_eq!(books.imbalances(), vec![], "{}", books.render());
        prop_assert_eq!(books.totals().imbalance(), 0);
        prop_assert!(books.render().contains("\nbalance: "));
    }

    #[test]
    fn any_single_altered_count_is_found(
        text in pipeline(),
        seed in any::<u64>(),
        which in any::<proptest::sample::Index>(),
        by in prop_oneof![Just(1_u64), Just(u64::MAX), any::<u64>()],
    ) {
        prop_assume!(by != 0);
        let config = good(&text);
        let mut books = history(&graph(&config), &descriptions(&config), seed);
        let mut counts = counts(&mut books);
        let count = which.get(&counts);
        let altered = count.wrapping_add(by);
        let index = which.index(counts.len());
        *counts[index] = altered;
        prop_assert!(!books.imbalances().is_empty());
        prop_assert!(books.render().contains("DOES NOT ADD UP"));
    }

    #[test]
    fn records_moved_between_two_accounts_are_found(
        text in pipeline(),
        seed in any::<u64>(),
        from in any::<proptest::sample::Index>(),
        to in any::<proptest::sample::Index>(),
    ) {
        let config = good(&text);
        let mut books = history(&graph(&config), &descriptions(&config), seed);
        let names = (from.index(books.components.len()), to.index(books.components.len()));
        prop_assume!(names.0 != names.1 && books.components[names.0].account.held > 0);
        books.components[names.0].account.held -= 1;
        books.components[names.1].account.held += 1;
        prop_assert_eq!(books.imbalances().len(), 2, "one is missing here, one is too many there");
    }
}

/// generate -> range -> two sinks, one of which failed on some and has a dead letter.
fn books() -> Books {
    let row = |name: &str, kind, account| ComponentRow { name: name.to_owned(), kind, account };
    let edge = |from: &str, output, to: &str, sent, queued| EdgeRow {
        from: from.to_owned(),
        output,
        to: to.to_owned(),
        account: EdgeAccount { sent, received: sent - queued, queued, discarded: 0 },
    };
    let account = |input, output| Account { input, output, ..Account::default() };
    Books {
        components: vec![
            row("generate", Kind::Source, account(1_234_567, 1_234_567)),
            row(
                "plausible",
                Kind::Stage,
                Account {
                    dropped: vec![("out_of_range".to_owned(), 34_567), ("unused".to_owned(), 0)],
                    ..account(1_234_567, 1_200_000)
                },
            ),
            row("archive", Kind::Sink, Account { dead_lettered: 4096, ..account(1_200_000, 1_195_904) }),
            row("screen", Kind::Sink, account(1_199_990, 1_199_990)),
            row("spare", Kind::Sink, account(4096, 4096)),
        ],
        edges: vec![
            edge("generate", OutputName::Main, "plausible", 1_234_567, 0),
            edge("plausible", OutputName::Main, "archive", 1_200_000, 0),
            edge("plausible", OutputName::Main, "screen", 1_200_000, 10),
            edge("archive", OutputName::DeadLetter, "spare", 4096, 0),
        ],
    }
}

#[test]
fn the_summary_reads_well() {
    insta::assert_snapshot!("summary", books().render());
}

#[test]
fn the_summary_of_books_that_do_not_balance_says_what_does_not() {
    let mut books = books();
    books.components[1].account.output -= 7;
    books.edges[3].account.received += 1;
    insta::assert_snapshot!("summary-unbalanced", books.render());
}

#[test]
fn the_summary_as_json_has_the_names_of_the_equation() {
    let json = serde_json::to_value(books()).expect("books serialize");
    let expected = serde_json::json!({
        "name": "plausible", "kind": "stage", "carried": 0, "in": 1_234_567, "created": 0, "out": 1_200_000,
        "dropped": { "out_of_range": 34_567, "unused": 0 }, "rejected": {}, "failed": 0, "dead_lettered": 0, "held": 0,
        "in_hand": 0,
    });
    assert_eq!(json["components"][1], expected);
    assert_eq!(json["edges"][2]["queued"], 10);
}

#[test]
fn who_is_off_is_named() {
    let mut off = books();
    off.components[1].account.output += 1;
    let expected = [
        Imbalance { who: Who::Component { name: "plausible".to_owned() }, by: -1 },
        Imbalance { who: Who::Output { name: "plausible".to_owned() }, by: 1 },
    ];
    assert_eq!(off.imbalances(), expected);
    let mut stray = books();
    stray.edges[0].to = "nobody".to_owned();
    assert!(stray.imbalances().iter().any(|i| i.who == Who::Unknown { name: "nobody".to_owned() }));
}

/// Both sides of the component's own equation stay equal; only the other side of an edge tells.
#[test]
fn a_shift_inside_one_account_is_found_at_its_edges() {
    let who = |shift: fn(&mut Books)| {
        let mut off = books();
        shift(&mut off);
        off.imbalances().into_iter().map(|imbalance| imbalance.who).collect::<Vec<_>>()
    };
    let name = || "archive".to_owned();
    let dead_letters = who(|books| {
        books.components[2].account.dead_lettered -= 1;
        books.components[2].account.failed += 1;
    });
    assert!(dead_letters.contains(&Who::DeadLetters { name: name() }), "{dead_letters:?}");
    let input = who(|books| {
        books.components[2].account.input += 1;
        books.components[2].account.output += 1;
    });
    assert!(input.contains(&Who::Input { name: name() }), "{input:?}");
    let output = who(|books| {
        books.components[1].account.output -= 1;
        books.components[1].account.dropped[0].1 += 1;
    });
    let plausible = || "plausible".to_owned();
    assert!(output.contains(&Who::Output { name: plausible() }), "{output:?}");
    let fan_out = who(|books| {
        books.edges[2].account.sent += 1;
        books.edges[2].account.queued += 1;
    });
    let expected = [Who::FanOut { name: plausible(), output: OutputName::Main }];
    assert_eq!(fan_out, expected);
}

#[test]
fn counts_at_the_end_of_their_range_do_not_overflow() {
    let mut account = Account {
        carried: u64::MAX,
        input: u64::MAX,
        created: u64::MAX,
        dropped: vec![("a".to_owned(), u64::MAX), ("b".to_owned(), u64::MAX)],
        ..Account::default()
    };
    assert_eq!(account.imbalance(), i128::from(u64::MAX));
    account.output = u64::MAX;
    assert_eq!(account.imbalance(), 0);
    assert_eq!(account.dropped_total(), u64::MAX, "for showing");
}
