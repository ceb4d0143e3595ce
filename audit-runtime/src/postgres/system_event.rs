//! The library's own events, which are stored together with the changes they report.

use crate::event::origin;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

/// Stores the event of a transaction that changes the contents of the trail.
pub(crate) async fn record(
    connection: &mut PgConnection,
    id: Uuid,
    event_type: &str,
    actor: &str,
    data: &serde_json::Value,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit_events (id, event_type, entity_type, actor, data, origin) VALUES ($1, $2, 'audit', $3, $4, $5)",
    )
    .bind(id)
    .bind(event_type)
    .bind(actor)
    .bind(data)
    .bind(origin(None))
    .execute(connection)
    .await?;
    Ok(())
}
