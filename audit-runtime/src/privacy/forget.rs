//! Forgetting a subject: its key is destroyed, and with it whatever was encrypted by it.

use super::keys::{FURTHER, stored};
use crate::event::reserved::FORGOTTEN;
use crate::event::{clock, ids};
use crate::postgres::schema::ddl::LOCK_TIMEOUT;
use crate::postgres::system_event;
use sqlx::postgres::PgPool;
use sqlx::{Connection, Executor};
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
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    // Further keys of the subject begin with its name.
    let destroyed: Vec<(Uuid, String)> = sqlx::query_as(
        "UPDATE audit_keys SET subject = NULL, wrapped = NULL, destroyed_at = now() \
         WHERE subject = $1 OR starts_with(subject, $1 || $2) RETURNING id, session_user::text",
    )
    .bind(&*stored(subject))
    .bind(FURTHER)
    .fetch_all(&mut *transaction)
    .await?;
    let Some((key, user)) = destroyed.first().cloned() else {
        return Ok(None);
    };
    let event = ids::event_id(clock::micros_now());
    let further: Vec<Uuid> = destroyed.iter().skip(1).map(|(key, _)| *key).collect();
    let mut data = serde_json::json!({"key": key, "database_user": user});
    if !further.is_empty() {
        data["further_keys"] = serde_json::json!(further);
    }
    system_event::record(&mut transaction, event, FORGOTTEN, actor.unwrap_or(&user), &data).await?;
    transaction.commit().await?;
    // The old version of the row still has the key.
    connection.execute(LOCK_TIMEOUT).await?;
    let is_rewritten = connection.execute("VACUUM (FULL) audit_keys").await.is_ok();
    connection.execute("RESET lock_timeout").await?;
    Ok(Some(ForgetReport { key, event, is_rewritten }))
}
