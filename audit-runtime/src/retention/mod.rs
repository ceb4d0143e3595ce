//! Rows go when they have been kept for as long as they have to be, and what is left proves that nothing else went.
//!
//! ```text
//! while others write   verified | held rows copied beside, and what arrives meanwhile too | the others exported, and read again
//! for a moment         locked; each month's partition dropped, and what was held put in its place; an event `audit.pruned` says who
//! ```
//!
//! Batches, their entries and their roots stay. Which of a batch's rows are gone is said in `audit_pruned`, whose hash is in the event,
//! which is sealed like any other: so [`Verification`](crate::evidence::Verification) knows what a prune took from what somebody deleted.

mod archive;
mod month;

use crate::evidence::{EvidenceError, Verification, VerificationStep, seal_late};
use crate::schema::existing::{LOCK_TIMEOUT, turn};
use crate::schema::partitions::{self, LOCK};
use crate::timestamp::Timestamp;
use crate::{clock, ids};
use archive::Archive;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection, Executor};
use std::path::PathBuf;
use uuid::Uuid;

/// What the events are called by which the trail accounts for what it no longer holds; they are never pruned.
pub(crate) const PRUNED: &str = "audit.pruned";

/// The types of the entities whose events are held, and their ids.
type Holds = (Vec<String>, Vec<Uuid>);

/// Removes the months that have been kept for long enough.
///
/// ```no_run
/// use audit_runtime::Prune;
/// # async fn prune(pool: sqlx::PgPool) -> Result<(), audit_runtime::PruneError> {
/// let before: audit_runtime::Timestamp = "2020-01-01T00:00:00Z".parse().expect("a time");
/// let pruned = Prune::new(before).archive("/archive/2019.ndjson").actor("retention job").run(&pool, |step| println!("{step}")).await?;
/// println!("{} rows in {} months", pruned.rows, pruned.months);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Prune {
    before: Timestamp,
    archive: Option<PathBuf>,
    holds: Holds,
    actor: Option<String>,
    despite_problems: bool,
    only_say: bool,
}

/// What was pruned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Months of which rows went.
    pub months: u64,
    /// Rows that are gone.
    pub rows: u64,
    /// Rows of these months that stay: held, or come meanwhile.
    pub held: u64,
    /// The events that say so, one for each month.
    pub events: Vec<Uuid>,
}

/// Why nothing more was pruned; what had been is told by its event.
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
        /// What went wrong.
        error: std::io::Error,
    },
    /// Rows cannot be sealed or verified.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// Rows cannot be moved out of the default partition, or the lock not be had.
    #[error(transparent)]
    Schema(#[from] MigrateError),
    /// The database cannot be reached, does not allow it, or fails.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Prune {
    /// Of all months that end at this time or before: a part of a month is not pruned. Months are those of UTC.
    #[must_use]
    pub fn new(before: impl Into<Timestamp>) -> Self {
        Self {
            before: before.into(),
            archive: None,
            holds: Holds::default(),
            actor: None,
            despite_problems: false,
            only_say: false,
        }
    }

    /// Exports the rows to this file first, which must not exist: each as a line of JSON, as PostgreSQL's `row_to_json` writes it. The file is
    /// read again before anything is removed.
    #[must_use]
    pub fn archive(mut self, path: impl Into<PathBuf>) -> Self {
        self.archive = Some(path.into());
        self
    }

    /// Keeps the events of this entity, and those whose data name it as `<entity_type>_id`: for as long as each prune is told so.
    #[must_use]
    pub fn hold(mut self, entity_type: impl Into<String>, id: Uuid) -> Self {
        self.holds.0.push(entity_type.into());
        self.holds.1.push(id);
        self
    }

    /// Who does it; by default whom the database knows the connection by.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Prunes although verification finds problems: how many is said in the event.
    #[must_use]
    pub fn despite_problems(mut self, yes: bool) -> Self {
        self.despite_problems = yes;
        self
    }

    /// Only tells what it would do.
    #[must_use]
    pub fn only_say(mut self, yes: bool) -> Self {
        self.only_say = yes;
        self
    }

    /// Does it, and tells each step. Others may write meanwhile; what was interrupted is cleared away by the next.
    ///
    /// # Errors
    /// The trail is not what was recorded, the archive cannot be written, the database cannot be reached or does not allow it: it takes the
    /// tables' owner. Months before the one that failed are pruned, and their events say so.
    pub async fn run(&self, pool: &PgPool, mut tell: impl FnMut(&str)) -> Result<Pruned, PruneError> {
        if self.before > Timestamp::now() {
            return Err(PruneError::Future(self.before));
        }
        if self.only_say {
            let mut connection = pool.acquire().await?;
            for month in month::before(&mut connection, self.before).await? {
                let (rows, held) = month.count(&mut connection, &self.holds).await?;
                tell(&format!("{month}: {rows} rows would be pruned, {held} kept"));
            }
            if month::are_in_default(&mut connection, self.before).await? {
                tell(
                    "the default partition holds rows that are as old: they would get partitions first, and be pruned with these",
                );
            }
            return Ok(Pruned::default());
        }
        let mut connection = turn(pool, LOCK).await?;
        connection.execute(LOCK_TIMEOUT).await?;
        month::clear(&mut connection).await?;
        let pruned = self.prune(pool, &mut connection, &mut tell).await;
        let cleared = month::clear(&mut connection).await;
        let _ = connection.close().await;
        let pruned = pruned?;
        cleared?;
        Ok(pruned)
    }

    async fn prune(
        &self,
        pool: &PgPool,
        connection: &mut PgConnection,
        tell: &mut impl FnMut(&str),
    ) -> Result<Pruned, PruneError> {
        if month::are_in_default(connection, self.before).await? {
            partitions::make(connection, tell).await?;
        }
        let months = month::before(connection, self.before).await?;
        if months.is_empty() {
            return Ok(Pruned::default());
        }
        for month in &months {
            month.prepare(connection).await?;
        }
        // What came before that has a seal now; what comes from now on stays.
        seal_late(connection).await?;
        let problems = self.verify(pool, tell).await?;
        for month in &months {
            month.hold(connection, &self.holds).await?;
        }
        let archive = match &self.archive {
            Some(path) => {
                let archive = Archive::write(connection, path, &months).await?;
                tell(&format!("{}: {} rows, read again", path.display(), archive.rows));
                Some(archive)
            }
            None => None,
        };
        let user: String = sqlx::query_scalar("SELECT session_user::text").fetch_one(&mut *connection).await?;
        let actor = self.actor.as_ref().unwrap_or(&user);
        let mut pruned = Pruned::default();
        for month in &months {
            let event_id = ids::event_id(clock::micros_now());
            let mut transaction = connection.begin().await?;
            let account = month.account(&mut transaction, event_id).await?;
            if account.rows == 0 {
                tell(&format!("{month}: nothing goes"));
                continue;
            }
            let held = month.exchange(&mut transaction).await?;
            let data = serde_json::json!({
                "from": month.begin, "to": month.end, "rows": account.rows, "batches": account.batches, "held": held,
                "account": account.hash, "archive": archive.as_ref().map(Archive::as_json), "problems": problems,
                "database_user": user,
            });
            record(&mut transaction, event_id, PRUNED, actor, &data).await?;
            transaction.commit().await?;
            tell(&format!("{month}: {} rows pruned, {held} kept", account.rows));
            pruned.months += 1;
            pruned.rows += account.rows;
            pruned.held += held;
            pruned.events.push(event_id);
        }
        // The events came without a batch.
        seal_late(connection).await?;
        Ok(pruned)
    }

    /// What would be found no more afterwards is to be found before.
    async fn verify(&self, pool: &PgPool, tell: &mut impl FnMut(&str)) -> Result<u64, PruneError> {
        tell("verifying the trail");
        let verification = Verification::new(pool.clone());
        let report = verification
            .run(|step| {
                if let VerificationStep::Found(finding) = step
                    && finding.is_problem()
                {
                    tell(&finding.to_string());
                }
            })
            .await?;
        match report.problems {
            problems if problems > 0 && !self.despite_problems => Err(PruneError::Problems(problems)),
            problems => Ok(problems),
        }
    }
}

/// Stores the event of a transaction that changes what the trail can tell.
pub(crate) async fn record(
    connection: &mut PgConnection,
    id: Uuid,
    event_type: &str,
    actor: &str,
    data: &serde_json::Value,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit_events (id, event_type, entity_type, actor, data, origin) VALUES ($1, $2, 'audit', $3, $4, $5)",
    )
    .bind(id)
    .bind(event_type)
    .bind(actor)
    .bind(data)
    .bind(crate::builder::origin(None))
    .execute(connection)
    .await?;
    Ok(())
}
