//! A row of `audit_events` as an event.

use crate::event::Outcome;
use crate::record::trail_event::outcome;
use crate::record::{IntentState, TrailEvent};
use sqlx::postgres::{PgRow, Postgres};
use sqlx::{Decode, FromRow, Row, Type};

/// The columns of a [`TrailEvent`], as they are stored.
macro_rules! stored_columns {
    () => {
        "id, event_type, entity_type, entity_id, actor, data, created_at, outcome, duration_us, \
         correlation_id, causation_id, context, origin, batch_id, entity_key, targets, tenant"
    };
}

/// The same, with the outcome of each intent's completion.
macro_rules! columns {
    () => {
        concat!(
            "SELECT ",
            crate::trail::row::stored_columns!(),
            ", CASE WHEN outcome = 'started' THEN (SELECT c.outcome FROM audit_events c WHERE c.correlation_id = e.correlation_id ",
            "AND c.created_at = e.created_at AND c.causation_id = e.id LIMIT 1) END AS completion ",
            "FROM audit_events e WHERE "
        )
    };
}

pub(super) use columns;
pub(crate) use stored_columns;

impl FromRow<'_, PgRow> for TrailEvent {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let (outcome, other_outcome) = outcome(row.try_get("outcome")?);
        // An application's own query need not select the completion.
        let intent = match row.try_get("completion") {
            Ok(completion) if outcome == Outcome::Started => Some(IntentState::of(completion)),
            Err(error) if !matches!(error, sqlx::Error::ColumnNotFound(_)) => return Err(error),
            _ => None,
        };
        Ok(Self {
            id: row.try_get("id")?,
            event_type: row.try_get("event_type")?,
            entity_type: row.try_get("entity_type")?,
            entity_id: row.try_get("entity_id")?,
            entity_key: selected(row, "entity_key")?,
            targets: selected(row, "targets")?,
            tenant: selected(row, "tenant")?,
            actor: row.try_get("actor")?,
            data: row.try_get("data")?,
            created_at: row.try_get("created_at")?,
            outcome,
            duration_us: row.try_get("duration_us")?,
            correlation_id: row.try_get("correlation_id")?,
            causation_id: row.try_get("causation_id")?,
            context: row.try_get("context")?,
            origin: row.try_get("origin")?,
            batch_id: row.try_get("batch_id")?,
            intent,
            other_outcome,
        })
    }
}

/// Returns a column that an application's own query need not select.
fn selected<'r, T: Decode<'r, Postgres> + Type<Postgres>>(
    row: &'r PgRow,
    column: &str,
) -> Result<Option<T>, sqlx::Error> {
    match row.try_get(column) {
        Err(sqlx::Error::ColumnNotFound(_)) => Ok(None),
        value => value,
    }
}
