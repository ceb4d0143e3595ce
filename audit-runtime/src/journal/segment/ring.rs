//! The live segments of a journal, and the two ends of the queue they form.

use super::claim::TRACKS;
use super::fork;
use super::map::Segment;
use super::sync::{AtomicPtr, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::journal::checksum::RecordChecksum;
use crate::journal::format::HEADER;
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Instant;
use uuid::Uuid;

/// Set in `cursor` when no more claims are taken. It is larger than any frontier, so that the check every
/// claim of a block makes anyway refuses it too.
pub(super) const CLOSED: u64 = 1 << 63;

/// Keeps two counters that different threads write out of one cache line (and its prefetched neighbour).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct CacheLine<T>(pub(super) T);

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
    /// Behind the last block.
    pub(super) cursor: CacheLine<AtomicU64>,
    /// Behind the last claim in each track's block; a multiple of the block's size if that is full.
    pub(super) tracks: [CacheLine<AtomicU64>; TRACKS],
    /// Blocks up to here are to be closed when the reader comes to their end: all, if the ring is closed.
    pub(super) close_to: AtomicU64,
    pub(super) frontier: CacheLine<AtomicU64>,
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
    /// Damage that the reader stands before.
    pub(super) damage: Option<Damage>,
    /// Segments with damage that was passed over. They stay mapped: a thread that was held up there may yet write what it had claimed.
    pub(super) damaged: Vec<Arc<Segment>>,
}

/// Bytes that are not what was published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Damage {
    pub(super) at: u64,
    /// Where claims ended when it was seen first: the reader goes no further without looking again.
    pub(super) limit: u64,
    /// Since when nobody claims anything before the limit.
    pub(super) since: Instant,
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
            tracks: std::array::from_fn(|_| CacheLine::default()),
            close_to: AtomicU64::new(0),
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

    pub(super) fn slot(&self, position: u64) -> &AtomicPtr<Segment> {
        let number = (position >> self.segment_bytes.trailing_zeros()) as usize;
        &self.slots[number & (self.slots.len() - 1)]
    }

    /// Where in its segment a position is.
    #[inline]
    pub(super) fn offset(&self, position: u64) -> u64 {
        position & (self.segment_bytes - 1)
    }

    /// Logical position behind the last record that was claimed, if what is left of its block is on a track; else behind its block.
    pub(crate) fn claimed_to(&self) -> u64 {
        let cursor = self.cursor();
        let last = self.tracks.iter().map(|track| track.0.load(Ordering::Acquire)).find(|at| {
            let rest = self.rest_of_block(*at);
            rest > 0 && at + rest == cursor
        });
        last.unwrap_or(cursor)
    }

    /// Another number whenever something was claimed meanwhile.
    pub(crate) fn claimed(&self) -> u64 {
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

    /// Logical position of the oldest live segment.
    pub(crate) fn oldest(&self) -> u64 {
        self.state().segments.front().map_or_else(|| self.frontier(), |segment| segment.base())
    }

    /// No claim succeeds after this; those made before are still published.
    pub(crate) fn close(&self) {
        self.close_to.store(u64::MAX, Ordering::Release);
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
    use crate::journal::format::{BLOCK, SegmentHeader};

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
    fn a_block_that_nobody_fills_holds_up_no_other() {
        let ring = Ring::new(Uuid::nil(), 1 << 20, 2);
        let header = SegmentHeader { journal: Uuid::nil(), base: 0, segment_bytes: 1 << 20 };
        ring.install(Segment::anonymous(header).unwrap()).unwrap();
        let append = |track: usize, payload: &[u8]| ring.append_in(&mut { track }, payload).unwrap();
        // Threads that met have a track each; of the first's block, one record is used.
        append(0, b"idle");
        ring.tracks[1].0.store(BLOCK, Ordering::Relaxed);
        for number in 0..1_000_u32 {
            append(1, &number.to_le_bytes());
        }
        // Whoever only looks sees them all, too.
        let (mut position, mut looked) = (0, 0);
        while let Next::Record { end, .. } = ring.peek(position) {
            (position, looked) = (end, looked + 1);
        }
        assert_eq!(looked, 1_001);
        assert_eq!(read(&ring), Some(b"idle".to_vec()));
        (0..1_000).for_each(|number: u32| assert_eq!(read(&ring), Some(number.to_le_bytes().to_vec())));
        // Behind the last one, there is nobody to be held up: the block stays open,
        assert_eq!(read(&ring), None);
        assert!(ring.read_position() < ring.cursor());
        append(1, b"more");
        assert_eq!(read(&ring), Some(b"more".to_vec()));
        // until somebody waits for all of it.
        let end = ring.close_blocks();
        assert_eq!(read(&ring), None);
        assert_eq!(ring.read_position(), end);
        append(1, b"behind");
        assert_eq!(read(&ring), Some(b"behind".to_vec()));
    }

    #[test]
    #[cfg(not(miri))]
    fn a_block_that_nobody_fills_holds_up_no_sync() {
        use crate::journal::{Journal, Limits, Overflow, housekeeping};
        let parent = tempfile::tempdir().unwrap();
        let limits = Limits { segment_bytes: 1 << 20, limit_bytes: 4 << 20, overflow: Overflow::Refuse };
        let journal = Arc::new(Journal::create(Some(parent.path()), limits).unwrap());
        housekeeping::start(&journal, std::time::Duration::from_millis(100)).unwrap();
        // Nobody reads, and so nobody closes the block of the first.
        journal.ring.append_in(&mut 0, b"idle").unwrap();
        journal.ring.tracks[1].0.store(BLOCK, Ordering::Relaxed);
        for number in 0..3_u32 {
            let end = journal.ring.append_in(&mut 1, &number.to_le_bytes()).unwrap().end;
            assert!(journal.ring.published_to(0) < end);
            crate::blocking::block_on(journal.synced(end)).unwrap();
        }
        journal.close();
    }

    #[test]
    #[cfg(not(miri))]
    fn what_is_recorded_behind_damage_is_read_and_its_segment_stays_mapped() {
        use crate::journal::format::RECORD_HEADER;
        use std::os::unix::fs::FileExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("segment");
        let header = SegmentHeader { journal: Uuid::nil(), base: 0, segment_bytes: 2 * BLOCK };
        let ring = Ring::new(Uuid::nil(), header.segment_bytes, 2);
        ring.install(Segment::create(&path, header).unwrap()).unwrap();
        ring.append(b"damaged").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.write_all_at(b"D", (HEADER + RECORD_HEADER) as u64).unwrap();
        while !matches!(ring.read(), Next::Damaged { .. }) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        // Its block had room for more.
        ring.append(b"behind").unwrap();
        assert_eq!(read(&ring), Some(b"behind".to_vec()));
        ring.close_blocks();
        assert_eq!(read(&ring), None);
        let retired = ring.retire(u64::MAX);
        assert_eq!(retired.iter().map(Arc::strong_count).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn four_threads_and_a_reader_lose_and_double_nothing() {
        for segment_bytes in [SEGMENT, 16 * BLOCK] {
            let ring = Ring::new(Uuid::nil(), segment_bytes, 3);
            let grow = || {
                let header = SegmentHeader { journal: Uuid::nil(), base: ring.frontier(), segment_bytes };
                drop(ring.install(Segment::anonymous(header).unwrap()));
            };
            let each = if cfg!(miri) { 50 } else { 20_000_u32 };
            let mut seen = vec![vec![false; each as usize]; 4];
            std::thread::scope(|scope| {
                for thread in 0..4_u32 {
                    let (ring, grow) = (&ring, &grow);
                    scope.spawn(move || {
                        for i in 0..each {
                            let mut payload = [thread.to_le_bytes(), i.to_le_bytes()].concat();
                            payload.resize(8 + (i as usize % 90), thread as u8);
                            while ring.append(&payload).is_err() {
                                grow();
                                std::thread::yield_now();
                            }
                        }
                    });
                }
                let mut left = 4 * each;
                while left > 0 {
                    let Some(payload) = read(&ring) else {
                        ring.retire(ring.read_position());
                        if left < each {
                            ring.close_blocks();
                        }
                        std::thread::yield_now();
                        continue;
                    };
                    let thread = u32::from_le_bytes(payload[..4].try_into().unwrap());
                    let i = u32::from_le_bytes(payload[4..8].try_into().unwrap());
                    assert!(!std::mem::replace(&mut seen[thread as usize][i as usize], true), "read twice");
                    assert!(payload[8..].iter().all(|b| *b == thread as u8));
                    left -= 1;
                }
            });
            assert_eq!(read(&ring), None);
        }
    }
}
