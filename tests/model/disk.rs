//! The directory of the journal: as processes see it, and as a power failure leaves it.

use crate::batch::{Cut, Positions, one, range};

/// The most segments in a model.
pub const SEGMENTS: usize = 2;

/// The cut log of a segment: `journal::cut_log`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Log {
    /// Its entries, in the order in which they were appended.
    pub entries: Vec<Cut>,
    /// So many of them are on the disk.
    pub synced: u8,
    /// Its name is on the disk.
    pub is_named: bool,
}

/// The journal's directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Disk {
    /// The records that a process finds, if their segments are there.
    pub written: Positions,
    /// Those among them that are on the disk.
    pub synced: Positions,
    /// The cut log of each segment.
    pub logs: [Log; SEGMENTS],
    /// The segments that were removed, by number.
    pub removed: u8,
    /// The whole journal was removed.
    pub is_removed: bool,
    /// The records of a segment.
    pub segment: u8,
}

impl Disk {
    /// The segment of a position.
    pub fn segment_of(&self, position: u8) -> usize {
        usize::from(position / self.segment)
    }

    /// The positions of a segment.
    fn positions(&self, segment: usize) -> Positions {
        let first = segment as u8 * self.segment;
        range(first, first + self.segment)
    }

    fn is_there(&self, segment: usize) -> bool {
        !self.is_removed && self.removed & one(segment as u8) == 0
    }

    /// The records that a process finds: `Orphan::next`.
    pub fn records(&self) -> Positions {
        let there = (0..SEGMENTS).filter(|segment| self.is_there(*segment));
        there.fold(0, |found, segment| found | self.written & self.positions(segment))
    }

    /// The position at which the first segment begins: `Orphan::start`.
    pub fn start(&self) -> u8 {
        (0..SEGMENTS).find(|segment| self.is_there(*segment)).unwrap_or(SEGMENTS) as u8 * self.segment
    }

    /// The cuts that a process finds, the first of those with one place: `cut_log::read`.
    pub fn cut_of(&self, position: u8) -> Option<Cut> {
        let there = (0..SEGMENTS).filter(|segment| self.is_there(*segment));
        let cuts = || there.clone().flat_map(|segment| &self.logs[segment].entries);
        let first = cuts().map(|cut| cut.first).filter(|first| *first <= position).max()?;
        cuts().find(|cut| cut.first == first).copied().filter(|cut| cut.holds(position))
    }

    /// Appends a cut to its segment's log: `CutLog::append`.
    pub fn note(&mut self, cut: Cut) {
        let segment = self.segment_of(cut.first);
        self.logs[segment].entries.push(cut);
    }

    /// Syncs the records: `Journal::synced`.
    pub fn sync_records(&mut self) {
        self.synced |= self.written;
    }

    /// Syncs a cut log, and its name if asked to.
    pub fn sync_log(&mut self, segment: usize, and_name: bool) {
        let log = &mut self.logs[segment];
        log.synced = log.entries.len() as u8;
        log.is_named |= and_name && !log.entries.is_empty();
    }

    /// Syncs everything: `Orphan::sync`.
    pub fn sync_all(&mut self) {
        self.sync_records();
        (0..SEGMENTS).for_each(|segment| self.sync_log(segment, true));
    }

    /// Removes the segments that end at or before a position: `Journal::acknowledge`.
    pub fn remove_to(&mut self, position: u8) {
        let behind = |segment: &usize| (*segment as u8 + 1) * self.segment <= position;
        self.removed = (0..SEGMENTS).filter(behind).fold(self.removed, |removed, segment| removed | one(segment as u8));
    }

    /// The directories that a power failure may leave.
    pub fn after_power_failure(&self) -> Vec<Self> {
        let mut left = Vec::new();
        let unsynced = self.written & !self.synced;
        // Each subset of what was not synced.
        let mut survives = unsynced;
        loop {
            let written = self.synced | survives;
            left.push(Self { written, synced: written, ..self.clone() });
            if survives == 0 {
                break;
            }
            survives = (survives - 1) & unsynced;
        }
        for segment in 0..SEGMENTS {
            left = left.iter().flat_map(|disk| disk.with_logs_after_power_failure(segment)).collect();
        }
        // Removals were not synced. A journal comes back whole, as its segments do.
        let mut back: Vec<Self> = Vec::new();
        for removed in 0..=self.removed {
            if removed & !self.removed == 0 {
                back.extend(left.iter().map(|disk| Self { removed, is_removed: false, ..disk.clone() }));
            }
        }
        if self.is_removed {
            back.push(self.clone());
        }
        back
    }

    /// A log loses its end, and perhaps its name.
    fn with_logs_after_power_failure(&self, segment: usize) -> Vec<Self> {
        let log = &self.logs[segment];
        let mut kept: Vec<usize> = (usize::from(log.synced)..=log.entries.len()).collect();
        if !log.is_named {
            kept = (0..=log.entries.len()).filter(|kept| *kept == 0 || kept >= &usize::from(log.synced)).collect();
        }
        let with = |kept: usize| {
            let mut disk = self.clone();
            disk.logs[segment] = Log { entries: log.entries[..kept].to_vec(), synced: kept as u8, is_named: kept > 0 };
            disk
        };
        kept.into_iter().map(with).collect()
    }
}
