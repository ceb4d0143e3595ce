//! Inspects journals without adopting them: their waiting events, and whether their processes live.

use crate::event::Timestamp;
use crate::journal::{inspect, is_held};
use crate::record::payload;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A journal under a journal directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalStatus {
    /// The journal's id, which is the name of its directory.
    pub id: Uuid,
    /// The path of its directory.
    pub path: PathBuf,
    /// Whether a process holds the journal.
    pub state: JournalState,
    /// Bytes of its segments, as far as they are written to.
    pub bytes: u64,
    /// Events in its segments. Some of them may be stored already: a segment is removed as a whole.
    pub events: u64,
    /// Events in its segments that contain personal data. Shipping them requires the master key.
    pub personal: u64,
    /// The time at which its first event began.
    pub oldest: Option<Timestamp>,
    /// The time at which its last event began.
    pub newest: Option<Timestamp>,
}

/// The state of a journal: whether a process holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalState {
    /// A process holds it: its writer, or a process that ships the journal of a dead one.
    Held,
    /// Its process has ended, and it waits for one that adopts it.
    Waiting,
}

/// Returns the journals under a directory, and changes none of them.
///
/// The directory is the one passed to [`Builder::journal`](crate::Builder::journal).
///
/// # Errors
/// The directory or a segment cannot be read.
pub fn journals(directory: impl AsRef<Path>) -> io::Result<Vec<JournalStatus>> {
    let mut journals = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(id) = path.file_name().and_then(|name| Uuid::try_parse(name.to_str()?).ok()) else {
            continue;
        };
        match status(id, path, &[]) {
            Ok(status) => journals.push(status),
            // Shipped and removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    journals.sort_by_key(|journal| journal.id);
    Ok(journals)
}

impl JournalStatus {
    /// Returns the status without the events that are stored already.
    ///
    /// Stored events are those at positions that batches cover. Pass the ranges from
    /// `audit_batches` (`first_position..end_position`), in this order. The bytes stay as they are,
    /// because a segment is removed as a whole.
    ///
    /// # Errors
    /// A segment cannot be read, or the journal was shipped and removed meanwhile.
    pub fn without(&self, stored: &[Range<u64>]) -> io::Result<Self> {
        status(self.id, self.path.clone(), stored)
    }
}

/// Returns whether one of these ranges, which are in order, contains a position.
fn is_stored(stored: &[Range<u64>], position: u64) -> bool {
    let behind = stored.partition_point(|range| range.start <= position);
    behind.checked_sub(1).is_some_and(|last| stored[last].contains(&position))
}

fn status(id: Uuid, path: PathBuf, stored: &[Range<u64>]) -> io::Result<JournalStatus> {
    let state = if is_held(&path)? { JournalState::Held } else { JournalState::Waiting };
    let mut status = JournalStatus { id, path, state, bytes: 0, events: 0, personal: 0, oldest: None, newest: None };
    status.bytes = inspect::visit(id, &status.path, |start, payload| {
        if is_stored(stored, start) {
            return;
        }
        status.events += 1;
        status.personal += u64::from(payload::is_personal(payload));
        let time = payload::created_at(payload).map(Timestamp::from_unix_micros);
        status.oldest = status.oldest.into_iter().chain(time).min();
        status.newest = status.newest.into_iter().chain(time).max();
    })?;
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_stored_if_a_range_contains_it() {
        let stored = [10..20, 20..30, 40..50];
        for (position, expected) in
            [(0, false), (9, false), (10, true), (19, true), (20, true), (30, false), (40, true), (50, false)]
        {
            assert_eq!(is_stored(&stored, position), expected, "{position}");
        }
        assert!(!is_stored(&[], 0));
    }
}
