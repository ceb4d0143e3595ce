//! Many events at once: inside a caller's transaction, or through the journal.

use super::handle::Audit;
use super::receipt::{Place, Receipt};
use crate::context::Scope;
use crate::error::{EventError, RecordError, StoreError};
use crate::record::{AuditEvent, EventRef, InsertRow, InsertRowBlocking, RowInsert, payload};
use crate::recorder::{Recorded, Recorder, buffer};
use crate::sys::block_on;
use std::error::Error;
use uuid::Uuid;

/// The most bytes of the texts of one statement. PostgreSQL takes 1 GB for one value.
const STATEMENT: usize = 16 << 20;

/// The reason why [`Audit::record_in`] stored no event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordInError<E: Error + 'static> {
    /// An event is malformed.
    ///
    /// No statement was sent, and the transaction can be used further.
    #[error("event {index} of the list is malformed, so none of them was sent: {error}")]
    Event {
        /// The event's place in the list, from 0.
        index: usize,
        /// Its first mistake.
        #[source]
        error: RecordError,
    },
    /// Events have personal data, and the keys that encrypt them cannot be had.
    ///
    /// No statement was sent, and the transaction can be used further.
    #[error("none of the events was sent, because their personal data cannot be encrypted: {reason}")]
    Keys {
        /// The reason.
        reason: String,
    },
    /// The client's own error: PostgreSQL refuses the rows, or cannot be reached.
    ///
    /// The transaction has failed, and PostgreSQL answers its COMMIT by a rollback.
    #[error(transparent)]
    Database(E),
}

/// The reason why [`Audit::record_all`] did not record all events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{recorded} events were recorded, and the one behind them was not: {error}")]
pub struct RecordAllError {
    /// How many events are in the journal: the first ones of the list.
    pub recorded: usize,
    /// The reason why the event at the index `recorded` is not.
    #[source]
    pub error: RecordError,
}

/// Proof that [`Audit::record_all`] put all events into the journal.
#[derive(Debug, Clone)]
pub struct Receipts {
    ids: Vec<Uuid>,
    /// That of all events that were recorded. Without one, there is none.
    all: Option<Receipt>,
}

impl Receipts {
    /// Returns the events' ids, in the order of the list. Those that the policy left out are among
    /// them.
    #[must_use]
    pub fn ids(&self) -> &[Uuid] {
        &self.ids
    }

    /// Waits until PostgreSQL has all of the events, however long that takes.
    ///
    /// # Errors
    /// The handle was shut down before that.
    pub async fn stored(&self) -> Result<(), StoreError> {
        match &self.all {
            Some(all) => all.stored().await,
            None => Ok(()),
        }
    }

    /// Waits like [`stored`](Self::stored), for code without a runtime. It blocks the thread.
    ///
    /// # Errors
    /// As [`stored`](Self::stored).
    pub fn stored_blocking(&self) -> Result<(), StoreError> {
        block_on(self.stored())
    }

    /// Waits until all of the events are on disk: see [`Receipt::synced`].
    ///
    /// # Errors
    /// The disk refused, the journal is in memory, or the handle was shut down before that.
    pub async fn synced(&self) -> Result<(), StoreError> {
        match &self.all {
            Some(all) => all.synced().await,
            None => Ok(()),
        }
    }

    /// Waits like [`synced`](Self::synced), for code without a runtime. It blocks the thread.
    ///
    /// # Errors
    /// As [`synced`](Self::synced).
    pub fn synced_blocking(&self) -> Result<(), StoreError> {
        block_on(self.synced())
    }
}

/// Events that are ready to be inserted.
#[derive(Default)]
struct Prepared {
    ids: Vec<Uuid>,
    /// Full ones first.
    statements: Vec<RowInsert>,
    /// Encoded events whose personal values are to be encrypted.
    personal: Vec<Vec<u8>>,
}

/// The place of a malformed event, and its first mistake.
struct Malformed(usize, RecordError);

impl<E: Error + 'static> From<Malformed> for RecordInError<E> {
    fn from(Malformed(index, error): Malformed) -> Self {
        Self::Event { index, error }
    }
}

impl Prepared {
    fn push(&mut self, encoded: &[u8]) -> Result<(), RecordError> {
        let mut json = buffer::take();
        let event = EventRef::decode(encoded, &mut json);
        let event =
            event.map_err(|error| EventError::Data { event_type: "unknown".into(), message: error.to_string() })?;
        match self.statements.last_mut().filter(|rows| rows.bytes() < STATEMENT) {
            Some(rows) => rows.push(&event),
            None => self.statements.push(RowInsert::from(&event)),
        }
        buffer::put(json);
        Ok(())
    }

    /// Encrypts personal values. Keys are taken outside of the caller's transaction.
    async fn encrypted<E: Error + 'static>(mut self, recorder: &Recorder) -> Result<Self, RecordInError<E>> {
        let mut personal = std::mem::take(&mut self.personal);
        recorder.encrypt(&mut personal).await.map_err(|reason| RecordInError::Keys { reason })?;
        for event in &personal {
            // It was decoded before it was encrypted.
            self.push(event).map_err(|error| RecordInError::Keys { reason: error.to_string() })?;
        }
        Ok(self)
    }
}

impl Audit {
    /// Stores events inside the caller's transaction, and returns their ids in order.
    ///
    /// The rows exist if and only if the transaction commits. One statement stores them all, up to
    /// 16 MiB of texts. More of them are several statements in the same transaction. The events
    /// inherit actor, tenant, correlation and cause, as those of [`record`](Self::record) do.
    /// Without events, nothing is sent.
    ///
    /// `connection` is a transaction of sqlx or of another client: see [`InsertRow`]. Its role may
    /// insert into `audit_events`. Personal data are encrypted by keys that the writer takes on a
    /// connection of its own before. The events do not go through the journal, and the future is to be
    /// awaited to its end. Under a [`Probe`](crate::testing::Probe), the probe catches them, and
    /// nothing is inserted.
    ///
    /// ```no_run
    /// # #[cfg(feature = "postgres")]
    /// # async fn nightly(audit: audit_runtime::Audit, pool: audit_runtime::sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
    /// use audit_runtime::{Event, sqlx};
    ///
    /// let mut tx = pool.begin().await?;
    /// let closed: Vec<i64> = sqlx::query_scalar("UPDATE accounts SET closed = true WHERE balance = 0 RETURNING id")
    ///     .fetch_all(&mut *tx).await?;
    /// audit.record_in(&mut tx, closed.iter().map(|id| Event::new("account.closed").entity("account", *id))).await?;
    /// tx.commit().await?; // all accounts and their events, or neither
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// An event is malformed, or the keys of personal data cannot be had: then no statement was sent.
    /// Or PostgreSQL refuses a row: then no row is stored, and the transaction has failed. See
    /// [`RecordInError`].
    pub fn record_in<'a, C: InsertRow + ?Sized, I: IntoIterator<Item: AuditEvent>>(
        &self,
        connection: &'a mut C,
        events: I,
    ) -> impl Future<Output = Result<Vec<Uuid>, RecordInError<C::Error>>> + use<'a, C, I> {
        // Now, not when the future is polled: the events belong to what is in force here, and the
        // future is `Send` even if their iterator is not.
        let prepared = self.prepare(events);
        let recorder = self.recorder().clone();
        async move {
            let Prepared { ids, statements, .. } = prepared?.encrypted(&recorder).await?;
            for rows in &statements {
                connection.insert_rows(rows).await.map_err(RecordInError::Database)?;
                recorder.counters.in_transactions(rows.len() as u64);
            }
            Ok(ids)
        }
    }

    /// Stores events like [`record_in`](Self::record_in), through a synchronous connection.
    ///
    /// # Errors
    /// As [`record_in`](Self::record_in).
    pub fn record_in_blocking<C: InsertRowBlocking + ?Sized>(
        &self,
        connection: &mut C,
        events: impl IntoIterator<Item: AuditEvent>,
    ) -> Result<Vec<Uuid>, RecordInError<C::Error>> {
        let Prepared { ids, statements, .. } = block_on(self.prepare(events)?.encrypted(self.recorder()))?;
        for rows in &statements {
            connection.insert_rows_blocking(rows).map_err(RecordInError::Database)?;
            self.recorder().counters.in_transactions(rows.len() as u64);
        }
        Ok(ids)
    }

    fn prepare(&self, events: impl IntoIterator<Item: AuditEvent>) -> Result<Prepared, Malformed> {
        let (scope, recorder) = (Scope::current(), self.recorder());
        let inherited = scope.inherited();
        let has_database = recorder.settings.durability.has_database();
        let mut prepared = Prepared::default();
        for (index, event) in events.into_iter().enumerate() {
            let event = event.into_event();
            let malformed = |error| Malformed(index, error);
            if has_database {
                let (id, encoded) = recorder.encoded(&event, &inherited).map_err(malformed)?;
                prepared.ids.push(id);
                if payload::is_personal(&encoded) {
                    prepared.personal.push(encoded);
                } else {
                    prepared.push(&encoded).map_err(malformed)?;
                    buffer::put(encoded);
                }
            } else {
                let Recorded { id, .. } = recorder.record_always(&event, &inherited).map_err(malformed)?;
                recorder.probed_in_transaction(id);
                prepared.ids.push(id);
            }
        }
        Ok(prepared)
    }

    /// Records events by hand, and returns as soon as all of them are in the journal.
    ///
    /// It is [`record`](Self::record) for each. Events are recorded as the iterator returns them,
    /// so that any number takes constant memory apart from their ids. Without events, the receipts
    /// are empty. A row that PostgreSQL refuses is quarantined, and the others are stored.
    ///
    /// ```
    /// use audit_runtime::{Event, testing::Probe};
    ///
    /// let probe = Probe::new();
    /// let receipts = probe.audit().record_all((1..=3).map(|id| Event::new("account.closed").entity("account", id)))?;
    /// assert_eq!(receipts.ids().len(), 3);
    /// # Ok::<(), audit_runtime::RecordAllError>(())
    /// ```
    ///
    /// # Errors
    /// An event is malformed, or the journal does not take it. Those before it are recorded, and
    /// those behind it are not: see [`RecordAllError`].
    pub fn record_all(&self, events: impl IntoIterator<Item: AuditEvent>) -> Result<Receipts, RecordAllError> {
        let (scope, recorder) = (Scope::current(), self.recorder());
        let inherited = scope.inherited();
        let mut receipts = Receipts { ids: Vec::new(), all: None };
        let mut all: Option<(Uuid, Place)> = None;
        for event in events {
            let recorded = recorder.record(&event.into_event(), &inherited);
            let Recorded { id, position } =
                recorded.map_err(|error| RecordAllError { recorded: receipts.ids.len(), error })?;
            receipts.ids.push(id);
            if let Some(position) = position {
                let first = all.map_or(position, |(_, place)| place.first);
                all = Some((id, Place { first, last: position }));
            }
        }
        receipts.all = all.map(|(id, place)| Receipt { id, place: Some(place), recorder: recorder.clone() });
        Ok(receipts)
    }
}
