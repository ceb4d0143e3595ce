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
//! Everything is big endian. A `timestamptz` is microseconds since 2000-01-01 UTC, a `jsonb` a
//! version byte 1 and the JSON text, a `uuid` its 16 bytes.

use crate::capture::nul::{without_nul, without_nul_escapes};
use crate::event::timestamp::POSTGRES_EPOCH;
use crate::record::EventRef;
use std::ops::Range;
use uuid::Uuid;

/// Which columns rows have: those of version 6 cost a batch nothing that has none of them set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Columns {
    /// Fourteen.
    #[default]
    First,
    /// Further ones before `batch_id`: `entity_key`, `targets` and `tenant`.
    All,
}

impl Columns {
    /// Returns the statement whose input [`CopyRows`] makes.
    pub(crate) fn statement(self) -> &'static str {
        match self {
            Self::First => {
                "COPY audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, outcome, duration_us, \
                 correlation_id, causation_id, context, origin, batch_id) FROM STDIN (FORMAT binary)"
            }
            Self::All => {
                "COPY audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, outcome, duration_us, \
                 correlation_id, causation_id, context, origin, entity_key, targets, tenant, batch_id) FROM STDIN (FORMAT binary)"
            }
        }
    }

    fn count(self) -> i16 {
        match self {
            Self::First => 14,
            Self::All => 17,
        }
    }
}

const JSONB_VERSION: u8 = 1;

/// The bytes before the first row.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The bytes behind the last row.
pub(crate) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// Rows on their way to PostgreSQL.
#[derive(Debug, Default)]
pub(crate) struct CopyRows {
    columns: Columns,
    bytes: Vec<u8>,
    /// Where each row ends.
    ends: Vec<usize>,
}

impl CopyRows {
    /// Creates an empty list of rows with these columns.
    pub(crate) fn new(columns: Columns) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Sets the columns of rows that are still to be added.
    pub(crate) fn with(mut self, columns: Columns) -> Self {
        self.columns = columns;
        self
    }

    pub(crate) fn columns(&self) -> Columns {
        self.columns
    }

    /// Without any rows.
    pub(crate) fn cleared(mut self) -> Self {
        self.bytes.clear();
        self.ends.clear();
        self
    }

    /// Adds an event's row, and returns it as it goes to PostgreSQL, behind the number of its
    /// fields.
    pub(crate) fn row(&mut self, event: &EventRef<'_>, batch_id: Uuid) -> &[u8] {
        let begin = self.bytes.len();
        let mut row = RowBytes(&mut self.bytes);
        row.event(self.columns, event, batch_id);
        self.ends.push(self.bytes.len());
        &self.bytes[begin + size_of::<i16>()..]
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

/// Appends a field, with `None` for NULL.
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
    fn event(&mut self, columns: Columns, event: &EventRef<'_>, batch_id: Uuid) {
        self.0.extend_from_slice(&columns.count().to_be_bytes());
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
        if columns == Columns::All {
            self.optional(event.further.entity_key);
            match event.further.targets.json() {
                Some(targets) => self.json(&targets),
                None => self.null(),
            }
            self.optional(event.further.tenant);
        }
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

    fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    fn json(&mut self, json: &str) {
        let json = without_nul_escapes(json);
        push_length(self.0, json.len() + 1);
        self.0.push(JSONB_VERSION);
        self.0.extend_from_slice(json.as_bytes());
    }
}
