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
    /// The number of the last sync: what was published before it began is on disk, in whichever block.
    number: u64,
    /// What had been claimed when it began,
    claimed: u64,
    /// and when the one before began: all of it has been published since.
    settled: bool,
}

/// Why a record is not known to be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSynced {
    Failed,
    Released,
}

impl Journal {
    /// Writes what was published so far to the disk. Behind what is still being copied, or is still free, more is known to be there by the
    /// number of the sync alone: blocks are not filled in their order.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let is_wanted = self.sync_wanted.swap(false, Ordering::AcqRel);
        let number = self.syncs_begun.fetch_add(1, Ordering::AcqRel) + 1;
        let before = *self.synced.borrow();
        // A record that nobody will find is not on disk, even if it could be written there.
        let found = self.check_place();
        // Counted before what is published is looked at: a claim that is not in it is not yet published, either.
        let claimed = self.ring.claimed();
        let to = self.ring.published_to(before.to);
        // No further than that: a page that was written to the disk is faulted in anew by the next call that writes to it.
        let end = self.ring.claimed_to();
        let settled = claimed == before.claimed && to == before.to;
        if before.to == end || (settled && before.settled && !is_wanted) {
            return found;
        }
        let written = found.and_then(|()| {
            self.ring.segments().iter().try_for_each(|segment| {
                let offset = |position: u64| position.saturating_sub(segment.base()).min(self.limits.segment_bytes);
                segment.sync(offset(before.to) as usize, offset(end) as usize)
            })
        });
        self.synced.send_modify(|synced| match written {
            Ok(()) => *synced = Synced { to, number, claimed, settled, ..*synced },
            // What the system could not write it may have given up: it is never said to be on disk.
            Err(_) => *synced = Synced { to: end, failed_to: end, number, claimed, settled },
        });
        written
    }

    /// Checks that the journal is where the next process would look for it.
    fn check_place(&self) -> io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let check = || {
            let segments = self.ring.segments();
            directory.check(segments.iter().filter_map(|segment| segment.path()))
        };
        // A segment that was shipped meanwhile is gone by right, and so is all of a journal that was closed.
        check().or_else(|_| check()).or_else(|error| if self.is_closed() { Ok(()) } else { Err(error) })
    }

    /// Waits until what lies before a position is on disk, which is published; all who wait are served by one sync.
    ///
    /// # Errors
    /// It could not be written, or the journal was given up before.
    pub(crate) async fn synced(&self, position: u64) -> Result<(), NotSynced> {
        let mut synced = self.synced.subscribe();
        // The next one begins after this.
        let wanted = self.syncs_begun.load(Ordering::Acquire) + 1;
        loop {
            let Synced { to, failed_to, number, .. } = *synced.borrow_and_update();
            if position <= failed_to {
                return Err(NotSynced::Failed);
            }
            if position <= to || number >= wanted {
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
