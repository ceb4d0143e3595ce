//! An event, and how it arrived.

use crate::event::Timestamp;
use crate::record::TrailEvent;
use uuid::Uuid;

/// An event, and how it arrived.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Arrived {
    /// The event, as it is stored: personal values are encrypted.
    pub event: TrailEvent,
    /// The batch that seals it.
    pub batch_id: Uuid,
    /// The time at which its batch was stored.
    pub stored_at: Timestamp,
    /// Its leaf in the tree of its batch. Batches of the first versions have none.
    pub leaf: Option<Leaf>,
}

/// A leaf in the tree of a batch. The formats are in `docs/evidence.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leaf {
    /// The number of the leaf, from 1 on: leaf 0 of a batch is its link.
    pub number: u32,
    /// The SHA-256 digest of the event.
    pub digest: [u8; 32],
}
