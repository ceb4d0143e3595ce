//! The reasons why a proof is not valid.

use super::key::KeyError;
#[cfg(feature = "timestamp")]
use super::tsp::TokenError;
use crate::postgres::{DatabaseError, Internal};
use uuid::Uuid;

/// The reason a proof is not valid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The trail does not contain the event.
    #[error("event {0} not found")]
    NotFound(Uuid),
    /// The trail contains the event, and no checkpoint covers it.
    #[error("no checkpoint covers event {0} yet; make one: audit-trail checkpoint")]
    NotCovered(Uuid),
    /// The event in the database differs from the one that was sealed.
    #[error("event {0} is not what was sealed; audit-trail verify says more")]
    Inconsistent(Uuid),
    /// The text is not a proof.
    #[error("invalid proof: {0}")]
    Malformed(String),
    /// The checkpoint in it is not of this key.
    #[error("the proof proves nothing: {0}")]
    Key(#[from] KeyError),
    /// The time stamp in it proves nothing.
    #[cfg(feature = "timestamp")]
    #[error("the time stamp in the proof proves nothing: {0}")]
    TimeStamp(#[from] TokenError),
    /// A hash does not lead where it should.
    #[error("the proof proves nothing: {0}")]
    Wrong(&'static str),
    /// The database cannot be reached, does not allow it, or fails.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The error that functions return that query the database.
pub(crate) type Failure = Internal<ProofError>;

impl From<ProofError> for Failure {
    fn from(error: ProofError) -> Self {
        Self::Own(error)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::Own(error.into())
    }
}

/// The bytes that PostgreSQL wrote as `\x` and hexadecimal.
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, ProofError> {
    hex::decode(text.trim_start_matches("\\x")).map_err(|error| ProofError::Malformed(error.to_string()))
}
