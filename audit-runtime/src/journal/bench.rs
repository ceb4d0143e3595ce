//! A journal alone, for its benchmark.

use super::{Journal, JournalError, Limits, Next, housekeeping};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A journal in a directory, with its housekeeping thread and without events.
#[derive(Debug)]
pub struct BenchedJournal(Arc<Journal>);

impl BenchedJournal {
    /// Creates a journal, with `segment_bytes` as a power of two.
    ///
    /// # Errors
    /// The directory cannot be made, or no segment in it.
    pub fn create(directory: &Path, segment_bytes: u64) -> Result<Self, JournalError> {
        let limits = Limits::new(segment_bytes, 8 << 30);
        let journal = Arc::new(Journal::create(Some(directory), limits)?);
        housekeeping::start(&journal, Duration::from_millis(100)).map_err(|source| JournalError::Segment {
            path: directory.to_owned(),
            bytes: segment_bytes,
            source,
        })?;
        Ok(Self(journal))
    }

    /// Appends a record, and returns whether the journal accepted it.
    #[inline]
    pub fn append(&self, payload: &[u8]) -> bool {
        self.0.append(payload).is_ok()
    }

    /// Returns whether the next segment is made already.
    pub fn is_ahead(&self) -> bool {
        self.0.ring.frontier() >= self.0.ring.cursor() + self.0.limits.segment_bytes
    }

    /// Reads and releases all records, and returns how many there were.
    pub fn drain(&self) -> u64 {
        let mut records = 0;
        while let Next::Record { .. } = self.0.read() {
            records += 1;
        }
        self.0.acknowledge(self.0.read_position());
        records
    }
}

impl Drop for BenchedJournal {
    fn drop(&mut self) {
        self.0.close();
    }
}
