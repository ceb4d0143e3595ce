//! The questions of services and the answers of relays.

use crate::postgres::failure::Failure;
use crate::privacy::WrappedKey;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use uuid::Uuid;

/// The header of a service's message.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) number: u64,
    pub(crate) ask: Question,
}

/// The header of a relay's message.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) number: u64,
    pub(crate) answer: Answer,
}

/// A service's question.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// The first: which format the others have, and who asks.
    Hello { format: u16, origin: String },
    /// Store the batch in the body.
    Store { journal: Uuid, waits_for_disk: bool },
    /// Tell which batches of a dead process's journal are stored, of those that begin behind a position, if
    /// one is named.
    Claim {
        journal: Uuid,
        start: u64,
        #[serde(default)]
        behind: Option<u64>,
    },
    /// Tell which of these batches the server's disk has.
    Durable { batches: Vec<(Uuid, u64)> },
    /// Record the interruptions of a journal of which every batch is stored.
    Interrupt { journal: Uuid, end: u64, at_shutdown: bool },
    /// Hand out the keys of subjects, or keep these.
    Keys { offers: Vec<KeyText> },
    /// Store the catalogue of a service.
    Catalogue { service: String, version: String, functions: String, origin: String },
}

/// A relay's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The relay speaks the format.
    Hello { format: u16, relay: String },
    /// The database has committed the batch with this key and this root (hexadecimal).
    Stored {
        journal: Uuid,
        first: u64,
        end: u64,
        root: Option<String>,
        quarantined: u64,
        /// It had the batch already. An older relay does not tell.
        #[serde(default)]
        had: bool,
    },
    /// These batches are stored, and `more` behind them. The body has the ids of their events, one after
    /// another.
    Claimed {
        stored: Vec<StoredText>,
        #[serde(default)]
        more: bool,
    },
    /// A transaction that stores a batch of the journal is under way.
    UnderWay,
    /// The journal is left to its role, for this reason.
    LeftToItsRole { why: String },
    /// The server's disk has these batches.
    Durable { batches: HashSet<(Uuid, u64)> },
    /// So many interruptions were recorded, or `None` if the role of the relay may not look for them.
    Interrupted { made: Option<u64> },
    /// The keys of the subjects.
    Keys { keys: Vec<KeyText> },
    /// It is done.
    Done,
    /// It failed.
    Failed { failure: Failure, is_full: bool, text: String },
}

/// A wrapped key as text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeyText {
    subject: String,
    id: Uuid,
    /// Hexadecimal.
    wrapped: String,
}

impl From<&WrappedKey> for KeyText {
    fn from(key: &WrappedKey) -> Self {
        Self { subject: key.subject.clone(), id: key.id, wrapped: hex::encode(&key.wrapped) }
    }
}

impl KeyText {
    pub(crate) fn key(self) -> Option<WrappedKey> {
        Some(WrappedKey { subject: self.subject, id: self.id, wrapped: hex::decode(self.wrapped).ok()? })
    }
}

/// A stored batch, of which `ids` ids of events are in the body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredText {
    pub(crate) first: u64,
    pub(crate) end: u64,
    /// Hexadecimal.
    pub(crate) root: Option<String>,
    pub(crate) open: Vec<u64>,
    pub(crate) ids: Option<usize>,
}
