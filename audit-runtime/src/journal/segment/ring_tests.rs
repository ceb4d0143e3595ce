//! The ring without the model checker.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::super::Next;
use super::*;
use crate::journal::format::{BLOCK, PAYLOAD_VERSION, SegmentHeader};

const SEGMENT: u64 = 4096;

fn ring(live: usize) -> Ring {
    Ring::new(Uuid::nil(), SEGMENT, live, Writing::Map)
}

fn grow(ring: &Ring) -> bool {
    let header = SegmentHeader {
        journal: Uuid::nil(),
        base: ring.frontier(),
        segment_bytes: SEGMENT,
        payload_version: PAYLOAD_VERSION,
    };
    ring.install(Segment::anonymous(header, header.segment_bytes).unwrap()).is_ok()
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
    let ring = Ring::new(Uuid::nil(), 1 << 20, 2, Writing::Map);
    let header =
        SegmentHeader { journal: Uuid::nil(), base: 0, segment_bytes: 1 << 20, payload_version: PAYLOAD_VERSION };
    ring.install(Segment::anonymous(header, header.segment_bytes).unwrap()).unwrap();
    let append = |track: usize, payload: &[u8]| ring.append_in(&mut { track }, payload).unwrap();
    // Threads that met have a track each. Of the first's block, one record is used.
    append(0, b"idle");
    ring.tracks[1].0.store(BLOCK, Ordering::Relaxed);
    for number in 0..1_000_u32 {
        append(1, &number.to_le_bytes());
    }
    // A reader that only looks finds all of them, too.
    let (mut position, mut looked) = (0, 0);
    while let Next::Record { end, .. } = ring.peek(position) {
        (position, looked) = (end, looked + 1);
    }
    assert_eq!(looked, 1_001);
    assert_eq!(read(&ring), Some(b"idle".to_vec()));
    (0..1_000).for_each(|number: u32| assert_eq!(read(&ring), Some(number.to_le_bytes().to_vec())));
    // Behind the last record, nobody is held up, and the block stays open.
    assert_eq!(read(&ring), None);
    assert!(ring.read_position() < ring.cursor());
    append(1, b"more");
    assert_eq!(read(&ring), Some(b"more".to_vec()));
    // A caller that waits for all of it has the block closed.
    let end = ring.close_blocks();
    assert_eq!(read(&ring), None);
    assert_eq!(ring.read_position(), end);
    append(1, b"behind");
    assert_eq!(read(&ring), Some(b"behind".to_vec()));
}

#[test]
#[cfg(not(miri))]
fn a_block_that_nobody_fills_holds_up_no_sync() {
    use crate::journal::{Journal, Limits, housekeeping};
    let parent = tempfile::tempdir().unwrap();
    let limits = Limits::new(1 << 20, 4 << 20);
    let journal = Arc::new(Journal::create(Some(parent.path()), limits).unwrap());
    housekeeping::start(&journal, std::time::Duration::from_millis(100)).unwrap();
    // Nobody reads, and so nobody closes the block of the first.
    journal.ring.append_in(&mut 0, b"idle").unwrap();
    journal.ring.tracks[1].0.store(BLOCK, Ordering::Relaxed);
    for number in 0..3_u32 {
        let end = journal.ring.append_in(&mut 1, &number.to_le_bytes()).unwrap().end;
        assert!(journal.ring.published_to(0) < end);
        crate::sys::block_on(journal.synced(end)).unwrap();
    }
    journal.close();
}

#[test]
#[cfg(not(miri))]
fn records_behind_damage_are_read_and_their_segment_stays_mapped() {
    use crate::journal::format::RECORD_HEADER;
    // Records that are written by calls are read from memory, where nobody else writes.
    if Writing::DEFAULT != Writing::Map {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("segment");
    let header =
        SegmentHeader { journal: Uuid::nil(), base: 0, segment_bytes: 2 * BLOCK, payload_version: PAYLOAD_VERSION };
    let ring = Ring::new(Uuid::nil(), header.segment_bytes, 2, Writing::Map);
    ring.install(Segment::create(&path, header, header.segment_bytes, Writing::Map).unwrap()).unwrap();
    ring.append(b"damaged").unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    crate::sys::platform::write_all_at(&file, b"D", (HEADER + RECORD_HEADER) as u64).unwrap();
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
        let ring = Ring::new(Uuid::nil(), segment_bytes, 3, Writing::Map);
        let grow = || {
            let header = SegmentHeader {
                journal: Uuid::nil(),
                base: ring.frontier(),
                segment_bytes,
                payload_version: PAYLOAD_VERSION,
            };
            let _ = ring.install(Segment::anonymous(header, header.segment_bytes).unwrap());
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

/// Four blocks, of which one is allocated.
fn growing_ring() -> Ring {
    let ring = Ring::new(Uuid::nil(), 4 * BLOCK, 3, Writing::Map);
    ring.install(segment_of_blocks(&ring, 0, 1)).unwrap();
    ring
}

fn segment_of_blocks(ring: &Ring, base: u64, blocks: u64) -> Segment {
    let header = SegmentHeader {
        journal: Uuid::nil(),
        base,
        segment_bytes: ring.segment_bytes,
        payload_version: PAYLOAD_VERSION,
    };
    Segment::anonymous(header, blocks * BLOCK).unwrap()
}

fn fill(ring: &Ring) -> u32 {
    (0..).find(|number: &u32| ring.append(&[&number.to_le_bytes()[..], &[7; 996]].concat()).is_err()).unwrap()
}

fn read_numbers(ring: &Ring) -> Vec<u32> {
    std::iter::from_fn(|| read(ring)).map(|payload| u32::from_le_bytes(payload[..4].try_into().unwrap())).collect()
}

#[test]
fn claims_stop_where_a_segments_file_ends_until_it_has_grown() {
    let ring = growing_ring();
    let first = fill(&ring);
    assert_eq!(ring.append(&[1; 1000]), Err(NoRoom::Frontier));
    assert_eq!(read_numbers(&ring), (0..first).collect::<Vec<_>>());
    ring.growing_segment().unwrap().grow(3 * BLOCK).unwrap();
    assert_eq!(ring.append(&[1; 1000]), Err(NoRoom::Frontier), "grown, and not yet given to the callers");
    ring.extend();
    assert_eq!(ring.frontier(), 3 * BLOCK);
    let more = fill(&ring);
    assert!(more > first && ring.retire(u64::MAX).is_empty());
    assert_eq!(read_numbers(&ring), (0..more).collect::<Vec<_>>());
}

#[test]
fn an_ended_segment_is_read_to_its_end_and_goes_and_claims_go_on_behind_it() {
    let ring = growing_ring();
    ring.append(b"before").unwrap();
    ring.end_segment(segment_of_blocks(&ring, 4 * BLOCK, 1)).unwrap();
    assert_eq!(ring.segment_count(), 2);
    // Of the block that was begun, more is claimed until the reader closes it.
    let late = ring.append(b"late").unwrap();
    assert!(late.end < BLOCK);
    assert_eq!(read(&ring), Some(b"before".to_vec()));
    assert_eq!(read(&ring), Some(b"late".to_vec()));
    assert_eq!(read(&ring), None);
    assert_eq!(ring.read_position(), 4 * BLOCK);
    assert_eq!(ring.published_to(0), 4 * BLOCK);
    let behind = ring.append(b"behind").unwrap();
    assert!(behind.end > 4 * BLOCK);
    assert_eq!(ring.retire(ring.read_position()).len(), 1);
    assert_eq!(read(&ring), Some(b"behind".to_vec()));
}

#[test]
fn where_all_segments_are_read_and_retired_the_next_one_is_added() {
    let ring = Ring::new(Uuid::nil(), SEGMENT, 2, Writing::Map);
    assert!(grow(&ring));
    ring.append(&vec![7; ring.max_payload()]).unwrap();
    assert!(read(&ring).is_some());
    assert_eq!((ring.retire(u64::MAX).len(), ring.segment_count()), (1, 0));
    let header =
        SegmentHeader { journal: Uuid::nil(), base: SEGMENT, segment_bytes: SEGMENT, payload_version: PAYLOAD_VERSION };
    ring.end_segment(Segment::anonymous(header, SEGMENT).unwrap()).unwrap();
    ring.append(b"more").unwrap();
    assert_eq!(read(&ring), Some(b"more".to_vec()));
}

#[test]
fn a_record_too_large_for_what_is_left_of_a_segment_asks_for_the_next() {
    use crate::journal::segment::Room;
    let ring = growing_ring();
    ring.append(b"first").unwrap();
    assert_eq!(ring.room(100), Room::Short(BLOCK));
    assert_eq!(ring.room(4 * BLOCK - 100), Room::NextSegment);
    assert_eq!(ring.append(&vec![1; 4 * BLOCK as usize - 100]), Err(NoRoom::Frontier));
    ring.end_segment(segment_of_blocks(&ring, 4 * BLOCK, 4)).unwrap();
    assert_eq!(ring.room(4 * BLOCK - 100), Room::Enough);
    ring.append(&vec![1; 4 * BLOCK as usize - 100]).unwrap();
    assert_eq!(read(&ring).map(|payload| payload.len()), Some(5));
    assert_eq!(read(&ring).map(|payload| payload.len()), Some(4 * BLOCK as usize - 100));
}

#[test]
fn claims_that_come_near_the_frontier_say_so_once() {
    let ring = Ring::new(Uuid::nil(), 4 * BLOCK, 3, Writing::Map);
    ring.install(segment_of_blocks(&ring, 0, 4)).unwrap();
    ring.set_low_water(2 * BLOCK);
    let ends = std::iter::from_fn(|| ring.append(&[1; 1000]).ok());
    let low: Vec<u64> = ends.filter(|appended| appended.is_low).map(|appended| appended.end).collect();
    assert_eq!(low.len(), 1);
    assert!((2 * BLOCK..3 * BLOCK).contains(&low[0]));
}

#[test]
fn segments_that_grow_and_end_under_four_threads_lose_and_double_nothing() {
    let ring = growing_ring();
    let each = if cfg!(miri) { 50 } else { 20_000_u32 };
    let mut seen = vec![vec![false; each as usize]; 4];
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let ring = &ring;
            scope.spawn(move || {
                for i in 0..each {
                    let mut payload = [thread.to_le_bytes(), i.to_le_bytes()].concat();
                    payload.resize(8 + (i as usize % 900), thread as u8);
                    while ring.append(&payload).is_err() {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let (mut left, mut round) = (4 * each, 0_u32);
        while left > 0 {
            round += 1;
            match ring.growing_segment() {
                Some(segment) if round % 7 != 0 => {
                    segment.grow(segment.allocated() + BLOCK).unwrap();
                    ring.extend();
                }
                // Full, or ended before.
                _ => {
                    let next = ring.frontier().next_multiple_of(4 * BLOCK);
                    let _ = ring.end_segment(segment_of_blocks(&ring, next, 1 + u64::from(round) % 4));
                }
            }
            while let Some(payload) = read(&ring) {
                let thread = u32::from_le_bytes(payload[..4].try_into().unwrap());
                let i = u32::from_le_bytes(payload[4..8].try_into().unwrap());
                assert!(!std::mem::replace(&mut seen[thread as usize][i as usize], true), "read twice");
                assert!(payload[8..].iter().all(|b| *b == thread as u8));
                left -= 1;
            }
            ring.retire(ring.read_position());
            if left < each {
                ring.close_blocks();
            }
            std::thread::yield_now();
        }
    });
    assert_eq!(read(&ring), None);
}
