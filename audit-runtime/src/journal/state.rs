//! The state of a journal beside its ring: room, syncs, neighbours.

use super::error::AppendError;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// How much room is kept ahead of the callers.
#[derive(Debug)]
pub(super) struct Ahead {
    pub(super) bytes: u64,
    /// The position of claims when the journal last was idle.
    pub(super) idle_at: u64,
}

impl Ahead {
    pub(super) fn new(bytes: u64) -> Self {
        Self { bytes, idle_at: 0 }
    }
}

/// A segment that is to be ended: that of this position, if claims are still made in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) before: u64,
    pub(super) is_idle: bool,
}

/// Why no room can be made at present.
#[derive(Debug, Default)]
pub(super) struct Exhausted(AtomicU8);

impl Exhausted {
    pub(super) fn get(&self) -> Option<AppendError> {
        match self.0.load(Ordering::Relaxed) {
            1 => Some(AppendError::Full),
            2 => Some(AppendError::Disk),
            _ => None,
        }
    }

    pub(super) fn set(&self, why: Option<AppendError>) {
        let code = match why {
            None => 0,
            Some(AppendError::Disk) => 2,
            Some(_) => 1,
        };
        self.0.store(code, Ordering::Relaxed);
    }
}

/// How much of a journal is on disk.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Synced {
    /// Records before this position were handed to the disk.
    pub(super) to: u64,
    /// Records before this position could not be written to it.
    pub(super) failed_to: u64,
    /// The number of the last sync. Records that were published before it began are on disk, in
    /// whichever block.
    pub(super) number: u64,
    /// The fingerprint of the claims when the last sync began.
    pub(super) claimed: u64,
    /// The sync before began with the same claims: all of them have been published since.
    pub(super) settled: bool,
}

/// Why a record is not known to be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSynced {
    Failed,
    Released,
}

/// The disk usage of the other journals under the directory.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// Bytes that they take on the disk.
    pub(super) bytes: AtomicU64,
    /// The lack of room was reported.
    pub(super) told: AtomicBool,
}
