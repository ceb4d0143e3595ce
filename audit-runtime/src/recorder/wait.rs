//! Waits for recorded events: until they are on disk, until PostgreSQL has them.

use super::Recorder;
use super::control::Progress;
use super::settings::Durability;
use crate::error::{RecordError, StoreError};
use crate::journal::NotSynced;

impl Recorder {
    /// Waits until the record that ends at this position survives the loss of power.
    pub(crate) async fn durable(&self, position: u64) -> Result<(), RecordError> {
        let durable = match self.settings.durability {
            Durability::Probe => Ok(()),
            Durability::Disk => self.synced(position).await,
            Durability::Database => self.stored(position - 1, position).await,
        };
        durable.map_err(|error| match error {
            StoreError::NotSynced => RecordError::NotSynced,
            StoreError::Forked => RecordError::Forked,
            StoreError::Closed | StoreError::InMemory => RecordError::Closed,
        })
    }

    /// Waits until what lies before this position is on disk.
    pub(crate) async fn synced(&self, position: u64) -> Result<(), StoreError> {
        if self.journal.is_in_memory() {
            return Err(StoreError::InMemory);
        }
        self.journal.synced(position).await.map_err(|error| match error {
            NotSynced::Failed => StoreError::NotSynced,
            NotSynced::Released if self.journal.is_forked() => StoreError::Forked,
            NotSynced::Released => StoreError::Closed,
        })
    }

    /// Waits until a broker, or PostgreSQL, has the records that end behind one position, up to another.
    pub(crate) async fn sent(&self, after: u64, position: u64) -> Result<(), StoreError> {
        self.reached(|progress| progress.sent_to >= position || progress.has(after, position)).await
    }

    /// Waits until PostgreSQL has the records that end behind one position, up to another.
    pub(crate) async fn stored(&self, after: u64, position: u64) -> Result<(), StoreError> {
        self.reached(|progress| progress.has(after, position)).await
    }

    async fn reached(&self, reached: impl Fn(&Progress) -> bool) -> Result<(), StoreError> {
        if self.journal.is_forked() {
            return Err(StoreError::Forked);
        }
        let mut progress = self.control.subscribe();
        if !reached(&progress.borrow()) {
            // Wakes the writer, so that the caller does not wait for its linger too.
            self.control.wake();
        }
        match progress.wait_for(|progress| reached(progress) || progress.ended).await {
            Ok(progress) if reached(&progress) => Ok(()),
            _ => Err(StoreError::Closed),
        }
    }
}
