//! Intents of a process that has ended: its calls that were under way, which will never be
//! completed.
//!
//! An intent and its completion share correlation and time, and the completion names the intent as
//! its cause. The event of an interruption uses the completion's own id and place. So events
//! recorded inside the call name it as their cause, and a completion and an interruption can never
//! both be stored.

use super::batch::{Batch, Row};
use super::parts::Settings;
use crate::capture::json::Json;
use crate::event::Outcome;
use crate::event::Timestamp;
use crate::event::ids;
use crate::event::reserved::INTERRUPTED;
use crate::journal::{Cut, Noticed};
use crate::record::{EventRef, Further, payload};
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, FromRow, Row as _};
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// An intent that is stored without a completion.
#[derive(Debug, FromRow)]
pub(crate) struct OpenIntent {
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
    entity_key: Option<String>,
    targets: Option<String>,
    tenant: Option<String>,
}

/// The intents of a journal that have no completion, neither stored nor refused.
pub(super) async fn open_intents(
    connection: &mut PgConnection,
    journal_id: Uuid,
) -> Result<Vec<OpenIntent>, sqlx::Error> {
    // Scalar queries: a pooler in transaction mode may answer each message from another connection.
    let intents = format!("SELECT * FROM audit_unfinished('{journal_id}')");
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

/// Returns the events that report these interruptions, in batches behind the end of their journal.
///
/// Batches that an adopter had cut, and that it could not store, come first and are what they were.
pub(crate) fn batches(
    settings: &Settings,
    journal_id: Uuid,
    end: u64,
    noticed: Noticed,
    mut intents: &[OpenIntent],
    cuts: &[Cut],
) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for cut in cuts {
        let rows = usize::try_from(cut.end - cut.first).unwrap_or(usize::MAX);
        // A call that has ended after all is left out: the batch cannot be what it was.
        let Some((rows, rest)) = intents.split_at_checked(rows) else { break };
        intents = rest;
        let mut batch = Batch::again(journal_id, cut.clone());
        batch.interruptions = cut.interruptions;
        for (position, intent) in (cut.first..).zip(rows) {
            intent.interrupt(settings, &mut batch, position);
        }
        batches.push(batch);
    }
    for (position, intent) in (end..).zip(intents) {
        let is_begun = |batch: &Batch| batch.cut.is_none() && !batch.is_full(settings);
        if !batches.last().is_some_and(is_begun) {
            let mut batch = Batch::new(journal_id, position);
            batch.interruptions = Some(noticed);
            batches.push(batch);
        }
        if let Some(batch) = batches.last_mut() {
            intent.interrupt(settings, batch, position);
        }
    }
    batches
}

/// The reason in the event of an interruption.
fn why(noticed: Option<Noticed>) -> &'static str {
    match noticed {
        Some(Noticed::AtShutdown) => "its process has shut the audit trail down, and no end of it is on record",
        _ => "its process is gone, and no end of it is on record",
    }
}

impl OpenIntent {
    /// Adds the event in place of the completion to a batch, whose id states when it was noticed.
    fn interrupt(&self, settings: &Settings, batch: &mut Batch, position: u64) {
        let origin = batch.origin.clone().unwrap_or_else(|| settings.origin.clone());
        let noticed_at = ids::first_micros(batch.id).unwrap_or_default();
        let row = self.interruption(&origin, why(batch.interruptions), noticed_at);
        batch.push(Row::Made(row), position + 1);
    }

    /// The event in place of the completion: by whom, with which arguments, begun when.
    fn interruption(&self, origin: &str, why: &str, noticed_at: i64) -> Vec<u8> {
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
        let further = Further::of_row(self.entity_key.as_deref(), self.tenant.as_deref(), self.targets.as_deref());
        let mut bytes = Vec::new();
        payload::encode(
            &mut bytes,
            &EventRef {
                id: ids::completion_id(self.id),
                event_type: INTERRUPTED,
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
                origin,
                // They are encrypted already, as those of the intent.
                is_personal: false,
                further: further.borrowed(None),
            },
        );
        bytes
    }
}
