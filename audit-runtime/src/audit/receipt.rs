//! Receipts of events that were recorded by hand.

use crate::error::StoreError;
use crate::recorder::Recorder;
use crate::sys::block_on;
use std::sync::Arc;
use uuid::Uuid;

/// A place in the journal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The position behind the first event's record.
    pub(super) first: u64,
    /// The position behind the last event's record.
    pub(super) last: u64,
}

/// Proof that [`Audit::record`](crate::Audit::record) put the event into the journal, or that the
/// policy left it out.
#[derive(Debug, Clone)]
pub struct Receipt {
    pub(super) id: Uuid,
    /// The place in the journal, or `None` if the event is not recorded.
    pub(super) place: Option<Place>,
    pub(super) recorder: Arc<Recorder>,
}

impl Receipt {
    /// Returns the event's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Returns whether the event is recorded. If it is not, a rule of the policy left it out.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.place.is_some()
    }

    /// Waits until PostgreSQL has the event, however long that takes.
    ///
    /// The server has committed it then, by the `synchronous_commit` that
    /// [`Builder::synchronous_commit`](crate::Builder::synchronous_commit) describes. The event
    /// survives the loss of this machine. It survives the loss of the server if a synchronous standby
    /// has it (`synchronous_standby_names`). With asynchronous replication, a standby that is promoted
    /// may lack it: [`Builder::keep_for`](crate::Builder::keep_for) keeps what can be sent again.
    ///
    /// An event that the policy left out is not waited for.
    ///
    /// # Errors
    /// The handle was shut down before that.
    pub async fn stored(&self) -> Result<(), StoreError> {
        match self.place {
            Some(place) => self.recorder.stored(place.first - 1, place.last).await,
            None => Ok(()),
        }
    }

    /// Waits until a broker has acknowledged the event ([`Builder::nats`](crate::Builder::nats)), or
    /// until PostgreSQL has it.
    ///
    /// A broker may lose what it has acknowledged. The journal keeps the event until PostgreSQL has
    /// it, and the event is then sent again. Without a broker, this waits as [`stored`](Self::stored)
    /// does.
    ///
    /// # Errors
    /// The handle was shut down before that.
    pub async fn sent(&self) -> Result<(), StoreError> {
        match self.place {
            Some(place) => self.recorder.sent(place.first - 1, place.last).await,
            None => Ok(()),
        }
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
    /// [`sync_every`](crate::Builder::sync_every). An event that the policy left out is not waited
    /// for.
    ///
    /// # Errors
    /// The disk refused, the journal is in memory, or the handle was shut down before that.
    pub async fn synced(&self) -> Result<(), StoreError> {
        match self.place {
            Some(place) => self.recorder.synced(place.last).await,
            None => Ok(()),
        }
    }

    /// Waits like [`synced`](Self::synced), for code without a runtime. It blocks the thread.
    ///
    /// # Errors
    /// As [`synced`](Self::synced).
    pub fn synced_blocking(&self) -> Result<(), StoreError> {
        block_on(self.synced())
    }
}
