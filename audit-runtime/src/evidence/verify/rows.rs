//! Every row has its entry, every entry its row.
//!
//! The ids of batches divide the rows into ranges; together these cover every id there can be, so that a row cannot hide behind a batch
//! that does not exist. Threads take range after range.

use super::{Finding, FindingKind, Message, Snapshot};
use crate::blocking::block_on;
use crate::evidence::EvidenceError;
use crate::evidence::copy_out;
use crate::evidence::late::{self, COLUMNS};
use crate::evidence::seal::{self, ENTRY, Entry, Sealer};
use crate::payload::EventRef;
use crate::writer::copy::CopyRows;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tokio::sync::mpsc;
use uuid::Uuid;

/// About so many rows, or batches, are verified at once.
const AT_ONCE: u64 = 20_000;

/// Batches by their ids: behind the one, up to the other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Range {
    behind: Option<Uuid>,
    to: Option<Uuid>,
    pub(super) rows: u64,
    has_late: bool,
}

impl Range {
    fn condition(self, column: &str) -> String {
        let behind = self.behind.map_or_else(|| format!("{column} IS NOT NULL"), |id| format!("{column} > '{id}'"));
        self.to.map_or_else(|| behind.clone(), |id| format!("{behind} AND {column} <= '{id}'"))
    }
}

/// Divides the ids.
pub(super) async fn ranges(connection: &mut PgConnection) -> Result<Vec<Range>, EvidenceError> {
    let (mut ranges, mut range, mut batches) = (Vec::new(), Range::default(), 0);
    copy_out::rows(connection, "SELECT id, journal_id, rows FROM audit_batches ORDER BY id", |row| {
        let mut fields = row.fields();
        let (id, journal_id, rows) = (fields.uuid()?, fields.uuid()?, fields.i32()?);
        range.rows += u64::try_from(rows).unwrap_or(0);
        range.has_late |= journal_id == late::JOURNAL;
        batches += 1;
        if range.rows >= AT_ONCE || batches == AT_ONCE {
            ranges.push(Range { to: Some(id), ..range });
            (range, batches) = (Range { behind: Some(id), ..Range::default() }, 0);
        }
        Ok::<_, EvidenceError>(())
    })
    .await?;
    ranges.push(range);
    Ok(ranges)
}

/// The events of those prunes that are what they say.
pub(super) type Prunes = HashSet<Uuid>;

/// Threads that verify rows.
pub(super) struct Workers(Vec<JoinHandle<Result<(), EvidenceError>>>);

impl Workers {
    /// The first error of any of them.
    pub(super) fn ended(self) -> Result<(), EvidenceError> {
        self.0.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

pub(super) fn start(
    (ranges, prunes): (Vec<Range>, Prunes),
    threads: usize,
    options: &PgConnectOptions,
    snapshot: &Snapshot,
    sender: &mpsc::Sender<Message>,
) -> Result<Workers, EvidenceError> {
    let threads = threads.min(ranges.len());
    let (ranges, prunes, next) = (Arc::new(ranges), Arc::new(prunes), Arc::new(AtomicUsize::new(0)));
    let failed = Arc::new(AtomicBool::new(false));
    let start = |_| {
        let (ranges, prunes, next, failed) = (ranges.clone(), prunes.clone(), next.clone(), failed.clone());
        let (options, snapshot, sender) = (options.clone(), snapshot.clone(), sender.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("audit-verify".into()).spawn(move || {
            let done = runtime.block_on(async {
                let mut connection = snapshot.import(&options).await?;
                let mut sealer = Sealer::default();
                while let Some(range) = ranges.get(next.fetch_add(1, Ordering::Relaxed))
                    && !failed.load(Ordering::Relaxed)
                {
                    verify(&mut connection, &mut sealer, (*range, &prunes), &sender).await?;
                }
                Ok(())
            });
            if done.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            done
        })
    };
    let workers = (0..threads).map(start).collect::<Result<_, std::io::Error>>();
    workers.map(Workers).map_err(|error| EvidenceError::Database(error.into()))
}

/// A batch whose rows arrive.
struct Batch {
    journal_id: Uuid,
    rows: i32,
    previous_root: Option<Vec<u8>>,
    root: Vec<u8>,
    leaves: Vec<u8>,
    seen: Vec<bool>,
    /// Rows mostly come in the order of their entries.
    next: usize,
    /// Where an id's entry is, once that order is broken.
    places: Option<HashMap<Uuid, usize>>,
    /// Nothing but the order can be wrong with it.
    whole: bool,
}

impl Batch {
    /// There is nothing to compare its rows with, which is said once for it.
    fn is_unsealed(&self) -> bool {
        self.root.is_empty() || self.leaves.is_empty()
    }

    fn entry(&self, place: usize) -> Entry {
        let mut bytes = [0; ENTRY];
        bytes.copy_from_slice(&self.leaves[place * ENTRY..(place + 1) * ENTRY]);
        Entry::from_bytes(&bytes)
    }

    fn place(&mut self, id: Uuid) -> Option<usize> {
        if self.next < self.seen.len() && self.entry(self.next).id == id {
            return Some(self.next);
        }
        let leaves = &self.leaves;
        let places = self
            .places
            .get_or_insert_with(|| Entry::all(leaves).enumerate().map(|(place, entry)| (entry.id, place)).collect());
        places.get(&id).copied()
    }

    fn knows(&mut self, entry: Entry) -> bool {
        self.place(entry.id).is_some_and(|place| self.entry(place) == entry)
    }

    /// Knows that rows were pruned, all or those of these ids; returns how many of them are gone.
    fn prune(&mut self, ids: Option<&[u8]>) -> u64 {
        let gone = |seen: &mut bool| u64::from(!std::mem::replace(seen, true));
        match ids {
            None => self.seen.iter_mut().map(gone).sum(),
            Some(ids) => {
                let places = ids.as_chunks().0.iter().filter_map(|id| self.place(Uuid::from_bytes(*id)));
                places.collect::<Vec<_>>().into_iter().map(|place| gone(&mut self.seen[place])).sum()
            }
        }
    }

    /// Takes a row; says what is wrong with it.
    fn take(&mut self, entry: Entry) -> Result<(), (FindingKind, &'static str)> {
        let Some(place) = self.place(entry.id) else {
            return Err((FindingKind::Inserted, "its batch was sealed without it"));
        };
        if std::mem::replace(&mut self.seen[place], true) {
            return Err((FindingKind::Inserted, "it is there twice"));
        }
        self.next = place + 1;
        if self.entry(place).digest == entry.digest {
            Ok(())
        } else {
            self.whole = false;
            Err((FindingKind::Altered, "it is not what was sealed"))
        }
    }
}

/// Verifies the rows of a range.
async fn verify(
    connection: &mut PgConnection,
    sealer: &mut Sealer,
    (range, prunes): (Range, &Prunes),
    sender: &mpsc::Sender<Message>,
) -> Result<(), EvidenceError> {
    // Whoever receives works on another thread; if it is gone, nobody wants to know.
    let tell = |message| drop(block_on(sender.send(message)));
    let mut batches = load(connection, range).await?;
    let (mut verified, mut late) = (0, 0);
    let take = |entry: Entry, batch_id: Uuid, batches: &mut HashMap<Uuid, Batch>| {
        let Some(batch) = batches.get_mut(&batch_id) else {
            let text = "it claims a batch that there is not".into();
            tell(Message::Found(Finding::event(FindingKind::Inserted, Some(batch_id), entry.id, text)));
            return false;
        };
        if batch.is_unsealed() {
            return false;
        }
        match batch.take(entry) {
            Ok(()) => true,
            Err((kind, text)) => {
                tell(Message::Found(Finding::event(kind, Some(batch_id), entry.id, text.into())));
                false
            }
        }
    };
    let rows = format!("SELECT {COLUMNS}, e.batch_id FROM audit_events e WHERE {}", range.condition("e.batch_id"));
    copy_out::rows(connection, &rows, |row| {
        let entry = sealer.stored(row.0);
        verified += u64::from(take(entry, last_uuid(row.0)?, &mut batches));
        Ok::<_, EvidenceError>(())
    })
    .await?;
    if range.has_late {
        let rows = format!(
            "SELECT {COLUMNS}, l.batch_id FROM audit_late l JOIN audit_events e \
             ON e.id = l.event_id AND e.created_at = l.created_at AND e.batch_id IS NULL WHERE {}",
            range.condition("l.batch_id")
        );
        copy_out::rows(connection, &rows, |row| {
            let entry = sealer.stored(row.0);
            late += u64::from(take(entry, last_uuid(row.0)?, &mut batches));
            Ok::<_, EvidenceError>(())
        })
        .await?;
    }
    let is_short = batches.values().any(|batch| batch.seen.contains(&false));
    let quarantined = if is_short { refused(connection, sealer, range, &mut batches, &tell).await? } else { 0 };
    let is_short = batches.values().any(|batch| batch.seen.contains(&false));
    let pruned =
        if is_short && !prunes.is_empty() { pruned(connection, range, prunes, &mut batches).await? } else { 0 };
    for (id, batch) in &batches {
        finish(*id, batch, &tell);
    }
    tell(Message::Rows { verified: verified + late, late, quarantined, pruned });
    Ok(())
}

async fn load(connection: &mut PgConnection, range: Range) -> Result<HashMap<Uuid, Batch>, EvidenceError> {
    let query = format!(
        "SELECT id, journal_id, rows, previous_root, root, leaves FROM audit_batches b WHERE {}",
        range.condition("b.id")
    );
    let mut batches = HashMap::new();
    copy_out::rows(connection, &query, |row| {
        let mut fields = row.fields();
        let (id, journal_id, rows) = (fields.uuid()?, fields.uuid()?, fields.i32()?);
        let previous_root = fields.next()?.map(<[u8]>::to_vec);
        let root = fields.next()?.unwrap_or_default().to_vec();
        let leaves = fields.next()?.unwrap_or_default().to_vec();
        let seen = vec![false; leaves.len() / ENTRY];
        let batch = Batch { journal_id, rows, previous_root, root, leaves, seen, next: 0, places: None, whole: true };
        batches.insert(id, batch);
        Ok::<_, EvidenceError>(())
    })
    .await?;
    Ok(batches)
}

/// The last field of a row, a UUID.
fn last_uuid(row: &[u8]) -> Result<Uuid, EvidenceError> {
    let id = row.last_chunk().copied().ok_or(EvidenceError::Inconsistent("a row"))?;
    Ok(Uuid::from_bytes(id))
}

/// Entries without a row that are in the quarantine; returns how many.
async fn refused(
    connection: &mut PgConnection,
    sealer: &mut Sealer,
    range: Range,
    batches: &mut HashMap<Uuid, Batch>,
    tell: &impl Fn(Message),
) -> Result<u64, EvidenceError> {
    let mut quarantined = 0;
    let query = format!("SELECT batch_id, payload FROM audit_quarantine q WHERE {}", range.condition("q.batch_id"));
    copy_out::rows(connection, &query, |row| {
        let mut fields = row.fields();
        let (batch_id, payload) = (fields.uuid()?, fields.next()?.unwrap_or_default());
        let Some(batch) = batches.get_mut(&batch_id) else {
            return Ok(());
        };
        // What this version reads, the one that sealed it may not have been able to.
        let entries = [refused_entry(sealer, payload), seal::payload_entry(None, payload)];
        let entry = entries.into_iter().find(|entry| batch.knows(*entry)).unwrap_or(entries[0]);
        match batch.take(entry) {
            Ok(()) => quarantined += 1,
            Err((kind, text)) => {
                let text = format!("in the quarantine: {text}");
                tell(Message::Found(Finding::event(kind, Some(batch_id), entry.id, text)));
            }
        }
        Ok::<_, EvidenceError>(())
    })
    .await?;
    Ok(quarantined)
}

/// Entries without a row that were pruned; returns how many.
async fn pruned(
    connection: &mut PgConnection,
    range: Range,
    prunes: &Prunes,
    batches: &mut HashMap<Uuid, Batch>,
) -> Result<u64, EvidenceError> {
    let mut pruned = 0;
    let query = format!("SELECT batch_id, event_id, ids FROM audit_pruned p WHERE {}", range.condition("p.batch_id"));
    copy_out::rows(connection, &query, |row| {
        let mut fields = row.fields();
        let (batch_id, event_id, ids) = (fields.uuid()?, fields.uuid()?, fields.next()?);
        if let Some(batch) = batches.get_mut(&batch_id).filter(|_| prunes.contains(&event_id)) {
            pruned += batch.prune(ids);
        }
        Ok::<_, EvidenceError>(())
    })
    .await?;
    Ok(pruned)
}

/// What a record that PostgreSQL refused was sealed as.
fn refused_entry(sealer: &mut Sealer, payload: &[u8]) -> Entry {
    match EventRef::decode(payload, &mut Vec::new()) {
        Ok(event) => {
            let mut rows = CopyRows::default();
            let row = rows.row(&event, Uuid::nil());
            sealer.record(event.id, row, payload)
        }
        Err(_) => seal::payload_entry(None, payload),
    }
}

/// What is left of a batch once all its rows have come.
fn finish(id: Uuid, batch: &Batch, tell: &impl Fn(Message)) {
    if batch.is_unsealed() {
        return;
    }
    let mut whole = batch.whole;
    for place in (0..batch.seen.len()).filter(|place| !batch.seen[*place]) {
        whole = false;
        let event = batch.entry(place).id;
        let text = format!("it is gone, number {} of {} in its batch", place + 1, batch.seen.len());
        tell(Message::Found(Finding::event(FindingKind::Missing, Some(id), event, text)));
    }
    let root = seal::root(batch.journal_id, batch.previous_root.as_deref(), &batch.leaves);
    if root.0[..] != batch.root[..] {
        let (kind, text) = if whole {
            (
                FindingKind::Reordered,
                "its rows are there, but not in the order or not behind the batch that its root attests",
            )
        } else {
            (FindingKind::BatchAltered, "its leaves are not those of its root")
        };
        tell(Message::Found(Finding::batch(kind, id, text.into())));
    } else if usize::try_from(batch.rows) != Ok(batch.seen.len()) {
        let text = format!("it says {} rows, and has {} leaves", batch.rows, batch.seen.len());
        tell(Message::Found(Finding::batch(FindingKind::BatchAltered, id, text)));
    }
}
