//! The live segments of a journal, and the two ends of the queue they form.

use super::map::{Base, Segment};
use super::sync::{AtomicPtr, AtomicU64, Mutex, MutexGuard, Ordering};
use super::writing::Writing;
use crate::journal::checksum::RecordChecksum;
use crate::journal::format::HEADER;
use crate::sys::fork;
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Instant;
use uuid::Uuid;

/// The number of blocks that may be written to at the same time.
#[cfg(not(audit_loom))]
pub(super) const TRACKS: usize = 8;
#[cfg(audit_loom)]
pub(super) const TRACKS: usize = 2;

/// Set in `cursor` when no more claims are taken. It is larger than any frontier, so that the check
/// every claim of a block makes anyway refuses it too.
pub(super) const CLOSED: u64 = 1 << 63;

/// Keeps two counters that different threads write out of one cache line (and its prefetched
/// neighbour).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct CacheLine<T>(pub(super) T);

/// Segments by their number modulo the table's length, with the claim and read positions.
#[derive(Debug)]
pub(crate) struct Ring {
    /// A power of two, as the length of the table is: no position is divided.
    pub(super) segment_bytes: u64,
    /// The most segments that exist at once.
    pub(super) live: usize,
    pub(super) checksum: RecordChecksum,
    /// The process that made the ring: no other may append.
    generation: u32,
    /// The position behind the last block.
    pub(super) cursor: CacheLine<AtomicU64>,
    /// The position behind the last claim in each track's block, or a multiple of the block's size
    /// if that block is full.
    pub(super) tracks: [CacheLine<AtomicU64>; TRACKS],
    /// The reader closes blocks before this position when it comes to their end. If the ring is
    /// closed, it closes all.
    pub(super) close_blocks_before: AtomicU64,
    pub(super) frontier: CacheLine<AtomicU64>,
    /// Claims beyond this position report it once, so that more room is made.
    pub(super) low_water: AtomicU64,
    pub(super) writing: Writing,
    /// The bytes of `state.segments`, or null where no segment is live.
    slots: Box<[AtomicPtr<Base>]>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Live segments, oldest first: this owns them.
    pub(super) segments: VecDeque<Live>,
    /// Logical position up to which the reader has come.
    pub(super) read: u64,
    /// Damage that the reader stands before.
    pub(super) damage: Option<Damage>,
    /// Segments with damage that was passed over. They stay mapped: a thread that was held up there
    /// may yet write what it had claimed.
    pub(super) damaged: Vec<Arc<Segment>>,
}

/// A segment that holds what is not stored, or is claimed from.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) segment: Arc<Segment>,
    /// Logical position behind what can be claimed of it: where its file ends, or where it was
    /// ended.
    pub(super) end: u64,
}

/// Bytes that are not what was published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Damage {
    pub(super) at: u64,
    /// The end of the claims when the damage was seen first: the reader stops there and looks
    /// again.
    pub(super) limit: u64,
    /// The time since which no thread claims anything before the limit.
    pub(super) since: Instant,
}

/// Where a record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    /// Logical position behind the record.
    pub(crate) end: u64,
    /// Claims have come near the frontier: time to make more.
    pub(crate) is_low: bool,
}

/// The reason a record could not be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// More has to be made first.
    Frontier,
    /// The file did not take the record.
    NotWritten,
    Closed,
    /// This process is a fork of the one whose ring it is.
    Forked,
}

impl Ring {
    /// `segment_bytes` is a power of two. At most `live` segments exist at once.
    pub(crate) fn new(journal: Uuid, segment_bytes: u64, live: usize, writing: Writing) -> Self {
        assert!(segment_bytes.is_power_of_two() && segment_bytes > HEADER as u64);
        Self {
            segment_bytes,
            live,
            checksum: RecordChecksum::new(journal),
            generation: fork::generation(),
            cursor: CacheLine::default(),
            tracks: std::array::from_fn(|_| CacheLine::default()),
            close_blocks_before: AtomicU64::new(0),
            frontier: CacheLine::default(),
            low_water: AtomicU64::new(0),
            writing,
            slots: (0..live.next_power_of_two()).map(|_| AtomicPtr::new(std::ptr::null_mut())).collect(),
            state: Mutex::new(State::default()),
        }
    }

    /// The largest payload that fits.
    pub(crate) fn max_payload(&self) -> usize {
        (self.segment_bytes as usize) - HEADER - crate::journal::format::RECORD_HEADER
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change of the state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn slot(&self, position: u64) -> &AtomicPtr<Base> {
        let number = (position >> self.segment_bytes.trailing_zeros()) as usize;
        &self.slots[number & (self.slots.len() - 1)]
    }

    /// Where in its segment a position is.
    #[inline]
    pub(super) fn offset(&self, position: u64) -> u64 {
        position & (self.segment_bytes - 1)
    }

    /// Logical position behind the last claimed record if the rest of its block is on a track, else
    /// behind its block.
    pub(crate) fn claimed_to(&self) -> u64 {
        let cursor = self.cursor();
        let last = self.tracks.iter().map(|track| track.0.load(Ordering::Acquire)).find(|at| {
            let rest = self.remaining_in_block(*at);
            rest > 0 && at + rest == cursor
        });
        last.unwrap_or(cursor)
    }

    /// Another number whenever something was claimed meanwhile.
    pub(crate) fn claim_fingerprint(&self) -> u64 {
        self.tracks.iter().fold(self.cursor(), |claimed, track| {
            claimed.wrapping_mul(31).wrapping_add(track.0.load(Ordering::Acquire))
        })
    }

    /// Whether this process is a fork of the one whose ring it is.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Logical position behind the last block that was claimed.
    pub(crate) fn cursor(&self) -> u64 {
        self.cursor.0.load(Ordering::Acquire) & !CLOSED
    }

    /// Logical position behind the last segment.
    pub(crate) fn frontier(&self) -> u64 {
        self.frontier.0.load(Ordering::Acquire)
    }

    #[cfg(feature = "postgres")]
    /// Logical position of the oldest live segment.
    pub(crate) fn oldest(&self) -> u64 {
        self.state().segments.front().map_or_else(|| self.frontier(), |live| live.segment.base())
    }

    /// No claim succeeds after this. Those made before are still published.
    pub(crate) fn close(&self) {
        self.close_blocks_before.store(u64::MAX, Ordering::Release);
        self.cursor.0.fetch_or(CLOSED, Ordering::AcqRel);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.cursor.0.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// The live segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<Arc<Segment>> {
        self.state().segments.iter().map(|live| live.segment.clone()).collect()
    }

    /// Logical position of the reader.
    pub(crate) fn read_position(&self) -> u64 {
        self.state().read
    }

    /// Takes out the segments that end at or before `position` and that the reader has passed.
    pub(crate) fn retire(&self, position: u64) -> Vec<Arc<Segment>> {
        let mut state = self.state();
        let position = position.min(state.read);
        let mut retired = Vec::new();
        while let Some(oldest) = state.segments.front() {
            let base = oldest.segment.base();
            if base + self.segment_bytes > position {
                break;
            }
            self.slot(base).store(std::ptr::null_mut(), Ordering::Release);
            retired.extend(state.segments.pop_front().map(|live| live.segment));
        }
        retired
    }
}

#[cfg(all(test, audit_loom))]
#[path = "ring_loom.rs"]
mod model;

#[cfg(all(test, not(audit_loom)))]
#[path = "ring_tests.rs"]
mod tests;
