//! The handle: what an application starts, records with, flushes and shuts down.

use crate::builder::Builder;
use crate::clock;
use crate::context::{Entered, Layer, Scope, Scoped};
use crate::event::{AuditEvent, Event, EventError, Outcome, is_event_type};
use crate::journal::{AppendError, Housekeeper, Journal};
use crate::payload::{self, EventRef};
use crate::stats::{Counters, Stats};
use crate::warning::RateLimited;
use crate::writer::{Control, Progress, WriterHandle};
use chrono::{DateTime, Utc};
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
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
    threads: Mutex<Option<Threads>>,
}

pub(crate) struct Threads {
    pub(crate) writer: WriterHandle,
    pub(crate) housekeeper: Housekeeper,
}

/// What callers and writer share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) journal: Arc<Journal>,
    pub(crate) counters: Counters,
    pub(crate) control: Control,
    pub(crate) settings: Settings,
    refusals: RateLimited,
}

/// What the builder settles for good.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) origin: String,
    pub(crate) actor: Option<String>,
    pub(crate) data_limit: usize,
    pub(crate) connections: usize,
    pub(crate) batch_rows: usize,
    pub(crate) batch_bytes: usize,
}

/// Why an event was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The event itself is at fault.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The journal has reached its limit.
    #[error("the journal is full; PostgreSQL has not taken its events for too long, or its limit is too small")]
    JournalFull,
    /// The journal cannot grow.
    #[error("the journal cannot make another segment; most likely its disk is full")]
    Disk,
    /// The event is larger than a segment of the journal.
    #[error("the event has {0} bytes, more than a journal segment holds; record a reference to the data instead")]
    TooLarge(usize),
    /// The handle was shut down.
    #[error("the audit trail was shut down")]
    Closed,
}

/// Why one cannot wait any longer for events to be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The writer has ended. The events are in the journal, unless it is in memory.
    #[error("the audit trail was shut down before PostgreSQL had taken the events; they are in the journal")]
    Closed,
}

/// There is an installed handle already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an audit trail is installed already; a second one can be used by Audit::scope or Audit::enter")]
pub struct AlreadyInstalled;

/// What a shutdown achieved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Events in PostgreSQL, all told.
    pub stored: u64,
    /// Events that wait in the journal for the next process that opens its directory.
    pub left_in_journal: u64,
    /// Events that were refused, all told.
    pub refused: u64,
}

impl Core {
    pub(crate) fn new(journal: Arc<Journal>, settings: Settings) -> Self {
        Self {
            journal,
            counters: Counters::default(),
            control: Control::default(),
            settings,
            refusals: RateLimited::default(),
        }
    }

    pub(crate) fn data_limit(&self) -> usize {
        self.settings.data_limit
    }

    pub(crate) fn origin(&self) -> &str {
        &self.settings.origin
    }

    /// The actor of an event for which nobody named one.
    pub(crate) fn actor(&self) -> &str {
        self.settings.actor.as_deref().unwrap_or("system")
    }

    /// Appends an encoded event; returns the logical position behind it.
    pub(crate) fn append(&self, payload: &[u8]) -> Result<u64, RecordError> {
        match self.journal.append(payload) {
            Ok(position) => {
                self.counters.appended();
                Ok(position)
            }
            Err(error) => Err(self.refused(error, payload)),
        }
    }

    #[cold]
    fn refused(&self, error: AppendError, payload: &[u8]) -> RecordError {
        self.counters.refused();
        let error = match error {
            AppendError::Full => RecordError::JournalFull,
            AppendError::Disk => RecordError::Disk,
            AppendError::TooLarge => RecordError::TooLarge(payload.len()),
            AppendError::Closed => RecordError::Closed,
        };
        self.refusals.warn(|suppressed| {
            let event = EventRef::decode(payload);
            let event_type = event.as_ref().map_or("an event", |event| event.event_type);
            tracing::warn!(event_type, suppressed, "an audit event was refused: {error}");
        });
        error
    }

    fn record(&self, event: &Event) -> Result<(Uuid, u64), RecordError> {
        if !is_event_type(&event.event_type) {
            return Err(EventError::EventType(event.event_type.to_string()).into());
        }
        let now = clock::micros_now();
        let id = clock::event_id(now);
        let scope = Scope::current();
        let context = scope.context.as_deref();
        let correlation =
            scope.call.map(|call| call.correlation).or_else(|| context.and_then(|context| context.correlation_id()));
        let (entity_id, data) = match &event.entity_id {
            crate::EntityId::Id(id) => (Some(*id), None),
            crate::EntityId::None => (None, None),
            crate::EntityId::NotAnId(text) => (None, Some(with_entity_text(&event.data, text))),
        };
        let mut buffer = crate::call::take_buffer();
        payload::encode(
            &mut buffer,
            &EventRef {
                id,
                event_type: &event.event_type,
                entity_type: &event.entity_type,
                entity_id,
                actor: event
                    .actor
                    .as_deref()
                    .or_else(|| context.and_then(|context| context.actor_text()))
                    .unwrap_or_else(|| self.actor()),
                data: data.as_deref().unwrap_or(&event.data),
                created_at: event.created_at.map_or(now, |time| time.timestamp_micros()),
                outcome: Outcome::Ok,
                duration: None,
                correlation_id: Some(correlation.unwrap_or(id)),
                causation_id: scope.call.map(|call| call.id),
                context: context.map_or("", |context| context.attributes_json()),
                origin: self.origin(),
            },
        );
        let appended = self.append(&buffer);
        crate::call::give_buffer(buffer);
        Ok((id, appended?))
    }

    fn stats(&self) -> Stats {
        self.counters.stats(&self.journal, &self.control.progress())
    }
}

/// Keeps a text that should have been an id, as the attribute does: `data.$entity_id`.
fn with_entity_text(data: &str, text: &str) -> String {
    let text = serde_json::Value::from(text);
    match data.strip_prefix('{').map(str::trim_start) {
        Some("}") | None => format!(r#"{{"$entity_id":{text}}}"#),
        Some(rest) => format!(r#"{{"$entity_id":{text},{rest}"#),
    }
}

impl Audit {
    /// Begins to configure an audit trail.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn assemble(core: Arc<Core>, threads: Option<Threads>) -> Self {
        Self { handle: Arc::new(Handle { core, threads: Mutex::new(threads) }) }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.handle.core
    }

    /// Makes this the handle that records every call for which no other is in scope, for the life of the process.
    ///
    /// # Errors
    /// One is installed already.
    pub fn install(&self) -> Result<(), AlreadyInstalled> {
        INSTALLED.set(self.clone()).map_err(|_| AlreadyInstalled)
    }

    pub(crate) fn installed() -> Option<&'static Self> {
        INSTALLED.get()
    }

    /// The handle that records here and now: the scoped one, else the installed one.
    #[must_use]
    pub fn current() -> Option<Self> {
        Scope::current().audit.or_else(|| Self::installed().cloned())
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
    /// As [`record`](Self::record).
    pub fn record_at(&self, event: impl AuditEvent, timestamp: DateTime<Utc>) -> Result<Receipt, RecordError> {
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
        let position = self.core().journal.cursor();
        stored(self.core(), position).await
    }

    /// [`flush`](Self::flush) for code without a runtime; it blocks the thread.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn flush_blocking(&self) -> Result<(), StoreError> {
        pollster::block_on(self.flush())
    }

    /// Ends recording and writes what is left, for at most `timeout`. What cannot be written by then stays in the
    /// journal. Calls after the first one wait for the same end.
    ///
    /// # Errors
    /// None at present: a database that cannot be reached is no error, the report says what is left.
    pub async fn shutdown(&self, timeout: Duration) -> Result<ShutdownReport, StoreError> {
        let core = self.core();
        core.journal.close();
        core.control.stop(Instant::now() + timeout);
        let mut progress = core.control.subscribe();
        if self.threads().is_some() {
            // The writer keeps to the deadline itself; it outlives every receiver.
            let _ = progress.wait_for(|progress| progress.ended).await;
        }
        let threads = self.threads().take();
        if let Some(threads) = threads {
            // Both have nothing left to do.
            threads.writer.join();
            threads.housekeeper.join();
        }
        let stats = core.stats();
        Ok(ShutdownReport { stored: stats.stored, left_in_journal: stats.pending, refused: stats.refused })
    }

    /// [`shutdown`](Self::shutdown) for code without a runtime; it blocks the thread.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    pub fn shutdown_blocking(&self, timeout: Duration) -> Result<ShutdownReport, StoreError> {
        pollster::block_on(self.shutdown(timeout))
    }

    /// Counts, sizes and the writer's health, at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core().stats()
    }

    fn threads(&self) -> std::sync::MutexGuard<'_, Option<Threads>> {
        self.handle.threads.lock().unwrap_or_else(PoisonError::into_inner)
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
        stored(&self.core, self.position).await
    }

    /// [`stored`](Self::stored) for code without a runtime; it blocks the thread.
    ///
    /// # Errors
    /// As [`stored`](Self::stored).
    pub fn stored_blocking(&self) -> Result<(), StoreError> {
        pollster::block_on(self.stored())
    }
}

async fn stored(core: &Core, position: u64) -> Result<(), StoreError> {
    let reached = |progress: &Progress| progress.stored_to >= position;
    let mut progress: watch::Receiver<Progress> = core.control.subscribe();
    if !reached(&progress.borrow()) {
        // Who waits does not wait for the writer's linger too.
        core.control.wake();
    }
    match progress.wait_for(|progress| reached(progress) || progress.ended).await {
        Ok(progress) if reached(&progress) => Ok(()),
        _ => Err(StoreError::Closed),
    }
}

/// Says once per process that calls go unrecorded.
#[cold]
pub(crate) fn warn_not_installed(function: &str) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            function,
            "an audited function was called while no audit trail is installed; it is not recorded, and neither are further ones. Call Audit::install, or run it in Audit::scope"
        );
    }
}
