//! One row by an ordinary INSERT, through a connection that is not the writer's.

use super::failure::Swallowed;
use crate::capture::nul::{without_nul, without_nul_escapes};
use crate::event::Timestamp;
use crate::record::EventRef;
use sqlx::postgres::PgConnection;

/// Inserts an event's row. It has no batch: the transaction of the connection's owner stores it.
///
/// # Errors
/// PostgreSQL refuses it or drops it, or cannot be reached.
pub(crate) async fn insert(connection: &mut PgConnection, event: &EventRef<'_>) -> Result<(), sqlx::Error> {
    let context = (!event.context.is_empty()).then(|| without_nul_escapes(event.context));
    sqlx::query(
        "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, outcome, \
         duration_us, correlation_id, causation_id, context, origin, entity_key, targets, tenant) \
         VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10, $11, $12::jsonb, $13, $14, $15::jsonb, $16)",
    )
    .bind(event.id)
    .bind(&*without_nul(event.event_type))
    .bind(&*without_nul(event.entity_type))
    .bind(event.entity_id)
    .bind(&*without_nul(event.actor))
    .bind(&*without_nul_escapes(event.data))
    .bind(Timestamp::from_unix_micros(event.created_at))
    .bind(event.outcome.as_str())
    .bind(event.duration)
    .bind(event.correlation_id)
    .bind(event.causation_id)
    .bind(context.as_deref())
    .bind(&*without_nul(event.origin))
    .bind(event.further.entity_key)
    .bind(event.further.targets.json())
    .bind(event.further.tenant)
    .execute(connection)
    .await
    .and_then(|done| if done.rows_affected() == 1 { Ok(()) } else { Err(Swallowed.into()) })
}
