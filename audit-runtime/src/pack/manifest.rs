//! The list of what a file contains.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The journals of a packed file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackReport {
    /// The journals, the oldest first.
    pub journals: Vec<PackedJournal>,
    /// Whether the master key encrypts the file.
    pub is_encrypted: bool,
}

impl PackReport {
    /// Returns how many events the file contains. Some of them may be stored already.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.journals.iter().map(|journal| journal.events).sum()
    }
}

/// A journal in a packed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PackedJournal {
    /// The journal's id.
    pub id: Uuid,
    /// Its events. Some of them may be stored already.
    pub events: u64,
    /// Those of them that contain personal data.
    pub personal: u64,
    pub(super) files: Vec<Entry>,
}

/// A file of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) bytes: u64,
}

/// The whole list.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) journals: Vec<PackedJournal>,
}
