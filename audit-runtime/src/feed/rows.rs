//! The rows of entries, each with its leaf.

use super::arrived::{Arrived, Leaf};
use super::entries::Entry;
use super::position::Position;
use crate::event::Timestamp;
use crate::record::TrailEvent;
use crate::seal;
use crate::trail::EventFilter;
use crate::trail::row::stored_columns;
use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Postgres, QueryBuilder, Row};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// The events that were read at once.
pub(super) enum Read {
    /// The events that match, in their order, and the position behind the last leaf.
    Events(Vec<Arrived>, Position),
    /// The events have more bytes than may be in memory: fewer are read next.
    TooLarge,
}

/// Entries that are read by one statement, with the range of leaves of the only one, if it has more.
pub(super) struct Group<'e> {
    pub(super) entries: &'e [Entry],
    pub(super) first: u32,
    pub(super) most: u32,
}

impl<'e> Group<'e> {
    /// Takes as many entries as have at most so many rows. One that has more is read in parts.
    pub(super) fn of(entries: &'e [Entry], first: u32, most: u32) -> Self {
        let is_alone = |entry: &Entry| entry.is_late || entry.is_retried || !entry.is_sealed;
        let mut rows = 0_u32;
        let together = entries.iter().take_while(|entry| {
            rows = rows.saturating_add(u32::try_from(entry.rows).unwrap_or(u32::MAX));
            !is_alone(entry) && rows <= most
        });
        let count = if first > 0 { 1 } else { together.count().max(1) };
        Self { entries: &entries[..count], first, most }
    }
}

/// Reads the events of a group that match a filter.
pub(super) async fn read(
    connection: &mut PgConnection,
    position: &Position,
    group: &Group<'_>,
    filter: &EventFilter,
    budget: usize,
) -> Result<Read, sqlx::Error> {
    let [.., last] = group.entries else { return Ok(Read::Events(Vec::new(), position.clone())) };
    let leaves = leaves(connection, group).await?;
    let mut found = match rows(connection, group, &leaves, filter, budget).await? {
        Some(found) => found,
        None => return Ok(Read::TooLarge),
    };
    let mut events = Vec::with_capacity(found.len());
    for entry in group.entries {
        let of = leaves.of(entry.batch_id);
        if of.is_empty() {
            // A batch that an old version stored without a seal.
            let mut rest = found.remove(&entry.batch_id).unwrap_or_default();
            rest.sort_by_key(|event| (event.created_at, event.id));
            events.extend(rest.into_iter().map(|event| entry.arrived(event, None)));
            continue;
        }
        let mut of_batch: HashMap<Uuid, TrailEvent> =
            found.remove(&entry.batch_id).unwrap_or_default().into_iter().map(|event| (event.id, event)).collect();
        for leaf in of {
            if let Some(event) = of_batch.remove(&leaf.id) {
                events.push(entry.arrived(event, Some(Leaf { number: leaf.number, digest: leaf.digest })));
            }
        }
    }
    let read = group.first.saturating_add(group.most);
    let is_part =
        last.is_sealed && !last.is_retried && i64::from(read) < i64::from(last.rows) && group.entries.len() == 1;
    Ok(Read::Events(events, position.at(last.at, last.id, is_part.then_some(read))))
}

/// A leaf that is read.
struct Wanted {
    id: Uuid,
    number: u32,
    digest: [u8; 32],
}

/// The leaves of a group, by their batch.
struct Leaves(HashMap<Uuid, Vec<Wanted>>);

impl Leaves {
    fn of(&self, batch: Uuid) -> &[Wanted] {
        self.0.get(&batch).map_or(&[], Vec::as_slice)
    }

    fn ids(&self) -> Vec<Uuid> {
        self.0.values().flatten().map(|leaf| leaf.id).collect()
    }
}

/// Reads the leaves of batches, those of the range alone.
async fn leaves(connection: &mut PgConnection, group: &Group<'_>) -> Result<Leaves, sqlx::Error> {
    let batches: Vec<Uuid> = group.entries.iter().map(|entry| entry.batch_id).collect();
    let retried = group.entries.first().filter(|entry| entry.is_retried);
    // The one leaf of a retried event may be any.
    let (first, most) = if retried.is_some() { (0, u32::MAX) } else { (group.first, group.most) };
    let bytes = |leaves: u32| i32::try_from(u64::from(leaves) * seal::ENTRY as u64).unwrap_or(i32::MAX);
    let rows: Vec<(Uuid, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT id, substr(leaves, $2, $3) FROM audit_batches WHERE id = ANY ($1)")
            .bind(batches)
            .bind(bytes(first).saturating_add(1))
            .bind(bytes(most))
            .fetch_all(connection)
            .await?;
    let of = |leaves: Vec<u8>| {
        let all = seal::Entry::all(&leaves).enumerate();
        let wanted = all.map(|(place, entry)| Wanted {
            id: entry.id,
            // Leaf 0 of a batch is its link.
            number: first + u32::try_from(place).unwrap_or(u32::MAX).saturating_add(1),
            digest: entry.digest,
        });
        wanted.filter(|leaf| retried.is_none_or(|entry| entry.id == leaf.id)).collect()
    };
    Ok(Leaves(rows.into_iter().map(|(id, leaves)| (id, leaves.map(of).unwrap_or_default())).collect()))
}

/// The rows that were read, by their batch.
#[derive(Default)]
struct Found {
    events: HashMap<Uuid, Vec<TrailEvent>>,
    bytes: usize,
    count: usize,
}

/// Reads rows by their batch, or nothing if there are more bytes than the budget allows.
async fn rows(
    connection: &mut PgConnection,
    group: &Group<'_>,
    leaves: &Leaves,
    filter: &EventFilter,
    budget: usize,
) -> Result<Option<HashMap<Uuid, Vec<TrailEvent>>>, sqlx::Error> {
    let (mut found, times) = (Found::default(), times(group.entries));
    let is_inside = times.map(|times| ("", times));
    if !found.read(connection, query(group, leaves, filter, is_inside), group, budget).await? {
        return Ok(None);
    }
    // The times spare a look into every partition. A batch may state others than its rows have.
    let is_outside = times.filter(|_| !found.has(leaves)).map(|times| ("NOT ", times));
    if is_outside.is_some() && !found.read(connection, query(group, leaves, filter, is_outside), group, budget).await? {
        return Ok(None);
    }
    Ok(Some(found.events))
}

/// Selects the rows of a group that match a filter, and that begin between two times, or do not.
fn query(
    group: &Group<'_>,
    leaves: &Leaves,
    filter: &EventFilter,
    times: Option<(&str, (Timestamp, Timestamp))>,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::<Postgres>::new(concat!("SELECT ", stored_columns!(), " FROM audit_events e WHERE "));
    let first = &group.entries[0];
    if first.is_late {
        query.push("batch_id IS NULL AND (created_at, id) IN (SELECT l.created_at, l.event_id FROM audit_late l WHERE l.batch_id = ");
        query.push_bind(first.batch_id).push(") AND id = ANY (").push_bind(leaves.ids()).push(")");
    } else {
        let batches: Vec<Uuid> = group.entries.iter().map(|entry| entry.batch_id).collect();
        query.push("batch_id = ANY (").push_bind(batches).push(")");
        let is_part = group.first > 0 || i64::from(group.most) < i64::from(first.rows);
        if first.is_sealed && (first.is_retried || is_part) {
            query.push(" AND id = ANY (").push_bind(leaves.ids()).push(")");
        }
    }
    if let Some((is, (since, until))) = times {
        query.push(" AND ").push(is).push("(created_at >= ").push_bind(since);
        query.push(" AND created_at <= ").push_bind(until).push(")");
    }
    query.push(" AND ");
    filter.matching(&mut query);
    query
}

impl Found {
    /// Whether there is a row for each leaf.
    fn has(&self, leaves: &Leaves) -> bool {
        leaves.0.iter().all(|(batch, leaves)| {
            let found: HashSet<Uuid> = self.events.get(batch).into_iter().flatten().map(|event| event.id).collect();
            leaves.iter().all(|leaf| found.contains(&leaf.id))
        })
    }

    /// Adds the rows of a query. Returns false if there are more bytes than the budget allows.
    async fn read(
        &mut self,
        connection: &mut PgConnection,
        mut query: QueryBuilder<Postgres>,
        group: &Group<'_>,
        budget: usize,
    ) -> Result<bool, sqlx::Error> {
        let mut rows = query.build().persistent(false).fetch(connection);
        while let Some(row) = rows.try_next().await? {
            self.bytes += size(&row);
            self.count += 1;
            // One event that is larger has to be read all the same.
            if self.bytes > budget && self.count > 1 {
                return Ok(false);
            }
            let event = TrailEvent::from_row(&row)?;
            self.events.entry(event.batch_id.unwrap_or(group.entries[0].batch_id)).or_default().push(event);
        }
        Ok(true)
    }
}

/// The times between which the rows of all entries are, if each of them states them. An event that left
/// the quarantine may have others. A batch without leaves does not tell whether a row is missing.
fn times(entries: &[Entry]) -> Option<(Timestamp, Timestamp)> {
    let stated = |entry: &Entry| entry.first_event_at.zip(entry.last_event_at);
    let mut times = entries.iter().map(|entry| stated(entry).filter(|_| entry.is_sealed && !entry.is_retried));
    let first = times.next()??;
    times.try_fold(first, |(since, until), times| times.map(|(first, last)| (since.min(first), until.max(last))))
}

/// The bytes of a row as the server sent it.
fn size(row: &PgRow) -> usize {
    (0..row.len()).filter_map(|column| row.try_get_raw(column).ok()?.as_bytes().ok().map(<[u8]>::len)).sum()
}

impl Entry {
    fn arrived(&self, event: TrailEvent, leaf: Option<Leaf>) -> Arrived {
        Arrived { event, batch_id: self.batch_id, stored_at: self.created_at, leaf }
    }
}
