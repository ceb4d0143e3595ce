//! The appending end of a ring: claims, first of blocks and then of records in them.

use super::map::{self, Base};
use super::ring::{Appended, CLOSED, NoRoom, Ring, TRACKS};
use super::sync::{AtomicU64, Ordering};
use super::writing::Writing;
use crate::journal::checksum::PayloadChecksum;
use crate::journal::format::{BLOCK, HEADER, RECORD_HEADER, record_bytes};
#[cfg(not(audit_loom))]
use std::cell::Cell;

/// A track without a block: it has none yet, or the reader has closed it.
const NO_BLOCK: u64 = 0;

impl Ring {
    pub(super) fn block_bytes(&self) -> u64 {
        BLOCK.min(self.segment_bytes)
    }

    /// How much of a block lies behind a position in it, or nothing if a block begins there.
    #[inline]
    pub(super) fn remaining_in_block(&self, position: u64) -> u64 {
        position.wrapping_neg() & (self.block_bytes() - 1)
    }

    /// Appends one record. Any number of threads may call it. It takes no lock and makes no
    /// system call.
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

    /// Appends in the first track: loom runs its threads on one thread of the system.
    #[cfg(audit_loom)]
    pub(crate) fn append(&self, payload: &[u8]) -> Result<Appended, NoRoom> {
        self.append_in(&mut 0, payload)
    }

    /// Appends a record by way of a track, or another one if some other thread makes a claim there
    /// at the same time.
    #[inline]
    pub(super) fn append_in(&self, track: &mut usize, payload: &[u8]) -> Result<Appended, NoRoom> {
        assert!(payload.len() <= self.max_payload(), "a payload fits a segment: the capture limit sees to it");
        if self.is_forked() {
            return Err(NoRoom::Forked);
        }
        // Not `cursor`, whose cache line is written to whenever a block is claimed.
        if self.close_blocks_before.load(Ordering::Relaxed) == u64::MAX {
            return Err(NoRoom::Closed);
        }
        let need = record_bytes(payload.len()) as u64;
        let checksum = PayloadChecksum::of(payload);
        let mut met = false;
        loop {
            let cursor = &self.tracks[*track].0;
            let at = cursor.load(Ordering::Acquire);
            let rest = self.remaining_in_block(at);
            if need <= rest {
                if cursor.compare_exchange(at, at + need, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                    self.write(at, checksum, payload)?;
                    return Ok(Appended { end: at + need, is_low: false });
                }
            } else if at == NO_BLOCK && *track != 0 && !met {
                // Those who meet seldom write to one block, of which less is left unused.
                *track = 0;
                continue;
            } else {
                return self.append_in_block(cursor, at, checksum, payload);
            }
            // Another thread claims here at the same time: two that share a track wait for each
            // other's writes to it.
            met = true;
            *track = (*track + 1) % TRACKS;
        }
    }

    /// Claims a block, or as many as the record needs. Its rest takes the place, on a track, of the
    /// rest of the one before.
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
            let end = at + self.blocks(at, need);
            // Blocks that exceed the rest of the segment wait until the segment is ended.
            if self.offset(at) + (end - at) > self.segment_bytes || end > self.frontier.0.load(Ordering::Acquire) {
                return Err(NoRoom::Frontier);
            }
            if let Err(now) = self.cursor.0.compare_exchange_weak(at, end, Ordering::Relaxed, Ordering::Relaxed) {
                at = now;
                continue;
            }
            let start = at + self.head(at);
            self.exchange(track, before, start + need);
            self.write(start, checksum, payload)?;
            return Ok(Appended { end: start + need, is_low: self.is_low(end) });
        }
    }

    /// Puts what is left of a block on a track, in place of what was left there. The loser of both
    /// is not used any more.
    fn exchange(&self, track: &AtomicU64, before: u64, rest: u64) {
        let is_exchanged = track.compare_exchange(before, rest, Ordering::Release, Ordering::Relaxed).is_ok();
        // Another thread has used the one before, or exchanged it, meanwhile.
        let unused = if is_exchanged { before } else { rest };
        if self.remaining_in_block(unused) > 0 {
            self.pad(unused);
        }
    }

    /// Closes the block at whose last claim the reader is, and returns whether it is closed now.
    ///
    /// No thread claims any more of a closed block.
    pub(super) fn close_block(&self, position: u64) -> bool {
        let end = position + self.remaining_in_block(position);
        let is_wanted = end < self.cursor() || position < self.close_blocks_before.load(Ordering::Acquire);
        let is_closed = is_wanted
            && self.remaining_in_block(position) > 0
            && self.tracks.iter().any(|track| {
                track.0.compare_exchange(position, NO_BLOCK, Ordering::Acquire, Ordering::Relaxed).is_ok()
            });
        if is_closed {
            self.pad(position);
        }
        is_closed
    }

    /// Closes the blocks of which a rest between two positions is on a track, and returns whether
    /// any was closed.
    pub(super) fn close_blocks_between(&self, from: u64, to: u64) -> bool {
        let mut has_closed = false;
        for track in &self.tracks {
            let mut at = track.0.load(Ordering::Acquire);
            while (from..to).contains(&at) && self.remaining_in_block(at) > 0 {
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
        self.close_blocks_before.fetch_max(end, Ordering::AcqRel);
        end
    }

    /// Bytes of the blocks that a record needs which begins them.
    pub(super) fn blocks(&self, position: u64, need: u64) -> u64 {
        (self.head(position) + need).next_multiple_of(self.block_bytes())
    }

    /// Returns whether claims have come near the frontier. Only one caller receives `true`.
    fn is_low(&self, end: u64) -> bool {
        let low_water = self.low_water.load(Ordering::Relaxed);
        end > low_water
            && self.low_water.compare_exchange(low_water, u64::MAX, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Bytes before the first record of a block.
    #[inline]
    fn head(&self, block: u64) -> u64 {
        if self.offset(block) == 0 { HEADER as u64 } else { 0 }
    }

    /// Writes a record to where this thread has claimed it.
    #[inline]
    fn write(&self, start: u64, checksum: PayloadChecksum, payload: &[u8]) -> Result<(), NoRoom> {
        let crc = self.checksum.of(checksum, start, payload.len() as u32);
        if self.writing == Writing::Call {
            return self.write_out(start, crc, payload);
        }
        self.publish(start, crc, payload);
        Ok(())
    }

    #[inline]
    fn publish(&self, start: u64, crc: u32, payload: &[u8]) {
        let offset = self.offset(start) as usize;
        assert!(
            offset + RECORD_HEADER + payload.len() <= self.segment_bytes as usize,
            "a claim lies inside its segment"
        );
        // SAFETY: the record's place is this thread's and not yet published, which pins the segment
        // (`live`).
        unsafe { map::publish(self.live(start), offset, crc, payload) };
    }

    /// Has the system write a record to the file, and publishes it then.
    #[cold]
    fn write_out(&self, start: u64, crc: u32, payload: &[u8]) -> Result<(), NoRoom> {
        let offset = self.offset(start) as usize;
        let segment = self.segments().into_iter().find(|segment| segment.base() == start - offset as u64);
        let written = segment.map_or(Ok(()), |segment| segment.write_out(offset, crc, payload));
        if written.is_err() {
            // SAFETY: the record's place is this thread's and not yet published, which pins the
            // segment (`live`).
            unsafe { map::void(self.live(start), offset, payload.len() as u32) };
            return Err(NoRoom::NotWritten);
        }
        self.publish(start, crc, payload);
        Ok(())
    }

    /// Publishes that the rest of a block is unused, which this thread has claimed.
    pub(super) fn pad(&self, position: u64) {
        // SAFETY: the rest of the block is this thread's and not yet published, which pins the
        // segment (`live`).
        unsafe { map::pad(self.live(position), self.offset(position) as usize) };
    }

    /// The bytes of the segment of a position.
    ///
    /// The caller owns an unpublished claim there, below the frontier, so the slot was set before.
    /// A claimant of blocks has seen the frontier behind it. A claimant of a record has read the
    /// track's word by `Acquire`, from a release sequence that the block's claimant began. The
    /// segment is neither retired nor replaced until the claim is published (module documentation).
    fn live(&self, position: u64) -> *mut Base {
        let base = self.slot(position).load(Ordering::Acquire);
        debug_assert!(!base.is_null());
        base
    }
}
