//! Looking at journals without taking them: what waits, and whose process lives.

use super::directory::is_held;
use super::format::HEADER;
use super::recovery::scan;
use crate::payload;
use crate::timestamp::Timestamp;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A journal under a journal directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalStatus {
    /// Its id, which is the name of its directory.
    pub id: Uuid,
    /// Where it is.
    pub path: PathBuf,
    /// Whether somebody has it.
    pub state: JournalState,
    /// Bytes of its segments, as far as they are written to.
    pub bytes: u64,
    /// Events in its segments. Some of them may be stored already: a segment is removed as a whole.
    pub events: u64,
    /// Those of them that hold personal data: shipping them takes the master key.
    pub personal: u64,
    /// When the first of them began.
    pub oldest: Option<Timestamp>,
    /// When the last of them began.
    pub newest: Option<Timestamp>,
}

/// Whether somebody has a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalState {
    /// A process holds it: the one that writes it, or one that ships what another has left.
    Held,
    /// Its process is gone, and it waits for one that adopts it.
    Waiting,
}

/// The journals under a directory, as it was given to [`Builder::journal`](crate::Builder::journal); nothing of them is changed.
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
    /// Returns the status without the events that are stored already: those at positions that batches cover, as `audit_batches` has them
    /// (`first_position..end_position`), in this order. Bytes stay as they are, for a segment is removed as a whole.
    ///
    /// # Errors
    /// A segment cannot be read, or the journal was shipped and removed meanwhile.
    pub fn without(&self, stored: &[Range<u64>]) -> io::Result<Self> {
        status(self.id, self.path.clone(), stored)
    }
}

/// Whether one of these ranges, which are in order, contains a position.
fn is_stored(stored: &[Range<u64>], position: u64) -> bool {
    let behind = stored.partition_point(|range| range.start <= position);
    behind.checked_sub(1).is_some_and(|last| stored[last].contains(&position))
}

fn status(id: Uuid, path: PathBuf, stored: &[Range<u64>]) -> io::Result<JournalStatus> {
    let state = if is_held(&path)? { JournalState::Held } else { JournalState::Waiting };
    let mut status = JournalStatus { id, path, state, bytes: 0, events: 0, personal: 0, oldest: None, newest: None };
    for (base, segment) in super::directory::segments_in(&status.path)? {
        let mut bytes = Vec::new();
        match File::open(segment) {
            Ok(mut file) => file.read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut written = HEADER as u64;
        for record in scan(&bytes, id, base) {
            written = record.end - base;
            if is_stored(stored, record.start) {
                continue;
            }
            status.events += 1;
            status.personal += u64::from(payload::is_personal(record.payload()));
            let time = payload::created_at(record.payload()).map(Timestamp::from_unix_micros);
            status.oldest = status.oldest.into_iter().chain(time).min();
            status.newest = status.newest.into_iter().chain(time).max();
        }
        status.bytes += written;
    }
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
