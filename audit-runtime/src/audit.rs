//! The handle: what an application starts, records with, flushes and shuts down.

use crate::blocking::block_on;
use crate::builder::Builder;
use crate::clock::deadline;
use crate::context::{Entered, Layer, Scope, Scoped};
use crate::core::{Core, RecordError};
use crate::event::{AuditEvent, Event};
use crate::stats::Stats;
use crate::timestamp::Timestamp;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use uuid::Uuid;

static INSTALLED: OnceLock<Audit> = OnceLock::new();

/// How long the writer may go on after the last handle was dropped without a shutdown.
const AFTER_DROP: Duration = Duration::from_secs(5);

/// A handle to a running audit trail. Cheap to clone; when the last clone is dropped, the writer stops after one
/// bounded attempt, and what is left stays in the journal for the next process that opens its directory.
#[derive(Clone)]
pub struct Audit {
    handle: Arc<Handle>,
}

struct Handle {
    core: Arc<Core>,
    /// A probe has none.
    has_writer: bool,
}

/// Why one cannot wait any longer for events to be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The writer has ended. The events are in the journal, unless it is in memory.
    #[error("the audit trail was shut down before PostgreSQL had taken the events; they are in the journal")]
    Closed,
    /// The process was forked after the handle was started.
    #[error(
        "this process is a fork of the one that started the audit trail; what was recorded before the fork is shipped by that one"
    )]
    Forked,
    /// The journal is in memory.
    #[error("the journal is in memory: nothing of it is ever on disk; name a directory with .journal(..)")]
    InMemory,
    /// The system could not write the journal to its disk.
    #[error("the journal could not be written to its disk: the event would not survive a power failure")]
    NotSynced,
}

/// There is an installed handle already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an audit trail is installed already; a second one can be used by Audit::scope or Audit::enter")]
pub struct AlreadyInstalled;

/// What a shutdown achieved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Events in PostgreSQL that came by the journal, all told.
    pub stored: u64,
    /// Events that wait in the journal for the next process that opens its directory.
    pub left_in_journal: u64,
    /// Events that were refused, all told.
    pub refused: u64,
}

impl Audit {
    /// Begins to configure an audit trail.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A handle to a trail with a writer.
    pub(crate) fn written(core: Arc<Core>) -> Self {
        Self { handle: Arc::new(Handle { core, has_writer: true }) }
    }

    /// A handle whose events nobody takes from the journal.
    pub(crate) fn unwritten(core: Arc<Core>) -> Self {
        Self { handle: Arc::new(Handle { core, has_writer: false }) }
    }

    #[inline]
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.handle.core
    }

    /// Makes this the handle that records every call for which no other is in scope, for the life of the process.
    ///
    /// # Errors
    /// One is installed already.
    pub fn install(&self) -> Result<(), AlreadyInstalled> {
        may_record();
        INSTALLED.set(self.clone()).map_err(|_| AlreadyInstalled)
    }

    #[inline]
    pub(crate) fn installed() -> Option<&'static Self> {
        INSTALLED.get()
    }

    /// The handle that records here and now: the scoped one, else the installed one.
    #[must_use]
    pub fn current() -> Option<Self> {
        Scope::current().around.audit.or_else(|| Self::installed().cloned())
    }

    /// Records with this handle on this thread until the guard is dropped.
    pub fn enter(&self) -> Entered {
        Layer::Audit(self.clone()).enter()
    }

    /// Records with this handle whenever the future is polled.
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F> {
        Layer::Audit(self.clone()).around(future)
    }

    /// Records an event by hand. Returns at once, as soon as it is in the journal.
    ///
    /// # Errors
    /// The event is malformed, or the journal does not take it; see [`RecordError`].
    pub fn record(&self, event: impl AuditEvent) -> Result<Receipt, RecordError> {
        self.receipt(&event.to_event()?)
    }

    /// Records an event that happened at another time than now; `timestamp` is kept to the microsecond.
    ///
    /// # Errors
    /// As [`record`](Self::record); or the time is infinite, or in the years after 294246, which the journal does not hold.
    pub fn record_at(&self, event: impl AuditEvent, timestamp: impl Into<Timestamp>) -> Result<Receipt, RecordError> {
        self.receipt(&event.to_event()?.at(timestamp))
    }

    fn receipt(&self, event: &Event) -> Result<Receipt, RecordError> {
        let (id, position) = self.core().record(event)?;
        Ok(Receipt { id, position, core: self.core().clone() })
    }

    /// Waits until PostgreSQL has all that was recorded so far, however long that takes.
    ///
    /// # Errors
    /// The handle was shut down before that.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let position = self.core().journal.close_blocks();
        self.core().stored(position).await
    }

    /// [`flush`](Self::flush) for code without a runtime; it blocks the thread.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn flush_blocking(&self) -> Result<(), StoreError> {
        block_on(self.flush())
    }

    /// Ends recording and writes what is left, for at most `timeout`. What cannot be written by then stays in the
    /// journal. Calls after the first one wait for the same end.
    ///
    /// # Errors
    /// The process is a fork of the one that started the handle. A database that cannot be reached is no error, the
    /// report says what is left.
    pub async fn shutdown(&self, timeout: Duration) -> Result<ShutdownReport, StoreError> {
        let core = self.core();
        if core.journal.is_forked() {
            return Err(StoreError::Forked);
        }
        let deadline = deadline(timeout);
        core.record_gap(Duration::ZERO);
        core.journal.close();
        core.control.stop(deadline);
        if self.handle.has_writer {
            let mut progress = core.control.subscribe();
            core.control.end_at(core, deadline);
            // The writer keeps to the deadline itself, unless something blocks its thread.
            let _ = progress.wait_for(|progress| progress.ended).await;
        }
        let stats = core.stats();
        Ok(ShutdownReport { stored: stats.stored, left_in_journal: stats.pending, refused: stats.refused })
    }

    /// [`shutdown`](Self::shutdown) for code without a runtime; it blocks the thread.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    pub fn shutdown_blocking(&self, timeout: Duration) -> Result<ShutdownReport, StoreError> {
        block_on(self.shutdown(timeout))
    }

    /// Counts, sizes and the writer's health, at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core().stats()
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("journal", &self.core().journal.id()).field("stats", &self.stats()).finish()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The threads are not waited for: a handle may be dropped on a runtime's thread.
        self.core.record_gap(Duration::ZERO);
        self.core.journal.close();
        self.core.control.stop(Instant::now() + AFTER_DROP);
    }
}

/// What [`Audit::record`] gives: the event is in the journal.
#[derive(Debug, Clone)]
pub struct Receipt {
    id: Uuid,
    position: u64,
    core: Arc<Core>,
}

impl Receipt {
    /// The event's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Waits until PostgreSQL has the event, however long that takes.
    ///
    /// # Errors
    /// The handle was shut down before that.
    pub async fn stored(&self) -> Result<(), StoreError> {
        self.core.stored(self.position).await
    }

    /// [`stored`](Self::stored) for code without a runtime; it blocks the thread.
    ///
    /// # Errors
    /// As [`stored`](Self::stored).
    pub fn stored_blocking(&self) -> Result<(), StoreError> {
        block_on(self.stored())
    }
}

impl Receipt {
    /// Waits until the event is on disk: until then a power failure can take it, which a killed process cannot. Waiters
    /// share one sync, which begins at once and not with the next interval of
    /// [`sync_every`](crate::Builder::sync_every).
    ///
    /// # Errors
    /// The disk refused, the journal is in memory, or the handle was shut down before that.
    pub async fn synced(&self) -> Result<(), StoreError> {
        self.core.synced(self.position).await
    }

    /// [`synced`](Self::synced) for code without a runtime; it blocks the thread.
    ///
    /// # Errors
    /// As [`synced`](Self::synced).
    pub fn synced_blocking(&self) -> Result<(), StoreError> {
        block_on(self.synced())
    }
}

/// Whether a call could be recorded, so that one that cannot pays no more than a look at this.
static RECORDING: AtomicU8 = AtomicU8::new(UNKNOWN);

/// No handle was ever in force, and nobody was told.
const UNKNOWN: u8 = 0;
/// No handle was ever in force; it was told.
const NEVER: u8 = 1;
const POSSIBLY: u8 = 2;

/// Whether no handle can be in force, and that was told already.
#[inline]
pub(crate) fn never_records() -> bool {
    RECORDING.load(Ordering::Relaxed) == NEVER
}

/// A handle is about to be in force somewhere.
pub(crate) fn may_record() {
    RECORDING.store(POSSIBLY, Ordering::Relaxed);
}

/// Says once per process that calls go unrecorded.
#[cold]
pub(crate) fn warn_not_installed(function: &str) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let _ = RECORDING.compare_exchange(UNKNOWN, NEVER, Ordering::Relaxed, Ordering::Relaxed);
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            function,
            "an audited function was called while no audit trail is installed; it is not recorded, and neither are further ones. Call Audit::install, or run it in Audit::scope"
        );
    }
}
