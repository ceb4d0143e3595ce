//! Receipts of events that were recorded by hand.

use crate::error::StoreError;
use crate::recorder::Recorder;
use crate::sys::block_on;
use std::sync::Arc;
use uuid::Uuid;

/// Proof that [`Audit::record`](crate::Audit::record) put the event into the journal.
#[derive(Debug, Clone)]
pub struct Receipt {
    pub(super) id: Uuid,
    pub(super) position: u64,
    pub(super) recorder: Arc<Recorder>,
}

impl Receipt {
    /// Returns the event's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Waits until PostgreSQL has the event, however long that takes.
    ///
    /// # Errors
    /// The handle was shut down before that.
    pub async fn stored(&self) -> Result<(), StoreError> {
        self.recorder.stored(self.position - 1, self.position).await
    }

    /// Waits like [`stored`](Self::stored), for code without a runtime. It blocks the thread.
    ///
    /// # Errors
    /// As [`stored`](Self::stored).
    pub fn stored_blocking(&self) -> Result<(), StoreError> {
        block_on(self.stored())
    }
}

impl Receipt {
    /// Waits until the event is on disk.
    ///
    /// Until then a power failure can destroy it, though the end of the process cannot. Waiters
    /// share one sync, which begins at once rather than at the next
    /// [`sync_every`](crate::Builder::sync_every).
    ///
    /// # Errors
    /// The disk refused, the journal is in memory, or the handle was shut down before that.
    pub async fn synced(&self) -> Result<(), StoreError> {
        self.recorder.synced(self.position).await
    }

    /// Waits like [`synced`](Self::synced), for code without a runtime. It blocks the thread.
    ///
    /// # Errors
    /// As [`synced`](Self::synced).
    pub fn synced_blocking(&self) -> Result<(), StoreError> {
        block_on(self.synced())
    }
}
