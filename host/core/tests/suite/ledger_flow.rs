//! The ledger over time: pipelines of random shape run step by step, with panics, restarts, components that fail for good
//! and drains, and the books balance all the while.

use crate::graph::pipeline;
use crate::pipeline::{descriptions, good, graph};
use cardcage_core::graph::{Edge, Graph, Output};
use cardcage_core::ledger::{
    Account, Books, Call, ComponentRow, EdgeAccount, EdgeRow, OutputName, Who, sheet,
};
use cardcage_plugin_api::Description;
use cardcage_plugin_api::manifest::Kind;
use proptest::prelude::*;
use proptest::test_runner::Config;

/// Histories of each graph: making a graph costs as much as some of them.
const HISTORIES: u64 = 20;
/// Steps of each before it drains.
const STEPS: u32 = 48;

/// Random numbers that a seed decides.
struct Dice(u64);

impl Dice {
    /// From 0 to `most`.
    fn up_to(&mut self, most: u64) -> u64 {
        // Knuth's MMIX constants.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % (most + 1)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.up_to(count - 1) == 0
    }
}

/// A pipeline that runs, as the host counts it.
struct Flow<'a> {
    graph: &'a Graph,
    books: Books,
    /// Of what is held: kept from one call to the next.
    kept: Vec<u64>,
    gone: Vec<bool>,
    dice: Dice,
}

impl<'a> Flow<'a> {
    fn new(graph: &'a Graph, described: &[Description], seed: u64) -> Self {
        let components = graph.nodes.iter().map(|node| {
            let reasons = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 0)).collect();
            let account = Account {
                dropped: reasons(&["a", "b"]),
                rejected: reasons(&["unfit"]),
                ..Account::default()
            };
            ComponentRow { name: node.name.clone(), kind: node.kind, account }
        });
        let edges = graph.edges.iter().map(|Edge { from, output, to }| {
            let output = match output {
                Output::Main => OutputName::Main,
                Output::Port(port) => OutputName::Port(described[*from].ports[*port].clone()),
                Output::DeadLetter => OutputName::DeadLetter,
            };
            let name = |node: usize| graph.nodes[node].name.clone();
            EdgeRow { from: name(*from), output, to: name(*to), account: EdgeAccount::default() }
        });
        let books = Books { components: components.collect(), edges: edges.collect() };
        let count = graph.nodes.len();
        Self { graph, books, kept: vec![0; count], gone: vec![false; count], dice: Dice(seed) }
    }

    fn account(&mut self, node: usize) -> &mut Account {
        &mut self.books.components[node].account
    }

    /// Counts a call's records, and how many there are then in hand and kept.
    fn hold(&mut self, node: usize, kept: u64, in_hand: u64) {
        self.kept[node] = kept;
        let account = self.account(node);
        account.in_hand = in_hand;
        account.held = kept + in_hand;
    }

    /// Gives records that are in hand to everyone behind an output.
    fn give(&mut self, node: usize, output: Output, records: u64) {
        let (kept, in_hand) = (self.kept[node], self.account(node).in_hand);
        if output == Output::DeadLetter {
            self.account(node).dead_lettered += records;
        } else {
            self.account(node).output += records;
        }
        self.hold(node, kept, in_hand - records);
        for index in 0..self.graph.edges.len() {
            let edge = self.graph.edges[index];
            if edge.from == node && edge.output == output {
                let edge_account = &mut self.books.edges[index].account;
                edge_account.sent += records;
                if self.gone[edge.to] {
                    edge_account.discarded += records;
                } else {
                    edge_account.queued += records;
                }
            }
        }
    }

    fn has(&self, node: usize, output: Output) -> bool {
        self.graph.outgoing(node).any(|edge| edge.output == output)
    }

    /// A source reads, and sometimes passes on what it has.
    fn read(&mut self, node: usize) {
        let (read, unfit) = (self.dice.up_to(500), self.dice.up_to(5));
        let kept = self.kept[node] + read;
        let account = self.account(node);
        account.input += read + unfit;
        account.rejected[0].1 += unfit;
        self.hold(node, kept, 0);
        if self.dice.one_in(2) {
            self.flush(node);
        }
    }

    fn flush(&mut self, node: usize) {
        let all = self.kept[node];
        self.hold(node, 0, all);
        self.give(node, Output::Main, all);
    }

    /// A consumer takes what waits on one of its edges.
    fn take(&mut self, node: usize) -> u64 {
        let edges = 0..self.graph.edges.len();
        let waiting: Vec<usize> = edges
            .filter(|edge| self.graph.edges[*edge].to == node && self.books.edges[*edge].account.queued > 0)
            .collect();
        let Some(last) = waiting.len().checked_sub(1) else {
            return 0;
        };
        let edge = waiting[usize::try_from(self.dice.up_to(last as u64)).unwrap_or(0)];
        let edge_account = &mut self.books.edges[edge].account;
        // A batch, or all of it.
        let taken = if edge_account.queued > 100 { 100 } else { edge_account.queued };
        edge_account.queued -= taken;
        edge_account.received += taken;
        self.account(node).input += taken;
        let kept = self.kept[node];
        self.hold(node, kept, taken);
        taken
    }

    /// A call fails: its batch is lost or goes to the dead letter, and what was kept goes with the instance.
    fn panic(&mut self, node: usize, records: u64) {
        if self.has(node, Output::DeadLetter) && self.dice.one_in(2) {
            self.give(node, Output::DeadLetter, records);
        } else {
            self.account(node).failed += records;
        }
        let kept = self.kept[node];
        self.account(node).failed += kept;
        self.hold(node, 0, 0);
        if self.dice.one_in(8) {
            self.end(node);
        }
    }

    /// A component has failed for good: what waits for it is lost, what comes is refused.
    fn end(&mut self, node: usize) {
        self.gone[node] = true;
        loop {
            let waiting = self.take(node);
            if waiting == 0 {
                break;
            }
            self.account(node).failed += waiting;
            self.hold(node, 0, 0);
        }
    }

    /// A stage's call. Returns by how much its own numbers were off; `lost` are records that it loses without a word.
    fn process(&mut self, node: usize, records: u64, lost: u64) -> u64 {
        let created = if self.dice.one_in(4) { self.dice.up_to(50) } else { 0 };
        let held_before = self.kept[node];
        let mut rest = records + created + held_before - lost;
        let mut some = |dice: &mut Dice, share: u64| {
            let taken = dice.up_to(rest / share);
            rest -= taken;
            taken
        };
        let counted = [some(&mut self.dice, 4), some(&mut self.dice, 4), some(&mut self.dice, 8)];
        let held_after = some(&mut self.dice, 4);
        let mut ports: Vec<Output> = self
            .graph
            .outgoing(node)
            .map(|edge| edge.output)
            .filter(|output| matches!(output, Output::Port(_)))
            .collect();
        ports.sort_unstable();
        ports.dedup();
        let given: Vec<(Output, u64)> = ports.iter().map(|port| (*port, some(&mut self.dice, 4))).collect();
        let given_all = given.iter().map(|(_, count)| count).sum();
        let call = Call {
            before: records,
            held_before,
            created,
            after: rest,
            given: given_all,
            tallied: counted.iter().sum(),
            held_after,
        };
        let account = self.account(node);
        account.created += created;
        account.dropped[0].1 += counted[0];
        account.dropped[1].1 += counted[1];
        account.rejected[0].1 += counted[2];
        self.hold(node, held_after, rest + given_all);
        for (port, count) in given {
            self.give(node, port, count);
        }
        self.give(node, Output::Main, rest);
        call.unexplained()
    }

    fn write(&mut self, node: usize, records: u64) {
        let unfit = self.dice.up_to(records / 8);
        self.account(node).rejected[0].1 += unfit;
        let kept = self.kept[node] + records - unfit;
        self.hold(node, kept, 0);
    }

    fn commit(&mut self, node: usize, safe: bool) {
        let kept = self.kept[node];
        if safe {
            self.account(node).output += kept;
        } else {
            self.account(node).failed += kept;
        }
        self.hold(node, 0, 0);
    }

    /// One thing happens to a component.
    fn step(&mut self, node: usize) {
        if self.gone[node] {
            return;
        }
        let kind = self.graph.nodes[node].kind;
        if kind == Kind::Source {
            return self.read(node);
        }
        if kind == Kind::Sink && self.dice.one_in(3) {
            let safe = !self.dice.one_in(6);
            return self.commit(node, safe);
        }
        let records = self.take(node);
        if self.dice.one_in(6) {
            self.panic(node, records);
        } else if kind == Kind::Sink {
            self.write(node, records);
        } else {
            self.process(node, records, 0);
        }
    }

    /// Everything comes to its end, those before before those behind.
    fn drain(&mut self) {
        for node in self.graph.topological() {
            match self.graph.nodes[node].kind {
                Kind::Source => self.flush(node),
                Kind::Stage | Kind::Sink => loop {
                    let records = self.take(node);
                    if records == 0 {
                        break;
                    }
                    if self.graph.nodes[node].kind == Kind::Sink {
                        self.write(node, records);
                    } else {
                        self.process(node, records, 0);
                    }
                },
            }
            match self.graph.nodes[node].kind {
                Kind::Source => {}
                Kind::Stage => {
                    // `finish` gives what is kept.
                    let all = self.kept[node];
                    self.hold(node, 0, all);
                    self.give(node, Output::Main, all);
                }
                Kind::Sink => self.commit(node, true),
            }
        }
    }
}

fn any_node(flow: &mut Flow<'_>) -> usize {
    let last = flow.graph.nodes.len() as u64 - 1;
    usize::try_from(flow.dice.up_to(last)).unwrap_or(0)
}

proptest! {
    // 10,000 histories: 20 of each graph.
    #![proptest_config(Config { cases: 500, ..Config::default() })]

    #[test]
    fn books_balance_all_through_every_history(text in pipeline(), seed in any::<u64>()) {
        let config = good(&text);
        let (graph, described) = (graph(&config), descriptions(&config));
        for history in 0..HISTORIES {
            let mut flow = Flow::new(&graph, &described, seed.wrapping_add(history));
            for step in 0..STEPS {
                let node = any_node(&mut flow);
                flow.step(node);
                if step % 8 == 0 {
                    prop_assert_eq!(flow.books.imbalances(), vec![], "step {}\n{}", step, flow.books.render());
                }
            }
            prop_assert_eq!(flow.books.imbalances(), vec![], "{}", flow.books.render());
            flow.drain();
            let totals = flow.books.totals();
            prop_assert_eq!(flow.books.imbalances(), vec![], "{}", flow.books.render());
            prop_assert_eq!((totals.held, totals.queued), (0, 0), "{}", flow.books.render());
        }
    }

    #[test]
    fn a_call_that_loses_records_is_off_by_as_many_and_its_component_is_named(
        text in pipeline(),
        seed in any::<u64>(),
    ) {
        let config = good(&text);
        let (graph, described) = (graph(&config), descriptions(&config));
        let mut flow = Flow::new(&graph, &described, seed);
        for _ in 0..STEPS {
            let node = any_node(&mut flow);
            flow.step(node);
            if flow.graph.nodes[node].kind != Kind::Stage || flow.gone[node] {
                continue;
            }
            let records = flow.take(node);
            let lost = flow.dice.up_to(records);
            prop_assert_eq!(flow.process(node, records, lost), lost);
            if lost > 0 {
                let name = graph.nodes[node].name.clone();
                let found = flow.books.imbalances();
                let named = found.iter().find(|one| one.who == Who::Component { name: name.clone() });
                prop_assert_eq!(named.map(|one| one.by), Some(i128::from(lost)));
                let whole = found.iter().find(|one| one.who == Who::Pipeline);
                prop_assert_eq!(whole.map(|one| one.by), Some(i128::from(lost)));
                prop_assert_eq!(found.len(), 2, "nobody else is blamed: {:?}", found);
                let text = sheet(&flow.books, true, &[]);
                let expected = format!("UNEXPLAINED\n  component `{name}`: ");
                prop_assert!(text.contains(&expected), "{}", text);
                break;
            }
        }
    }
}
