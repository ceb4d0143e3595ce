//! Sends kept batches again, after a failover or a restore.

use crate::event::Timestamp;
use crate::event::origin;
use crate::journal::Parent;
use crate::postgres::{DatabaseError, IntoConnectOptions};
use crate::writer::relay_address::RelayAddress;
use crate::writer::replay::{self, ReplayFailure, Replayed};
use crate::writer::{Destination, Settings};
use std::io;
use std::path::{Path, PathBuf};

/// Sends the batches again that [`Builder::keep_for`](crate::Builder::keep_for) has kept.
///
/// It is for a database that went back in time. A batch that the database has is left, and one that
/// it lacks is stored once, by its key and root. So a replay may run any number of times, in several
/// processes at once, and while services record.
///
/// ```no_run
/// use audit_runtime::admin::{Replay, ReplayError};
///
/// # async fn replay() -> Result<(), ReplayError> {
/// let report = Replay::to_postgres("postgres://broker@db/broker")?.run("/var/lib/broker/audit", |_, _| {}).await?;
/// println!("{} of {} batches were sent again", report.sent, report.batches);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Replay {
    destination: Destination,
    group: Option<u32>,
    since: Option<Timestamp>,
}

/// The result of a replay, or of a part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayReport {
    /// Batches that are kept, as far as the replay has come.
    pub batches: u64,
    /// Batches among them that the database lacked, and has now.
    pub sent: u64,
    /// Events in the batches that were sent.
    pub events: u64,
    /// Events among them that PostgreSQL refused. They are in `audit_quarantine`.
    pub quarantined: u64,
    /// Calls that a relay has recorded as interrupted.
    pub interrupted: u64,
    /// The time at which the first of the batches was kept, if there are any.
    pub oldest: Option<Timestamp>,
    /// The time at which the last of the batches was kept, if there are any.
    pub newest: Option<Timestamp>,
    /// The batches that could not be sent and why, and damaged files, a sentence each.
    pub problems: Vec<String>,
}

/// The reason a replay could not begin, or did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The options of the connection cannot be read.
    #[error("the replay cannot start: {0}")]
    Setting(String),
    /// The kept batches cannot be read.
    #[error("cannot read the batches that are kept in {}: {source}", directory.display())]
    Files {
        /// The directory.
        directory: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The database or the relay cannot be reached, or does not allow it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
impl Replay {
    /// Creates a replay to this database.
    ///
    /// Its role is the one of the services, or a member of it: a journal that the database does not
    /// know belongs to the role that first stores a batch of it.
    ///
    /// # Errors
    /// The options cannot be parsed.
    pub fn to_postgres(options: impl IntoConnectOptions) -> Result<Self, ReplayError> {
        let options = options.into_connect_options().map_err(ReplayError::Setting)?;
        Ok(Self { destination: Destination::Postgres(options), group: None, since: None })
    }

    /// Creates a replay to this relay.
    #[must_use]
    pub fn to_relay(address: RelayAddress) -> Self {
        let origin = origin(Some("audit-trail"));
        Self { destination: Destination::Relay { address, origin }, group: None, since: None }
    }

    /// Sets the id of the group that shares the journal directory.
    #[must_use]
    pub fn journal_group(mut self, group: u32) -> Self {
        self.group = Some(group);
        self
    }

    /// Leaves out batches that were kept before this time.
    #[must_use]
    pub fn since(mut self, time: Timestamp) -> Self {
        self.since = Some(time);
        self
    }

    /// Sends the batches that are kept under a journal directory, and reports each.
    ///
    /// `progress` gets the report so far, and the number of all batches.
    ///
    /// # Errors
    /// The files cannot be read, or the database cannot be reached for a minute. A batch that cannot
    /// be stored is not an error: the report names it.
    pub async fn run(
        &self,
        directory: impl AsRef<Path>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<ReplayReport, ReplayError> {
        let path = directory.as_ref().to_owned();
        let parent = Parent { group: self.group, ..Parent::own(&path) };
        let settings = Settings::of_origin(origin(Some("audit-trail")));
        let since = self.since.and_then(Timestamp::unix_micros);
        let tell = |replayed: &Replayed, all| progress(replayed.batches, all);
        let done = replay::replay(parent, &self.destination, since, settings, tell).await;
        done.map(ReplayReport::from).map_err(|failure| match failure {
            ReplayFailure::Files(source) => ReplayError::Files { directory: path, source },
            ReplayFailure::Sink(error) => ReplayError::Database(DatabaseError::of(error)),
        })
    }
}

impl From<Replayed> for ReplayReport {
    fn from(replayed: Replayed) -> Self {
        let (oldest, newest) = replayed.times.unzip();
        let time = |micros: Option<i64>| micros.map(Timestamp::from_unix_micros);
        Self {
            batches: replayed.batches,
            sent: replayed.sent,
            events: replayed.events,
            quarantined: replayed.quarantined,
            interrupted: replayed.interrupted,
            oldest: time(oldest),
            newest: time(newest),
            problems: replayed.problems,
        }
    }
}
