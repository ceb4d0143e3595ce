//! Rows as lossless JSON, which proofs and archives contain.

use crate::event::Timestamp;
use crate::postgres::copy::{Columns, Row, push_field};
use crate::seal::canonical::NotJson;
use crate::seal::{SEALED, Sealed, Sealer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use uuid::Uuid;

/// The JSON value `null`, as binary COPY has it.
const JSON_NULL: &[u8] = b"\x01null";
/// Their numbers among the columns that are sealed.
const CONTEXT: usize = 11;
const TARGETS: usize = 14;

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

/// The columns that have the JSON value `null`. The text of a row has the same word where a column has
/// no value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct JsonNulls {
    pub(crate) context: bool,
    pub(crate) targets: bool,
}

impl EventRow {
    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// The time that it states.
    pub(super) fn created_at(&self) -> Option<Timestamp> {
        self.created_at.parse().ok()
    }

    /// Whether it has an empty object as its data, and no context.
    pub(super) fn is_bare(&self) -> bool {
        let data: String = self.data.get().split_ascii_whitespace().collect();
        data == "{}" && self.context.is_none()
    }

    /// Returns the batch that brought it, if it came with one.
    pub(crate) fn batch_id(&self) -> Option<Uuid> {
        self.batch_id
    }

    /// Its entry, as it was sealed, and the form that its batch has at least, if no column has the JSON
    /// value `null`.
    pub(crate) fn entry(&self, sealer: &mut Sealer) -> Result<Sealed, NotJson> {
        self.entry_with(sealer, JsonNulls::default())
    }

    /// Returns the entry that was sealed, as `is_sealed` tells, among those of which this is the text. If
    /// all of them are others, returns that of the text as it stands.
    pub(crate) fn sealed_entry(
        &self,
        sealer: &mut Sealer,
        is_sealed: impl Fn(&Sealed) -> bool,
    ) -> Result<(Sealed, JsonNulls), NotJson> {
        let first = self.entry(sealer)?;
        if !is_sealed(&first) {
            for (context, targets) in [(true, false), (false, true), (true, true)] {
                let nulls = JsonNulls { context, targets };
                let may_be = (!context || self.context.is_none()) && (!targets || self.targets.is_none());
                if may_be && let Some(sealed) = Some(self.entry_with(sealer, nulls)?).filter(&is_sealed) {
                    return Ok((sealed, nulls));
                }
            }
        }
        Ok((first, JsonNulls::default()))
    }

    fn entry_with(&self, sealer: &mut Sealer, nulls: JsonNulls) -> Result<Sealed, NotJson> {
        let json = |json: &RawValue| [b"\x01", json.get().as_bytes()].concat();
        let null = |is_null: bool| is_null.then(|| JSON_NULL.to_vec());
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
            self.context.as_deref().map(json).or_else(|| null(nulls.context)),
            self.origin.clone().map(Into::into),
            self.entity_key.clone().map(Into::into),
            self.targets.as_deref().map(json).or_else(|| null(nulls.targets)),
            self.tenant.clone().map(Into::into),
        ] {
            push_field(&mut row, field.as_deref());
        }
        sealer.row(&row, Columns::All)
    }
}

/// Returns a row of binary COPY without the JSON values `null` of its context and targets, as its text
/// would be read.
pub(crate) fn without_nulls(row: Row<'_>) -> Result<Cow<'_, [u8]>, sqlx::Error> {
    if !row.0.windows(JSON_NULL.len()).any(|bytes| bytes == JSON_NULL) {
        return Ok(Cow::Borrowed(row.0));
    }
    let (mut fields, mut plain) = (row.fields(), Vec::new());
    for column in 0..SEALED {
        let value = fields.next()?;
        let is_null = [CONTEXT, TARGETS].contains(&column) && value == Some(JSON_NULL);
        push_field(&mut plain, value.filter(|_| !is_null));
    }
    Ok(Cow::Owned(plain))
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
