//! The protocol under loom (<https://docs.rs/loom>): every interleaving of its atomic operations,
//! with up to `LOOM_MAX_PREEMPTIONS` preemptions, and every value a load may see.
//! `scripts/model.sh` runs it.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::{NoRoom, Ring, Writing};
use crate::journal::format::{HEADER, PAYLOAD_VERSION, SegmentHeader};
use crate::journal::segment::{Next, Segment};
use loom::thread;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Room for four of the records below behind the header: one block.
const SEGMENT: u64 = 128;
const _: () = assert!(SEGMENT as usize == HEADER + 4 * 16);

fn grow(ring: &Ring) -> bool {
    let header = SegmentHeader {
        journal: Uuid::nil(),
        base: ring.frontier(),
        segment_bytes: SEGMENT,
        payload_version: PAYLOAD_VERSION,
    };
    ring.install(Segment::anonymous(header, SEGMENT).unwrap()).is_ok()
}

fn ring(live: usize, segments: usize) -> Arc<Ring> {
    let ring = Arc::new(Ring::new(Uuid::nil(), SEGMENT, live, Writing::Map));
    (0..segments).for_each(|_| assert!(grow(&ring)));
    ring
}

/// Collects the records that the reader returns now, and retires the segments it has passed.
fn drain(ring: &Ring, seen: &mut Vec<Vec<u8>>) {
    loop {
        match ring.read() {
            Next::Record { record, .. } => seen.push(record.payload().to_vec()),
            Next::Damaged { .. } => panic!("what was read is not what was published"),
            Next::Nothing => break,
        }
    }
    ring.retire(ring.read_position());
}

/// All records come, whole, once.
fn check(seen: &[Vec<u8>], appended: &[(u8, u8)]) {
    let of = |record: &Vec<u8>| (record[0], record[1]);
    assert_eq!(seen.iter().map(of).collect::<BTreeSet<_>>(), appended.iter().copied().collect());
    assert_eq!(seen.len(), appended.len());
    assert!(seen.iter().all(|record| record[2..].iter().all(|byte| *byte == record[0])));
}

fn payload(thread: u8, number: u8) -> [u8; 8] {
    [thread, number, thread, thread, thread, thread, thread, thread]
}

#[test]
fn two_writers_and_a_reader() {
    loom::model(|| {
        let ring = ring(6, 5);
        let writers: Vec<_> = (1..=2)
            .map(|thread| {
                let ring = ring.clone();
                thread::spawn(move || (0..2).for_each(|n| assert!(ring.append(&payload(thread, n)).is_ok())))
            })
            .collect();
        let mut seen = Vec::new();
        drain(&ring, &mut seen);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        drain(&ring, &mut seen);
        check(&seen, &[(1, 0), (1, 1), (2, 0), (2, 1)]);
    });
}

#[test]
fn over_the_end_of_a_segment_while_the_reader_retires_it() {
    loom::model(|| {
        let ring = ring(4, 3);
        // Three of four places are taken: the writers meet at the segment's end.
        let mut appended: Vec<(u8, u8)> = (0..3).map(|n| (9, n)).collect();
        appended.iter().for_each(|(thread, n)| assert!(ring.append(&payload(*thread, *n)).is_ok()));
        let writers: Vec<_> = (1..=2)
            .map(|thread| {
                let ring = ring.clone();
                thread::spawn(move || assert!(ring.append(&payload(thread, 0)).is_ok()))
            })
            .collect();
        let mut seen = Vec::new();
        drain(&ring, &mut seen);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        drain(&ring, &mut seen);
        appended.extend([(1, 0), (2, 0)]);
        check(&seen, &appended);
        ring.close_blocks();
        drain(&ring, &mut seen);
        assert!(ring.oldest() >= SEGMENT, "the first segment is retired");
    });
}

#[test]
fn a_block_is_closed_while_writers_want_it() {
    loom::model(|| {
        let ring = ring(4, 3);
        assert!(ring.append(&payload(9, 0)).is_ok());
        let writer = {
            let ring = ring.clone();
            thread::spawn(move || (0..2).for_each(|n| assert!(ring.append(&payload(1, n)).is_ok())))
        };
        ring.close_blocks();
        let mut seen = Vec::new();
        drain(&ring, &mut seen);
        writer.join().unwrap();
        let end = ring.close_blocks();
        drain(&ring, &mut seen);
        check(&seen, &[(9, 0), (1, 0), (1, 1)]);
        assert_eq!(ring.read_position(), end);
    });
}

#[test]
fn a_segment_is_installed_while_writers_want_it() {
    loom::model(|| {
        let ring = ring(3, 1);
        let mut appended: Vec<(u8, u8)> = (0..4).map(|n| (9, n)).collect();
        appended.iter().for_each(|(thread, n)| assert!(ring.append(&payload(*thread, *n)).is_ok()));
        let writers: Vec<_> = (1..=2)
            .map(|thread| {
                let ring = ring.clone();
                thread::spawn(move || ring.append(&payload(thread, 0)))
            })
            .collect();
        assert!(grow(&ring));
        let mut seen = Vec::new();
        drain(&ring, &mut seen);
        for (writer, thread) in writers.into_iter().zip(1..) {
            match writer.join().unwrap() {
                Ok(_) => appended.push((thread, 0)),
                Err(refused) => assert_eq!(refused, NoRoom::Frontier),
            }
        }
        drain(&ring, &mut seen);
        check(&seen, &appended);
    });
}

#[test]
fn after_a_close_nothing_is_taken_and_what_was_taken_is_read() {
    loom::model(|| {
        let ring = ring(2, 1);
        let writer = {
            let ring = ring.clone();
            thread::spawn(move || (0..2).filter(|n| ring.append(&payload(1, *n)).is_ok()).count() as u8)
        };
        ring.close();
        assert_eq!(ring.append(&payload(2, 0)), Err(NoRoom::Closed));
        let taken = writer.join().unwrap();
        let mut seen = Vec::new();
        drain(&ring, &mut seen);
        check(&seen, &(0..taken).map(|n| (1, n)).collect::<Vec<_>>());
        assert_eq!(ring.read_position(), ring.cursor());
    });
}

/// Two blocks, of which one exists.
fn growing_ring() -> Arc<Ring> {
    let ring = Arc::new(Ring::new(Uuid::nil(), 2 * SEGMENT, 3, Writing::Map));
    assert!(ring.install(blocks(0, 1)).is_ok());
    ring
}

fn blocks(base: u64, blocks: u64) -> Segment {
    let header =
        SegmentHeader { journal: Uuid::nil(), base, segment_bytes: 2 * SEGMENT, payload_version: PAYLOAD_VERSION };
    Segment::anonymous(header, blocks * SEGMENT).unwrap()
}

/// Appends for two threads, of what finds room.
fn two_writers(ring: &Arc<Ring>) -> Vec<thread::JoinHandle<Vec<(u8, u8)>>> {
    let writer = |thread: u8| {
        let ring = ring.clone();
        thread::spawn(move || {
            (0..1).filter(|n| ring.append(&payload(thread, *n)).is_ok()).map(|n| (thread, n)).collect()
        })
    };
    vec![writer(1), writer(2)]
}

#[test]
fn the_frontier_moves_within_a_segment_while_writers_want_it() {
    loom::model(|| {
        let ring = growing_ring();
        let mut appended: Vec<(u8, u8)> = (0..4).map(|n| (9, n)).collect();
        appended.iter().for_each(|(thread, n)| assert!(ring.append(&payload(*thread, *n)).is_ok()));
        let writers = two_writers(&ring);
        ring.growing_segment().unwrap().grow(2 * SEGMENT).unwrap();
        ring.extend();
        let mut seen = Vec::new();
        drain(&ring, &mut seen);
        writers.into_iter().for_each(|writer| appended.extend(writer.join().unwrap()));
        drain(&ring, &mut seen);
        check(&seen, &appended);
    });
}

#[test]
fn a_segment_is_ended_and_retired_while_writers_want_it() {
    loom::model(|| {
        let ring = growing_ring();
        // One place is left in the block, and no block behind it.
        let mut appended: Vec<(u8, u8)> = (0..3).map(|n| (9, n)).collect();
        appended.iter().for_each(|(thread, n)| assert!(ring.append(&payload(*thread, *n)).is_ok()));
        let writers = two_writers(&ring);
        assert!(ring.end_segment(blocks(2 * SEGMENT, 1)).is_ok());
        let mut seen = Vec::new();
        drain(&ring, &mut seen);
        writers.into_iter().for_each(|writer| appended.extend(writer.join().unwrap()));
        drain(&ring, &mut seen);
        check(&seen, &appended);
        assert!(ring.oldest() >= 2 * SEGMENT, "the ended segment is retired");
    });
}
