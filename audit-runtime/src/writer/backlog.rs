//! A backlog, for example after an outage of PostgreSQL, does not keep new events waiting.
//!
//! Batches are sealed in the order of the journal, each behind the one before. So the first lane
//! cuts the whole backlog at once, which is a matter of seconds, and postpones its batches. From then
//! on it stores new events as they come, and all lanes store postponed batches whenever no new event
//! waits. A postponed batch is read again from the journal. It becomes the bytes that were sealed.

use super::batch::{Batch, Row};
use super::chain::Chain;
use super::parts::WriterParts;
use crate::journal::{Cut, Journal, Next};
use crate::privacy::SubjectKeys;
use std::collections::VecDeque;
use std::ops::Range;

/// The number of full batches that make a backlog. New events would wait for some seconds.
const FAR_BEHIND: usize = 64;
/// The number of full batches at the end of a backlog that are not postponed: its newest events.
const NEWEST: usize = 8;
/// The bytes of a small event. A batch that is full by its rows has so many for each at least.
const SMALL_EVENT: usize = 256;
/// The most batches that are postponed. Each batch that is sealed states those before it that are
/// not stored, by eight bytes each.
const MOST_BATCHES: usize = 2_048;
/// The most keys of subjects that postponed batches hold. A key takes some hundred bytes.
const MOST_KEYS: usize = 100_000;

/// A batch whose rows are read again later.
#[derive(Debug)]
struct Postponed {
    cut: Cut,
    /// The keys that have encrypted its personal values. A new key in place of one that was destroyed
    /// meanwhile would change the rows.
    keys: SubjectKeys,
}

/// The batches that are sealed and postponed.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    postponed: VecDeque<Postponed>,
    /// The keys that they hold.
    keys: usize,
    /// The end of the backlog that is being cut. New events are behind it.
    end: u64,
    /// Seals postponed batches again.
    chain: Chain,
    /// The range behind the backlog in which all is stored.
    pub(super) ahead: Range<u64>,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.postponed.is_empty()
    }

    /// Returns whether the next batch is to be postponed, because it is a part of a backlog.
    pub(super) fn is_to_be_postponed(&mut self, parts: &WriterParts) -> bool {
        let (read, end) = (parts.journal.read_position(), parts.journal.cursor());
        let full = parts.settings.batch_bytes.min(parts.settings.batch_rows.saturating_mul(SMALL_EVENT));
        if read >= self.end && end.saturating_sub(read) > full.saturating_mul(FAR_BEHIND) as u64 {
            self.end = end - full.saturating_mul(NEWEST) as u64;
        }
        read < self.end && self.postponed.len() < MOST_BATCHES && self.keys < MOST_KEYS && !parts.control.is_stopping()
    }

    /// Postpones a batch that is sealed.
    pub(super) fn postpone(&mut self, cut: Cut, keys: SubjectKeys) {
        self.ahead = cut.end..cut.end;
        self.keys += keys.len();
        self.postponed.push_back(Postponed { cut, keys });
    }

    /// Returns the oldest postponed batch, read and sealed again.
    pub(super) fn next(&mut self, parts: &WriterParts) -> Option<Batch> {
        let Postponed { cut, keys } = self.postponed.pop_front()?;
        self.keys -= keys.len();
        let mut batch = read_again(&parts.journal, cut);
        batch.encrypt(&keys);
        batch.close(&parts.settings, &mut self.chain);
        // The planner's chain knows whether it is stored.
        self.chain.stored(batch.first);
        Some(batch)
    }

    /// Returns whether this is a batch that was postponed.
    pub(super) fn has_postponed(&self, batch: &Batch) -> bool {
        batch.first < self.ahead.start
    }

    /// Keeps the buffers of a postponed batch for the next one.
    pub(super) fn recycle(&mut self, batch: Batch) {
        self.chain.recycle(batch);
    }
}

/// Reads the rows of a batch again that was cut once.
fn read_again(journal: &Journal, cut: Cut) -> Batch {
    let (mut at, end) = (cut.first, cut.end);
    let mut batch = Batch::again(journal.id(), cut);
    while at < end {
        match journal.peek(at) {
            Next::Record { record, end: behind } if behind <= end => {
                batch.push(Row::Live(record), behind);
                at = behind;
            }
            // It was reported when the batch was cut.
            Next::Damaged { end: behind, .. } => at = behind,
            Next::Record { .. } | Next::Nothing => break,
        }
    }
    // The unused space behind its records is stored with them.
    batch.end = end;
    batch
}
