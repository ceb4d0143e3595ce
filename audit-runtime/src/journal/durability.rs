//! What of a journal is on disk: survives not only its process but a power failure.
//!
//! The housekeeper syncs at an interval, and at once when somebody waits; all who wait are served by one sync.

use super::Journal;
use std::io;
use std::sync::atomic::Ordering;

/// How much of a journal is on disk.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Synced {
    /// What lies before was handed to the disk,
    to: u64,
    /// and what lies before this in vain.
    failed_to: u64,
}

/// Why a record is not known to be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSynced {
    Failed,
    Released,
}

impl Journal {
    /// Writes what was published so far to the disk. What is still being copied, and all behind it, is for the next time.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.sync_wanted.store(false, Ordering::Release);
        let Synced { to: from, .. } = *self.synced.borrow();
        let to = self.ring.published_to(from);
        if from < to {
            let written = self.ring.segments().iter().try_for_each(|segment| {
                let offset = |position: u64| position.saturating_sub(segment.base()).min(self.limits.segment_bytes);
                segment.sync(offset(from) as usize, offset(to) as usize)
            });
            self.synced.send_modify(|synced| match written {
                Ok(()) => synced.to = to,
                // What the system could not write it may have given up: it is never said to be on disk.
                Err(_) => *synced = Synced { to, failed_to: to },
            });
            return written;
        }
        Ok(())
    }

    /// Waits until what lies before a position is on disk; all who wait are served by one sync.
    ///
    /// # Errors
    /// It could not be written, or the journal was given up before.
    pub(crate) async fn synced(&self, position: u64) -> Result<(), NotSynced> {
        let mut synced = self.synced.subscribe();
        loop {
            let Synced { to, failed_to } = *synced.borrow_and_update();
            if position <= failed_to {
                return Err(NotSynced::Failed);
            }
            if position <= to {
                return Ok(());
            }
            if self.ring.is_forked() || self.released.load(Ordering::Acquire) {
                return Err(NotSynced::Released);
            }
            self.sync_wanted.store(true, Ordering::Release);
            self.wake_housekeeper();
            if synced.changed().await.is_err() {
                return Err(NotSynced::Released);
            }
        }
    }

    pub(crate) fn is_sync_wanted(&self) -> bool {
        self.sync_wanted.load(Ordering::Acquire)
    }

    /// The housekeeper has ended: who still waits for a sync waits in vain.
    pub(crate) fn end_syncs(&self) {
        self.released.store(true, Ordering::Release);
        self.synced.send_modify(|_| {});
    }
}
