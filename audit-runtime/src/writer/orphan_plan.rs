//! The plan of a dead process's journal: which of its records go together, beside the batches that
//! are stored.

use super::batch::{Batch, Row};
use super::chain::Chain;
use super::parts::Settings;
use crate::journal::{Cut, Orphan, RecoveredRecord};
use crate::postgres::failure::Conflict;
use crate::record::EventRef;
use crate::seal::merkle::Hash;
use crate::seal::{self, Link};
use std::collections::VecDeque;
use std::io;
use uuid::Uuid;

/// A stored batch of a dead process's journal.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) first: u64,
    pub(crate) end: u64,
    /// The batch's root, if it was sealed.
    pub(crate) root: Option<Hash>,
    /// The positions at which the batches before it begin that were not stored when it was made.
    pub(crate) open: Vec<u64>,
    /// The ids of its events, sorted, if it was sealed, and if the journal may still hold one of
    /// them.
    pub(crate) ids: Option<Vec<Uuid>>,
}

impl Stored {
    /// Returns whether it holds this record: a role may have stored a batch of its own at that
    /// place.
    fn holds(&self, payload: &[u8], json: &mut Vec<u8>) -> bool {
        let Some(ids) = &self.ids else {
            return true;
        };
        let id =
            EventRef::decode(payload, json).map_or_else(|_| seal::payload_entry(None, payload).id, |event| event.id);
        ids.binary_search(&id).is_ok()
    }
}

/// Cuts a dead process's journal into batches, beside those that process had stored already.
#[derive(Debug)]
pub(crate) struct OrphanPlan {
    pub(crate) orphan: Orphan,
    pub(super) chain: Chain,
    /// Stored batches, by position.
    stored: VecDeque<Stored>,
    /// The batches that were cut once, by position.
    cuts: VecDeque<Cut>,
    /// The batches of interruptions that were cut once and are not stored.
    pub(super) interruptions: Vec<Cut>,
    /// A record that was read and begins the next batch.
    held: Option<RecoveredRecord>,
    /// Behind every record and every stored batch.
    pub(super) end: u64,
}

impl OrphanPlan {
    pub(crate) fn new(orphan: Orphan, stored: Vec<Stored>) -> Self {
        let cuts = orphan.cuts().unwrap_or_else(|error| {
            tracing::warn!(journal = %orphan.id(), %error, "the cut log of a dead process cannot be read; the stored batches are gone by");
            Vec::new()
        });
        let ends = stored.iter().map(|batch| batch.end).chain(cuts.iter().map(|cut| cut.end));
        let end = ends.max().unwrap_or(0).max(orphan.end());
        // An earlier adopter may have stored some of them, and may not have waited for the disk.
        let held = stored.iter().filter(|batch| batch.end > orphan.start()).map(|batch| batch.first);
        let chain = Chain::of_orphan(orphan.cut_log(), held.collect());
        let (mut interruptions, cuts): (Vec<Cut>, Vec<Cut>) =
            cuts.into_iter().partition(|cut| cut.interruptions.is_some());
        interruptions.retain(|cut| stored.iter().all(|stored| stored.first != cut.first));
        Self { orphan, chain, stored: stored.into(), cuts: cuts.into(), interruptions, held: None, end }
    }

    /// The next records that are not stored, if there are any. The batch is to be closed before the
    /// next is made.
    pub(crate) fn next(&mut self, settings: &Settings) -> io::Result<Option<Batch>> {
        let (mut batch, mut json) = (None::<Batch>, Vec::new());
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
            // A batch never spans one that is stored already. Between two of those, batches are
            // made as they were once. Otherwise their roots would differ, and the next batches
            // would not chain.
            let ends_here = batch.as_ref().is_some_and(|batch| {
                self.stored.front().is_some_and(|stored| stored.first <= record.start)
                    || batch.cut.as_ref().is_some_and(|cut| cut.end <= record.start)
                    || self.cut_of(record.start).is_some_and(|cut| batch.first < cut.first)
                    || batch.cut.is_none()
                        && self.original_batch_start(record.start).is_some_and(|first| batch.first < first)
            });
            if ends_here {
                self.held = Some(record);
                break;
            }
            if batch.is_none() {
                self.pass(record.start);
            }
            if let Some(stored) = self.stored.front().filter(|stored| stored.first <= record.start) {
                if !stored.holds(record.payload(), &mut json) {
                    return Err(io::Error::other(Conflict::of_record(self.orphan.id(), record.start, stored.first)));
                }
                continue;
            }
            let once = self.original_batch_start(record.start);
            let cut = self.cut_of(record.start);
            let is_cut_again = once.is_some() || cut.is_some();
            let batch = batch.get_or_insert_with(|| match cut {
                Some(cut) => Batch::again(self.orphan.id(), cut.clone()),
                None => Batch::new(self.orphan.id(), once.unwrap_or(record.start)),
            });
            let end = record.end;
            batch.push(Row::Recovered(record), end);
            if batch.is_full(settings) && !is_cut_again {
                break;
            }
        }
        if let Some(batch) = &mut batch
            && let Some(cut) = &batch.cut
        {
            // The unused space behind its records was stored with them.
            batch.end = cut.end;
        }
        Ok(batch)
    }

    /// Goes on behind the stored batches that end before this position.
    fn pass(&mut self, position: u64) {
        while let Some(stored) = self.stored.pop_front_if(|stored| stored.end <= position) {
            self.chain.last = stored.root.map(|root| Link { first: stored.first, root });
        }
    }

    /// The batch that was cut of this position, if it was noted.
    fn cut_of(&self, position: u64) -> Option<&Cut> {
        let behind = self.cuts.partition_point(|cut| cut.first <= position);
        let cut = self.cuts.get(behind.checked_sub(1)?)?;
        (position < cut.end).then_some(cut)
    }

    /// Where the batch began that once held this position. A batch behind it states that: one that is
    /// stored, or the next one in the cut log, which may lack batches.
    fn original_batch_start(&self, position: u64) -> Option<u64> {
        let last = self.chain.last.map(|last| last.first);
        let stored = self.stored.front().map(|stored| stored.open.as_slice());
        let behind = self.cuts.partition_point(|cut| cut.first <= position);
        let noted = self.cuts.get(behind).map(|cut| cut.open.as_slice());
        let open = stored.into_iter().chain(noted).flatten().copied();
        open.filter(|first| *first <= position && last.is_none_or(|last| last < *first)).max()
    }
}
