//! Rows that a lake has, as a prune sees them.

use crate::event::Timestamp;
use std::fmt;
use std::pin::Pin;
use uuid::Uuid;

/// Rows of a lake in the order of time and id: each with its digest, as the lake's own columns give it.
#[doc(hidden)]
pub type KeptRows = Box<dyn Iterator<Item = Result<(Timestamp, Uuid, [u8; 32]), String>> + Send>;

/// Shows the rows of a lake, which a prune compares with those that go.
#[doc(hidden)]
pub trait Kept: fmt::Debug + Send + Sync {
    /// Returns the rows from a moment to another one.
    ///
    /// # Errors
    /// The lake cannot be read, or is not what its manifest names.
    fn rows(
        &self,
        begin: Timestamp,
        end: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<KeptRows, String>> + Send + '_>>;

    /// Returns what the event of the prune states of the lake.
    fn statement(&self, rows: u64) -> serde_json::Value;
}
