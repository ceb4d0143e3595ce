//! Forgetting a subject: its key is destroyed, and with it whatever was encrypted by it.

use super::keys::stored;
use crate::event::{clock, ids, origin};
use sqlx::postgres::PgPool;
use uuid::Uuid;

/// The result of destroying a subject's key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForgetReport {
    /// The key that was destroyed.
    pub key: Uuid,
    /// The event that reports it.
    pub event: Uuid,
    /// Whether the bytes of the wrapped key are gone from the table's files.
    ///
    /// If another session held the table, they go when it is next rewritten
    /// (`VACUUM FULL audit_keys`).
    pub is_rewritten: bool,
}

/// Destroys the keys of a subject, if there are any.
pub(crate) async fn forget(
    pool: &PgPool,
    subject: &str,
    actor: Option<&str>,
) -> Result<Option<ForgetReport>, sqlx::Error> {
    let event = ids::event_id(clock::micros_now());
    // The functions of the schema, for a role that may do nothing else.
    let destroyed: Vec<Uuid> = sqlx::query_scalar("SELECT audit_forget($1, $2, $3, $4)")
        .bind(&*stored(subject))
        .bind(event)
        .bind(actor)
        .bind(origin(None))
        .fetch_all(pool)
        .await?;
    let Some(key) = destroyed.first().copied() else {
        return Ok(None);
    };
    // The old version of the row still has the key.
    let is_rewritten = sqlx::query_scalar("SELECT audit_rewrite_keys()").fetch_one(pool).await.unwrap_or(false);
    Ok(Some(ForgetReport { key, event, is_rewritten }))
}
