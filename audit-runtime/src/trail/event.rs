//! A row as it is read.

use crate::event::Outcome;
use crate::json::Json;
use crate::nul::{without_nul, without_nul_escapes};
use crate::payload::EventRef;
use crate::timestamp::Timestamp;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

/// A row of `audit_events`.
///
/// It is written and read by serde as `audit-trail export` writes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "Exported")]
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
    pub data: Json,
    /// When it began, to the microsecond.
    pub created_at: Timestamp,
    /// How it ended; see [`outcome_text`](Self::outcome_text) for what other programs wrote.
    pub outcome: Outcome,
    /// How long it took, in microseconds.
    pub duration_us: Option<i64>,
    /// The same for all events of one request or process.
    pub correlation_id: Option<Uuid>,
    /// The event within whose call this one happened.
    pub causation_id: Option<Uuid>,
    /// The attributes of the context it happened in.
    pub context: Option<Json>,
    /// The process that recorded it, as `service@host:process id`.
    pub origin: Option<String>,
    /// The batch that brought it.
    pub batch_id: Option<Uuid>,
    /// What became of the call, if this is its intent.
    pub intent: Option<IntentState>,
    /// The text in the column `outcome`, where this library writes no such text.
    other_outcome: Option<Box<str>>,
}

/// An event as it is exported.
#[derive(Deserialize)]
struct Exported {
    id: Uuid,
    event_type: String,
    entity_type: String,
    entity_id: Option<Uuid>,
    actor: String,
    data: Json,
    created_at: Timestamp,
    outcome: String,
    duration_us: Option<i64>,
    correlation_id: Option<Uuid>,
    causation_id: Option<Uuid>,
    context: Option<Json>,
    origin: Option<String>,
    batch_id: Option<Uuid>,
    #[serde(default)]
    intent: Option<IntentState>,
}

impl From<Exported> for TrailEvent {
    fn from(event: Exported) -> Self {
        let Exported { id, event_type, entity_type, entity_id, actor, data, created_at, duration_us, .. } = event;
        let (outcome, other_outcome) = outcome(&event.outcome);
        let Exported { correlation_id, causation_id, context, origin, batch_id, intent, .. } = event;
        Self {
            id,
            event_type,
            entity_type,
            entity_id,
            actor,
            data,
            created_at,
            outcome,
            duration_us,
            correlation_id,
            causation_id,
            context,
            origin,
            batch_id,
            intent,
            other_outcome,
        }
    }
}

impl Serialize for TrailEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("TrailEvent", 14 + usize::from(self.intent.is_some()))?;
        event.serialize_field("id", &self.id)?;
        event.serialize_field("event_type", &self.event_type)?;
        event.serialize_field("entity_type", &self.entity_type)?;
        event.serialize_field("entity_id", &self.entity_id)?;
        event.serialize_field("actor", &self.actor)?;
        event.serialize_field("data", &self.data)?;
        event.serialize_field("created_at", &self.created_at)?;
        event.serialize_field("outcome", self.outcome_text())?;
        event.serialize_field("duration_us", &self.duration_us)?;
        event.serialize_field("correlation_id", &self.correlation_id)?;
        event.serialize_field("causation_id", &self.causation_id)?;
        event.serialize_field("context", &self.context)?;
        event.serialize_field("origin", &self.origin)?;
        event.serialize_field("batch_id", &self.batch_id)?;
        match &self.intent {
            Some(intent) => event.serialize_field("intent", intent)?,
            None => event.skip_field("intent")?,
        }
        event.end()
    }
}

/// Reads the column `outcome`; returns the text, too, if it is not one of this library's.
fn outcome(text: &str) -> (Outcome, Option<Box<str>>) {
    match text.parse() {
        Ok(outcome) => (outcome, None),
        Err(_) => (Outcome::Other, Some(text.into())),
    }
}

/// What became of a call whose intent is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

impl TrailEvent {
    /// Returns the text in the column `outcome`, whoever wrote it.
    #[must_use]
    pub fn outcome_text(&self) -> &str {
        self.other_outcome.as_deref().unwrap_or_else(|| self.outcome.as_str())
    }

    /// How long the call took.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.duration_us.and_then(|micros| u64::try_from(micros).ok()).map(Duration::from_micros)
    }
}

impl From<&EventRef<'_>> for TrailEvent {
    /// What the event's row will be.
    fn from(event: &EventRef<'_>) -> Self {
        let json = |text: &str| Json::read(&without_nul_escapes(text));
        let text = |text: &str| without_nul(text).into_owned();
        Self {
            id: event.id,
            event_type: text(event.event_type),
            entity_type: text(event.entity_type),
            entity_id: event.entity_id,
            actor: text(event.actor),
            data: json(event.data),
            created_at: Timestamp::from_unix_micros(event.created_at),
            outcome: event.outcome,
            duration_us: event.duration,
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            context: (!event.context.is_empty()).then(|| json(event.context)),
            origin: Some(text(event.origin)),
            batch_id: None,
            intent: None,
            other_outcome: None,
        }
    }
}

/// Says of each intent what became of it, as far as these events tell.
pub(crate) fn mark_intents(events: &mut [TrailEvent]) {
    let completion = |event: &TrailEvent| Some(((event.causation_id?, event.created_at), event.outcome));
    let completions: HashMap<(Uuid, Timestamp), Outcome> = events.iter().filter_map(completion).collect();
    for event in events.iter_mut().filter(|event| event.outcome == Outcome::Started) {
        let completion = completions.get(&(event.id, event.created_at));
        event.intent = Some(IntentState::of(completion.map(|outcome| outcome.as_str())));
    }
}

impl FromRow<'_, PgRow> for TrailEvent {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let (outcome, other_outcome) = outcome(row.try_get("outcome")?);
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
            other_outcome,
        })
    }
}
