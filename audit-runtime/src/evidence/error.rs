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
    #[error("cannot extend the last checkpoint: {0}; nothing is signed; run audit-trail verify")]
    LastCheckpoint(#[source] KeyError),
    /// The database's contents contradict each other.
    #[error("{0} differs from what was stored; nothing is signed; run audit-trail verify for details")]
    Inconsistent(&'static str),
    /// The database cannot be reached, does not allow it, or fails.
    #[error(transparent)]
    Database(#[from] DatabaseError),
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
