//! A segment of a lake: batches that follow on each other in the tree, with all of their events.

use super::batch::{Batch, ENTRY};
use super::event::{self, Fields, Sealed};
use super::manifest::{Content, FileEntry};
use super::store::Store;
use super::table::{BATCHES, EVENTS, LEAVES};
use super::time::Day;
use super::write::{Value, Writer, Written};
use super::{parquet, placed};
use crate::failure::Failure;
use audit_runtime::__private::detached::{self, BATCH, COLUMNS, Digests};
use audit_runtime::Timestamp;
use sqlx::postgres::PgConnection;
use std::collections::HashMap;
use uuid::Uuid;

/// Bytes of a file, about.
const FILE: u64 = 256 << 20;

/// The additions of a segment to a lake.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) files: Vec<FileEntry>,
    /// The leaves of its batches in the tree.
    pub(super) leaves: Vec<[u8; 32]>,
    pub(super) events: u64,
}

/// The batches of a segment, with all of their leaves.
struct Loaded {
    batches: Vec<Batch>,
    /// Where the leaves of each batch begin.
    begins: Vec<usize>,
    entries: Vec<u8>,
    /// The batch of an id, by its place.
    by_id: HashMap<Uuid, usize>,
    /// The leaf of a row: of its batch and its id.
    places: HashMap<(usize, Uuid), usize>,
    seen: Vec<bool>,
}

/// A row that is not what was sealed, or is not there.
fn damaged(event: Uuid, why: &str) -> Failure {
    Failure::Other(format!("event {event} {why}: it is not put into the lake; run audit-trail verify"))
}

impl Loaded {
    /// Reads the batches from a number in the tree to another one.
    async fn read(connection: &mut PgConnection, from: u64, to: u64) -> Result<Self, Failure> {
        let query = format!(
            "SELECT {BATCH}, b.leaves, t.number, t.leaf FROM audit_tree t JOIN audit_batches b ON b.id = t.batch_id \
             WHERE t.number >= {from} AND t.number < {to} ORDER BY t.number"
        );
        let mut loaded = Self {
            batches: Vec::new(),
            begins: Vec::new(),
            entries: Vec::new(),
            by_id: HashMap::new(),
            places: HashMap::new(),
            seen: Vec::new(),
        };
        detached::rows(connection, &query, |row| {
            let fields = Fields::new(row);
            let read = || {
                let leaf: [u8; 32] = fields.get(16)?.try_into().ok()?;
                let batch = Batch::of_fields(&fields, fields.i64(15)?, leaf)?;
                let leaves = fields.get(14)?;
                let is_whole = leaves.len() == ENTRY * batch.rows && batch.computed_leaf() == leaf;
                is_whole.then_some((batch, leaves))
            };
            let (batch, leaves) = read().ok_or_else(|| {
                let id = fields.uuid(0).unwrap_or_default();
                Failure::Other(format!("batch {id} is not what was put into the tree; run audit-trail verify"))
            })?;
            let (at, begin) = (loaded.batches.len(), loaded.seen.len());
            for (place, entry) in leaves.as_chunks::<ENTRY>().0.iter().enumerate() {
                let id = Uuid::from_slice(&entry[..16]).unwrap_or_default();
                loaded.places.insert((at, id), begin + place);
            }
            loaded.by_id.insert(batch.id, at);
            loaded.begins.push(begin);
            loaded.seen.resize(begin + batch.rows, false);
            loaded.entries.extend_from_slice(leaves);
            loaded.batches.push(batch);
            Ok::<_, Failure>(())
        })
        .await?;
        if loaded.batches.len() as u64 == to - from {
            Ok(loaded)
        } else {
            Err(Failure::Other("a batch in the tree is gone from audit_batches; run audit-trail verify".into()))
        }
    }

    fn digest(&self, place: usize) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.copy_from_slice(&self.entries[place * ENTRY + 16..(place + 1) * ENTRY]);
        digest
    }

    fn id(&self, place: usize) -> Uuid {
        Uuid::from_slice(&self.entries[place * ENTRY..place * ENTRY + 16]).unwrap_or_default()
    }

    /// Where a row is sealed, which is then there.
    fn take(
        &mut self,
        batch: usize,
        (id, digest, form): (Uuid, [u8; 32], i16),
        is_late: bool,
    ) -> Result<Sealed, Failure> {
        let place = self.places.get(&(batch, id)).copied();
        let place = place.ok_or_else(|| damaged(id, "claims a batch that was sealed without it"))?;
        let sealed = &self.batches[batch];
        if self.digest(place) != digest || !detached::allows(sealed.form, form) {
            return Err(damaged(id, "is not what was sealed"));
        }
        if std::mem::replace(&mut self.seen[place], true) {
            return Err(damaged(id, "is there twice"));
        }
        let leaf = (place - self.begins[batch] + 1) as i64;
        Ok(Sealed { batch_id: sealed.id, is_late, batch: sealed.number, leaf, digest })
    }
}

/// A file of events that grows, or has grown.
struct DayFile {
    day: Day,
    writer: Writer,
    times: (Timestamp, Timestamp),
    ids: (Uuid, Uuid),
}

/// A file of events that is whole.
struct DayWritten {
    day: Day,
    written: Written,
    times: (Timestamp, Timestamp),
    ids: (Uuid, Uuid),
}

/// Files of events, one behind the other.
struct Days<'a> {
    lake: &'a str,
    open: Option<DayFile>,
    written: Vec<DayWritten>,
}

impl Days<'_> {
    fn push(&mut self, fields: &Fields<'_>, sealed: &Sealed) -> Result<(), Failure> {
        let id = fields.uuid(0).unwrap_or_default();
        let time = fields.time(6).ok_or_else(|| damaged(id, "has no time"))?;
        let day = Day::of(time);
        if self.open.as_ref().is_some_and(|open| open.day != day || open.writer.bytes() >= FILE) {
            self.end()?;
        }
        if self.open.is_none() {
            let writer = Writer::new(EVENTS, self.lake).map_err(parquet)?;
            self.open = Some(DayFile { day, writer, times: (time, time), ids: (id, id) });
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.times.1 = time;
        open.ids = (open.ids.0.min(id), open.ids.1.max(id));
        let pushed = event::columns(fields, sealed, |row| open.writer.push(row));
        pushed.ok_or_else(|| damaged(id, "has a column that this program cannot read"))?.map_err(parquet)
    }

    fn end(&mut self) -> Result<(), Failure> {
        if let Some(DayFile { day, writer, times, ids }) = self.open.take() {
            let written = writer.end().map_err(parquet)?;
            self.written.push(DayWritten { day, written, times, ids });
        }
        Ok(())
    }
}

/// Puts the batches from a number in the tree to another one into the lake.
pub(super) async fn put(
    connection: &mut PgConnection,
    store: &Store,
    lake: &str,
    (from, to): (u64, u64),
) -> Result<Segment, Failure> {
    let mut loaded = Loaded::read(connection, from, to).await?;
    let days = events(connection, lake, (from, to), &mut loaded).await?;
    let gone = gone(connection, lake, (from, to), &mut loaded).await?;
    let mut batches = Writer::new(BATCHES, lake).map_err(parquet)?;
    loaded.batches.iter().try_for_each(|batch| batch.write(&mut batches)).map_err(parquet)?;
    let mut segment = Segment { leaves: loaded.batches.iter().map(|batch| batch.leaf).collect(), ..Segment::default() };
    let range = Some((from, to));
    let name = format!("{from:010}-{to:010}");
    let plain = |content, path| FileEntry {
        path,
        content,
        bytes: 0,
        rows: 0,
        sha256: String::new(),
        batches: range,
        times: None,
        ids: None,
    };
    let entry = plain(Content::Batches, format!("batches/{name}"));
    segment.files.push(placed(store, entry, batches.end().map_err(parquet)?).await?);
    if let Some(gone) = gone {
        let entry = plain(Content::Leaves, format!("leaves/{name}"));
        segment.files.push(placed(store, entry, gone).await?);
    }
    for DayWritten { day, written, times: (first, last), ids } in days {
        segment.events += written.rows;
        let entry = FileEntry {
            times: Some((first.to_string(), last.to_string())),
            ids: Some(ids),
            ..plain(Content::Events, format!("{}/{name}", day.folder()))
        };
        segment.files.push(placed(store, entry, written).await?);
    }
    Ok(segment)
}

/// Writes the events of the batches, in the order of time.
async fn events(
    connection: &mut PgConnection,
    lake: &str,
    (from, to): (u64, u64),
    loaded: &mut Loaded,
) -> Result<Vec<DayWritten>, Failure> {
    let range = format!("t.number >= {from} AND t.number < {to}");
    let query = format!(
        "SELECT {COLUMNS}, false, t.batch_id FROM audit_tree t JOIN audit_events e ON e.batch_id = t.batch_id WHERE {range} \
         UNION ALL SELECT {COLUMNS}, true, t.batch_id FROM audit_tree t JOIN audit_late l ON l.batch_id = t.batch_id \
         JOIN audit_events e ON e.id = l.event_id AND e.created_at = l.created_at AND e.batch_id IS NULL WHERE {range} ORDER BY 7, 1"
    );
    let (mut days, mut digests) = (Days { lake, open: None, written: Vec::new() }, Digests::default());
    detached::rows(connection, &query, |row| {
        let fields = Fields::new(row);
        let batch = fields.uuid(17).and_then(|id| loaded.by_id.get(&id)).copied().unwrap_or_default();
        let sealed = loaded.take(batch, digests.row(row), fields.get(16) == Some(&[1]))?;
        days.push(&fields, &sealed)
    })
    .await?;
    days.end()?;
    Ok(days.written)
}

/// The reason that a row is gone.
enum Reason {
    Refused(Vec<u8>),
    Pruned(Uuid),
}

/// Writes the leaves of rows that are gone, if there are any.
async fn gone(
    connection: &mut PgConnection,
    lake: &str,
    (from, to): (u64, u64),
    loaded: &mut Loaded,
) -> Result<Option<Written>, Failure> {
    if loaded.seen.iter().all(|seen| *seen) {
        return Ok(None);
    }
    let mut gone: Vec<(usize, usize, Reason)> = Vec::new();
    let range = format!("t.number >= {from} AND t.number < {to}");
    let mut digests = Digests::default();
    let query = format!(
        "SELECT q.batch_id, q.payload FROM audit_tree t JOIN audit_quarantine q ON q.batch_id = t.batch_id WHERE {range}"
    );
    detached::rows(connection, &query, |row| {
        let fields = Fields::new(row);
        let batch = fields.uuid(0).and_then(|id| loaded.by_id.get(&id)).copied().unwrap_or_default();
        let payload = fields.get(1).unwrap_or_default();
        for (id, digest, _) in digests.refused(payload) {
            let place = loaded.places.get(&(batch, id)).copied();
            if let Some(place) = place.filter(|place| !loaded.seen[*place] && loaded.digest(*place) == digest) {
                loaded.seen[place] = true;
                gone.push((batch, place, Reason::Refused(payload.to_vec())));
            }
        }
        Ok::<_, Failure>(())
    })
    .await?;
    let query = format!(
        "SELECT p.batch_id, p.event_id, p.ids FROM audit_tree t JOIN audit_pruned p ON p.batch_id = t.batch_id WHERE {range}"
    );
    detached::rows(connection, &query, |row| {
        let fields = Fields::new(row);
        let batch = fields.uuid(0).and_then(|id| loaded.by_id.get(&id)).copied().unwrap_or_default();
        let event = fields.uuid(1).unwrap_or_default();
        let begin = loaded.begins[batch];
        let places: Vec<usize> = match fields.get(2) {
            None => (begin..begin + loaded.batches[batch].rows).collect(),
            Some(ids) => {
                let ids = ids.as_chunks::<16>().0.iter().map(|id| Uuid::from_bytes(*id));
                ids.filter_map(|id| loaded.places.get(&(batch, id)).copied()).collect()
            }
        };
        for place in places {
            if !std::mem::replace(&mut loaded.seen[place], true) {
                gone.push((batch, place, Reason::Pruned(event)));
            }
        }
        Ok::<_, Failure>(())
    })
    .await?;
    if let Some(place) = loaded.seen.iter().position(|seen| !seen) {
        return Err(damaged(loaded.id(place), "is gone, and no prune accounts for it"));
    }
    gone.sort_by_key(|(_, place, _)| *place);
    let mut writer = Writer::new(LEAVES, lake).map_err(parquet)?;
    for (batch, place, reason) in gone {
        let (id, digest) = (loaded.id(place).to_string(), loaded.digest(place));
        let sealed = &loaded.batches[batch];
        let batch_id = sealed.id.to_string();
        let (reason, pruned_by, payload) = match reason {
            Reason::Refused(payload) => ("quarantined", None, Some(payload)),
            Reason::Pruned(event) => ("pruned", Some(event.to_string()), None),
        };
        let row = [
            Value::Int(sealed.number),
            Value::text(&batch_id),
            Value::Int((place - loaded.begins[batch] + 1) as i64),
            Value::text(&id),
            Value::Bytes(&digest),
            Value::text(reason),
            Value::maybe_text(pruned_by.as_deref()),
            Value::optional(payload.as_deref()),
        ];
        writer.push(&row).map_err(parquet)?;
    }
    writer.end().map(Some).map_err(parquet)
}
