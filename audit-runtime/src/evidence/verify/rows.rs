//! Every row has its entry, every entry its row.
//!
//! The ids of batches divide the rows into ranges, which together cover every possible id. So a row
//! cannot hide behind a batch that does not exist. Threads take range after range.

use super::finding::{Finding, FindingKind};
use super::parts::{Message, Snapshot};
use crate::event::{Timestamp, ids};
use crate::evidence::error::{EvidenceError, Failure};
use crate::evidence::unbatched::{self, COLUMNS};
use crate::postgres::copy::{Columns, CopyRows, decode};
use crate::record::EventRef;
use crate::seal::{self, ENTRY, Entry, LeafForm, Sealed, Sealer};
use crate::sys::block_on;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use std::collections::HashMap;
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
pub(super) async fn ranges(connection: &mut PgConnection) -> Result<Vec<Range>, Failure> {
    let (mut ranges, mut range, mut batches) = (Vec::new(), Range::default(), 0);
    decode::rows(connection, "SELECT id, journal_id, rows FROM audit_batches ORDER BY id", |row| {
        let mut fields = row.fields();
        let (id, journal_id, rows) = (fields.uuid()?, fields.uuid()?, fields.i32()?);
        range.rows += u64::try_from(rows).unwrap_or(0);
        range.has_late |= journal_id == unbatched::JOURNAL;
        batches += 1;
        if range.rows >= AT_ONCE || batches == AT_ONCE {
            ranges.push(Range { to: Some(id), ..range });
            (range, batches) = (Range { behind: Some(id), ..Range::default() }, 0);
        }
        Ok::<_, Failure>(())
    })
    .await?;
    ranges.push(range);
    Ok(ranges)
}

/// The events of those prunes whose accounts are true, with the time before which their rows began.
pub(super) type Prunes = HashMap<Uuid, Timestamp>;

/// Threads that verify rows.
pub(super) struct Workers(Vec<JoinHandle<Result<(), Failure>>>);

impl Workers {
    /// The first error of any of them.
    pub(super) fn ended(self) -> Result<(), Failure> {
        self.0.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

pub(super) fn start(
    (ranges, prunes): (Vec<Range>, Prunes),
    threads: usize,
    options: &PgConnectOptions,
    snapshot: &Snapshot,
    sender: &mpsc::Sender<Message>,
) -> Result<Workers, Failure> {
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
    workers.map(Workers).map_err(|error| Failure::Database(error.into()))
}

/// A batch whose rows arrive.
struct Batch {
    journal_id: Uuid,
    rows: i32,
    previous_root: Option<Vec<u8>>,
    root: Vec<u8>,
    leaves: Vec<u8>,
    form: LeafForm,
    seen: Vec<bool>,
    /// Rows mostly come in the order of their entries.
    next: usize,
    /// The places of the entries by id, once rows come in another order.
    places: Option<HashMap<Uuid, usize>>,
    /// No problem was found beyond the order of its rows.
    whole: bool,
}

impl Batch {
    /// Its rows have nothing to be compared with, which is reported once for the batch.
    fn is_unsealed(&self) -> bool {
        self.root.is_empty() || self.leaves.is_empty() || !self.form.is_known()
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

    /// Notes that rows were pruned, all or those of these ids, and returns how many of them are
    /// gone.
    ///
    /// A row that is younger than the prune states is missing. The id of a row that came with a batch
    /// states when it began.
    fn prune(&mut self, ids: Option<&[u8]>, end: Timestamp) -> u64 {
        let end = end.unix_micros().filter(|_| self.journal_id != unbatched::JOURNAL);
        let places: Vec<usize> = match ids {
            None => (0..self.seen.len()).collect(),
            Some(ids) => ids.as_chunks().0.iter().filter_map(|id| self.place(Uuid::from_bytes(*id))).collect(),
        };
        let mut gone = 0;
        for place in places.into_iter().filter(|place| !self.seen[*place]).collect::<Vec<_>>() {
            let is_younger = end.zip(ids::first_micros(self.entry(place).id)).is_some_and(|(end, first)| first >= end);
            if !is_younger {
                self.seen[place] = true;
                gone += 1;
            }
        }
        gone
    }

    /// Marks a row as seen, and returns its problem, if it has one.
    fn take(&mut self, Sealed { entry, form }: Sealed) -> Result<(), (FindingKind, &'static str)> {
        let Some(place) = self.place(entry.id) else {
            return Err((FindingKind::Inserted, "its batch was sealed without it"));
        };
        if std::mem::replace(&mut self.seen[place], true) {
            return Err((FindingKind::Inserted, "it is there twice"));
        }
        self.next = place + 1;
        if self.entry(place).digest != entry.digest {
            self.whole = false;
            Err((FindingKind::Altered, "it is not what was sealed"))
        } else if self.form.allows(form) {
            Ok(())
        } else {
            let text = "its batch has leaves of the first form, which no row with a key, targets or a tenant has";
            Err((FindingKind::Altered, text))
        }
    }
}

/// Verifies the rows of a range.
async fn verify(
    connection: &mut PgConnection,
    sealer: &mut Sealer,
    (range, prunes): (Range, &Prunes),
    sender: &mpsc::Sender<Message>,
) -> Result<(), Failure> {
    // The receiver works on another thread. If it is gone, the message is not needed.
    let tell = |message| drop(block_on(sender.send(message)));
    let mut batches = load(connection, range).await?;
    let (mut verified, mut late) = (0, 0);
    let take = |row: Sealed, batch_id: Uuid, batches: &mut HashMap<Uuid, Batch>| {
        let id = row.entry.id;
        let Some(batch) = batches.get_mut(&batch_id) else {
            let text = "it claims a batch that there is not".into();
            tell(Message::Found(Finding::event(FindingKind::Inserted, Some(batch_id), id, text)));
            return false;
        };
        if batch.is_unsealed() {
            return false;
        }
        match batch.take(row) {
            Ok(()) => true,
            Err((kind, text)) => {
                tell(Message::Found(Finding::event(kind, Some(batch_id), id, text.into())));
                false
            }
        }
    };
    let rows = format!("SELECT {COLUMNS}, e.batch_id FROM audit_events e WHERE {}", range.condition("e.batch_id"));
    decode::rows(connection, &rows, |row| {
        let sealed = sealer.stored(row.0);
        verified += u64::from(take(sealed, last_uuid(row.0)?, &mut batches));
        Ok::<_, Failure>(())
    })
    .await?;
    if range.has_late {
        let rows = format!(
            "SELECT {COLUMNS}, l.batch_id FROM audit_late l JOIN audit_events e \
             ON e.id = l.event_id AND e.created_at = l.created_at AND e.batch_id IS NULL WHERE {}",
            range.condition("l.batch_id")
        );
        decode::rows(connection, &rows, |row| {
            let sealed = sealer.stored(row.0);
            late += u64::from(take(sealed, last_uuid(row.0)?, &mut batches));
            Ok::<_, Failure>(())
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

async fn load(connection: &mut PgConnection, range: Range) -> Result<HashMap<Uuid, Batch>, Failure> {
    let query = format!(
        "SELECT id, journal_id, rows, previous_root, root, leaves, leaf_form FROM audit_batches b WHERE {}",
        range.condition("b.id")
    );
    let mut batches = HashMap::new();
    decode::rows(connection, &query, |row| {
        let mut fields = row.fields();
        let (id, journal_id, rows) = (fields.uuid()?, fields.uuid()?, fields.i32()?);
        let previous_root = fields.next()?.map(<[u8]>::to_vec);
        let root = fields.next()?.unwrap_or_default().to_vec();
        let leaves = fields.next()?.unwrap_or_default().to_vec();
        let form = LeafForm(fields.i16()?);
        let seen = vec![false; leaves.len() / ENTRY];
        let batch =
            Batch { journal_id, rows, previous_root, root, leaves, form, seen, next: 0, places: None, whole: true };
        batches.insert(id, batch);
        Ok::<_, Failure>(())
    })
    .await?;
    Ok(batches)
}

/// The last field of a row, a UUID.
fn last_uuid(row: &[u8]) -> Result<Uuid, Failure> {
    let id = row.last_chunk().copied().ok_or(EvidenceError::Inconsistent("a row"))?;
    Ok(Uuid::from_bytes(id))
}

/// Counts the entries without a row that are in the quarantine.
async fn refused(
    connection: &mut PgConnection,
    sealer: &mut Sealer,
    range: Range,
    batches: &mut HashMap<Uuid, Batch>,
    tell: &impl Fn(Message),
) -> Result<u64, Failure> {
    let mut quarantined = 0;
    let query = format!("SELECT batch_id, payload FROM audit_quarantine q WHERE {}", range.condition("q.batch_id"));
    decode::rows(connection, &query, |row| {
        let mut fields = row.fields();
        let (batch_id, payload) = (fields.uuid()?, fields.next()?.unwrap_or_default());
        let Some(batch) = batches.get_mut(&batch_id) else {
            return Ok(());
        };
        let entries = refused_entries(sealer, payload);
        let sealed = entries.into_iter().find(|sealed| batch.knows(sealed.entry)).unwrap_or(entries[0]);
        match batch.take(sealed) {
            Ok(()) => quarantined += 1,
            Err((kind, text)) => {
                let text = format!("in the quarantine: {text}");
                tell(Message::Found(Finding::event(kind, Some(batch_id), sealed.entry.id, text)));
            }
        }
        Ok::<_, Failure>(())
    })
    .await?;
    Ok(quarantined)
}

/// Counts the entries without a row that were pruned.
async fn pruned(
    connection: &mut PgConnection,
    range: Range,
    prunes: &Prunes,
    batches: &mut HashMap<Uuid, Batch>,
) -> Result<u64, Failure> {
    let mut pruned = 0;
    let query = format!("SELECT batch_id, event_id, ids FROM audit_pruned p WHERE {}", range.condition("p.batch_id"));
    decode::rows(connection, &query, |row| {
        let mut fields = row.fields();
        let (batch_id, event_id, ids) = (fields.uuid()?, fields.uuid()?, fields.next()?);
        if let (Some(batch), Some(end)) = (batches.get_mut(&batch_id), prunes.get(&event_id)) {
            pruned += batch.prune(ids, *end);
        }
        Ok::<_, Failure>(())
    })
    .await?;
    Ok(pruned)
}

/// Returns the entries under which a record that PostgreSQL refused may have been sealed.
pub(crate) fn refused_entries(sealer: &mut Sealer, payload: &[u8]) -> [Sealed; 2] {
    // The version that sealed the record may not have been able to decode it, though this one can.
    let undecoded = Sealed { entry: seal::payload_entry(None, payload), form: LeafForm::FIRST };
    [refused_entry(sealer, payload), undecoded]
}

/// Returns the entry under which a record that PostgreSQL refused was sealed.
fn refused_entry(sealer: &mut Sealer, payload: &[u8]) -> Sealed {
    let of_bytes = |id| Sealed { entry: seal::payload_entry(id, payload), form: LeafForm::FIRST };
    match EventRef::decode(payload, &mut Vec::new()) {
        Ok(event) => {
            let mut rows = CopyRows::new(Columns::All);
            let row = rows.row(&event, Uuid::nil());
            sealer.row(row, Columns::All).unwrap_or_else(|_| of_bytes(Some(event.id)))
        }
        Err(_) => of_bytes(None),
    }
}

/// Reports the remainder of a batch once all its rows have come.
fn finish(id: Uuid, batch: &Batch, tell: &impl Fn(Message)) {
    if !batch.form.is_known() {
        let text =
            format!("its leaves are of form {}, which this program does not know: use a newer one", batch.form.0);
        tell(Message::Found(Finding::batch(FindingKind::BatchAltered, id, text)));
    }
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
