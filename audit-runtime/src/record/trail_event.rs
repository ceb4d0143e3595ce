//! An event as readers see it: the content of its row.

use super::payload::EventRef;
use crate::capture::json::Json;
use crate::capture::nul::{without_nul, without_nul_escapes};
use crate::event::Outcome;
use crate::event::Timestamp;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

/// A row of `audit_events`.
///
/// Serde reads and writes it in the form that `audit-trail export` writes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "Exported")]
#[non_exhaustive]
pub struct TrailEvent {
    /// The event's id.
    pub id: Uuid,
    /// The event type, as `noun.verb`.
    pub event_type: String,
    /// The kind of entity it happened to.
    pub entity_type: String,
    /// The entity: its id, or the [`EntityId::named`](crate::EntityId::named) of its key.
    pub entity_id: Option<Uuid>,
    /// The entity's own key, where that is no UUID.
    pub entity_key: Option<String>,
    /// Further entities that the event is about: objects with `type`, `id` and, where it is no UUID,
    /// `key`.
    pub targets: Option<Json>,
    /// The tenant whose data the event is about.
    pub tenant: Option<String>,
    /// The actor.
    pub actor: String,
    /// The event's data.
    pub data: Json,
    /// The time at which the event began, to the microsecond.
    pub created_at: Timestamp,
    /// The outcome. See [`outcome_text`](Self::outcome_text) for outcomes that other programs
    /// wrote.
    pub outcome: Outcome,
    /// The duration of the call, in microseconds.
    pub duration_us: Option<i64>,
    /// The request or process, shared by all its events.
    pub correlation_id: Option<Uuid>,
    /// The event within whose call this one happened.
    pub causation_id: Option<Uuid>,
    /// The attributes of the context it happened in.
    pub context: Option<Json>,
    /// The process that recorded it, as `service@host:process id`.
    pub origin: Option<String>,
    /// The batch that brought it.
    pub batch_id: Option<Uuid>,
    /// The state of the call, if this event is its intent.
    pub intent: Option<IntentState>,
    /// The text in the column `outcome`, where this library writes no such text.
    pub(crate) other_outcome: Option<Box<str>>,
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
    entity_key: Option<String>,
    #[serde(default)]
    targets: Option<Json>,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    intent: Option<IntentState>,
}

impl From<Exported> for TrailEvent {
    fn from(event: Exported) -> Self {
        let Exported { id, event_type, entity_type, entity_id, actor, data, created_at, duration_us, .. } = event;
        let (outcome, other_outcome) = outcome(&event.outcome);
        let Exported { correlation_id, causation_id, context, origin, batch_id, .. } = event;
        let Exported { entity_key, targets, tenant, intent, .. } = event;
        Self {
            id,
            event_type,
            entity_type,
            entity_id,
            entity_key,
            targets,
            tenant,
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
        let rare = [self.entity_key.is_some(), self.targets.is_some(), self.tenant.is_some(), self.intent.is_some()];
        let fields = 14 + rare.into_iter().filter(|is_there| *is_there).count();
        let mut event = serializer.serialize_struct("TrailEvent", fields)?;
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
        field_of(&mut event, "entity_key", self.entity_key.as_ref())?;
        field_of(&mut event, "targets", self.targets.as_ref())?;
        field_of(&mut event, "tenant", self.tenant.as_ref())?;
        field_of(&mut event, "intent", self.intent.as_ref())?;
        event.end()
    }
}

/// Writes a field that few events have.
fn field_of<S: SerializeStruct>(
    event: &mut S,
    name: &'static str,
    value: Option<&impl Serialize>,
) -> Result<(), S::Error> {
    match value {
        Some(value) => event.serialize_field(name, value),
        None => event.skip_field(name),
    }
}

/// Reads the column `outcome`, and also returns the text if another program wrote it.
pub(crate) fn outcome(text: &str) -> (Outcome, Option<Box<str>>) {
    match text.parse() {
        Ok(outcome) => (outcome, None),
        Err(_) => (Outcome::Other, Some(text.into())),
    }
}

/// The state of a call whose intent is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IntentState {
    /// The call has not ended, as far as is known. Its process runs it, or was killed and its
    /// journal is not adopted yet.
    InFlight,
    /// The process died, or shut its trail down, before the call ended. An `audit.interrupted`
    /// event reports it.
    Interrupted,
    /// The call has ended: the completion names the intent as its cause.
    Completed,
}

impl IntentState {
    /// By the outcome that is on record of the call.
    pub(crate) fn of(completion: Option<&str>) -> Self {
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
    /// Returns the text in the column `outcome`, whichever program wrote it.
    #[must_use]
    pub fn outcome_text(&self) -> &str {
        self.other_outcome.as_deref().unwrap_or_else(|| self.outcome.as_str())
    }

    /// Returns how long the call took.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.duration_us.and_then(|micros| u64::try_from(micros).ok()).map(Duration::from_micros)
    }
}

impl From<&EventRef<'_>> for TrailEvent {
    /// Returns the row that the event becomes.
    fn from(event: &EventRef<'_>) -> Self {
        let json = |text: &str| Json::read(&without_nul_escapes(text));
        let text = |text: &str| without_nul(text).into_owned();
        Self {
            id: event.id,
            event_type: text(event.event_type),
            entity_type: text(event.entity_type),
            entity_id: event.entity_id,
            entity_key: event.further.entity_key.map(text),
            targets: event.further.targets.json().map(|targets| json(&targets)),
            tenant: event.further.tenant.map(text),
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

/// Sets the state of each intent, as far as these events show it.
pub(crate) fn mark_intents(events: &mut [TrailEvent]) {
    let completion = |event: &TrailEvent| Some(((event.causation_id?, event.created_at), event.outcome));
    let completions: HashMap<(Uuid, Timestamp), Outcome> = events.iter().filter_map(completion).collect();
    for event in events.iter_mut().filter(|event| event.outcome == Outcome::Started) {
        let completion = completions.get(&(event.id, event.created_at));
        event.intent = Some(IntentState::of(completion.map(|outcome| outcome.as_str())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(line: &str) -> TrailEvent {
        let event: TrailEvent = serde_json::from_str(line).expect("an exported event");
        let written = serde_json::to_string(&event).expect("an event is JSON");
        assert_eq!(serde_json::from_str::<TrailEvent>(&written).expect("and is read back"), event);
        assert_eq!(written, line);
        event
    }

    #[test]
    fn an_exported_event_is_read_back_whatever_is_in_it() {
        let line = concat!(
            r#"{"id":"00000000-0000-0000-0000-000000000001","event_type":"Odd TYPE","entity_type":"","entity_id":null,"actor":"\u0001ä","#,
            r#""data":{"big":123456789012345678901234567890.10,"exponent":1e400,"text":"1.10"},"created_at":"infinity","outcome":"vanished","#,
            r#""duration_us":-1,"correlation_id":null,"causation_id":null,"context":{"deep":[[[[]]]]},"origin":null,"batch_id":null}"#
        );
        let event = read_back(line);
        assert_eq!((event.created_at, event.outcome), (Timestamp::INFINITY, Outcome::Other));
        assert_eq!(event.outcome_text(), "vanished");
        assert_eq!(event.data["big"].to_string(), "123456789012345678901234567890.10");
        assert_eq!((event.data["exponent"].to_string().as_str(), &event.data["text"]), ("1e400", &Json::from("1.10")));
        for time in ["-infinity", "0044-03-15T12:00:00.000000+00:00 BC", "294276-12-31T23:59:59.999999+00:00"] {
            assert_eq!(read_back(&line.replace("infinity", time)).created_at.to_string(), time);
        }
        let started = line
            .replace("vanished", "started")
            .replace(r#""batch_id":null"#, r#""batch_id":null,"intent":"in_flight""#);
        assert_eq!(read_back(&started).intent, Some(IntentState::InFlight));
        let keyed = line.replace(
            r#""batch_id":null"#,
            r#""batch_id":null,"entity_key":"42","targets":[{"id":"..","rate":1.10,"type":"a"}],"tenant":"acme""#,
        );
        let keyed = read_back(&keyed);
        assert_eq!((keyed.entity_key.as_deref(), keyed.tenant.as_deref()), (Some("42"), Some("acme")));
        assert_eq!(keyed.targets.unwrap()[0]["rate"].to_string(), "1.10");
    }

    #[test]
    fn a_line_that_lacks_a_column_is_refused_by_its_name() {
        let error = serde_json::from_str::<TrailEvent>(r#"{"id":"00000000-0000-0000-0000-000000000001"}"#).unwrap_err();
        assert!(error.to_string().contains("event_type"), "{error}");
    }
}
