//! Forgetting a subject: its key is destroyed, and with it whatever was encrypted by it.

use super::keys::stored;
use crate::retention::record;
use crate::schema::existing::LOCK_TIMEOUT;
use crate::{clock, ids};
use sqlx::postgres::PgPool;
use sqlx::{Connection, Executor};
use uuid::Uuid;

/// What the events are called that tell of it.
pub(crate) const FORGOTTEN: &str = "audit.forgotten";

/// What became of a subject's key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forgotten {
    /// The key that is no more.
    pub key: Uuid,
    /// The event that says so.
    pub event: Uuid,
    /// Whether the bytes of the wrapped key are gone from the table's files: if somebody held the table, they go when it is next rewritten
    /// (`VACUUM FULL audit_keys`).
    pub is_rewritten: bool,
}

/// Destroys the key of a subject, if there is one: the values of `personal(..)` that were recorded of it can be read by nobody any
/// more, and say `"[erased]"`. The rows stay, and verify. An event `audit.forgotten` says who asked for it, and which key it was; the
/// subject's name is removed too.
///
/// What is recorded of the subject afterwards has a new key; so has what was recorded before and still waits in a journal.
///
/// # Errors
/// The database cannot be reached or does not allow it: it takes the tables' owner.
pub async fn forget(pool: &PgPool, subject: &str, actor: Option<&str>) -> Result<Option<Forgotten>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    let destroyed: Option<(Uuid, String)> = sqlx::query_as(
        "UPDATE audit_keys SET subject = NULL, wrapped = NULL, destroyed_at = now() WHERE subject = $1 RETURNING id, session_user::text",
    )
    .bind(&*stored(subject))
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((key, user)) = destroyed else {
        return Ok(None);
    };
    let event = ids::event_id(clock::micros_now());
    let data = serde_json::json!({"key": key, "database_user": user});
    record(&mut transaction, event, FORGOTTEN, actor.unwrap_or(&user), &data).await?;
    transaction.commit().await?;
    // The old version of the row still has the key.
    connection.execute(LOCK_TIMEOUT).await?;
    let is_rewritten = connection.execute("VACUUM (FULL) audit_keys").await.is_ok();
    connection.execute("RESET lock_timeout").await?;
    Ok(Some(Forgotten { key, event, is_rewritten }))
}
