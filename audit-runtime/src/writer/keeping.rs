//! Copies of batches as they are sent, with their keys, kept for a replay.

use super::batch::Batch;
use super::parts::WriterParts;
use super::wire;
use crate::event::clock;
use tokio::task::JoinHandle;

impl WriterParts {
    /// Begins to keep a copy of a batch, if copies are kept.
    pub(super) fn keep(&self, batch: &Batch) -> Option<JoinHandle<()>> {
        let keeper = self.keeper.clone()?;
        let (journal, first, bytes) = (batch.journal_id, batch.first, wire::encode_with_keys(batch));
        Some(tokio::task::spawn_blocking(move || keeper.keep(clock::micros_now(), journal, first, &bytes)))
    }

    /// Removes copies whose time is over, until it is dropped.
    pub(super) async fn tidy_copies(&self) {
        let Some(keeper) = &self.keeper else {
            return std::future::pending().await;
        };
        loop {
            let tidying = keeper.clone();
            let _ = tokio::task::spawn_blocking(move || tidying.tidy()).await;
            tokio::time::sleep(keeper.tidy_every()).await;
        }
    }
}
