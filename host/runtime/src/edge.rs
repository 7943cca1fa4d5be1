//! The producer's end of an edge.

use crate::batch::Batch;
use crate::inbox::Inbox;
use std::sync::Arc;

/// Where an output leads: one incoming edge of a consumer's inbox.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    inbox: Arc<Inbox>,
    edge: usize,
}

impl Sender {
    pub(crate) fn new(inbox: Arc<Inbox>, edge: usize) -> Self {
        Self { inbox, edge }
    }

    pub(crate) fn barrier(&self, epoch: u64) {
        self.inbox.barrier(self.edge, epoch);
    }

    /// Wakes the consumer for what was sent since.
    pub(crate) fn announce(&self) {
        self.inbox.announce();
    }

    pub(crate) fn end(&self) {
        self.inbox.end(self.edge);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.inbox.is_open()
    }

    /// Hands over a batch without waking the consumer (see [`Sender::announce`]); if the consumer is gone, the batch comes back and is counted on the edge.
    ///
    /// Before it has to wait for room, `others` are announced: their consumers must not sleep meanwhile.
    pub(crate) fn send(&self, batch: Batch, others: &[Self]) -> Result<(), Batch> {
        self.inbox.push(self.edge, batch, || others.iter().for_each(Self::announce))
    }
}
