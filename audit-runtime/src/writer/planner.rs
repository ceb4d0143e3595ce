//! The plan of the live journal: which records go together, and what is stored of it.

use super::backlog::Backlog;
use super::batch::{Batch, Row};
use super::chain::Chain;
use super::parts::WriterParts;
use super::tidy::Tidy;
use crate::journal::Next;
use crate::privacy::SubjectKeys;
use std::collections::BTreeMap;

/// Cuts the live journal into batches and knows which are stored.
#[derive(Debug, Default)]
pub(crate) struct Planner {
    pub(super) chain: Chain,
    pub(super) tidy: Tidy,
    pub(super) backlog: Backlog,
    /// The events that were put into batches.
    pub(super) planned: u64,
    /// Stored batches behind one that is not: first position to end.
    stored: BTreeMap<u64, u64>,
}

impl Planner {
    /// The next records of the live journal, if there are any. The batch is to be closed before the
    /// next is made.
    pub(crate) fn next(&mut self, parts: &WriterParts) -> Option<Batch> {
        let mut batch = Batch::new(parts.journal.id(), parts.journal.read_position());
        while !batch.is_full(&parts.settings) {
            match parts.journal.read() {
                Next::Record { record, end } => batch.push(Row::Live(record), end),
                Next::Damaged { path, offset, end } => {
                    let file = path.map(|path| path.display().to_string());
                    tracing::error!(file, offset, "a journal record was damaged after it was written; it is skipped");
                    batch.end = end;
                }
                Next::Nothing => break,
            }
        }
        // The unused space behind its records is stored with them.
        batch.end = parts.journal.read_position();
        if batch.rows.is_empty() && batch.end > batch.first {
            self.stored(parts, batch.first, batch.end, 0);
        }
        self.planned += batch.rows.len() as u64;
        (!batch.rows.is_empty()).then_some(batch)
    }

    /// Notes a batch as stored, and lets go of what precedes the first that is not.
    pub(crate) fn stored(&mut self, parts: &WriterParts, first: u64, end: u64, rows: u64) {
        self.chain.stored(first);
        self.stored.insert(first, end);
        let ahead = &mut self.backlog.ahead;
        while let Some(end) = self.stored.get(&ahead.end) {
            ahead.end = *end;
        }
        let ahead = ahead.clone();
        let mut stored_to = parts.control.progress().stored_to;
        while let Some(end) = self.stored.remove(&stored_to) {
            stored_to = end;
        }
        parts.journal.acknowledge(stored_to);
        parts.control.update(|progress| {
            progress.stored_to = stored_to;
            progress.ahead = [ahead.start, ahead.end];
            progress.stored += rows;
        });
    }

    /// Postpones a batch that is sealed, or returns one that is not.
    pub(super) fn postpone(&mut self, batch: Batch, keys: SubjectKeys) -> Option<Batch> {
        let Some(cut) = batch.cut.clone() else { return Some(batch) };
        self.backlog.postpone(cut, keys);
        self.chain.recycle(batch);
        None
    }

    /// Keeps the buffers of a stored batch for the next one.
    pub(super) fn recycle(&mut self, batch: Batch) {
        if self.backlog.has_postponed(&batch) {
            self.backlog.recycle(batch);
        } else {
            self.chain.recycle(batch);
        }
    }
}
