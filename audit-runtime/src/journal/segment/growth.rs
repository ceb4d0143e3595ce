//! The end of a ring where room is made: segments are added, grow and are ended. One thread at a
//! time does that.

use super::map::Segment;
use super::ring::{CLOSED, Live, Ring};
use super::sync::Ordering;
use std::sync::Arc;

/// Why a segment could not be added or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// There are as many segments as the table holds.
    TableFull,
    /// It is not the segment that comes next.
    OutOfOrder,
    /// No more claims are taken.
    Closed,
}

impl Ring {
    /// Adds a segment at the frontier.
    ///
    /// # Errors
    /// That is not its place, or the table is full.
    pub(crate) fn install(&self, segment: Segment) -> Result<(), NoPlace> {
        let mut state = self.state();
        if segment.base() != self.frontier() {
            return Err(NoPlace::OutOfOrder);
        }
        if state.segments.len() >= self.live {
            return Err(NoPlace::TableFull);
        }
        self.frontier.0.store(self.add(&mut state.segments, segment), Ordering::Release);
        Ok(())
    }

    /// Lets the callers claim what the last segment has been grown by.
    pub(crate) fn extend(&self) {
        let mut state = self.state();
        let Some(last) = state.segments.back_mut() else { return };
        let end = last.segment.base() + last.segment.allocated();
        // One that was ended grows no more.
        if last.end == self.frontier() && end > last.end {
            last.end = end;
            self.frontier.0.store(end, Ordering::Release);
        }
    }

    /// Ends the last segment where claims have come to, and has them go on in this one. Claimed
    /// records are published and read as ever. Blocks that were begun are closed when the reader
    /// comes to them.
    ///
    /// # Errors
    /// It is not the segment that comes next, or the table is full, or the ring is closed.
    pub(crate) fn end_segment(&self, next: Segment) -> Result<(), NoPlace> {
        let mut state = self.state();
        let base = next.base();
        let Some(last) = state.segments.back() else {
            // All of them are full, read and retired, so none has to be ended.
            if base != self.frontier() {
                return Err(NoPlace::OutOfOrder);
            }
            self.frontier.0.store(self.add(&mut state.segments, next), Ordering::Release);
            return Ok(());
        };
        if base != last.segment.base() + self.segment_bytes {
            return Err(NoPlace::OutOfOrder);
        }
        if state.segments.len() >= self.live {
            return Err(NoPlace::TableFull);
        }
        // From here on threads claim in the next segment, which they find at the frontier.
        let end = self.skip_to(base)?;
        if let Some(last) = state.segments.back_mut() {
            last.end = end;
        }
        self.close_blocks_before.fetch_max(end, Ordering::AcqRel);
        self.frontier.0.store(self.add(&mut state.segments, next), Ordering::Release);
        Ok(())
    }

    /// Moves claims to the next segment, which exists already. The rest of theirs stays unused.
    pub(crate) fn leave_segment(&self) -> Result<(), NoPlace> {
        let mut state = self.state();
        let cursor = self.cursor();
        let base = cursor - self.offset(cursor);
        if !state.segments.iter().any(|live| live.segment.base() == base + self.segment_bytes) {
            return Err(NoPlace::OutOfOrder);
        }
        let end = self.skip_to(base + self.segment_bytes)?;
        if let Some(left) = state.segments.iter_mut().find(|live| live.segment.base() == base) {
            left.end = left.end.min(end);
        }
        Ok(())
    }

    /// Moves the end of claims to a position, and returns where it was.
    fn skip_to(&self, position: u64) -> Result<u64, NoPlace> {
        let mut at = self.cursor.0.load(Ordering::Acquire);
        loop {
            if at & CLOSED != 0 {
                return Err(NoPlace::Closed);
            }
            // Claims have come to there by themselves.
            if at >= position {
                return Ok(position);
            }
            match self.cursor.0.compare_exchange(at, position, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(at),
                Err(now) => at = now,
            }
        }
    }

    /// Adds a segment to the table, and returns the position behind what is allocated of it.
    fn add(&self, segments: &mut std::collections::VecDeque<Live>, segment: Segment) -> u64 {
        let (base, end) = (segment.base(), segment.base() + segment.allocated());
        self.slot(base).store(segment.pointer(), Ordering::Release);
        segments.push_back(Live { segment: Arc::new(segment), end });
        end
    }

    /// Makes the claims from this position on report that more room is needed.
    pub(crate) fn set_low_water(&self, position: u64) {
        self.low_water.store(position, Ordering::Relaxed);
    }

    /// Bytes of all live segments, as far as they are allocated.
    pub(crate) fn allocated(&self) -> u64 {
        self.state().segments.iter().map(|live| live.segment.allocated()).sum()
    }

    /// How many segments are live.
    pub(crate) fn segment_count(&self) -> usize {
        self.state().segments.len()
    }

    /// The last segment, if it can grow.
    pub(crate) fn growing_segment(&self) -> Option<Arc<Segment>> {
        let state = self.state();
        let last = state.segments.back()?;
        (last.segment.allocated() < self.segment_bytes).then(|| last.segment.clone())
    }

    /// Whether a claim of this many bytes of record would find room now, and in which way it would
    /// not.
    pub(crate) fn room(&self, need: u64) -> Room {
        let cursor = self.cursor();
        let blocks = self.blocks(cursor, need);
        if self.offset(cursor) + blocks > self.segment_bytes {
            Room::NextSegment
        } else if cursor + blocks > self.frontier() {
            Room::Short(cursor + blocks - self.frontier())
        } else {
            Room::Enough
        }
    }
}

/// Whether there is room for a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Enough,
    /// So many bytes are missing behind the frontier.
    Short(u64),
    /// The rest of the segment is too short: the claim belongs to the next one.
    NextSegment,
}
