//! Syncs: the part of a journal that survives not only its process but a power failure.
//!
//! The housekeeper syncs at an interval, and at once when a caller waits. One sync serves all who
//! wait.

use super::live::Journal;
use super::state::{NotSynced, Synced};
use std::io;
use std::sync::atomic::Ordering;

impl Journal {
    /// Writes what was published so far to the disk. Behind what is still being copied, or is still
    /// free, only the number of the sync shows what is there, because blocks are not filled in
    /// their order.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.sync_checked_by(|| self.check_place())
    }

    fn sync_checked_by(&self, check: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let is_wanted = self.sync_wanted.swap(false, Ordering::AcqRel);
        let number = self.syncs_begun.fetch_add(1, Ordering::AcqRel) + 1;
        let before = *self.synced.borrow();
        // Counted before what is published is looked at: a claim that is not in it is not yet
        // published, either.
        let claimed = self.ring.claim_fingerprint();
        let to = self.ring.published_to(before.to);
        // No further than that: a page that was written to the disk is faulted in anew by the next
        // call that writes to it.
        let end = self.ring.claimed_to();
        let settled = claimed == before.claimed && to == before.to;
        if before.to == end || (settled && before.settled && !is_wanted) {
            return check();
        }
        let written = self.ring.segments().iter().try_for_each(|segment| {
            let offset = |position: u64| position.saturating_sub(segment.base()).min(self.limits.segment_bytes);
            segment.sync(offset(before.to) as usize, offset(end) as usize)
        });
        // A record that an adopter cannot find is not on disk, even if it could be written there.
        // The check comes last: one that came first says nothing of a record published after it.
        let written = written.and_then(|()| check());
        self.synced.send_modify(|synced| match written {
            Ok(()) => *synced = Synced { to, number, claimed, settled, ..*synced },
            // The system may have given up the bytes it could not write: they never count as being
            // on disk.
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
        // A segment that was shipped meanwhile is gone by right, and so is all of a journal that
        // was closed.
        check().or_else(|_| check()).or_else(|error| if self.is_closed() { Ok(()) } else { Err(error) })
    }

    /// Waits until the bytes before a published position are on disk. One sync serves all waiters.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::super::{Journal, Limits};

    #[test]
    fn a_record_that_comes_after_the_check_of_the_directory_is_left_to_the_next_sync() {
        let parent = tempfile::tempdir().unwrap();
        let journal = Journal::create(Some(parent.path()), Limits::new(32 << 10, 128 << 10)).unwrap();
        journal.append(b"before").unwrap();
        let before = journal.ring.published_to(0);
        // Another process removes the directory behind the check, and a call records an event.
        let checked = journal.sync_checked_by(|| {
            let checked = journal.check_place();
            for directory in std::fs::read_dir(parent.path()).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
                std::fs::remove_dir_all(directory.path()).unwrap();
            }
            journal.append(b"after").unwrap();
            checked
        });
        checked.unwrap();
        assert_eq!(journal.synced.borrow().to, before);
        journal.sync().unwrap_err();
        assert_eq!(journal.synced.borrow().failed_to, journal.ring.claimed_to());
    }
}
