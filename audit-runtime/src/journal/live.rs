//! The journal of this process: its callers append, its writer reads.

#[cfg(feature = "postgres")]
use super::cut_log::{self, CutLog};
use super::directory::Directory;
use super::error::{AppendError, JournalError};
use super::filesystem;
use super::limits::{Limits, Overflow};
use super::parent_directory::Parent;
use super::segment::{Next, NoRoom, Ring};
use super::state::{Ahead, Crowd, Exhausted, Synced, Wanted};
use crate::sys::deadline;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use uuid::Uuid;

/// The longest time a thread waits for room before it looks again, if no other thread wakes it.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The journal of this process.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(super) id: Uuid,
    /// `None` for `.memory()`.
    pub(super) directory: Option<Directory>,
    pub(super) parent: Option<Parent>,
    pub(super) crowd: Crowd,
    pub(super) limits: Limits,
    /// The largest payload that is taken.
    max_payload: usize,
    pub(super) ring: Ring,
    /// Why no room can be made at present, so that refusing costs a caller no system call.
    pub(super) exhausted: Exhausted,
    /// Held while room is made.
    pub(super) growing: Mutex<Ahead>,
    /// A segment that the writer wants ended.
    pub(super) end_wanted: Mutex<Option<Wanted>>,
    /// Waited on by `Overflow::Wait`.
    pub(super) room: Condvar,
    pub(super) synced: watch::Sender<Synced>,
    /// A caller waits for the next sync.
    pub(super) sync_wanted: AtomicBool,
    pub(super) syncs_begun: AtomicU64,
    /// The last sync failed.
    pub(super) sync_failing: AtomicBool,
    pub(super) housekeeper: OnceLock<Thread>,
    /// The journal was released: syncs have ended.
    pub(super) released: AtomicBool,
}

impl Journal {
    /// Makes a new journal in its own directory under `parent`, or in memory.
    pub(crate) fn create(parent: Option<&std::path::Path>, limits: Limits) -> Result<Self, JournalError> {
        Self::create_under(parent.map(Parent::own), limits)
    }

    /// Creates a journal under a directory that may be shared and bounded.
    pub(crate) fn create_under(parent: Option<Parent>, limits: Limits) -> Result<Self, JournalError> {
        crate::sys::fork::watch();
        let directory = parent.as_ref().map(|parent| Directory::create(parent, limits.writing)).transpose()?;
        let id = directory.as_ref().map_or_else(Uuid::now_v7, Directory::id);
        let ring = Ring::new(id, limits.segment_bytes, limits.most_segments(), limits.writing);
        let journal = Self {
            id,
            directory,
            parent,
            crowd: Crowd::default(),
            limits,
            max_payload: ring.max_payload().min(limits.record_bytes),
            ring,
            exhausted: Exhausted::default(),
            growing: Mutex::new(Ahead::new(limits.grain())),
            end_wanted: Mutex::new(None),
            room: Condvar::new(),
            synced: watch::Sender::default(),
            sync_wanted: AtomicBool::new(false),
            syncs_begun: AtomicU64::new(0),
            sync_failing: AtomicBool::new(false),
            housekeeper: OnceLock::new(),
            released: AtomicBool::new(false),
        };
        journal.count_others();
        if let Err(source) = journal.begin() {
            let path = journal.directory.as_ref().map(|d| d.path().to_owned()).unwrap_or_default();
            // Nothing is in it yet.
            let _ = journal.remove();
            return Err(match source.kind() {
                io::ErrorKind::Unsupported => filesystem::refused(&path),
                _ => JournalError::Segment { path, bytes: limits.grain(), source },
            });
        }
        Ok(journal)
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// Appends a record, and returns the logical position behind it.
    #[inline]
    pub(crate) fn append(&self, payload: &[u8]) -> Result<u64, AppendError> {
        if payload.len() > self.max_payload {
            return Err(AppendError::TooLarge);
        }
        match self.ring.append(payload) {
            Ok(appended) => {
                if appended.is_low {
                    self.wake_housekeeper();
                }
                Ok(appended.end)
            }
            Err(no_room) => self.append_slowly(payload, no_room),
        }
    }

    /// Appends a record where there is room for it now.
    pub(crate) fn append_if_room(&self, payload: &[u8]) -> bool {
        payload.len() <= self.max_payload && self.ring.append(payload).is_ok()
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
                NoRoom::NotWritten => {
                    self.exhausted.set(Some(AppendError::Disk));
                    self.wake_housekeeper();
                }
                NoRoom::Closed => return Err(AppendError::Closed),
                NoRoom::Forked => return Err(AppendError::Forked),
            }
            let refused = self.exhausted.get().map_or_else(|| self.grow_for(payload.len()), Err);
            if let Err(error) = refused {
                let Some(left) = deadline.and_then(|deadline| deadline.checked_duration_since(Instant::now())) else {
                    return Err(error);
                };
                self.wake_housekeeper();
                let growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
                // While the journal is not exhausted, no thread signals further room, so this one
                // looks again.
                let longest = if self.exhausted.get().is_some() { left } else { left.min(LOOK_AGAIN) };
                drop(self.room.wait_timeout(growing, longest));
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

    /// Bytes of all live segments, as far as they are allocated: what the limit bounds.
    pub(crate) fn bytes(&self) -> u64 {
        self.ring.allocated()
    }

    /// Logical position behind all claims.
    pub(crate) fn cursor(&self) -> u64 {
        self.ring.cursor()
    }

    /// The reader is to come to where claims end now, which is given: what is left of blocks until
    /// there is not used any more.
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
            #[cfg(feature = "postgres")]
            if let Some(directory) = &self.directory {
                // (A segment in which no batch began has none.)
                let _ = std::fs::remove_file(cut_log::path(directory.path(), segment.base()));
            }
        }
        if !retired.is_empty() {
            // There is room again. The next thread that needs it makes the segment.
            self.exhausted.set(None);
            self.wake_housekeeper();
        }
    }

    #[cfg(feature = "postgres")]
    /// Where the cut batches of this journal are noted, or nowhere if it is in memory.
    pub(crate) fn cut_log(&self) -> Option<CutLog> {
        let directory = self.directory.as_ref()?;
        Some(CutLog::new(directory, self.limits.segment_bytes))
    }

    /// Whether this process is a fork of the journal's.
    pub(crate) fn is_forked(&self) -> bool {
        self.ring.is_forked()
    }

    #[cfg(feature = "postgres")]
    /// Where it lies beside others, or `None` for `.memory()`.
    pub(crate) fn parent(&self) -> Option<&Parent> {
        self.parent.as_ref()
    }

    #[cfg(feature = "postgres")]
    /// Returns its directory's path, or `None` for `.memory()`.
    pub(crate) fn path(&self) -> Option<&std::path::Path> {
        self.directory.as_ref().map(Directory::path)
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

    pub(super) fn wake_housekeeper(&self) {
        if let Some(thread) = self.housekeeper.get() {
            thread.unpark();
        }
    }

    #[cfg(feature = "postgres")]
    /// Gives a closed journal up: what is left of it is for the process that opens the directory
    /// next.
    pub(crate) fn release(&self) {
        if let Some(directory) = &self.directory {
            directory.release();
        }
    }

    /// Removes the files of a closed journal whose every record is stored.
    pub(crate) fn remove(&self) -> io::Result<()> {
        // The journal is closed: no thread is making another segment, or begins to.
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        self.directory.as_ref().map_or(Ok(()), Directory::remove)
    }
}
