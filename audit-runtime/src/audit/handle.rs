//! The handle: an application starts it, records with it, flushes it and shuts it down.

use super::receipt::{Place, Receipt};
use crate::context::{Entered, Scope, ScopeChange, Scoped};
use crate::error::{RecordError, StoreError};
use crate::event::Timestamp;
use crate::record::{AuditEvent, Event};
use crate::recorder::{Handle, Health, Recorded, Recorder, Stats, installed};
use crate::sys::block_on;
use std::fmt;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// A handle to a running audit trail, cheap to clone.
///
/// When the last clone is dropped, the writer stops after one bounded attempt. Events that are left
/// stay in the journal for the next process that opens its directory.
#[derive(Clone)]
pub struct Audit {
    handle: Arc<Handle>,
}

/// The error of an `install` while another handle is installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an audit trail is installed already; a second one can be used by Audit::scope or Audit::enter")]
pub struct AlreadyInstalled;

/// The result of a shutdown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Events stored in PostgreSQL since the start, from this process's journal.
    pub stored: u64,
    /// Events that wait in the journal for the next process that opens its directory.
    pub left_in_journal: u64,
    /// Events that [`Builder::last_resort`](crate::Builder::last_resort) has taken from the journal.
    /// They wait for `audit-trail journal ship FILE`.
    pub packed: u64,
    /// Events refused since the start.
    pub refused: u64,
    /// Journals of ended processes that wait in the same directory.
    ///
    /// A shutdown does not wait for them. A living process that uses the directory ships them, or
    /// the next one, or `audit-trail journal ship`.
    pub inherited_journals: u64,
}

impl ShutdownReport {
    /// The exit status of [`exit_code`](Self::exit_code) if events are not in PostgreSQL yet. It is
    /// `EX_TEMPFAIL` of `sysexits.h`.
    pub const EVENTS_LEFT: u8 = 75;

    /// Returns the exit status for `main`: 0 if PostgreSQL has all events of this process, and 75 if
    /// events wait in the journal or with the last resort.
    ///
    /// ```no_run
    /// # use audit_runtime::Audit;
    /// # use std::{process::ExitCode, time::Duration};
    /// # fn end(audit: &Audit) -> Result<ExitCode, audit_runtime::StoreError> {
    /// let report = audit.shutdown_blocking(Duration::from_secs(10))?;
    /// Ok(report.exit_code())
    /// # }
    /// ```
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if self.left_in_journal + self.packed == 0 { ExitCode::SUCCESS } else { ExitCode::from(Self::EVENTS_LEFT) }
    }
}

impl Audit {
    /// A handle to a trail with a writer.
    pub(crate) fn written(recorder: Arc<Recorder>) -> Self {
        Self { handle: Arc::new(Handle { recorder, has_writer: true }) }
    }

    /// Returns a handle without a writer: its events stay in the journal.
    pub(crate) fn unwritten(recorder: Arc<Recorder>) -> Self {
        Self { handle: Arc::new(Handle { recorder, has_writer: false }) }
    }

    #[inline]
    pub(crate) fn recorder(&self) -> &Arc<Recorder> {
        &self.handle.recorder
    }

    /// Installs this handle, for the life of the process.
    ///
    /// It records every call for which no other handle is in scope.
    ///
    /// # Errors
    /// One is installed already.
    pub fn install(&self) -> Result<(), AlreadyInstalled> {
        installed::install(self.handle.clone()).map_err(|_| AlreadyInstalled)
    }

    /// Returns the handle that records here and now: the scoped one, else the installed one.
    #[must_use]
    pub fn current() -> Option<Self> {
        let handle = Scope::current().around.handle.or_else(|| installed::installed().cloned());
        handle.map(|handle| Self { handle })
    }

    /// Records with this handle on this thread until the guard is dropped.
    pub fn enter(&self) -> Entered {
        ScopeChange::Handle(self.handle.clone()).enter()
    }

    /// Records with this handle whenever the future is polled.
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F> {
        ScopeChange::Handle(self.handle.clone()).around(future)
    }

    /// Records an event by hand, and returns as soon as it is in the journal.
    ///
    /// The policy may leave it out: see [`Receipt::is_recorded`].
    ///
    /// # Errors
    /// The event is malformed, or the journal does not take it. See [`RecordError`].
    pub fn record(&self, event: impl AuditEvent) -> Result<Receipt, RecordError> {
        self.receipt(&event.into_event())
    }

    /// Records an event that happened at another time than now.
    ///
    /// `timestamp` is kept to the microsecond.
    ///
    /// # Errors
    /// As [`record`](Self::record). Or the time is infinite, or in the years after 294246, which
    /// the journal cannot represent.
    pub fn record_at(&self, event: impl AuditEvent, timestamp: impl Into<Timestamp>) -> Result<Receipt, RecordError> {
        self.receipt(&event.into_event().at(timestamp))
    }

    fn receipt(&self, event: &Event) -> Result<Receipt, RecordError> {
        let Recorded { id, position } = self.recorder().record(event, &Scope::current().inherited())?;
        let place = position.map(|position| Place { first: position, last: position });
        Ok(Receipt { id, place, recorder: self.recorder().clone() })
    }

    /// Waits until PostgreSQL has all events recorded so far, however long that takes.
    ///
    /// # Errors
    /// The handle was shut down before that.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let position = self.recorder().journal.close_blocks();
        self.recorder().stored(0, position).await
    }

    /// Waits like [`flush`](Self::flush), for code without a runtime. It blocks the thread.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn flush_blocking(&self) -> Result<(), StoreError> {
        block_on(self.flush())
    }

    /// Ends recording and writes the remaining events, for at most `timeout`.
    ///
    /// Events that cannot be written by then stay in the journal, unless there is a
    /// [last resort](crate::Builder::last_resort), which takes its own time. Calls after the first one wait
    /// for the same end.
    ///
    /// # Errors
    /// The process is a fork of the one that started the handle. If the database cannot be reached,
    /// the call succeeds, and the report counts the remaining events.
    pub async fn shutdown(&self, timeout: Duration) -> Result<ShutdownReport, StoreError> {
        let recorder = self.recorder();
        if recorder.journal.is_forked() {
            return Err(StoreError::Forked);
        }
        recorder.shut_down(timeout, self.handle.has_writer).await;
        let (stats, taken) = (recorder.stats(), recorder.taken());
        Ok(ShutdownReport {
            stored: stats.stored,
            left_in_journal: if taken.is_own { 0 } else { stats.pending },
            packed: if taken.is_own { stats.pending } else { 0 },
            refused: stats.refused,
            inherited_journals: stats.inherited_journals.saturating_sub(taken.inherited),
        })
    }

    /// Ends like [`shutdown`](Self::shutdown), for code without a runtime. It blocks the thread.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    pub fn shutdown_blocking(&self, timeout: Duration) -> Result<ShutdownReport, StoreError> {
        block_on(self.shutdown(timeout))
    }

    /// Returns counts, sizes and the writer's health, at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.recorder().stats()
    }

    /// Returns whether the trail takes events and stores them, for the probes of a service.
    ///
    /// It asks neither a network nor a disk, and holds each lock for a few instructions. The writer
    /// learns with the next event that PostgreSQL is away, because an idle process holds no
    /// connection.
    #[must_use]
    pub fn health(&self) -> Health {
        self.recorder().health()
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}
