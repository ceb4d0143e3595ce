//! The process that records: its planner and its lanes.

use crate::batch::{Batch, Cut, Link, Positions, one, range};
use crate::disk::Disk;
use crate::rules::{Bounds, Rules, SyncOf};

/// How far a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// It is cut and noted.
    Cut,
    /// Its records are on the disk.
    RecordsSynced,
    /// Its cut is on the disk too: it may leave.
    MayLeave,
    /// It has left, and its lane waits for the answer.
    Sent,
}

/// A batch in the hands of a lane: `Lane::run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Carried {
    /// The batch.
    pub batch: Batch,
    /// How far it is.
    pub phase: Phase,
}

/// The recording process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Recorder {
    /// The position behind the last record: `Journal::cursor`.
    pub cursor: u8,
    /// The position of the reader: `Journal::read_position`.
    pub read: u8,
    /// The batches that are cut and not stored, each with a lane. The backlog's are among them.
    pub lanes: Vec<Carried>,
    /// The last batch that was cut: `Chain::last`.
    last: Option<Link>,
    /// The positions at which batches begin that are not stored: `Chain::open`.
    open: Positions,
    /// The segment whose log had the last entry: `CutLog::open`.
    log: usize,
    /// The positions in stored batches: `Planner::stored`.
    stored: Positions,
}

impl Recorder {
    /// Cuts what there is to read, up to a full batch, and notes it: `Planner::next`, `Batch::close`.
    pub fn cut(&mut self, disk: &mut Disk, bounds: &Bounds, is_noted: bool) {
        let (first, end) = (self.read, self.cursor.min(self.read + bounds.batch));
        let cut = Cut { first, end, by: 0, previous: self.last, open: self.open };
        let batch = Batch { cut, records: range(first, end) };
        if is_noted {
            disk.note(cut);
            self.log = disk.segment_of(first);
        }
        (self.read, self.last) = (end, Some(batch.link()));
        self.open |= one(first);
        self.lanes.push(Carried { batch, phase: Phase::Cut });
    }

    /// Has the disk hold a batch and its cut: the two waits of `Lane::keep_on_disk`.
    pub fn keep_on_disk(&mut self, lane: usize, disk: &mut Disk, rules: &Rules) {
        let carried = &mut self.lanes[lane];
        if carried.phase == Phase::Cut {
            disk.sync_records();
            carried.phase = Phase::RecordsSynced;
        } else {
            let segment = match rules.sync_of {
                SyncOf::OwnCut => disk.segment_of(carried.batch.cut.first),
                SyncOf::LastCut => self.log,
            };
            disk.sync_log(segment, rules.syncs_names);
            carried.phase = Phase::MayLeave;
        }
    }

    /// Lets go of what precedes the first batch that is not stored, and returns that: `Planner::stored`.
    pub fn stored(&mut self, lane: usize, disk: &mut Disk) -> Positions {
        let cut = self.lanes.remove(lane).batch.cut;
        self.open &= !one(cut.first);
        self.stored |= range(cut.first, cut.end);
        let to = self.stored.trailing_ones() as u8;
        disk.remove_to(to);
        range(0, to)
    }

    /// Whether all is stored.
    pub fn is_idle(&self) -> bool {
        self.read == self.cursor && self.lanes.is_empty()
    }
}
