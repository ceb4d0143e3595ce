//! Events that PostgreSQL refused. They can be listed, and retried once the cause is fixed.

use super::handle::Admin;
use crate::event::Timestamp;
use crate::postgres::DatabaseError;
use crate::postgres::copy::store_one;
use crate::postgres::failure::is_refusal;
use crate::record::{EventRef, TrailEvent};
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};
use uuid::Uuid;

/// A row of `audit_quarantine`: an event that PostgreSQL refused.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QuarantinedEvent {
    /// The event's id, or a new one if its bytes do not decode to an event.
    pub id: Uuid,
    /// The batch it came with.
    pub batch_id: Uuid,
    /// The SQLSTATE with which PostgreSQL refused the row
    /// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>), or `None` if the bytes
    /// do not decode to an event.
    pub sqlstate: Option<String>,
    /// PostgreSQL's error, in words.
    pub error: String,
    /// The time at which PostgreSQL refused it.
    pub created_at: Timestamp,
    /// The event, unless this version cannot decode its bytes.
    pub event: Option<TrailEvent>,
    /// The bytes that were in the journal.
    pub payload: Vec<u8>,
}

/// The result of a retry of a refused event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryOutcome {
    /// The event is in `audit_events` now, and no longer in the quarantine.
    Stored,
    /// The event stays in the quarantine, for this reason.
    RefusedAgain(String),
    /// The quarantine does not contain an event with this id.
    NotFound,
}

#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
impl Admin {
    /// Returns the events that PostgreSQL refused, oldest first.
    ///
    /// ```no_run
    /// use audit_runtime::DatabaseError;
    /// use audit_runtime::admin::{Admin, RetryOutcome};
    /// # async fn mend(admin: Admin) -> Result<(), DatabaseError> {
    /// for refused in admin.quarantine().await? {
    ///     if let RetryOutcome::RefusedAgain(error) = admin.retry(refused.id).await? {
    ///         println!("{}: {error}", refused.id);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The query fails.
    pub async fn quarantine(&self) -> Result<Vec<QuarantinedEvent>, DatabaseError> {
        let rows = sqlx::query(
            "SELECT id, batch_id, sqlstate, error, created_at, payload FROM audit_quarantine ORDER BY created_at, id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(DatabaseError::of)?;
        rows.iter().map(quarantined).collect::<Result<_, _>>().map_err(DatabaseError::of)
    }

    /// Retries one event.
    ///
    /// If PostgreSQL accepts it, it becomes a row of `audit_events` with the batch it came with.
    /// Otherwise it stays in quarantine.
    ///
    /// # Errors
    /// The database cannot be reached, or fails for a reason that is not the row's.
    pub async fn retry(&self, id: Uuid) -> Result<RetryOutcome, DatabaseError> {
        retry(&self.pool, id).await.map_err(DatabaseError::of)
    }
}

async fn retry(pool: &PgPool, id: Uuid) -> Result<RetryOutcome, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let row = sqlx::query(
        "DELETE FROM audit_quarantine WHERE id = $1 RETURNING id, batch_id, sqlstate, error, created_at, payload",
    )
    .bind(id)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(row) = row else {
        return Ok(RetryOutcome::NotFound);
    };
    let refused = quarantined(&row)?;
    let mut json = Vec::new();
    let event = match EventRef::decode(&refused.payload, &mut json) {
        Ok(event) => event,
        Err(error) => return Ok(RetryOutcome::RefusedAgain(error.to_string())),
    };
    // Dropped without a commit, the transaction leaves the quarantine as it was.
    match store_one(&mut transaction, &event, refused.batch_id).await {
        Ok(()) => transaction.commit().await.map(|()| RetryOutcome::Stored),
        Err(error) if is_refusal(&error) => Ok(RetryOutcome::RefusedAgain(error.to_string())),
        Err(error) => Err(error),
    }
}

fn quarantined(row: &PgRow) -> Result<QuarantinedEvent, sqlx::Error> {
    let payload: Vec<u8> = row.try_get("payload")?;
    Ok(QuarantinedEvent {
        id: row.try_get("id")?,
        batch_id: row.try_get("batch_id")?,
        sqlstate: row.try_get("sqlstate")?,
        error: row.try_get("error")?,
        created_at: row.try_get("created_at")?,
        event: EventRef::decode(&payload, &mut Vec::new()).ok().map(|event| TrailEvent::from(&event)),
        payload,
    })
}
