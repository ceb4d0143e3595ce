//! Many events at once: inside a caller's transaction, or through the journal.

use super::handle::Audit;
use super::receipt::Receipt;
use crate::context::Scope;
use crate::error::{RecordError, StoreError};
use crate::record::{AuditEvent, InsertRow, InsertRowBlocking, RowInsert};
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
    /// An event has personal data, which only the way from the journal encrypts.
    ///
    /// No statement was sent, and the transaction can be used further.
    #[error(
        "event {index} of the list has personal data, which is encrypted on its way from the journal, so none of them was sent; \
         record it with Audit::record or Audit::record_all"
    )]
    Personal {
        /// The event's place in the list, from 0.
        index: usize,
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
    /// That of the last event. Without events, there is none.
    last: Option<Receipt>,
}

impl Receipts {
    /// Returns the events' ids, in the order of the list.
    #[must_use]
    pub fn ids(&self) -> &[Uuid] {
        &self.ids
    }

    /// Waits until PostgreSQL has all of the events, however long that takes.
    ///
    /// # Errors
    /// The handle was shut down before that.
    pub async fn stored(&self) -> Result<(), StoreError> {
        match &self.last {
            Some(last) => last.stored().await,
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
        match &self.last {
            Some(last) => last.synced().await,
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
struct Prepared {
    ids: Vec<Uuid>,
    /// Full ones first.
    statements: Vec<RowInsert>,
}

/// The reason why events cannot be inserted, whichever the client.
enum Unprepared {
    Event { index: usize, error: RecordError },
    Personal { index: usize },
}

impl<E: Error + 'static> From<Unprepared> for RecordInError<E> {
    fn from(error: Unprepared) -> Self {
        match error {
            Unprepared::Event { index, error } => Self::Event { index, error },
            Unprepared::Personal { index } => Self::Personal { index },
        }
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
    /// insert into `audit_events`. The events do not go through the journal, and the future is to be
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
    /// An event is malformed or has personal data: then no statement was sent. Or PostgreSQL refuses
    /// a row: then no row is stored, and the transaction has failed. See [`RecordInError`].
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
            let Prepared { ids, statements } = prepared?;
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
        let Prepared { ids, statements } = self.prepare(events)?;
        for rows in &statements {
            connection.insert_rows_blocking(rows).map_err(RecordInError::Database)?;
            self.recorder().counters.in_transactions(rows.len() as u64);
        }
        Ok(ids)
    }

    fn prepare(&self, events: impl IntoIterator<Item: AuditEvent>) -> Result<Prepared, Unprepared> {
        let (scope, recorder) = (Scope::current(), self.recorder());
        let inherited = scope.inherited();
        let has_database = recorder.settings.durability.has_database();
        let (mut ids, mut statements) = (Vec::new(), Vec::new());
        let mut rows = RowInsert::default();
        for (index, event) in events.into_iter().enumerate() {
            let event = event.into_event();
            if !has_database {
                let recorded = recorder.record(&event, &inherited);
                let (id, _) = recorded.map_err(|error| Unprepared::Event { index, error })?;
                recorder.probed_in_transaction(id);
                ids.push(id);
                continue;
            }
            if event.is_personal && recorder.settings.keeps_personal {
                return Err(Unprepared::Personal { index });
            }
            if rows.bytes() >= STATEMENT {
                statements.push(std::mem::take(&mut rows));
            }
            let id = recorder.row(&event, &inherited, &mut rows);
            ids.push(id.map_err(|error| Unprepared::Event { index, error })?);
        }
        statements.extend(Some(rows).filter(|rows| !rows.is_empty()));
        Ok(Prepared { ids, statements })
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
        let mut receipts = Receipts { ids: Vec::new(), last: None };
        let mut last = None;
        for event in events {
            let recorded = recorder.record(&event.into_event(), &inherited);
            let (id, position) = recorded.map_err(|error| RecordAllError { recorded: receipts.ids.len(), error })?;
            receipts.ids.push(id);
            last = Some((id, position));
        }
        receipts.last = last.map(|(id, position)| Receipt { id, position, recorder: recorder.clone() });
        Ok(receipts)
    }
}
