//! A process that has locked the journal of a dead one: `writer::adoption`.

use crate::batch::{Batch, Cut, Link, Positions, one};
use crate::disk::Disk;
use crate::recorder::{Carried, Phase};
use crate::rules::{Bounds, Rules, SyncOf};

/// The steps of an adoption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The journal is locked and opened.
    Opened,
    /// The sink has answered which batches are stored.
    Claimed,
    /// Batches are made and shipped, one after another.
    Ships,
    /// All batches are stored. The server's disk is asked.
    Shipped,
    /// The server has all on its disk.
    Durable,
}

/// A record that is not in the stored batch of its place: `Stored::holds`.
#[derive(Debug, Clone, Copy)]
pub struct NotHeld;

/// The adopter of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Adopter {
    /// Its number among the processes.
    pub number: u8,
    /// How far it is.
    pub stage: Stage,
    /// The batches that were stored, by place: `OrphanPlan::stored`. It drops those that it passes.
    stored: Vec<Batch>,
    /// The position behind the records that were looked at.
    at: u8,
    /// The batch before: `Chain::last`.
    last: Option<Link>,
    /// The segment whose log had the last entry, if this process has made one.
    log: Option<usize>,
    /// The batch in hand.
    pub carried: Option<Carried>,
    /// The places of the batches that hold the journal's records: `Chain::shipped`.
    pub firsts: Positions,
}

impl Adopter {
    /// Locks and opens the journal: `Directory::adopt`, `Orphan::open`.
    pub fn open(number: u8) -> Self {
        let (stored, last, log, carried) = (Vec::new(), None, None, None);
        Self { number, stage: Stage::Opened, stored, at: 0, last, log, carried, firsts: 0 }
    }

    /// Takes the answer to its claim: `Sink::claim`.
    pub fn claimed(&mut self, stored: &[Batch], disk: &Disk) {
        self.stored = stored.to_vec();
        self.stored.sort_unstable();
        let held = stored.iter().filter(|batch| batch.cut.end > disk.start());
        self.firsts = held.fold(0, |firsts, batch| firsts | one(batch.cut.first));
        self.stage = Stage::Claimed;
    }

    /// Makes the next batch, as it was cut or anew, and notes a new one: `OrphanPlan::next`,
    /// `Batch::close`. Without one, all is shipped.
    ///
    /// # Errors
    /// A stored batch lacks a record of its place.
    pub fn next(&mut self, disk: &mut Disk, bounds: &Bounds, rules: &Rules) -> Result<(), NotHeld> {
        let (records, start) = (disk.records(), disk.start());
        let cut_of = |position| disk.cut_of(position).filter(|_| rules.reads_cuts);
        let mut batch: Option<(Batch, bool)> = None;
        while self.at < bounds.records {
            let at = self.at;
            if records & one(at) == 0 {
                self.at += 1;
                continue;
            }
            if let Some((made, is_again)) = &batch {
                let first = made.cut.first;
                let ends_here = self.stored.first().is_some_and(|stored| stored.cut.first <= at)
                    || (*is_again && made.cut.end <= at)
                    || cut_of(at).is_some_and(|cut| first < cut.first)
                    || (!*is_again && self.original_start(at).is_some_and(|original| first < original));
                if ends_here {
                    break;
                }
            } else {
                self.pass(at);
            }
            if let Some(stored) = self.stored.first().filter(|stored| stored.cut.first <= at) {
                // The claim leaves out what lies before the journal's start.
                if stored.cut.end > start && stored.records & one(at) == 0 {
                    return Err(NotHeld);
                }
                self.at += 1;
                continue;
            }
            let (cut, once) = (cut_of(at), self.original_start(at));
            let (made, is_again) = batch.get_or_insert_with(|| match cut {
                Some(cut) => (Batch { cut, records: 0 }, true),
                None => {
                    let first = once.unwrap_or(at);
                    let cut = Cut { first, end: first, by: self.number, previous: None, open: 0 };
                    (Batch { cut, records: 0 }, false)
                }
            });
            made.records |= one(at);
            if !*is_again {
                made.cut.end = at + 1;
            }
            self.at += 1;
            let is_full = made.records.count_ones() >= u32::from(bounds.batch);
            if is_full && cut.is_none() && once.is_none() {
                break;
            }
        }
        match batch {
            Some((mut batch, is_again)) => {
                if !is_again {
                    batch.cut.previous = self.last;
                    disk.note(batch.cut);
                    self.log = Some(disk.segment_of(batch.cut.first));
                }
                self.last = Some(batch.link());
                self.carried = Some(Carried { batch, phase: Phase::RecordsSynced });
            }
            None => {
                self.pass(u8::MAX);
                self.stage = Stage::Shipped;
            }
        }
        Ok(())
    }

    /// Syncs the log before the batch leaves: `Adoption::send`.
    pub fn sync_log(&mut self, disk: &mut Disk, rules: &Rules) {
        let Some(carried) = &mut self.carried else { return };
        let segment = match rules.sync_of {
            SyncOf::OwnCut => Some(disk.segment_of(carried.batch.cut.first)),
            SyncOf::LastCut => self.log,
        };
        segment.into_iter().for_each(|segment| disk.sync_log(segment, rules.syncs_names));
        carried.phase = Phase::MayLeave;
    }

    /// The batch in hand is stored: `Adoption::next_stored`.
    pub fn stored(&mut self) {
        let shipped = self.carried.take().map(|carried| one(carried.batch.cut.first));
        self.firsts |= shipped.unwrap_or(0);
    }

    /// Goes on behind the stored batches that end before a position: `OrphanPlan::pass`.
    fn pass(&mut self, position: u8) {
        while let Some(stored) = self.stored.first().copied().filter(|stored| stored.cut.end <= position) {
            self.last = Some(stored.link());
            self.stored.remove(0);
        }
    }

    /// Where the batch began that once held a position: `OrphanPlan::original_batch_start`.
    fn original_start(&self, position: u8) -> Option<u8> {
        let open = self.stored.first()?.cut.open;
        let starts = (0..=position).rev().filter(|first| open & one(*first) != 0);
        starts.max().filter(|first| self.last.is_none_or(|last| last.first < *first))
    }
}
