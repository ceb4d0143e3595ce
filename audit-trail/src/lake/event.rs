//! A row of `audit_events` in a lake: from the bytes that are hashed to columns, and back.

use super::read::Chunk;
use super::time::{self, Split};
use super::write::Value;
use audit_runtime::__private::detached::{self, push_field};
use audit_runtime::trail::TrailEvent;
use audit_runtime::{Json, Timestamp};
use parquet::errors::{ParquetError, Result};
use std::fmt::Write as _;
use uuid::Uuid;

/// The columns of the table `EVENTS`.
pub(super) mod column {
    pub(crate) const ID: usize = 0;
    pub(crate) const EVENT_TYPE: usize = 1;
    pub(crate) const ENTITY_TYPE: usize = 2;
    pub(crate) const ENTITY_ID: usize = 3;
    pub(crate) const ENTITY_KEY: usize = 4;
    pub(crate) const ENTITY_IDS: usize = 5;
    pub(crate) const ACTOR: usize = 6;
    pub(crate) const DATA: usize = 7;
    pub(crate) const CREATED_AT: usize = 8;
    pub(crate) const OUTCOME: usize = 10;
    pub(crate) const DURATION: usize = 11;
    pub(crate) const CORRELATION: usize = 12;
    pub(crate) const CAUSATION: usize = 13;
    pub(crate) const CONTEXT: usize = 14;
    pub(crate) const ORIGIN: usize = 15;
    pub(crate) const TARGETS: usize = 16;
    pub(crate) const TENANT: usize = 17;
    pub(crate) const BATCH_ID: usize = 18;
    pub(crate) const IS_LATE: usize = 19;
    pub(crate) const BATCH_NUMBER: usize = 20;
    pub(crate) const LEAF_NUMBER: usize = 21;
    pub(crate) const LEAF: usize = 22;
}

/// Where a row is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) batch_id: Uuid,
    pub(super) is_late: bool,
    /// The batch's number in the tree.
    pub(super) batch: i64,
    /// The row's leaf in its batch; the first has the number 1.
    pub(super) leaf: i64,
    pub(super) digest: [u8; 32],
}

/// The first columns of a row, as PostgreSQL sends them in binary COPY.
#[derive(Debug)]
pub(super) struct Fields<'a>(Vec<Option<&'a [u8]>>);

impl<'a> Fields<'a> {
    pub(super) fn new(row: &'a [u8]) -> Self {
        Self(detached::fields(row).collect())
    }

    pub(super) fn get(&self, field: usize) -> Option<&'a [u8]> {
        self.0.get(field).copied().flatten()
    }

    pub(super) fn text(&self, field: usize) -> Option<&'a str> {
        self.get(field).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    pub(super) fn uuid(&self, field: usize) -> Option<Uuid> {
        self.get(field).and_then(|bytes| Uuid::from_slice(bytes).ok())
    }

    pub(super) fn i64(&self, field: usize) -> Option<i64> {
        self.get(field).and_then(|bytes| bytes.try_into().ok()).map(i64::from_be_bytes)
    }

    pub(super) fn i32(&self, field: usize) -> Option<i32> {
        self.get(field).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes)
    }

    pub(super) fn i16(&self, field: usize) -> Option<i16> {
        self.get(field).and_then(|bytes| bytes.try_into().ok()).map(i16::from_be_bytes)
    }

    pub(super) fn time(&self, field: usize) -> Option<Timestamp> {
        self.get(field).and_then(time::of_field)
    }

    /// A `jsonb` behind its version.
    fn json(&self, field: usize) -> Option<&'a str> {
        self.text(field).map(|text| text.strip_prefix('\u{1}').unwrap_or(text))
    }
}

/// The ids of all entities that a row concerns: its own, and its further ones. An older version stored
/// some keys in the data alone.
fn entity_ids(entity_type: &str, entity_id: Option<Uuid>, targets: Option<&str>, data: &str) -> Vec<String> {
    let mut ids: Vec<String> = entity_id.iter().map(Uuid::to_string).collect();
    if entity_id.is_none() && data.contains("$entity_id") {
        let data: Option<Json> = data.parse().ok();
        let key = data.as_ref().and_then(|data| data.get("$entity_id")).and_then(Json::as_str);
        ids.extend(key.map(|key| detached::named_id(entity_type, key).to_string()));
    }
    let targets: Option<Json> = targets.and_then(|targets| targets.parse().ok());
    let targets = targets.as_ref().and_then(Json::as_array).unwrap_or_default();
    for id in targets.iter().filter_map(|target| target.get("id").and_then(Json::as_str)) {
        if !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    ids
}

/// Hands the columns of a row to `write`.
pub(super) fn columns<T>(fields: &Fields<'_>, sealed: &Sealed, write: impl FnOnce(&[Value<'_>]) -> T) -> Option<T> {
    let uuid = |field| fields.uuid(field).map(|id| id.to_string());
    let (id, entity_id, correlation, causation) = (uuid(0)?, uuid(3), uuid(9), uuid(10));
    let created_at = Split::new(fields.time(6));
    let [at, at_text] = created_at.values();
    let (entity_type, data, targets) = (fields.text(2)?, fields.json(5)?, fields.json(14));
    let ids = entity_ids(entity_type, fields.uuid(3), targets, data);
    let batch_id = sealed.batch_id.to_string();
    let row = [
        Value::text(&id),
        Value::text(fields.text(1)?),
        Value::text(entity_type),
        Value::maybe_text(entity_id.as_deref()),
        Value::maybe_text(fields.text(13)),
        Value::Texts(&ids),
        Value::text(fields.text(4)?),
        Value::text(data),
        at,
        at_text,
        Value::text(fields.text(7)?),
        Value::maybe_int(fields.i64(8)),
        Value::maybe_text(correlation.as_deref()),
        Value::maybe_text(causation.as_deref()),
        Value::maybe_text(fields.json(11)),
        Value::maybe_text(fields.text(12)),
        Value::maybe_text(targets),
        Value::maybe_text(fields.text(15)),
        Value::text(&batch_id),
        Value::Bool(sealed.is_late),
        Value::Int(sealed.batch),
        Value::Int(sealed.leaf),
        Value::Bytes(&sealed.digest),
    ];
    Some(write(&row))
}

/// A row of a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    chunk: &'a Chunk,
    row: usize,
}

/// Says that a value is not of its column's type.
fn not(what: &'static str) -> ParquetError {
    ParquetError::General(format!("a row has no {what}, or one that is none"))
}

impl<'a> Row<'a> {
    pub(super) fn new(chunk: &'a Chunk, row: usize) -> Self {
        Self { chunk, row }
    }

    pub(super) fn text(&self, column: usize) -> Option<&'a str> {
        self.chunk.text(column, self.row)
    }

    fn needed(&self, column: usize, what: &'static str) -> Result<&'a str> {
        self.text(column).ok_or_else(|| not(what))
    }

    fn uuid(&self, column: usize, what: &'static str) -> Result<Option<Uuid>> {
        self.text(column).map(|text| Uuid::try_parse(text).map_err(|_| not(what))).transpose()
    }

    pub(super) fn id(&self) -> Result<Uuid> {
        self.uuid(column::ID, "id")?.ok_or_else(|| not("id"))
    }

    pub(super) fn created_at(&self) -> Result<Timestamp> {
        let time = time::joined(self.chunk, column::CREATED_AT, self.row).map_err(|()| not("created_at"))?;
        time.ok_or_else(|| not("created_at"))
    }

    pub(super) fn sealed(&self) -> Result<Sealed> {
        let int = |column, what| self.chunk.int(column, self.row).ok_or_else(|| not(what));
        let digest = self.chunk.bytes(column::LEAF, self.row).and_then(|leaf| leaf.try_into().ok());
        Ok(Sealed {
            batch_id: self.uuid(column::BATCH_ID, "batch_id")?.ok_or_else(|| not("batch_id"))?,
            is_late: self.chunk.is(column::IS_LATE, self.row),
            batch: int(column::BATCH_NUMBER, "batch_number")?,
            leaf: int(column::LEAF_NUMBER, "leaf_number")?,
            digest: digest.ok_or_else(|| not("leaf"))?,
        })
    }

    /// Makes the bytes again that are hashed.
    pub(super) fn bytes(&self, row: &mut Vec<u8>) -> Result<()> {
        row.clear();
        let uuid = |column, what| Ok::<_, ParquetError>(self.uuid(column, what)?.map(Uuid::into_bytes));
        let json = |column: usize| self.text(column).map(|text| [b"\x01", text.as_bytes()].concat());
        push_field(row, Some(self.id()?.as_bytes()));
        push_field(row, Some(self.needed(column::EVENT_TYPE, "event_type")?.as_bytes()));
        push_field(row, Some(self.needed(column::ENTITY_TYPE, "entity_type")?.as_bytes()));
        push_field(row, uuid(column::ENTITY_ID, "entity_id")?.as_ref().map(|id| &id[..]));
        push_field(row, Some(self.needed(column::ACTOR, "actor")?.as_bytes()));
        push_field(row, Some(&json(column::DATA).ok_or_else(|| not("data"))?));
        push_field(row, Some(&time::field(self.created_at()?)));
        push_field(row, Some(self.needed(column::OUTCOME, "outcome")?.as_bytes()));
        push_field(row, self.chunk.int(column::DURATION, self.row).map(i64::to_be_bytes).as_ref().map(|int| &int[..]));
        push_field(row, uuid(column::CORRELATION, "correlation_id")?.as_ref().map(|id| &id[..]));
        push_field(row, uuid(column::CAUSATION, "causation_id")?.as_ref().map(|id| &id[..]));
        push_field(row, json(column::CONTEXT).as_deref());
        push_field(row, self.text(column::ORIGIN).map(str::as_bytes));
        push_field(row, self.text(column::ENTITY_KEY).map(str::as_bytes));
        push_field(row, json(column::TARGETS).as_deref());
        push_field(row, self.text(column::TENANT).map(str::as_bytes));
        Ok(())
    }

    /// Returns whether the list of entities is what the sealed columns make of it: searches rely on it.
    pub(super) fn has_its_entities(&self) -> Result<bool> {
        let (kind, data) = (self.needed(column::ENTITY_TYPE, "entity_type")?, self.needed(column::DATA, "data")?);
        let expected = entity_ids(kind, self.uuid(column::ENTITY_ID, "entity_id")?, self.text(column::TARGETS), data);
        Ok(expected.iter().map(String::as_bytes).eq(self.chunk.texts(column::ENTITY_IDS, self.row)))
    }

    /// Returns whether its list of entities has, for each list, one of the ids.
    pub(super) fn concerns(&self, entities: &[Vec<Uuid>]) -> bool {
        entities.iter().all(|ids| {
            let has = |id: &Uuid| {
                let text = id.to_string();
                self.chunk.texts(column::ENTITY_IDS, self.row).any(|known| known == text.as_bytes())
            };
            ids.iter().any(has)
        })
    }

    /// Writes the row as `row_to_json` does, with the columns that are sealed.
    pub(super) fn as_json(&self) -> Result<String> {
        let mut json = String::from("{");
        for (name, value) in self.members(&time::as_json(self.created_at()?))? {
            let comma = if json.len() > 1 { "," } else { "" };
            let _ = write!(json, "{comma}\"{name}\":{value}");
        }
        Ok(json + "}")
    }

    fn members(&self, created_at: &str) -> Result<Vec<(&'static str, String)>> {
        let quoted = |text: Option<&str>| serde_json::Value::from(text).to_string();
        let text = |column| quoted(self.text(column));
        let json = |column| self.text(column).unwrap_or("null").to_owned();
        let duration = self.chunk.int(column::DURATION, self.row);
        let mut members = vec![
            ("id", text(column::ID)),
            ("event_type", text(column::EVENT_TYPE)),
            ("entity_type", text(column::ENTITY_TYPE)),
            ("entity_id", text(column::ENTITY_ID)),
            ("actor", text(column::ACTOR)),
            ("data", json(column::DATA)),
            ("created_at", quoted(Some(created_at))),
            ("outcome", text(column::OUTCOME)),
            ("duration_us", duration.map_or_else(|| "null".to_owned(), |micros| micros.to_string())),
            ("correlation_id", text(column::CORRELATION)),
            ("causation_id", text(column::CAUSATION)),
            ("context", json(column::CONTEXT)),
            ("origin", text(column::ORIGIN)),
            ("entity_key", text(column::ENTITY_KEY)),
            ("targets", json(column::TARGETS)),
            ("tenant", text(column::TENANT)),
        ];
        members.retain(|(name, value)| value != "null" || !["entity_key", "targets", "tenant"].contains(name));
        Ok(members)
    }

    /// Returns the event as a reader of the database sees it.
    pub(super) fn event(&self) -> Result<TrailEvent> {
        let created_at = self.created_at()?.to_string();
        let mut members = self.members(&created_at)?;
        let batch = if self.chunk.is(column::IS_LATE, self.row) { None } else { self.text(column::BATCH_ID) };
        members.push(("batch_id", serde_json::Value::from(batch).to_string()));
        let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let event = serde_json::from_str(&format!("{{{}}}", members.join(",")));
        let mut event: TrailEvent =
            event.map_err(|error| ParquetError::General(format!("a row is not an event: {error}")))?;
        // A null of JSON is not NULL.
        let null = |column| (self.text(column) == Some("null")).then_some(Json::Null);
        event.context = event.context.or_else(|| null(column::CONTEXT));
        event.targets = event.targets.or_else(|| null(column::TARGETS));
        Ok(event)
    }
}
