//! From a graph and opened components to lanes that are ready to run.

use crate::account::Counters;
use crate::batch::{Batch, Pool};
use crate::cancel::Cancel;
use crate::clock::monotonic_ns;
use crate::edge::Sender;
use crate::event::Reports;
use crate::inbox::Inbox;
use crate::instance::{CallError, StageOutputs};
use crate::lane::{Exit, Feed, Lane, Mailbox};
use crate::opening::Opening;
use crate::page::Page;
use crate::pipeline::Part;
use crate::restart::Restarts;
use crate::services::{Environment, HostHandle};
use crate::sink::SinkSlot;
use crate::slot::{LaneContext, Opened, Opener, Slot};
use crate::source::SourceSlot;
use crate::stage::StageSlot;
use crate::watch::Watch;
use cardcage_core::graph::{Edge, Graph, Output};
use cardcage_core::ledger::Account;
use cardcage_plugin_api::manifest::{Capability, Kind};
use std::sync::Arc;
use std::time::Duration;

/// Free batches that the pool keeps for each lane: one in hand, one being filled, some on their way back.
const FREE_BATCHES_PER_LANE: usize = 8;

/// The shortest time between two ticks: below it a stage would do nothing but tick.
const TICK_MIN_NS: i64 = 1_000_000;

/// What the control thread keeps of a lane after its thread started.
pub(crate) struct LaneRecord {
    /// Head and stages, by node.
    pub(crate) nodes: Vec<usize>,
    pub(crate) watch: Arc<Watch>,
    /// The lane's page in the books.
    pub(crate) page: Arc<Page>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) inbox: Option<Arc<Inbox>>,
    /// Every edge that leaves the lane, to end them if the lane has to be given up.
    pub(crate) senders: Arc<[Sender]>,
}

/// A pipeline's lanes and what belongs to all of them.
pub(crate) struct Built {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) records: Vec<LaneRecord>,
    pub(crate) counters: Vec<Arc<Counters>>,
    pub(crate) hosts: Vec<HostHandle>,
    /// For each edge of the graph, the inbox and the place in it; `None` for an edge inside a lane.
    pub(crate) edges: Vec<Option<(Arc<Inbox>, usize)>>,
}

/// Wires everything up and opens every component. Nothing runs yet. On an error all that was opened is closed again.
pub(crate) fn build(
    graph: &Graph,
    parts: Vec<Part>,
    environment: &Arc<Environment>,
    cancel: &Arc<Cancel>,
    reports: &Reports,
) -> Result<Built, Vec<(usize, CallError)>> {
    let plan = graph.lanes();
    let records = parts.iter().map(|part| part.config.batch.records).max().unwrap_or(1);
    let pool = Pool::new(records, plan.len() * FREE_BATCHES_PER_LANE);
    let inboxes = inboxes(graph, &plan, &parts, &pool);
    let edges = place_edges(graph, &inboxes);
    let hosts: Vec<HostHandle> = parts.iter().map(|part| host_of(part, environment)).collect();
    let counters: Vec<_> =
        parts.iter().map(|part| Arc::new(Counters::new(&part.description.reasons))).collect();
    let mut wiring = Wiring {
        graph,
        edges: &edges,
        counters: &counters,
        hosts: &hosts,
        parts: parts.into_iter().map(Some).collect(),
        errors: Vec::new(),
        opening: Opening::watch(),
    };
    let (mut lanes, mut lane_records) = (Vec::new(), Vec::new());
    for (index, lane) in plan.iter().enumerate() {
        let context = LaneContext {
            watch: Arc::new(Watch::default()),
            page: Arc::new(Page::default()),
            cancel: Arc::clone(cancel),
            reports: reports.clone(),
            pool: pool.clone(),
            leaving: wiring.leaving(lane).into(),
        };
        let inbox = inboxes.get(lane.head).cloned().flatten();
        let record = LaneRecord {
            nodes: lane.nodes().collect(),
            watch: Arc::clone(&context.watch),
            page: Arc::clone(&context.page),
            mailbox: Arc::new(Mailbox::default()),
            inbox: inbox.clone(),
            senders: Arc::clone(&context.leaving),
        };
        if let Some(lane) = wiring.lane(index, lane, inbox, &context, &record.mailbox) {
            lanes.push(lane);
        }
        lane_records.push(record);
    }
    let errors = std::mem::take(&mut wiring.errors);
    drop(wiring);
    if errors.is_empty() {
        audit(graph, environment, &counters, &inboxes);
        return Ok(Built { lanes, records: lane_records, counters, hosts, edges });
    }
    for mut lane in lanes {
        lane.close_unused();
    }
    Err(errors)
}

/// What the host counts of each component and of the queue in front of it is audited, too.
fn audit(
    graph: &Graph,
    environment: &Environment,
    counters: &[Arc<Counters>],
    inboxes: &[Option<Arc<Inbox>>],
) {
    type Read = fn(&Account) -> u64;
    let counts: [(&str, &str, Read); 3] = [
        ("cardcage_component_in_records", "records that came in", |account| account.input),
        ("cardcage_component_out_records", "records that were given or delivered", |account| account.output),
        ("cardcage_component_failed_records", "records that were lost in failures", |account| account.failed),
    ];
    let metrics = &environment.metrics;
    for ((node, counters), inbox) in graph.nodes.iter().zip(counters).zip(inboxes) {
        for (name, help, read) in counts {
            let counters = Arc::clone(counters);
            metrics.counter(&node.name, name, help, move || read(&counters.account()));
        }
        if let Some(inbox) = inbox.clone() {
            metrics.gauge(&node.name, "cardcage_queue_records", "records that wait for it", move || {
                inbox.queued()
            });
        }
    }
}

fn host_of(part: &Part, environment: &Arc<Environment>) -> HostHandle {
    HostHandle::for_component(
        environment,
        &part.config.name,
        part.handle.plugin(),
        &part.config.tags,
        part.handle.shared_manifest(),
    )
}

/// For each node the inbox in front of it, if it heads a lane and is no source.
fn inboxes(
    graph: &Graph,
    plan: &[cardcage_core::graph::Lane],
    parts: &[Part],
    pool: &Pool,
) -> Vec<Option<Arc<Inbox>>> {
    let mut inboxes = vec![None; graph.nodes.len()];
    for lane in plan.iter().filter(|lane| graph.nodes[lane.head].kind != Kind::Source) {
        let edges = graph.incoming(lane.head).count();
        let records = parts[lane.head].config.buffer_bytes / cardcage_core::config::valid::RECORD_BYTES;
        inboxes[lane.head] = Some(Arc::new(Inbox::new(edges, records, pool.clone())));
    }
    inboxes
}

/// Where each edge of the graph ends: the inbox of its consumer, and which of the edges there it is.
fn place_edges(graph: &Graph, inboxes: &[Option<Arc<Inbox>>]) -> Vec<Option<(Arc<Inbox>, usize)>> {
    let mut taken = vec![0; graph.nodes.len()];
    graph
        .edges
        .iter()
        .map(|edge| {
            let inbox = inboxes[edge.to].clone()?;
            let place = taken[edge.to];
            taken[edge.to] += 1;
            Some((inbox, place))
        })
        .collect()
}

struct Wiring<'a> {
    graph: &'a Graph,
    edges: &'a [Option<(Arc<Inbox>, usize)>],
    counters: &'a [Arc<Counters>],
    hosts: &'a [HostHandle],
    parts: Vec<Option<Part>>,
    errors: Vec<(usize, CallError)>,
    opening: Opening,
}

impl Wiring<'_> {
    fn senders(&self, wanted: impl Fn(&Edge) -> bool) -> Vec<Sender> {
        let edges = self.graph.edges.iter().zip(self.edges);
        edges
            .filter(|(edge, _)| wanted(edge))
            .filter_map(|(_, place)| place.as_ref().map(|(inbox, at)| Sender::new(Arc::clone(inbox), *at)))
            .collect()
    }

    /// Every edge that leaves a lane.
    fn leaving(&self, lane: &cardcage_core::graph::Lane) -> Vec<Sender> {
        self.senders(|edge| lane.nodes().any(|node| node == edge.from))
    }

    /// One lane; `None` if a component did not open (which is then noted).
    fn lane(
        &mut self,
        index: usize,
        lane: &cardcage_core::graph::Lane,
        inbox: Option<Arc<Inbox>>,
        context: &LaneContext,
        mailbox: &Arc<Mailbox>,
    ) -> Option<Lane> {
        let has_inbox = inbox.is_some();
        let mut awaits_last_acknowledgement = false;
        let feed = if let Some(inbox) = inbox {
            Some(Feed::Inbox(inbox))
        } else {
            let source = self.source(lane.head, context);
            awaits_last_acknowledgement = source.as_ref().is_some_and(|source| {
                source.slot.opener.handle.manifest().capabilities.has(Capability::Acknowledged)
            });
            source.map(|source| Feed::Source(Box::new(source)))
        };
        let is_sink = self.graph.nodes[lane.head].kind == Kind::Sink;
        let exit = if is_sink {
            self.slot(lane.head, context).map(|slot| Exit::Sink(Box::new(SinkSlot::new(slot))))
        } else {
            let tail = lane.tail();
            Some(Exit::Senders(self.senders(|edge| edge.from == tail && edge.output == Output::Main)))
        };
        let head = (has_inbox && !is_sink).then_some(lane.head);
        let nodes = head.into_iter().chain(lane.stages.iter().copied());
        let stages: Vec<Option<StageSlot>> = nodes.map(|node| self.stage(node, context)).collect();
        let mut stages: Vec<StageSlot> = stages.into_iter().flatten().collect();
        let (Some(feed), Some(exit)) = (feed, exit) else {
            for stage in &mut stages {
                // Not running, so nothing could have given it up; what `close` says is in the log.
                let _ = stage.slot.close();
            }
            return None;
        };
        Some(Lane {
            index,
            feed,
            stages,
            exit,
            mailbox: Arc::clone(mailbox),
            context: context.clone(),
            injected_epoch: 0,
            unannounced: 0,
            passed_last_ns: 0,
            awaits_last_acknowledgement,
        })
    }

    fn slot<I: Opened>(&mut self, node: usize, context: &LaneContext) -> Option<Slot<I>> {
        let part = self.parts[node].take()?;
        let opener = Opener {
            handle: part.handle,
            settings: part.config.settings.clone(),
            host: self.hosts[node],
            reasons: part.description.reasons.len(),
        };
        self.opening.begin(&part.config.name, part.config.deadline);
        let result = opener.open();
        self.opening.end();
        let instance = match result {
            Ok(instance) => Some(instance),
            Err(error) => {
                self.errors.push((node, error));
                return None;
            }
        };
        let dead_letter = self.senders(|edge| edge.from == node && edge.output == Output::DeadLetter);
        Some(Slot {
            node,
            opener,
            instance,
            counters: Arc::clone(&self.counters[node]),
            dead_letter: dead_letter.into_iter().next(),
            restarts: Restarts::new(part.config.restarts.count, part.config.restarts.window),
            context: context.clone(),
            complaints: 0,
        })
    }

    fn source(&mut self, node: usize, context: &LaneContext) -> Option<SourceSlot> {
        let batch = self.parts[node].as_ref().map(|part| part.config.batch)?;
        let slot = self.slot(node, context)?;
        Some(SourceSlot::new(slot, batch.records, nanoseconds(batch.linger)))
    }

    fn stage(&mut self, node: usize, context: &LaneContext) -> Option<StageSlot> {
        let description = self.parts[node].as_ref().map(|part| part.description.clone())?;
        let slot = self.slot(node, context)?;
        let port_senders: Vec<Vec<Sender>> = (0..description.ports.len())
            .map(|port| self.senders(|edge| edge.from == node && edge.output == Output::Port(port)))
            .collect();
        let ports: Vec<Option<Batch>> =
            port_senders.iter().map(|senders| (!senders.is_empty()).then(|| context.pool.take())).collect();
        let every = |every: u64| i64::try_from(every).unwrap_or(i64::MAX).max(TICK_MIN_NS);
        let tick_every_ns = description.tick_every_ns.map(every);
        Some(StageSlot {
            slot,
            outputs: StageOutputs { main: context.pool.take(), ports },
            port_senders,
            tick_every_ns,
            next_tick_ns: tick_every_ns.map_or(i64::MAX, |every| monotonic_ns().saturating_add(every)),
        })
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
