//! Intents of a process that is gone, which will never be completed: what was under way when it was.
//!
//! An intent and its completion share correlation and time, and the completion names the intent as its cause. What tells of an
//! interruption has the completion's own id and place: whatever was recorded inside the call names it as its cause, and a
//! completion and an interruption can never both be stored.

use super::batch::{Batch, Row};
use crate::core::Core;
use crate::event::Outcome;
use crate::json::Json;
use crate::payload::{self, EventRef};
use crate::timestamp::Timestamp;
use crate::{clock, ids};
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, FromRow, Row as _};
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

const EVENT_TYPE: &str = "audit.interrupted";

/// What is known of an intent.
#[derive(Debug, FromRow)]
pub(super) struct OpenIntent {
    id: Uuid,
    event_type: String,
    entity_type: String,
    entity_id: Option<Uuid>,
    actor: String,
    data: String,
    created_at: i64,
    correlation_id: Option<Uuid>,
    context: Option<String>,
    origin: Option<String>,
}

/// The intents of a journal that have no completion, neither stored nor refused.
pub(super) async fn open_intents(
    connection: &mut PgConnection,
    journal_id: Uuid,
) -> Result<Vec<OpenIntent>, sqlx::Error> {
    // Simple queries: a pooler in transaction mode may answer each message from another connection.
    let intents = format!("SELECT * FROM audit_open_intents('{journal_id}')");
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(intents))).await?;
    let mut intents = rows.iter().map(OpenIntent::from_row).collect::<Result<Vec<_>, _>>()?;
    if !intents.is_empty() {
        let refused = format!("SELECT * FROM audit_refused('{journal_id}')");
        let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(refused))).await?;
        let refused = rows.iter().map(|row| row.try_get(0)).collect::<Result<HashSet<Uuid>, _>>()?;
        intents.retain(|intent| !refused.contains(&ids::completion_id(intent.id)));
    }
    Ok(intents)
}

/// The events that tell of these interruptions, in batches behind the end of their journal.
pub(super) fn batches(core: &Core, journal_id: Uuid, end: u64, why: &str, intents: &[OpenIntent]) -> Vec<Batch> {
    let noticed_at = clock::micros_now();
    let mut batches: Vec<Batch> = Vec::new();
    for (position, intent) in (end..).zip(intents) {
        let row = Row::Made(intent.interruption(core, why, noticed_at));
        match batches.last_mut() {
            Some(batch) if !batch.is_full(core) => batch.push(row, position + 1),
            _ => {
                let mut batch = Batch::new(journal_id, position);
                batch.push(row, position + 1);
                batches.push(batch);
            }
        }
    }
    batches
}

impl OpenIntent {
    /// The event in place of the completion: by whom, with which arguments, begun when.
    fn interruption(&self, core: &Core, why: &str, noticed_at: i64) -> Vec<u8> {
        let mut data = match self.data.parse() {
            Ok(Json::Object(data)) => data,
            _ => BTreeMap::new(),
        };
        data.insert(
            "$interrupted".into(),
            json!({
                "event_type": self.event_type,
                "origin": self.origin,
                "why": why,
                "noticed_at": Timestamp::from_unix_micros(noticed_at),
            })
            .into(),
        );
        let mut bytes = Vec::new();
        payload::encode(
            &mut bytes,
            &EventRef {
                id: ids::completion_id(self.id),
                event_type: EVENT_TYPE,
                entity_type: &self.entity_type,
                entity_id: self.entity_id,
                actor: &self.actor,
                data: &Json::from(data).to_string(),
                created_at: self.created_at,
                outcome: Outcome::Interrupted,
                duration: None,
                correlation_id: self.correlation_id,
                causation_id: Some(self.id),
                context: self.context.as_deref().unwrap_or_default(),
                origin: core.origin(),
                // They are encrypted already, as those of the intent.
                is_personal: false,
            },
        );
        bytes
    }
}
