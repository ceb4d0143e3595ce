//! Events that PostgreSQL refused: to be looked at, and to be tried again once what it minded is mended.

use crate::payload::EventRef;
use crate::timestamp::Timestamp;
use crate::trail::TrailEvent;
use crate::writer;
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};
use uuid::Uuid;

/// Reads `audit_quarantine`, and empties it.
///
/// ```no_run
/// use audit_runtime::{Quarantine, Retried};
/// # async fn mend(pool: sqlx::PgPool) -> Result<(), sqlx::Error> {
/// let quarantine = Quarantine::new(pool);
/// for refused in quarantine.list().await? {
///     if let Retried::RefusedAgain(error) = quarantine.retry(refused.id).await? {
///         println!("{}: {error}", refused.id);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Quarantine {
    pool: PgPool,
}

/// A row of `audit_quarantine`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Quarantined {
    /// The event's id; one of its own if its bytes are no event.
    pub id: Uuid,
    /// The batch it came with.
    pub batch_id: Uuid,
    /// What PostgreSQL said, as a code
    /// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>); `None` if the bytes are no event.
    pub sqlstate: Option<String>,
    /// The same in words.
    pub error: String,
    /// When it was refused.
    pub created_at: Timestamp,
    /// The event, unless its bytes are none that this version knows.
    pub event: Option<TrailEvent>,
    /// Its bytes, as they were in the journal.
    pub payload: Vec<u8>,
}

/// What became of an event that was tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retried {
    /// It is in `audit_events` now, and no longer in the quarantine.
    Stored,
    /// It stays in the quarantine, for this reason.
    RefusedAgain(String),
    /// There is none of this id in the quarantine.
    NotFound,
}

impl Quarantine {
    /// Works through this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// All that is in the quarantine, oldest first.
    ///
    /// # Errors
    /// The query fails.
    pub async fn list(&self) -> Result<Vec<Quarantined>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT id, batch_id, sqlstate, error, created_at, payload FROM audit_quarantine ORDER BY created_at, id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(quarantined).collect()
    }

    /// Tries one event again. It becomes a row of `audit_events` with the batch it came with, or stays where it is.
    ///
    /// # Errors
    /// The database cannot be reached, or fails for a reason that is not the row's.
    pub async fn retry(&self, id: Uuid) -> Result<Retried, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query(
            "DELETE FROM audit_quarantine WHERE id = $1 RETURNING id, batch_id, sqlstate, error, created_at, payload",
        )
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else {
            return Ok(Retried::NotFound);
        };
        let refused = quarantined(&row)?;
        let mut json = Vec::new();
        let event = match EventRef::decode(&refused.payload, &mut json) {
            Ok(event) => event,
            Err(error) => return Ok(Retried::RefusedAgain(error.to_string())),
        };
        // Dropped without a commit, the transaction leaves the quarantine as it was.
        match writer::store_one(&mut transaction, &event, refused.batch_id).await {
            Ok(()) => transaction.commit().await.map(|()| Retried::Stored),
            Err(error) if writer::is_refusal(&error) => Ok(Retried::RefusedAgain(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

fn quarantined(row: &PgRow) -> Result<Quarantined, sqlx::Error> {
    let payload: Vec<u8> = row.try_get("payload")?;
    Ok(Quarantined {
        id: row.try_get("id")?,
        batch_id: row.try_get("batch_id")?,
        sqlstate: row.try_get("sqlstate")?,
        error: row.try_get("error")?,
        created_at: row.try_get("created_at")?,
        event: EventRef::decode(&payload, &mut Vec::new()).ok().map(|event| TrailEvent::from(&event)),
        payload,
    })
}
