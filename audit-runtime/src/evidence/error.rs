//! Errors of seals, checkpoints and verification.

use super::key::KeyError;
use crate::postgres::{DatabaseError, Internal};

/// The reason a checkpoint could not be made, or a trail not verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// A key or a checkpoint cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The last checkpoint cannot be extended.
    #[error("cannot extend the last checkpoint: {0}; nothing is signed; {remedy}", remedy = remedy(*.0))]
    LastCheckpoint(#[source] KeyError),
    /// Another key has replaced this one.
    #[error(
        "checkpoint number {number} exchanged the key {key} for {by}, so nothing is signed by the old one; sign with the new key, and \
         destroy the old one"
    )]
    Replaced {
        /// The public key of the one that was to sign.
        key: String,
        /// The public key of the one that signs now.
        by: String,
        /// The number of the checkpoint that states it.
        number: u64,
    },
    /// The key cannot be exchanged.
    #[error("the key cannot be exchanged: {0}; nothing is signed")]
    Rotation(String),
    /// The database lacks a checkpoint that was made of it: it went back in time.
    #[error(
        "the database went back, as after a failover or a restore: checkpoint {number} of {name} covers {size} batches, and the last \
         one here {left}. Nothing is signed, for one name stands for one log: run audit-trail journal replay on the services' machines, \
         and then audit-trail checkpoint --restored with that checkpoint and a key of another name"
    )]
    WentBack {
        /// The name of the log.
        name: String,
        /// The number of the checkpoint that is missing.
        number: u64,
        /// The number of the batches that it covers.
        size: u64,
        /// The number of the batches that the last checkpoint in the database covers.
        left: u64,
    },
    /// The log cannot go on under another name.
    #[error("the log cannot go on under another name: {0}; nothing is signed")]
    Restored(String),
    /// The database's contents contradict each other.
    #[error("{0} differs from what was stored; nothing is signed; run audit-trail verify for details")]
    Inconsistent(&'static str),
    /// The schema is too old for time stamps.
    #[error("the audit schema is older than version 10 and has no place for time stamps; run audit-trail migrate")]
    NoTimestamps,
    /// The database cannot be reached, does not allow it, or fails.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

fn remedy(error: KeyError) -> &'static str {
    match error {
        KeyError::Signer => {
            "sign with the key of the last checkpoint, or exchange that for this one: audit-trail checkpoint --rotate; audit-trail \
             verify tells more"
        }
        _ => "run audit-trail verify",
    }
}

/// The error that functions of this layer return.
pub(crate) type Failure = Internal<EvidenceError>;

impl From<EvidenceError> for Failure {
    fn from(error: EvidenceError) -> Self {
        Self::Own(error)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::Own(error.into())
    }
}
