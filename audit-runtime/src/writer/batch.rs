//! What goes to PostgreSQL in one transaction: consecutive records of one journal.

use crate::clock;
use crate::core::Core;
use crate::journal::{Next, Orphan, Record, RecoveredRecord};
use crate::payload;
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
        let id = clock::event_id(clock::micros_now());
        Self { id, journal_id, first, end: first, rows: Vec::new(), bytes: 0, times: None }
    }

    pub(super) fn push(&mut self, row: Row, end: u64) {
        self.bytes += row.payload().len();
        if let Some(time) = payload::created_at(row.payload()) {
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
        }
        self.rows.push(row);
        self.end = end;
    }

    pub(super) fn is_full(&self, core: &Core) -> bool {
        self.rows.len() >= core.settings.batch_rows || self.bytes >= core.settings.batch_bytes
    }
}

/// Cuts the live journal into batches and knows which are stored.
#[derive(Debug, Default)]
pub(crate) struct Planner {
    /// Stored batches behind one that is not: first position to end.
    stored: BTreeMap<u64, u64>,
}

impl Planner {
    /// The next records of the live journal, if there are any.
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
        if batch.rows.is_empty() && batch.end > batch.first {
            self.stored(core, batch.first, batch.end, 0);
        }
        (!batch.rows.is_empty()).then_some(batch)
    }

    /// Notes a batch as stored, and lets go of what precedes the first that is not.
    pub(crate) fn stored(&mut self, core: &Core, first: u64, end: u64, rows: u64) {
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

/// Cuts a dead process's journal into batches, beside the ranges that process had stored already.
#[derive(Debug)]
pub(crate) struct OrphanPlan {
    pub(crate) orphan: Orphan,
    /// Stored ranges, by position.
    committed: VecDeque<(u64, u64)>,
    /// A record that was read and begins the next batch.
    held: Option<RecoveredRecord>,
    /// Behind every record and every stored range.
    pub(super) end: u64,
}

impl OrphanPlan {
    pub(crate) fn new(orphan: Orphan, committed: Vec<(u64, u64)>) -> Self {
        let end = committed.iter().map(|(_, end)| *end).max().unwrap_or(0).max(orphan.end());
        Self { orphan, committed: committed.into(), held: None, end }
    }

    /// The next records that are not stored, if there are any.
    pub(crate) fn next(&mut self, core: &Core) -> io::Result<Option<Batch>> {
        let mut batch: Option<Batch> = None;
        loop {
            let record = match self.held.take() {
                Some(record) => record,
                None => match self.orphan.next()? {
                    Some(record) => record,
                    None => return Ok(batch),
                },
            };
            let mut passed = false;
            while self.committed.front().is_some_and(|(_, end)| *end <= record.start) {
                self.committed.pop_front();
                passed = true;
            }
            let stored = self.committed.front().is_some_and(|(first, _)| *first <= record.start);
            if (passed || stored) && batch.is_some() {
                // A batch never spans a range that is stored already.
                self.held = Some(record);
                return Ok(batch);
            }
            if stored {
                continue;
            }
            let batch = batch.get_or_insert_with(|| Batch::new(self.orphan.id(), record.start));
            let end = record.end;
            batch.push(Row::Recovered(record), end);
            if batch.is_full(core) {
                break;
            }
        }
        Ok(batch)
    }
}
