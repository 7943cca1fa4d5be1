//! The producer's end of an edge.

use crate::batch::Batch;
use crate::inbox::Inbox;
use std::sync::Arc;
use std::sync::atomic::Ordering;

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

    pub(crate) fn end(&self) {
        self.inbox.end(self.edge);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.inbox.is_open()
    }

    /// Hands over a batch; if the consumer is gone, the batch comes back and is counted on the edge.
    pub(crate) fn send(&self, batch: Batch) -> Result<(), Batch> {
        self.inbox.push(self.edge, batch).inspect_err(|batch| {
            let counts = self.inbox.counts(self.edge);
            counts.sent.fetch_add(u64::from(batch.len()), Ordering::Relaxed);
            counts
                .discarded
                .fetch_add(u64::from(batch.len()), Ordering::Relaxed);
        })
    }
}
