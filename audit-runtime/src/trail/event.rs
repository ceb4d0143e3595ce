//! A row as it is read.

use crate::clock;
use crate::event::Outcome;
use crate::payload::EventRef;
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

/// A row of `audit_events`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TrailEvent {
    /// The event's id.
    pub id: Uuid,
    /// What happened, as `noun.verb`.
    pub event_type: String,
    /// The kind of entity it happened to.
    pub entity_type: String,
    /// The entity.
    pub entity_id: Option<Uuid>,
    /// Who did it.
    pub actor: String,
    /// What belongs to it.
    pub data: Value,
    /// When it began, to the microsecond; serialises as ISO 8601.
    #[serde(serialize_with = "iso_8601")]
    pub created_at: DateTime<Utc>,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, in microseconds.
    pub duration_us: Option<i64>,
    /// The same for all events of one request or process.
    pub correlation_id: Option<Uuid>,
    /// The event within whose call this one happened.
    pub causation_id: Option<Uuid>,
    /// The attributes of the context it happened in.
    pub context: Option<Value>,
    /// The process that recorded it, as `service@host:process id`.
    pub origin: Option<String>,
    /// The batch that brought it.
    pub batch_id: Option<Uuid>,
    /// What became of the call, if this is its intent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentState>,
}

/// What became of a call whose intent is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IntentState {
    /// It has not ended, as far as is known: its process is at it, or was killed and nobody has adopted its journal yet.
    InFlight,
    /// Its process died, or shut its trail down, before it ended: an `audit.interrupted` event tells of it.
    Interrupted,
    /// It has ended: the completion names the intent as its cause.
    Completed,
}

impl IntentState {
    /// By the outcome that is on record of the call.
    fn of(completion: Option<&str>) -> Self {
        match completion {
            None => Self::InFlight,
            Some(outcome) if outcome == Outcome::Interrupted.as_str() => Self::Interrupted,
            Some(_) => Self::Completed,
        }
    }
}

impl fmt::Display for IntentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::InFlight => "in flight",
            Self::Interrupted => "interrupted",
            Self::Completed => "completed",
        })
    }
}

fn iso_8601<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&clock::iso_8601(*time))
}

impl TrailEvent {
    /// How long the call took.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.duration_us.and_then(|micros| u64::try_from(micros).ok()).map(Duration::from_micros)
    }
}

impl From<&EventRef<'_>> for TrailEvent {
    /// What the event's row will be.
    fn from(event: &EventRef<'_>) -> Self {
        let json = |text: &str| match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => Value::String(format!("no JSON: {error}: {text}")),
        };
        Self {
            id: event.id,
            event_type: event.event_type.to_owned(),
            entity_type: event.entity_type.to_owned(),
            entity_id: event.entity_id,
            actor: event.actor.to_owned(),
            data: json(event.data),
            created_at: DateTime::from_timestamp_micros(event.created_at).unwrap_or_default(),
            outcome: event.outcome,
            duration_us: event.duration,
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            context: (!event.context.is_empty()).then(|| json(event.context)),
            origin: Some(event.origin.to_owned()),
            batch_id: None,
            intent: None,
        }
    }
}

/// Says of each intent what became of it, as far as these events tell.
pub(crate) fn mark_intents(events: &mut [TrailEvent]) {
    let completions: HashMap<(Uuid, DateTime<Utc>), Outcome> =
        events.iter().filter_map(|event| Some(((event.causation_id?, event.created_at), event.outcome))).collect();
    for event in events.iter_mut().filter(|event| event.outcome == Outcome::Started) {
        let completion = completions.get(&(event.id, event.created_at));
        event.intent = Some(IntentState::of(completion.map(|outcome| outcome.as_str())));
    }
}

impl FromRow<'_, PgRow> for TrailEvent {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let outcome: Outcome =
            row.try_get::<&str, _>("outcome")?.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        // A query of somebody's own need not ask.
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
        })
    }
}
