//! The live segments of a journal, and the two ends of the queue they form.

use super::fork;
use super::map::Segment;
use super::sync::{AtomicPtr, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::journal::checksum::{PayloadChecksum, RecordChecksum};
use crate::journal::format::{HEADER, record_bytes};
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Instant;
use uuid::Uuid;

/// Set in `cursor` when no more claims are taken. It is larger than any frontier, so that the check every
/// claim makes anyway refuses it too.
const CLOSED: u64 = 1 << 63;

/// Keeps two counters that different threads write out of one cache line (and its prefetched neighbour).
#[derive(Debug, Default)]
#[repr(align(128))]
struct CacheLine<T>(T);

/// Segments by their number modulo the table's length, with the claim and read positions.
#[derive(Debug)]
pub(crate) struct Ring {
    /// A power of two, as the length of the table is: no position is divided.
    pub(super) segment_bytes: u64,
    /// At most so many segments exist at once.
    live: usize,
    pub(super) checksum: RecordChecksum,
    /// The process that made it: no other may append.
    generation: u32,
    cursor: CacheLine<AtomicU64>,
    frontier: CacheLine<AtomicU64>,
    /// Borrowed from `state.segments`; null where no segment is live.
    slots: Box<[AtomicPtr<Segment>]>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Live segments, oldest first: this owns them.
    pub(super) segments: VecDeque<Arc<Segment>>,
    /// Logical position up to which the reader has come.
    pub(super) read: u64,
    /// Damage that the reader stands before, and since when.
    pub(super) damaged: Option<(u64, Instant)>,
}

/// Where a record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    /// Logical position behind the record.
    pub(crate) end: u64,
    /// The record is the first of its segment: time to make another.
    pub(crate) opened_segment: bool,
}

/// Why a record could not be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// The next segment does not exist yet.
    Frontier,
    Closed,
    /// This process is a fork of the one whose ring it is.
    Forked,
}

impl Ring {
    /// `segment_bytes` is a power of two; at most `live` segments exist at once.
    pub(crate) fn new(journal: Uuid, segment_bytes: u64, live: usize) -> Self {
        assert!(segment_bytes.is_power_of_two() && segment_bytes > HEADER as u64);
        Self {
            segment_bytes,
            live,
            checksum: RecordChecksum::new(journal),
            generation: fork::generation(),
            cursor: CacheLine::default(),
            frontier: CacheLine::default(),
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

    fn slot(&self, position: u64) -> &AtomicPtr<Segment> {
        let number = (position >> self.segment_bytes.trailing_zeros()) as usize;
        &self.slots[number & (self.slots.len() - 1)]
    }

    /// Where in its segment a position is.
    #[inline]
    fn offset(&self, position: u64) -> u64 {
        position & (self.segment_bytes - 1)
    }

    /// Has the processor fetch the place that claims are made at, so that the claim soon after does not wait for another core that
    /// made the last one.
    #[inline]
    fn prepare(&self) {
        #[cfg(all(target_arch = "x86_64", not(miri), not(audit_loom)))]
        {
            use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
            // SAFETY: a hint; it reads and writes nothing.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(std::ptr::from_ref(&self.cursor).cast()) };
        }
    }

    /// Appends one record. Called by any number of threads; takes no lock and makes no system call.
    #[inline]
    pub(crate) fn append(&self, payload: &[u8]) -> Result<Appended, NoRoom> {
        assert!(payload.len() <= self.max_payload(), "a payload fits a segment: the capture limit sees to it");
        if self.is_forked() {
            return Err(NoRoom::Forked);
        }
        self.prepare();
        let need = record_bytes(payload.len()) as u64;
        let checksum = PayloadChecksum::of(payload);
        let mut at = self.cursor.0.load(Ordering::Relaxed);
        loop {
            let offset = self.offset(at);
            let (start, pads) = if offset == 0 {
                (at + HEADER as u64, false)
            } else if offset + need > self.segment_bytes {
                (at - offset + self.segment_bytes + HEADER as u64, true)
            } else {
                (at, false)
            };
            let end = start + need;
            if end > self.frontier.0.load(Ordering::Acquire) {
                return Err(if at & CLOSED == 0 { NoRoom::Frontier } else { NoRoom::Closed });
            }
            match self.cursor.0.compare_exchange_weak(at, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    if pads {
                        // SAFETY: `[at, end)` is this thread's, and the pad is not yet published.
                        unsafe { self.live(at).pad(offset as usize) };
                    }
                    let crc = self.checksum.of(checksum, start, payload.len() as u32);
                    // SAFETY: `[start, end)` is this thread's, and the record is not yet published.
                    unsafe { self.live(start).write(self.offset(start) as usize, crc, payload) };
                    return Ok(Appended { end, opened_segment: self.offset(start) == HEADER as u64 });
                }
                Err(now) => at = now,
            }
        }
    }

    /// Whether this process is a fork of the one whose ring it is.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        self.generation != fork::generation()
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

    /// Logical position behind the last claim.
    pub(crate) fn cursor(&self) -> u64 {
        self.cursor.0.load(Ordering::Acquire) & !CLOSED
    }

    /// Logical position behind the last segment.
    pub(crate) fn frontier(&self) -> u64 {
        self.frontier.0.load(Ordering::Acquire)
    }

    /// Logical position of the oldest live segment.
    pub(crate) fn oldest(&self) -> u64 {
        self.state().segments.front().map_or_else(|| self.frontier(), |segment| segment.base())
    }

    /// No claim succeeds after this; those made before are still published.
    pub(crate) fn close(&self) {
        self.cursor.0.fetch_or(CLOSED, Ordering::AcqRel);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.cursor.0.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Adds a segment at the frontier. Returns it where that is not its place, or the table is full.
    pub(crate) fn install(&self, segment: Segment) -> Result<(), Segment> {
        let mut state = self.state();
        let base = segment.base();
        if base != self.frontier() || state.segments.len() >= self.live {
            return Err(segment);
        }
        let segment = Arc::new(segment);
        self.slot(base).store(Arc::as_ptr(&segment).cast_mut(), Ordering::Release);
        state.segments.push_back(segment);
        self.frontier.0.store(base + self.segment_bytes, Ordering::Release);
        Ok(())
    }

    /// The live segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<Arc<Segment>> {
        self.state().segments.iter().cloned().collect()
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
            if oldest.base() + self.segment_bytes > position {
                break;
            }
            self.slot(oldest.base()).store(std::ptr::null_mut(), Ordering::Release);
            retired.extend(state.segments.pop_front());
        }
        retired
    }
}

#[cfg(all(test, audit_loom))]
#[path = "ring_loom.rs"]
mod model;

#[cfg(all(test, not(audit_loom)))]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::super::Next;
    use super::*;
    use crate::journal::format::SegmentHeader;

    const SEGMENT: u64 = 4096;

    fn ring(live: usize) -> Ring {
        Ring::new(Uuid::nil(), SEGMENT, live)
    }

    fn grow(ring: &Ring) -> bool {
        let header = SegmentHeader { journal: Uuid::nil(), base: ring.frontier(), segment_bytes: SEGMENT };
        ring.install(Segment::anonymous(header).unwrap()).is_ok()
    }

    fn read(ring: &Ring) -> Option<Vec<u8>> {
        match ring.read() {
            Next::Record { record, .. } => Some(record.payload().to_vec()),
            Next::Damaged { .. } => panic!("damaged"),
            Next::Nothing => None,
        }
    }

    #[test]
    fn records_come_out_as_they_went_in_across_segments() {
        let ring = ring(4);
        let mut expected = VecDeque::new();
        for i in 0..if cfg!(miri) { 100 } else { 2_000_u32 } {
            let payload = vec![i as u8; 1 + (i as usize * 37) % 900];
            while ring.append(&payload) == Err(NoRoom::Frontier) {
                if !grow(&ring) {
                    assert_eq!(read(&ring), expected.pop_front());
                    ring.retire(ring.read_position());
                }
            }
            expected.push_back(payload);
        }
        while let Some(payload) = read(&ring) {
            assert_eq!(Some(payload), expected.pop_front());
        }
        assert!(expected.is_empty());
    }

    #[test]
    fn a_record_that_fills_a_segment_to_the_last_byte_fits() {
        let ring = ring(2);
        assert!(grow(&ring) && grow(&ring));
        let payload = vec![7; ring.max_payload()];
        ring.append(&payload).unwrap();
        ring.append(&payload).unwrap();
        assert_eq!(ring.append(b"x"), Err(NoRoom::Frontier));
        assert_eq!(read(&ring), Some(payload.clone()));
        assert_eq!(read(&ring), Some(payload));
        assert_eq!(read(&ring), None);
    }

    #[test]
    fn a_segment_is_not_retired_before_the_reader_has_passed_it() {
        let ring = ring(4);
        assert!(grow(&ring) && grow(&ring));
        for _ in 0..6 {
            ring.append(&[1; 1000]).unwrap();
        }
        assert!(ring.retire(u64::MAX).is_empty());
        while read(&ring).is_some() {}
        assert_eq!(ring.retire(u64::MAX).len(), 1);
    }

    #[test]
    fn after_close_no_claim_succeeds() {
        let ring = ring(2);
        assert!(grow(&ring));
        ring.append(b"before").unwrap();
        ring.close();
        assert_eq!(ring.append(b"after"), Err(NoRoom::Closed));
        assert_eq!(read(&ring), Some(b"before".to_vec()));
        assert_eq!(read(&ring), None);
    }

    #[test]
    fn four_threads_and_a_reader_lose_nothing_and_keep_each_threads_order() {
        let ring = ring(3);
        let each = if cfg!(miri) { 50 } else { 20_000_u32 };
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let ring = &ring;
                scope.spawn(move || {
                    for i in 0..each {
                        let mut payload = [thread.to_le_bytes(), i.to_le_bytes()].concat();
                        payload.resize(8 + (i as usize % 90), thread as u8);
                        while ring.append(&payload).is_err() {
                            grow(ring);
                            std::thread::yield_now();
                        }
                    }
                });
            }
            let mut next = [0; 4];
            while next != [each; 4] {
                let Some(payload) = read(&ring) else {
                    ring.retire(ring.read_position());
                    std::thread::yield_now();
                    continue;
                };
                let thread = u32::from_le_bytes(payload[..4].try_into().unwrap());
                let i = u32::from_le_bytes(payload[4..8].try_into().unwrap());
                assert_eq!(next[thread as usize], i);
                assert!(payload[8..].iter().all(|b| *b == thread as u8));
                next[thread as usize] += 1;
            }
        });
    }
}
