//! A row of `audit_batches` in a lake: from the bytes that are hashed to columns, and back.

use super::event::Fields;
use super::read::Chunk;
use super::time::{self, Split};
use super::write::{Value, Writer};
use audit_runtime::__private::detached::{self, push_field};
use audit_runtime::Timestamp;
use parquet::errors::{ParquetError, Result};
use serde_json::json;
use uuid::Uuid;

/// The most rows of a batch, or of a segment, that is read: the memory for their leaves depends on it.
pub(super) const MOST: i64 = 4_000_000;

/// Bytes of a leaf of a batch: the id of a row, and its digest.
pub(super) const ENTRY: usize = 48;

/// A batch, without its leaves.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    /// Its number in the tree.
    pub(super) number: i64,
    pub(super) id: Uuid,
    pub(super) journal_id: Uuid,
    pub(super) first_position: i64,
    pub(super) end_position: i64,
    pub(super) rows: usize,
    pub(super) origin: String,
    pub(super) created_at: Timestamp,
    pub(super) first_event_at: Option<Timestamp>,
    pub(super) last_event_at: Option<Timestamp>,
    pub(super) previous_position: Option<i64>,
    pub(super) previous_root: Option<Vec<u8>>,
    pub(super) open_positions: Option<Vec<u8>>,
    pub(super) root: Vec<u8>,
    pub(super) form: i16,
    /// Its leaf in the tree.
    pub(super) leaf: [u8; 32],
}

impl Batch {
    /// Reads the fields of `BATCH`.
    pub(super) fn of_fields(fields: &Fields<'_>, number: i64, leaf: [u8; 32]) -> Option<Self> {
        Some(Self {
            number,
            id: fields.uuid(0)?,
            journal_id: fields.uuid(1)?,
            first_position: fields.i64(2)?,
            end_position: fields.i64(3)?,
            rows: usize::try_from(fields.i32(4)?).ok()?,
            origin: fields.text(5)?.to_owned(),
            created_at: fields.time(6)?,
            first_event_at: fields.time(7),
            last_event_at: fields.time(8),
            previous_position: fields.i64(9),
            previous_root: fields.get(10).map(<[u8]>::to_vec),
            open_positions: fields.get(11).map(<[u8]>::to_vec),
            root: fields.get(12)?.to_vec(),
            form: fields.i16(13)?,
            leaf,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<()> {
        let (id, journal_id) = (self.id.to_string(), self.journal_id.to_string());
        let times = [Some(self.created_at), self.first_event_at, self.last_event_at].map(Split::new);
        let [created, first, last] = times.each_ref().map(Split::values);
        writer.push(&[
            Value::Int(self.number),
            Value::text(&id),
            Value::text(&journal_id),
            Value::Int(self.first_position),
            Value::Int(self.end_position),
            Value::Int(self.rows as i64),
            Value::text(&self.origin),
            created[0],
            created[1],
            first[0],
            first[1],
            last[0],
            last[1],
            Value::maybe_int(self.previous_position),
            Value::optional(self.previous_root.as_deref()),
            Value::optional(self.open_positions.as_deref()),
            Value::Bytes(&self.root),
            Value::Int(self.form.into()),
            Value::Bytes(&self.leaf),
        ])
    }

    /// Reads a row of the table `BATCHES`.
    pub(super) fn read(chunk: &Chunk, row: usize) -> Result<Self> {
        let wrong = || ParquetError::General("a row is not a batch".into());
        let read = || {
            let uuid = |column| chunk.text(column, row).and_then(|text| Uuid::try_parse(text).ok());
            let time = |column| time::joined(chunk, column, row).ok();
            let bytes = |column| chunk.bytes(column, row).map(<[u8]>::to_vec);
            Some(Self {
                number: chunk.int(0, row)?,
                id: uuid(1)?,
                journal_id: uuid(2)?,
                first_position: chunk.int(3, row)?,
                end_position: chunk.int(4, row)?,
                rows: usize::try_from(chunk.int(5, row).filter(|rows| *rows <= MOST)?).ok()?,
                origin: chunk.text(6, row)?.to_owned(),
                created_at: time(7)??,
                first_event_at: time(9)?,
                last_event_at: time(11)?,
                previous_position: chunk.int(13, row),
                previous_root: bytes(14),
                open_positions: bytes(15),
                root: bytes(16)?,
                form: i16::try_from(chunk.int(17, row)?).ok()?,
                leaf: chunk.bytes(18, row)?.try_into().ok()?,
            })
        };
        read().ok_or_else(wrong)
    }

    /// Returns its leaf in the tree, as its columns make it.
    pub(super) fn computed_leaf(&self) -> [u8; 32] {
        let mut row = Vec::new();
        let rows = i32::try_from(self.rows).unwrap_or(i32::MAX);
        push_field(&mut row, Some(self.id.as_bytes()));
        push_field(&mut row, Some(self.journal_id.as_bytes()));
        push_field(&mut row, Some(&self.first_position.to_be_bytes()));
        push_field(&mut row, Some(&self.end_position.to_be_bytes()));
        push_field(&mut row, Some(&rows.to_be_bytes()));
        push_field(&mut row, Some(self.origin.as_bytes()));
        push_field(&mut row, Some(&time::field(self.created_at)));
        for time in [self.first_event_at, self.last_event_at] {
            push_field(&mut row, time.map(time::field).as_ref().map(|field| &field[..]));
        }
        push_field(&mut row, self.previous_position.map(i64::to_be_bytes).as_ref().map(|int| &int[..]));
        push_field(&mut row, self.previous_root.as_deref());
        push_field(&mut row, self.open_positions.as_deref());
        push_field(&mut row, Some(&self.root));
        push_field(&mut row, Some(&self.form.to_be_bytes()));
        detached::batch_leaf(&row)
    }

    /// Returns its root, as these leaves make it.
    pub(super) fn computed_root(&self, leaves: &[u8]) -> [u8; 32] {
        detached::batch_root(self.journal_id, self.previous_root.as_deref(), leaves)
    }

    /// Writes the row as `row_to_json` does.
    pub(super) fn as_json(&self) -> String {
        let hex = |bytes: &Vec<u8>| format!("\\x{}", hex::encode(bytes));
        json!({
            "id": self.id,
            "journal_id": self.journal_id,
            "first_position": self.first_position,
            "end_position": self.end_position,
            "rows": self.rows,
            "origin": self.origin,
            "created_at": time::as_json(self.created_at),
            "first_event_at": self.first_event_at.map(time::as_json),
            "last_event_at": self.last_event_at.map(time::as_json),
            "previous_position": self.previous_position,
            "previous_root": self.previous_root.as_ref().map(hex),
            "open_positions": self.open_positions.as_ref().map(hex),
            "root": hex(&self.root),
            "leaf_form": self.form,
        })
        .to_string()
    }
}
