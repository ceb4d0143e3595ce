//! Rows in the binary format of COPY
//! (<https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format").
//!
//! ```text
//! header   "PGCOPY\n\xff\r\n\0" | flags i32 = 0 | extension bytes i32 = 0
//! row      number of fields i16 | field*
//! field    length i32, -1 for NULL | value
//! trailer  i16 = -1
//! ```
//!
//! Everything is big endian. A `timestamptz` is microseconds since 2000-01-01 UTC, a `jsonb` a version byte 1 and
//! the JSON text, a `uuid` its 16 bytes.

use crate::nul::{without_nul, without_nul_escapes};
use crate::payload::EventRef;
use crate::timestamp::POSTGRES_EPOCH;
use std::ops::Range;
use uuid::Uuid;

/// The statement whose input [`CopyRows`] makes.
pub(crate) const STATEMENT: &str = "COPY audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, \
     outcome, duration_us, correlation_id, causation_id, context, origin, batch_id) FROM STDIN (FORMAT binary)";

const COLUMNS: i16 = 14;
const JSONB_VERSION: u8 = 1;

/// What goes before the first row.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What goes behind the last row.
pub(crate) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// Rows on their way to PostgreSQL.
#[derive(Debug, Default)]
pub(crate) struct CopyRows {
    bytes: Vec<u8>,
    /// Where each row ends.
    ends: Vec<usize>,
}

impl CopyRows {
    /// Without any rows.
    pub(crate) fn cleared(mut self) -> Self {
        self.bytes.clear();
        self.ends.clear();
        self
    }

    /// Adds an event's row; returns it as it goes to PostgreSQL, behind the number of its fields.
    pub(crate) fn row(&mut self, event: &EventRef<'_>, batch_id: Uuid) -> &[u8] {
        let begin = self.bytes.len();
        let mut row = RowBytes(&mut self.bytes);
        row.event(event, batch_id);
        self.ends.push(self.bytes.len());
        &self.bytes[begin + size_of_val(&COLUMNS)..]
    }

    /// Adds nothing in place of a row that there is not.
    pub(crate) fn none(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// The rows of this range, one behind the other.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        let begin = range.start.checked_sub(1).map_or(0, |before| self.ends[before]);
        let end = range.end.checked_sub(1).map_or(0, |last| self.ends[last]);
        &self.bytes[begin..end]
    }
}

/// Appends a field; `None` is NULL.
pub(crate) fn push_field(row: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        Some(bytes) => {
            push_length(row, bytes.len());
            row.extend_from_slice(bytes);
        }
        None => row.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
}

fn push_length(row: &mut Vec<u8>, bytes: usize) {
    // A payload fits a journal segment, which is far below 2 GiB.
    row.extend_from_slice(&(bytes as i32).to_be_bytes());
}

/// Appends one row.
struct RowBytes<'a>(&'a mut Vec<u8>);

impl RowBytes<'_> {
    fn event(&mut self, event: &EventRef<'_>, batch_id: Uuid) {
        self.0.extend_from_slice(&COLUMNS.to_be_bytes());
        self.uuid(Some(event.id));
        self.text(event.event_type);
        self.text(event.entity_type);
        self.uuid(event.entity_id);
        self.text(event.actor);
        self.json(event.data);
        self.field(&(event.created_at.saturating_sub(POSTGRES_EPOCH)).to_be_bytes());
        self.text(event.outcome.as_str());
        match event.duration {
            Some(duration) => self.field(&duration.to_be_bytes()),
            None => self.null(),
        }
        self.uuid(event.correlation_id);
        self.uuid(event.causation_id);
        if event.context.is_empty() {
            self.null();
        } else {
            self.json(event.context);
        }
        self.text(event.origin);
        self.uuid(Some(batch_id));
    }

    fn null(&mut self) {
        push_field(self.0, None);
    }

    fn field(&mut self, bytes: &[u8]) {
        push_field(self.0, Some(bytes));
    }

    fn uuid(&mut self, id: Option<Uuid>) {
        match id {
            Some(id) => self.field(id.as_bytes()),
            None => self.null(),
        }
    }

    fn text(&mut self, text: &str) {
        self.field(without_nul(text).as_bytes());
    }

    fn json(&mut self, json: &str) {
        let json = without_nul_escapes(json);
        push_length(self.0, json.len() + 1);
        self.0.push(JSONB_VERSION);
        self.0.extend_from_slice(json.as_bytes());
    }
}
