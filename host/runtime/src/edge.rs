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

    /// Counts records as sent; the producer does so before it sends them, in the entry in which they leave it.
    pub(crate) fn count(&self, records: u64) {
        self.inbox.counts(self.edge).sends(records);
    }

    /// Counts records that came back.
    pub(crate) fn count_back(&self, records: u64) {
        self.inbox.counts(self.edge).gets_back(records);
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

    /// Hands over a batch that was counted, without waking the consumer (see [`Sender::announce`]); if the consumer is
    /// gone, what it has not taken comes back.
    ///
    /// Before it has to wait for room, `others` are announced: their consumers must not sleep meanwhile.
    pub(crate) fn send(&self, batch: Batch, others: &[Self]) -> Result<(), Batch> {
        self.inbox.push(self.edge, batch, || others.iter().for_each(Self::announce))
    }
}
