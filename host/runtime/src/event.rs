//! Everything that can happen to a running pipeline, as one closed enum: the control loop knows no other news.

use cardcage_plugin_api::abi::StreamPosition;
use std::sync::mpsc::{Receiver, Sender, channel};

/// News for the control loop. Nodes are indices in the graph, lanes indices in the pipeline.
#[derive(Debug)]
pub(crate) enum Event {
    /// Someone wants the pipeline to drain.
    Drain,
    /// A source injected a barrier: up to here its data belongs to the epoch.
    Positions { lane: usize, epoch: u64, positions: Vec<StreamPosition> },
    /// A sink is done with an epoch; `safe` says whether everything written since the one before is safe.
    Committed { node: usize, epoch: u64, safe: bool },
    /// A component has failed for good.
    Failed { node: usize, why: String },
    /// A lane's thread is about to end.
    LaneEnded { lane: usize },
}

/// Where lanes and others report to.
#[derive(Clone, Debug)]
pub(crate) struct Reports(Sender<Event>);

impl Reports {
    pub(crate) fn new() -> (Self, Receiver<Event>) {
        let (sender, receiver) = channel();
        (Self(sender), receiver)
    }

    pub(crate) fn send(&self, event: Event) {
        // Only after the control loop is gone, when nobody needs the news.
        let _ = self.0.send(event);
    }
}

/// Lets anyone ask a running pipeline to drain.
#[derive(Clone, Debug)]
pub struct DrainHandle(pub(crate) Reports);

impl DrainHandle {
    /// Sources stop, everything that is under way is delivered, the pipeline ends.
    pub fn drain(&self) {
        self.0.send(Event::Drain);
    }
}
