//! Errors of a prune.

use crate::event::Timestamp;
use crate::evidence::EvidenceError;
use crate::evidence::error;
use crate::postgres::{DatabaseError, Internal};
use sqlx::migrate::MigrateError;
use std::path::PathBuf;

/// The reason a prune stopped. The events of the months already pruned report those.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// The time is still to come.
    #[error("{0} is in the future: nothing is pruned that may still be written")]
    Future(Timestamp),
    /// The trail is not what was recorded, and the proof of that would go.
    #[error(
        "verification found {0} problems, and pruning would remove what shows them: nothing is pruned; see audit-trail verify, \
         and prune --despite-problems once they are looked into"
    )]
    Problems(u64),
    /// The archive cannot be written, or is not what was written.
    #[error("archive {}: {error}; nothing is pruned", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// Rows cannot be sealed or verified.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The database cannot be reached, does not allow it, or fails.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The error that functions of this layer return.
pub(crate) type Failure = Internal<PruneError>;

impl From<PruneError> for Failure {
    fn from(error: PruneError) -> Self {
        Self::Own(error)
    }
}

impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        Self::Own(DatabaseError::of_migration(error).into())
    }
}

impl From<error::Failure> for Failure {
    fn from(error: error::Failure) -> Self {
        match error {
            Internal::Own(error) => Self::Own(error.into()),
            Internal::Database(error) => Self::Database(error),
        }
    }
}
