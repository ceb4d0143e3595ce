//! The journal: an append-only, memory-mapped queue of records between the callers and the writer.
//!
//! # Constraints
//!
//! - A caller takes no lock, makes no system call, waits for nobody: one compare-and-swap and one copy. (For a new block, a second.)
//! - A record whose append returned outlives its process, SIGKILL included: the page cache holds it.
//! - A record that a thread had claimed and not published when its process died hides no later one.
//! - The bytes on disk are bounded; what does not fit is refused and counted, or waited for, never dropped silently.
//! - A full disk is an error when a segment is made, never a SIGBUS when it is written.
//! - Two live processes never share a journal. A dead one's is adopted by exactly one other.
//! - The payload is opaque here: the journal knows nothing of events or of PostgreSQL.
//!
//! # Layout
//!
//! [`format`] draws the bytes; [`directory`] the files and locks.
//!
//! # Writing, reading, deleting, recovery
//!
//! [`segment`] holds the protocol of claim, publish, read and retire, and with it all `unsafe`. This file makes
//! segments ahead of the callers (a housekeeping thread, woken once a segment), syncs them, and removes them
//! once the writer has acknowledged their records. [`recovery`] reads what a dead process left.

mod bench;
pub(crate) mod checksum;
mod directory;
mod durability;
pub(crate) mod format;
pub(crate) mod housekeeping;
mod inspect;
#[cfg(all(test, not(audit_loom), not(miri)))]
mod model;
mod recovery;
mod segment;

pub use bench::BenchedJournal;
pub(crate) use directory::Directory;
pub(crate) use durability::NotSynced;
use durability::Synced;
pub use inspect::{JournalState, JournalStatus, journals};
#[cfg(any(fuzzing, test))]
pub(crate) use recovery::scan;
pub(crate) use recovery::{Orphan, RecoveredRecord};
pub(crate) use segment::{Next, Record, fork};

use crate::clock::deadline;
use format::SegmentHeader;
use segment::{NoRoom, Ring, Segment};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use uuid::Uuid;

/// What a call does when the journal cannot take its event: the limit is reached, or the disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// The call proceeds, the event is refused and counted in [`Stats::refused`](crate::Stats).
    #[default]
    Refuse,
    /// The calling thread waits for room at most this long, then the event is refused. It blocks the thread:
    /// meant for programs that would rather stand still than act unaudited.
    Wait(Duration),
}

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The directory cannot be made, listed or locked.
    #[error("journal directory {}: {source}; name a directory this process may write to, on a local disk", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The first segment cannot be made.
    #[error("journal {}: a segment of {bytes} bytes cannot be made: {source}; free some space or name another directory", path.display())]
    Segment {
        /// The journal's directory.
        path: PathBuf,
        /// The size of the segment.
        bytes: u64,
        /// What the system answered.
        source: io::Error,
    },
}

/// Why a record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppendError {
    /// The limit is reached.
    Full,
    /// The next segment could not be made: most likely the disk is full.
    Disk,
    /// The payload is larger than a segment.
    TooLarge,
    Closed,
    /// This process is a fork of the journal's.
    Forked,
}

const NOT_EXHAUSTED: u8 = 0;
const LIMIT_EXHAUSTED: u8 = 1;
const DISK_EXHAUSTED: u8 = 2;

/// Sizes and policy of a journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of one segment: a power of two.
    pub(crate) segment_bytes: u64,
    /// Bytes of all segments together.
    pub(crate) limit_bytes: u64,
    pub(crate) overflow: Overflow,
}

/// The journal of this process.
#[derive(Debug)]
pub(crate) struct Journal {
    id: Uuid,
    /// `None` for `.memory()`.
    directory: Option<Directory>,
    limits: Limits,
    ring: Ring,
    /// Why no segment can be made at present, so that refusing costs a caller no system call.
    exhausted: AtomicU8,
    /// Held while a segment is made.
    growing: Mutex<()>,
    /// Waited on by `Overflow::Wait`.
    room: Condvar,
    synced: watch::Sender<Synced>,
    /// Somebody waits for the next sync.
    sync_wanted: AtomicBool,
    syncs_begun: AtomicU64,
    housekeeper: OnceLock<Thread>,
    /// Nobody syncs any more.
    released: AtomicBool,
}

impl Journal {
    /// Makes a new journal in its own directory under `parent`, or in memory.
    pub(crate) fn create(parent: Option<&std::path::Path>, limits: Limits) -> Result<Self, JournalError> {
        segment::fork::watch();
        let directory = parent.map(Directory::create).transpose()?;
        let id = directory.as_ref().map_or_else(Uuid::now_v7, Directory::id);
        let journal = Self {
            id,
            directory,
            limits,
            ring: Ring::new(id, limits.segment_bytes, (limits.limit_bytes / limits.segment_bytes) as usize + 1),
            exhausted: AtomicU8::new(NOT_EXHAUSTED),
            growing: Mutex::new(()),
            room: Condvar::new(),
            synced: watch::Sender::default(),
            sync_wanted: AtomicBool::new(false),
            syncs_begun: AtomicU64::new(0),
            housekeeper: OnceLock::new(),
            released: AtomicBool::new(false),
        };
        journal.make_segment().map_err(|source| JournalError::Segment {
            path: journal.directory.as_ref().map(|d| d.path().to_owned()).unwrap_or_default(),
            bytes: limits.segment_bytes,
            source,
        })?;
        Ok(journal)
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// Appends a record; returns the logical position behind it.
    #[inline]
    pub(crate) fn append(&self, payload: &[u8]) -> Result<u64, AppendError> {
        if payload.len() > self.ring.max_payload() {
            return Err(AppendError::TooLarge);
        }
        match self.ring.append(payload) {
            Ok(appended) => {
                if appended.opened_segment {
                    self.wake_housekeeper();
                }
                Ok(appended.end)
            }
            Err(no_room) => self.append_slowly(payload, no_room),
        }
    }

    /// Appends a record where there is room for it now.
    pub(crate) fn append_if_room(&self, payload: &[u8]) -> bool {
        payload.len() <= self.ring.max_payload() && self.ring.append(payload).is_ok()
    }

    #[cold]
    fn append_slowly(&self, payload: &[u8], mut no_room: NoRoom) -> Result<u64, AppendError> {
        let deadline = match self.limits.overflow {
            Overflow::Refuse => None,
            Overflow::Wait(at_most) => Some(deadline(at_most)),
        };
        loop {
            match no_room {
                NoRoom::Frontier => {}
                NoRoom::Closed => return Err(AppendError::Closed),
                NoRoom::Forked => return Err(AppendError::Forked),
            }
            let refused = self.exhausted().map_or_else(|| self.grow(), Err);
            if let Err(error) = refused {
                let Some(left) = deadline.and_then(|deadline| deadline.checked_duration_since(Instant::now())) else {
                    return Err(error);
                };
                self.wake_housekeeper();
                let growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
                if self.exhausted().is_some() {
                    drop(self.room.wait_timeout(growing, left));
                }
            }
            match self.ring.append(payload) {
                Ok(appended) => {
                    self.wake_housekeeper();
                    return Ok(appended.end);
                }
                Err(again) => no_room = again,
            }
        }
    }

    /// Makes the next segment if the callers have less than one whole segment ahead of them.
    pub(crate) fn grow(&self) -> Result<(), AppendError> {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ring.is_closed() {
            return Err(AppendError::Closed);
        }
        // Another thread may have been faster.
        if self.ring.frontier() > self.ring.cursor() + self.limits.segment_bytes {
            return Ok(());
        }
        let made = if self.bytes() + self.limits.segment_bytes > self.limits.limit_bytes {
            Err(AppendError::Full)
        } else {
            self.make_segment().map_err(|error| {
                if self.exhausted().is_none() {
                    tracing::warn!(journal = %self.id, %error, "no further journal segment can be made");
                }
                AppendError::Disk
            })
        };
        // With one segment left to write to, being unable to make another is no reason to refuse yet.
        let out_of_room = self.ring.frontier() < self.ring.cursor() + self.limits.segment_bytes;
        let exhausted = match made {
            Err(AppendError::Disk) if out_of_room => DISK_EXHAUSTED,
            Err(_) if out_of_room => LIMIT_EXHAUSTED,
            _ => NOT_EXHAUSTED,
        };
        self.exhausted.store(exhausted, Ordering::Relaxed);
        if made.is_ok() {
            self.room.notify_all();
        }
        made
    }

    fn exhausted(&self) -> Option<AppendError> {
        match self.exhausted.load(Ordering::Relaxed) {
            LIMIT_EXHAUSTED => Some(AppendError::Full),
            DISK_EXHAUSTED => Some(AppendError::Disk),
            _ => None,
        }
    }

    fn make_segment(&self) -> io::Result<()> {
        let header =
            SegmentHeader { journal: self.id, base: self.ring.frontier(), segment_bytes: self.limits.segment_bytes };
        let segment = match &self.directory {
            Some(directory) => {
                let segment = Segment::create(&directory.segment_path(header.base), header)?;
                directory.sync()?;
                segment
            }
            None => Segment::anonymous(header)?,
        };
        self.ring.install(segment).map_err(|_| io::Error::other("the table of segments is full"))
    }

    /// Bytes of all live segments: what the limit bounds.
    pub(crate) fn bytes(&self) -> u64 {
        self.ring.frontier() - self.ring.oldest()
    }

    /// Logical position behind all claims.
    pub(crate) fn cursor(&self) -> u64 {
        self.ring.cursor()
    }

    /// The reader is to come to where claims end now, which is given: what is left of blocks until there is not used any more.
    pub(crate) fn close_blocks(&self) -> u64 {
        self.ring.close_blocks()
    }

    /// Logical position of the reader.
    pub(crate) fn read_position(&self) -> u64 {
        self.ring.read_position()
    }

    /// Moves the reader over the next record.
    pub(crate) fn read(&self) -> Next {
        self.ring.read()
    }

    /// Looks at the record at or behind a position, without moving the reader.
    pub(crate) fn peek(&self, position: u64) -> Next {
        self.ring.peek(position)
    }

    /// Everything before this position is stored: segments that end before it are removed.
    pub(crate) fn acknowledge(&self, position: u64) {
        let retired = self.ring.retire(position);
        for segment in &retired {
            if let Some(path) = segment.path()
                && let Err(error) = std::fs::remove_file(path)
            {
                tracing::warn!(file = %path.display(), %error, "a journal segment that was shipped cannot be removed");
            }
        }
        if !retired.is_empty() {
            // There is room again; whoever needs it first makes the segment.
            self.exhausted.store(NOT_EXHAUSTED, Ordering::Relaxed);
            self.wake_housekeeper();
        }
    }

    /// Whether this process is a fork of the journal's.
    pub(crate) fn is_forked(&self) -> bool {
        self.ring.is_forked()
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        self.directory.is_none()
    }

    /// No append succeeds after this.
    pub(crate) fn close(&self) {
        self.ring.close();
        self.wake_housekeeper();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.ring.is_closed()
    }

    fn wake_housekeeper(&self) {
        if let Some(thread) = self.housekeeper.get() {
            thread.unpark();
        }
    }

    /// Gives a closed journal up: what is left of it is for the process that opens the directory next.
    pub(crate) fn release(&self) {
        if let Some(directory) = &self.directory {
            directory.release();
        }
    }

    /// Removes the files of a closed journal whose every record is stored.
    pub(crate) fn remove(&self) -> io::Result<()> {
        // Nobody is making another segment meanwhile, and nobody begins to: the journal is closed.
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        self.directory.as_ref().map_or(Ok(()), Directory::remove)
    }
}
