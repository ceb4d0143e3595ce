//! Random runs of a journal against a queue: append, read, acknowledge, sync, crash, recover.
//!
//! The actions are made in one thread. `segment/ring_loom.rs` covers the effects of threads on each
//! other.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::recovery::Orphan;
use super::{AppendError, Directory, Journal, Limits, Next};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::path::Path;

/// Two blocks.
const SEGMENT: u64 = 32 << 10;
const LIMIT: u64 = 4 * SEGMENT;

#[derive(Debug, Clone)]
enum Action {
    /// Appends a payload of so many bytes.
    Append(usize),
    /// Reads at most so many records.
    Read(usize),
    /// Acknowledges all that was read.
    Acknowledge,
    /// The housekeeper runs.
    Housekeep,
    /// The writer wants the segment ended, of an idle journal or of one with personal data.
    End(bool),
    /// Reads all records, and closes the blocks that were begun.
    Flush,
    /// The process is gone, and another one reads the remaining records.
    Crash,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        12 => (0_usize..900).prop_map(Action::Append),
        2 => (3_000_usize..18_000).prop_map(Action::Append),
        1 => (24_000_usize..40_000).prop_map(Action::Append),
        6 => (1_usize..12).prop_map(Action::Read),
        3 => Just(Action::Acknowledge),
        3 => Just(Action::Housekeep),
        2 => any::<bool>().prop_map(Action::End),
        2 => Just(Action::Flush),
        1 => Just(Action::Crash),
    ];
    proptest::collection::vec(action, 1..120)
}

fn journal(parent: Option<&Path>) -> Journal {
    let limits = Limits::new(SEGMENT, LIMIT);
    Journal::create(parent, limits).unwrap()
}

/// The payload of a number: whole, and like no other's.
fn payload(number: u32, bytes: usize) -> Vec<u8> {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(4 + bytes, number as u8);
    payload
}

/// The expected journal: the records that are not acknowledged, oldest first, with the positions
/// where they end.
#[derive(Debug, Default)]
struct Model {
    unread: VecDeque<Vec<u8>>,
    read: VecDeque<(Vec<u8>, u64)>,
}

fn run(actions: &[Action], parent: Option<&Path>) {
    let mut live = journal(parent);
    let mut model = Model::default();
    let (mut number, mut appended_to) = (0, 0);
    for action in actions {
        match action {
            Action::Append(bytes) => {
                number += 1;
                let payload = payload(number, *bytes);
                match live.append(&payload) {
                    Ok(end) => {
                        model.unread.push_back(payload);
                        appended_to = end;
                    }
                    Err(AppendError::TooLarge) => assert!(payload.len() > SEGMENT as usize - 100),
                    // It is refused only where the limit leaves no room for it.
                    Err(error) => {
                        assert_eq!(error, AppendError::Full);
                        assert!(live.bytes() + SEGMENT > LIMIT, "{} bytes", live.bytes());
                    }
                }
            }
            Action::Read(records) => {
                for _ in 0..*records {
                    match live.read() {
                        Next::Record { record, end } => {
                            let expected = model.unread.pop_front().expect("a record that was appended");
                            assert_eq!(record.payload(), expected);
                            model.read.push_back((expected, end));
                        }
                        Next::Nothing => assert!(model.unread.is_empty()),
                        Next::Damaged { .. } => panic!("damaged"),
                    }
                }
            }
            Action::Acknowledge => {
                if let Some((_, end)) = model.read.back() {
                    live.acknowledge(*end);
                    model.read.clear();
                }
            }
            Action::Housekeep => {
                let _ = live.grow();
                live.sync().unwrap();
            }
            Action::End(is_idle) => {
                live.want_end(live.read_position(), *is_idle);
                live.end_if_wanted();
            }
            Action::Flush => {
                let end = live.close_blocks();
                while let Next::Record { record, end } = live.read() {
                    let expected = model.unread.pop_front().expect("a record that was appended");
                    assert_eq!(record.payload(), expected);
                    model.read.push_back((expected, end));
                }
                assert!(model.unread.is_empty());
                assert_eq!(live.read_position(), end);
            }
            Action::Crash => {
                let Some(parent) = parent else { continue };
                drop(live);
                crash(parent, &mut model);
                live = journal(Some(parent));
                appended_to = 0;
            }
        }
        assert!(live.bytes() <= LIMIT);
        // Nothing is being copied: all that was taken is published.
        assert!(live.ring.published_to(0) >= appended_to);
    }
}

/// All that is in the files comes back whole and in order: what was not acknowledged, and perhaps
/// some before.
fn crash(parent: &Path, model: &mut Model) {
    let orphans = crate::sys::unlocked(|| {
        let orphans = Directory::adopt_orphans(parent).unwrap();
        (!orphans.is_empty()).then_some(orphans)
    });
    assert_eq!(orphans.len(), 1);
    for directory in orphans {
        let mut orphan = Orphan::open(directory).unwrap();
        let mut recovered = Vec::new();
        while let Some(record) = orphan.next().unwrap() {
            recovered.push(record.payload().to_vec());
        }
        let left: Vec<Vec<u8>> =
            model.read.drain(..).map(|(payload, _)| payload).chain(model.unread.drain(..)).collect();
        assert!(recovered.ends_with(&left), "{} recovered, {} left", recovered.len(), left.len());
        orphan.remove().unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_journal_in_files_is_a_queue_that_survives_its_process(actions in actions()) {
        let parent = tempfile::tempdir().unwrap();
        run(&actions, Some(parent.path()));
    }

    #[test]
    fn a_journal_in_memory_is_the_same_queue(actions in actions()) {
        run(&actions, None);
    }
}
