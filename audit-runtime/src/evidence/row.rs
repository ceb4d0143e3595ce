//! Rows as JSON that loses nothing: what proofs and archives hold.

use super::canonical::NotJson;
use super::seal::{Entry, Sealer};
use crate::writer::copy::{POSTGRES_EPOCH, push_field};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// A row of `audit_events`, as PostgreSQL's `row_to_json` writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EventRow {
    id: Uuid,
    event_type: String,
    entity_type: String,
    entity_id: Option<Uuid>,
    actor: String,
    data: Box<RawValue>,
    created_at: String,
    outcome: String,
    duration_us: Option<i64>,
    correlation_id: Option<Uuid>,
    causation_id: Option<Uuid>,
    context: Option<Box<RawValue>>,
    origin: Option<String>,
    /// An archive says it; a proof has the batch itself.
    #[serde(default, skip_serializing)]
    pub(super) batch_id: Option<Uuid>,
}

impl EventRow {
    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// Its entry, as it was sealed.
    pub(crate) fn entry(&self, sealer: &mut Sealer) -> Result<Entry, NotJson> {
        let json = |json: &RawValue| [b"\x01", json.get().as_bytes()].concat();
        let mut row = Vec::new();
        for field in [
            Some(self.id.as_bytes().to_vec()),
            Some(self.event_type.clone().into()),
            Some(self.entity_type.clone().into()),
            self.entity_id.map(|id| id.as_bytes().to_vec()),
            Some(self.actor.clone().into()),
            Some(json(&self.data)),
            Some(time_field(&self.created_at).ok_or(NotJson)?),
            Some(self.outcome.clone().into()),
            self.duration_us.map(|micros| micros.to_be_bytes().to_vec()),
            self.correlation_id.map(|id| id.as_bytes().to_vec()),
            self.causation_id.map(|id| id.as_bytes().to_vec()),
            self.context.as_deref().map(json),
            self.origin.clone().map(Into::into),
        ] {
            push_field(&mut row, field.as_deref());
        }
        sealer.row(&row)
    }
}

/// A time that PostgreSQL wrote into JSON, as binary COPY has it.
pub(crate) fn time_field(text: &str) -> Option<Vec<u8>> {
    let micros = match text {
        "infinity" => i64::MAX,
        "-infinity" => i64::MIN,
        _ => {
            // Years of more than four digits have a sign in ISO 8601, and none here.
            let signed = if text.find('-') > Some(4) { format!("+{text}") } else { text.to_owned() };
            let time = DateTime::parse_from_str(&signed, "%Y-%m-%dT%H:%M:%S%.f%:z").ok()?;
            time.with_timezone(&Utc).timestamp_micros() - POSTGRES_EPOCH
        }
    };
    Some(micros.to_be_bytes().to_vec())
}
