//! Rows as lossless JSON, which proofs and archives contain.

use crate::event::Timestamp;
use crate::postgres::copy::{Columns, push_field};
use crate::seal::canonical::NotJson;
use crate::seal::{Sealed, Sealer};
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entity_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    targets: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// An archive states it, and a proof contains the batch itself.
    #[serde(default, skip_serializing)]
    pub(super) batch_id: Option<Uuid>,
}

impl EventRow {
    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// Its entry, as it was sealed, and the form that its batch has at least.
    pub(crate) fn entry(&self, sealer: &mut Sealer) -> Result<Sealed, NotJson> {
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
            self.entity_key.clone().map(Into::into),
            self.targets.as_deref().map(json),
            self.tenant.clone().map(Into::into),
        ] {
            push_field(&mut row, field.as_deref());
        }
        sealer.row(&row, Columns::All)
    }
}

/// A time that PostgreSQL wrote into JSON, as binary COPY has it.
pub(crate) fn time_field(text: &str) -> Option<Vec<u8>> {
    text.parse().ok().map(|time: Timestamp| time.postgres().to_be_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_that_postgresql_writes_into_json_is_read() {
        for (text, micros) in [
            ("infinity", i64::MAX),
            ("-infinity", i64::MIN),
            ("2000-01-01T00:00:00.000001+00:00", 1),
            ("1999-12-31T23:07:28+00:53:28", -6_360_000_000),
            ("294276-12-31T23:59:59.999999+00:00", 9_223_371_331_199_999_999),
            ("4714-11-24T00:00:00+00:00 BC", -211_813_488_000_000_000),
        ] {
            assert_eq!(time_field(text), Some(micros.to_be_bytes().to_vec()), "{text}");
        }
        assert_eq!(time_field("yesterday"), None);
    }
}
