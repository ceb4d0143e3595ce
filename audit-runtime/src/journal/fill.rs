//! How full a journal is, and whether it can take events: for those who watch it.

use super::error::AppendError;
use super::live::Journal;
use std::sync::atomic::Ordering;

impl Journal {
    /// Bytes in use: those of its segments but for the room ahead of the callers.
    pub(crate) fn used(&self) -> u64 {
        let ahead = self.ring.frontier().saturating_sub(self.ring.cursor());
        self.bytes().saturating_sub(ahead)
    }

    /// The most bytes it may use now: its own limit, or what other journals leave of that of the
    /// directory.
    pub(crate) fn limit(&self) -> u64 {
        let others = self.crowd.bytes.load(Ordering::Relaxed);
        let left = self.parent.as_ref().map_or(u64::MAX, |parent| parent.limit_bytes.saturating_sub(others));
        self.limits.limit_bytes.min(left)
    }

    /// Why not even a small event finds room at present, or `None` if it does.
    pub(crate) fn has_no_room(&self) -> Option<AppendError> {
        self.exhausted.get()
    }

    /// Whether the last sync failed.
    pub(crate) fn is_sync_failing(&self) -> bool {
        self.sync_failing.load(Ordering::Relaxed)
    }
}
