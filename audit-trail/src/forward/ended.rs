//! How the run of a feed ends.

use super::target::TargetError;
use audit_runtime::DatabaseError;
use audit_runtime::feed::FeedError;

/// The number of events that a feed has sent since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Sent {
    /// The events that the target has taken.
    pub events: u64,
    /// The events that the target has refused. The table `audit_set_aside` has them.
    pub set_aside: u64,
}

/// The reason a feed ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// The target cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Another process runs the feed, or the database does not allow it or lacks its tables.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The database cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The target was away, and the feed was to run once.
    #[error("the target is away: {0}; run it again, and it sends the rest")]
    Away(String),
    /// The feed was paused, and was to run once.
    #[error("the feed {0} is paused; audit-trail feed resume has it go on")]
    Paused(String),
    /// The feed was removed.
    #[error("the feed {0} was removed")]
    Removed(String),
}
