//! Legal holds: each is confirmed by an event, and so is its end.

use super::finding::{Finding, FindingKind};
use crate::event::reserved::{HELD, RELEASED};
use crate::evidence::error::Failure;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

/// Holds that no event states as they are, holds that were lifted without an event, and events whose
/// hold is gone. The first id is the hold's, the second the event's.
const DIFFERENCES: &str = "WITH told AS (SELECT e.id, e.event_type, e.actor, e.data FROM audit_events e WHERE e.event_type IN ($1, $2) \
     AND e.entity_type = 'audit' AND e.data ? 'hold') \
     SELECT h.id::text, NULL::uuid, 'no event audit.held states it as it is in audit_holds' FROM audit_holds h \
     WHERE NOT EXISTS (SELECT FROM told t WHERE t.event_type = $1 AND t.actor = h.actor \
     AND t.data - 'database_user' = jsonb_strip_nulls(jsonb_build_object('hold', h.id, 'reason', h.reason, 'entity_type', h.entity_type, \
     'entity_id', h.entity_id, 'entity_key', h.entity_key, 'tenant', h.tenant, 'event_type', h.event_type, 'event_actor', h.event_actor))) \
     UNION ALL SELECT h.id::text, NULL, 'it is lifted, and no event audit.released states so' FROM audit_holds h \
     WHERE h.lifted_at IS NOT NULL AND NOT EXISTS (SELECT FROM told t WHERE t.event_type = $2 AND t.actor = h.lifted_by \
     AND t.data ->> 'hold' = h.id::text AND t.data ->> 'reason' = h.lift_reason) \
     UNION ALL SELECT t.data ->> 'hold', t.id, 'audit_holds lacks it' FROM told t \
     WHERE t.event_type = $1 AND NOT EXISTS (SELECT FROM audit_holds h WHERE h.id::text = t.data ->> 'hold')";

/// Compares the holds with the events that report them.
pub(super) async fn verify(connection: &mut PgConnection) -> Result<Vec<Finding>, Failure> {
    // Before version 9, a database remembers no hold.
    let is_there: bool = sqlx::query_scalar("SELECT to_regclass('audit_holds') IS NOT NULL")
        .persistent(false)
        .fetch_one(&mut *connection)
        .await?;
    if !is_there {
        return Ok(Vec::new());
    }
    let differences: Vec<(String, Option<Uuid>, String)> =
        sqlx::query_as(DIFFERENCES).persistent(false).bind(HELD).bind(RELEASED).fetch_all(connection).await?;
    let finding =
        |(hold, event, text)| Finding::new(FindingKind::HoldChanged, None, event, format!("hold {hold}: {text}"));
    Ok(differences.into_iter().map(finding).collect())
}
