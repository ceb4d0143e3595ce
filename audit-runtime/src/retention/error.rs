//! Errors of prunes, holds and archives.

use crate::event::Timestamp;
use crate::evidence::EvidenceError;
use crate::evidence::error;
use crate::postgres::{DatabaseError, Internal};
use sqlx::migrate::MigrateError;
use std::path::PathBuf;
use uuid::Uuid;

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
    /// Feeds have not sent all rows that would go.
    #[error(
        "rows would go that a feed has not sent ({}): nothing is pruned; let audit-trail forward send them, or remove a feed of no \
         further use by audit-trail feed remove, or give --despite-feeds",
        .0.join(", ")
    )]
    Unsent(Vec<String>),
    /// The archive cannot be written, or is not what was written.
    #[error("archive {}: {error}; nothing is pruned", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// A hold was added while the prune ran.
    #[error(
        "hold {0} was added meanwhile, so nothing further is pruned; run it again, and it keeps the events of that hold"
    )]
    HoldAdded(Uuid),
    /// Rows changed between the moment they were listed and the moment they were to go.
    #[error("{gone} of {listed} rows were there to be pruned, so these stay; run audit-trail verify for details")]
    Changed {
        /// The number of rows that were listed.
        listed: u64,
        /// The number of rows that were still there.
        gone: u64,
    },
    /// The pattern of an archive's name has an unknown part.
    #[error("invalid archive {0:?}: after `%`, write Y or m for year and month of the events, or another `%`")]
    Pattern(String),
    /// The lake lacks rows that would go, or cannot be read.
    #[error("{0}; nothing is pruned")]
    Lake(String),
    /// Rows cannot be sealed or verified.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The database cannot be reached, does not allow it, or fails.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The reason a hold could not be added or lifted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// The hold has no condition.
    #[error(
        "the hold has no condition, and would keep every event; name an entity, a tenant, an event type or an actor"
    )]
    Unconditional,
    /// The entity or the tenant of the hold is empty.
    #[error("the entity or the tenant of the hold is empty, and no event is about it; name one")]
    Nothing,
    /// The reason is empty.
    #[error("the reason is empty; say why, as in \"case 2026-17\"")]
    NoReason,
    /// The hold does not exist.
    #[error("hold {0} does not exist; audit-trail hold list shows those in force")]
    Unknown(Uuid),
    /// The hold was lifted before.
    #[error("hold {id} was lifted already, at {at} by {by}")]
    Lifted {
        /// The id of the hold.
        id: Uuid,
        /// The time.
        at: Timestamp,
        /// The actor who lifted it.
        by: String,
    },
    /// The database cannot be reached, does not allow it, or fails.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The reason an archive could not be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReimportError {
    /// The archive cannot be read, or changed while it was read.
    #[error("cannot read archive {}: {error}; nothing further is imported", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// Rows cannot be sealed.
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
