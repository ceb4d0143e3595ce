//! The appending end of a ring: claims, first of blocks and then of records in them.

use super::map::Segment;
use super::ring::{Appended, CLOSED, NoRoom, Ring};
use super::sync::{AtomicU64, Ordering};
use crate::journal::checksum::PayloadChecksum;
use crate::journal::format::{BLOCK, HEADER, record_bytes};
#[cfg(not(audit_loom))]
use std::cell::Cell;

/// How many blocks may be written to at the same time.
#[cfg(not(audit_loom))]
pub(super) const TRACKS: usize = 8;
#[cfg(audit_loom)]
pub(super) const TRACKS: usize = 2;

/// A track without a block: it has none yet, or the reader has closed it.
const NO_BLOCK: u64 = 0;

impl Ring {
    pub(super) fn block_bytes(&self) -> u64 {
        BLOCK.min(self.segment_bytes)
    }

    /// How much of a block lies behind a position in it; nothing if that is where one begins.
    #[inline]
    pub(super) fn rest_of_block(&self, position: u64) -> u64 {
        position.wrapping_neg() & (self.block_bytes() - 1)
    }

    /// Appends one record. Called by any number of threads; takes no lock and makes no system call.
    #[cfg(not(audit_loom))]
    #[inline]
    pub(crate) fn append(&self, payload: &[u8]) -> Result<Appended, NoRoom> {
        thread_local! {
            /// The track by which this thread appends, of whichever ring.
            static TRACK: Cell<usize> = const { Cell::new(0) };
        }
        let before = TRACK.get();
        let mut track = before;
        let appended = self.append_in(&mut track, payload);
        if track != before {
            TRACK.set(track);
        }
        appended
    }

    /// (The model's threads are one to the system.)
    #[cfg(audit_loom)]
    pub(crate) fn append(&self, payload: &[u8]) -> Result<Appended, NoRoom> {
        self.append_in(&mut 0, payload)
    }

    /// Appends a record by way of a track, or another one if some other thread makes a claim there at the same time.
    #[inline]
    pub(super) fn append_in(&self, track: &mut usize, payload: &[u8]) -> Result<Appended, NoRoom> {
        assert!(payload.len() <= self.max_payload(), "a payload fits a segment: the capture limit sees to it");
        if self.is_forked() {
            return Err(NoRoom::Forked);
        }
        // (Not `cursor`: its line is written to whenever a block is claimed.)
        if self.close_to.load(Ordering::Relaxed) == u64::MAX {
            return Err(NoRoom::Closed);
        }
        let need = record_bytes(payload.len()) as u64;
        let checksum = PayloadChecksum::of(payload);
        let mut met = false;
        loop {
            let cursor = &self.tracks[*track].0;
            let at = cursor.load(Ordering::Acquire);
            let rest = self.rest_of_block(at);
            if need <= rest {
                if cursor.compare_exchange(at, at + need, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                    self.write(at, checksum, payload);
                    return Ok(Appended { end: at + need, opened_segment: false });
                }
            } else if at == NO_BLOCK && *track != 0 && !met {
                // Those who meet seldom write to one block, of which less is left unused.
                *track = 0;
                continue;
            } else {
                return self.append_in_block(cursor, at, checksum, payload);
            }
            // Another thread claims here at the same time: two that share a track wait for each other's writes to it.
            met = true;
            *track = (*track + 1) % TRACKS;
        }
    }

    /// Claims a block, or as many as the record needs: what is left of it takes the place, on a track, of what is left of the one
    /// before.
    #[inline(never)]
    fn append_in_block(
        &self,
        track: &AtomicU64,
        before: u64,
        checksum: PayloadChecksum,
        payload: &[u8],
    ) -> Result<Appended, NoRoom> {
        let need = record_bytes(payload.len()) as u64;
        let mut at = self.cursor.0.load(Ordering::Relaxed);
        loop {
            if at & CLOSED != 0 {
                return Err(NoRoom::Closed);
            }
            let blocks = |position: u64| (self.head(position) + need).next_multiple_of(self.block_bytes());
            let fits = self.offset(at) + blocks(at) <= self.segment_bytes;
            let begin = if fits { at } else { (at | (self.segment_bytes - 1)) + 1 };
            let end = begin + blocks(begin);
            if end > self.frontier.0.load(Ordering::Acquire) {
                return Err(NoRoom::Frontier);
            }
            if let Err(now) = self.cursor.0.compare_exchange_weak(at, end, Ordering::Relaxed, Ordering::Relaxed) {
                at = now;
                continue;
            }
            for unused in (at..begin).step_by(self.block_bytes() as usize) {
                self.pad(unused + self.head(unused));
            }
            let start = begin + self.head(begin);
            self.exchange(track, before, start + need);
            self.write(start, checksum, payload);
            return Ok(Appended { end: start + need, opened_segment: self.offset(begin) == 0 });
        }
    }

    /// Puts what is left of a block on a track, in place of what was left there. The loser of both is not used any more.
    fn exchange(&self, track: &AtomicU64, before: u64, rest: u64) {
        let is_exchanged = track.compare_exchange(before, rest, Ordering::Release, Ordering::Relaxed).is_ok();
        // Another thread has used the one before, or exchanged it, meanwhile.
        let unused = if is_exchanged { before } else { rest };
        if self.rest_of_block(unused) > 0 {
            self.pad(unused);
        }
    }

    /// Closes the block at whose last claim the reader is: nobody claims any more of it. Says whether it is closed now.
    pub(super) fn close_block(&self, position: u64) -> bool {
        let end = position + self.rest_of_block(position);
        let is_wanted = end < self.cursor() || position < self.close_to.load(Ordering::Acquire);
        let is_closed = is_wanted
            && self.rest_of_block(position) > 0
            && self.tracks.iter().any(|track| {
                track.0.compare_exchange(position, NO_BLOCK, Ordering::Acquire, Ordering::Relaxed).is_ok()
            });
        if is_closed {
            self.pad(position);
        }
        is_closed
    }

    /// Closes the blocks of which a rest between two positions is on a track; says whether there were any.
    pub(super) fn close_blocks_between(&self, from: u64, to: u64) -> bool {
        let mut has_closed = false;
        for track in &self.tracks {
            let mut at = track.0.load(Ordering::Acquire);
            while (from..to).contains(&at) && self.rest_of_block(at) > 0 {
                match track.0.compare_exchange(at, NO_BLOCK, Ordering::Acquire, Ordering::Acquire) {
                    Ok(_) => {
                        self.pad(at);
                        has_closed = true;
                        break;
                    }
                    Err(now) => at = now,
                }
            }
        }
        has_closed
    }

    /// Has the reader come to where claims end now, if all before is published.
    pub(crate) fn close_blocks(&self) -> u64 {
        let end = self.cursor();
        self.close_to.fetch_max(end, Ordering::AcqRel);
        end
    }

    /// Bytes before the first record of a block.
    #[inline]
    fn head(&self, block: u64) -> u64 {
        if self.offset(block) == 0 { HEADER as u64 } else { 0 }
    }

    /// Writes a record to where this thread has claimed it.
    #[inline]
    fn write(&self, start: u64, checksum: PayloadChecksum, payload: &[u8]) {
        let crc = self.checksum.of(checksum, start, payload.len() as u32);
        // SAFETY: the record's place is this thread's, and it is not yet published.
        unsafe { self.live(start).write(self.offset(start) as usize, crc, payload) };
    }

    /// Publishes that the rest of a block is unused, which this thread has claimed.
    fn pad(&self, position: u64) {
        // SAFETY: the rest of the block is this thread's, and not yet published.
        unsafe { self.live(position).pad(self.offset(position) as usize) };
    }

    /// The segment of a position that the calling thread has claimed.
    ///
    /// # Safety
    /// The caller owns an unpublished claim at `position`, below the frontier, and does not use the
    /// reference after it published it.
    unsafe fn live(&self, position: u64) -> &Segment {
        let segment = self.slot(position).load(Ordering::Acquire);
        debug_assert!(!segment.is_null());
        // SAFETY: the frontier was seen behind `position` (Acquire), so the slot was set before; the claim pins
        // the segment (module documentation), so it is neither retired nor replaced.
        unsafe { &*segment }
    }
}
