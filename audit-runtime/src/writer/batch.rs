//! What goes to PostgreSQL in one transaction: consecutive records of one journal.

use super::copy::CopyRows;
use crate::core::Core;
use crate::evidence::merkle::Hash;
use crate::evidence::seal::{self, Entry, Link, Seal, Sealer};
use crate::journal::{Next, Orphan, Record, RecoveredRecord};
use crate::payload::{self, EventRef, PayloadError};
use crate::personal::{self, SubjectKeys};
use crate::{clock, ids};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use uuid::Uuid;

/// Consecutive records of one journal. Once made, a batch keeps its range until it is known to be stored: the range
/// is the key by which the database knows it.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) id: Uuid,
    pub(crate) journal_id: Uuid,
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) rows: Vec<Row>,
    pub(crate) bytes: usize,
    /// The times of its first and its last event, in microseconds.
    pub(crate) times: Option<(i64, i64)>,
    /// The rows as PostgreSQL gets them, once it is encoded.
    pub(crate) encoded: CopyRows,
    /// The rows of which something is to be encrypted before they are sealed.
    personal: Vec<usize>,
    /// Records that are no events, which have no row.
    pub(crate) undecoded: Vec<(usize, PayloadError)>,
    /// What makes its rows tamper-evident, unless that is not asked for.
    pub(crate) seal: Option<Seal>,
}

/// A record of the live journal or of an adopted one.
#[derive(Debug)]
pub(crate) enum Row {
    Live(Record),
    Recovered(RecoveredRecord),
    /// Made by the writer itself.
    Made(Vec<u8>),
}

impl Row {
    pub(crate) fn payload(&self) -> &[u8] {
        match self {
            Self::Live(record) => record.payload(),
            Self::Recovered(record) => record.payload(),
            Self::Made(payload) => payload,
        }
    }
}

impl Batch {
    pub(super) fn new(journal_id: Uuid, first: u64) -> Self {
        let id = ids::event_id(clock::micros_now());
        Self {
            id,
            journal_id,
            first,
            end: first,
            rows: Vec::new(),
            bytes: 0,
            times: None,
            encoded: CopyRows::default(),
            personal: Vec::new(),
            undecoded: Vec::new(),
            seal: None,
        }
    }

    pub(super) fn push(&mut self, row: Row, end: u64) {
        self.bytes += row.payload().len();
        if let Some(time) = payload::created_at(row.payload()) {
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
        }
        if payload::is_personal(row.payload()) {
            self.personal.push(self.rows.len());
        }
        self.rows.push(row);
        self.end = end;
    }

    /// Whose data it holds, by the number of the row.
    pub(super) fn subjects(&self) -> BTreeMap<usize, String> {
        let mut json = Vec::new();
        let subject = |number: &usize| {
            let event = EventRef::decode(self.rows[*number].payload(), &mut json).ok()?;
            Some((*number, personal::subject(event.data)?))
        };
        self.personal.iter().filter_map(subject).collect()
    }

    pub(super) fn is_personal(&self) -> bool {
        !self.personal.is_empty()
    }

    /// Encrypts what is personal, each value by the key of its subject; what has none is redacted.
    pub(super) fn encrypt(&mut self, subjects: &BTreeMap<usize, String>, keys: &SubjectKeys) {
        let mut json = Vec::new();
        for number in std::mem::take(&mut self.personal) {
            let Ok(event) = EventRef::decode(self.rows[number].payload(), &mut json) else {
                continue;
            };
            let data = match subjects.get(&number).and_then(|subject| keys.of(subject)) {
                Some(key) => key.encrypt(event.id, event.data),
                None => personal::redact(event.data),
            };
            let mut bytes = Vec::with_capacity(event.data.len() + data.len());
            payload::encode(&mut bytes, &EventRef { data: &data, is_personal: false, ..event });
            self.rows[number] = Row::Made(bytes);
        }
    }

    /// Encodes its rows, now that it is complete, and seals them behind the batch before.
    pub(super) fn close(&mut self, core: &Core, chain: &mut Chain) {
        let (encoded, mut leaves) = chain.spare.pop().unwrap_or_default();
        self.encoded = encoded;
        let mut json = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            let payload = row.payload();
            let entry = match EventRef::decode(payload, &mut json) {
                Ok(event) => {
                    let row = self.encoded.row(&event, self.id);
                    core.settings.seal.then(|| chain.sealer.record(event.id, row, payload))
                }
                Err(error) => {
                    self.encoded.none();
                    self.undecoded.push((number, error));
                    core.settings.seal.then(|| seal::payload_entry(None, payload))
                }
            };
            leaves.extend(entry.into_iter().flat_map(Entry::to_bytes));
        }
        self.seal = core.settings.seal.then(|| Seal::new(self.journal_id, chain.last, &chain.open, leaves));
        chain.open.push(self.first);
        chain.last = self.seal.as_ref().map(|seal| Link { first: self.first, root: seal.root });
    }

    pub(super) fn is_full(&self, core: &Core) -> bool {
        self.rows.len() >= core.settings.batch_rows || self.bytes >= core.settings.batch_bytes
    }
}

/// The batches of a journal, each sealed behind the one before.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    sealer: Sealer,
    /// The last batch.
    pub(super) last: Option<Link>,
    /// Where the batches begin that are not stored yet.
    open: Vec<u64>,
    /// What rows and leaves were encoded in, for the next: megabytes, which the system would have to give and take each time.
    spare: Vec<(CopyRows, Vec<u8>)>,
}

impl Chain {
    /// A batch is stored.
    pub(super) fn stored(&mut self, first: u64) {
        self.open.retain(|open| *open != first);
    }

    /// What it was encoded in is free.
    pub(super) fn recycle(&mut self, batch: Batch) {
        let mut leaves = batch.seal.map(|seal| seal.leaves).unwrap_or_default();
        leaves.clear();
        self.spare.push((batch.encoded.cleared(), leaves));
    }
}

/// Cuts the live journal into batches and knows which are stored.
#[derive(Debug, Default)]
pub(crate) struct Planner {
    pub(super) chain: Chain,
    /// Stored batches behind one that is not: first position to end.
    stored: BTreeMap<u64, u64>,
}

impl Planner {
    /// The next records of the live journal, if there are any; the batch is to be closed before the next is made.
    pub(crate) fn next(&mut self, core: &Core) -> Option<Batch> {
        let mut batch = Batch::new(core.journal.id(), core.journal.read_position());
        while !batch.is_full(core) {
            match core.journal.read() {
                Next::Record { record, end } => batch.push(Row::Live(record), end),
                Next::Damaged { path, offset, end } => {
                    let file = path.map(|path| path.display().to_string());
                    tracing::error!(file, offset, "a journal record was damaged after it was written; it is skipped");
                    batch.end = end;
                }
                Next::Nothing => break,
            }
        }
        // What is unused behind its records is stored with them.
        batch.end = core.journal.read_position();
        if batch.rows.is_empty() && batch.end > batch.first {
            self.stored(core, batch.first, batch.end, 0);
        }
        if batch.rows.is_empty() {
            return None;
        }
        Some(batch)
    }

    /// Notes a batch as stored, and lets go of what precedes the first that is not.
    pub(crate) fn stored(&mut self, core: &Core, first: u64, end: u64, rows: u64) {
        self.chain.stored(first);
        self.stored.insert(first, end);
        let mut stored_to = core.control.progress().stored_to;
        while let Some(end) = self.stored.remove(&stored_to) {
            stored_to = end;
        }
        core.journal.acknowledge(stored_to);
        core.control.update(|progress| {
            progress.stored_to = stored_to;
            progress.stored += rows;
        });
    }
}

/// A stored batch of a dead process's journal.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) first: u64,
    pub(crate) end: u64,
    /// Its root, if it was sealed.
    pub(crate) root: Option<Hash>,
    /// Where the batches before it begin that were not stored when it was made.
    pub(crate) open: Vec<u64>,
}

/// Cuts a dead process's journal into batches, beside those that process had stored already.
#[derive(Debug)]
pub(crate) struct OrphanPlan {
    pub(crate) orphan: Orphan,
    pub(super) chain: Chain,
    /// Stored batches, by position.
    stored: VecDeque<Stored>,
    /// A record that was read and begins the next batch.
    held: Option<RecoveredRecord>,
    /// Behind every record and every stored batch.
    pub(super) end: u64,
}

impl OrphanPlan {
    pub(crate) fn new(orphan: Orphan, stored: Vec<Stored>) -> Self {
        let end = stored.iter().map(|batch| batch.end).max().unwrap_or(0).max(orphan.end());
        Self { orphan, chain: Chain::default(), stored: stored.into(), held: None, end }
    }

    /// Where the journal is, for whoever is told of it.
    pub(super) fn directory(&self) -> String {
        self.orphan.directory().path().display().to_string()
    }

    /// The next records that are not stored, if there are any; the batch is to be closed before the next is made.
    pub(crate) fn next(&mut self, core: &Core) -> io::Result<Option<Batch>> {
        let mut batch: Option<Batch> = None;
        loop {
            let record = match self.held.take() {
                Some(record) => Some(record),
                None => self.orphan.next()?,
            };
            let Some(record) = record else {
                if batch.is_none() {
                    self.pass(u64::MAX);
                }
                break;
            };
            // A batch never spans one that is stored already; and between two of those, batches are made as they were once, or their
            // roots would be others, and what follows would not chain.
            let ends_here = batch.as_ref().is_some_and(|batch| {
                self.stored.front().is_some_and(|stored| stored.first <= record.start)
                    || self.once(record.start).is_some_and(|first| batch.first < first)
            });
            if ends_here {
                self.held = Some(record);
                break;
            }
            if batch.is_none() {
                self.pass(record.start);
            }
            if self.stored.front().is_some_and(|stored| stored.first <= record.start) {
                continue;
            }
            let once = self.once(record.start);
            let batch = batch.get_or_insert_with(|| Batch::new(self.orphan.id(), once.unwrap_or(record.start)));
            let end = record.end;
            batch.push(Row::Recovered(record), end);
            if batch.is_full(core) && once.is_none() {
                break;
            }
        }
        Ok(batch)
    }

    /// Goes on behind the stored batches that end before this position.
    fn pass(&mut self, position: u64) {
        while let Some(stored) = self.stored.pop_front_if(|stored| stored.end <= position) {
            self.chain.last = stored.root.map(|root| Link { first: stored.first, root });
        }
    }

    /// Where the batch began that once held this position, and was not stored though one behind it was.
    fn once(&self, position: u64) -> Option<u64> {
        let last = self.chain.last.map(|last| last.first);
        let open = self.stored.front()?.open.iter().copied();
        open.filter(|first| *first <= position && last.is_none_or(|last| last < *first)).max()
    }
}
