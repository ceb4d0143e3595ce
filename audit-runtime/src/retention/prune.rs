//! A prune: its settings and its steps.

use super::archive::Archive;
use super::error::{Failure, PruneError};
use super::month::{self, Holds};
use crate::event::reserved::PRUNED;
use crate::event::{IntoEntityId, Timestamp, clock, ids};
use crate::evidence::{Verification, VerificationStep, unbatched};
use crate::postgres::schema::ddl::{LOCK_TIMEOUT, connect_with_advisory_lock};
use crate::postgres::schema::partitions::{self, LOCK};
use crate::postgres::system_event;
use crate::record::Entity;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection, Executor};
use std::path::PathBuf;
use uuid::Uuid;

/// The settings of a prune, which [`Admin::prune`](crate::admin::Admin::prune) runs.
///
/// ```no_run
/// use audit_runtime::Timestamp;
/// use audit_runtime::admin::{Admin, Prune, PruneError};
/// # async fn prune(pool: sqlx::PgPool) -> Result<(), PruneError> {
/// let before: Timestamp = "2020-01-01T00:00:00Z".parse().expect("a time");
/// let prune = Prune::new(before).archive("/archive/2019.ndjson");
/// let report = Admin::new(pool).actor("retention job").prune(&prune, |step| println!("{step}")).await?;
/// println!("{} rows in {} months", report.rows, report.months);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Prune {
    before: Timestamp,
    archive: Option<PathBuf>,
    holds: Holds,
    ignore_findings: bool,
    dry_run: bool,
}

/// The result of a prune.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneReport {
    /// Months from which rows were removed.
    pub months: u64,
    /// Rows that were removed.
    pub rows: u64,
    /// Rows of these months that stay, because they are held or arrived meanwhile.
    pub held: u64,
    /// The events that report the prune, one for each month.
    pub events: Vec<Uuid>,
}

impl Prune {
    /// Selects all months that end at this time or before.
    ///
    /// A part of a month is not pruned. Months are those of UTC.
    #[must_use]
    pub fn new(before: impl Into<Timestamp>) -> Self {
        Self { before: before.into(), archive: None, holds: Holds::default(), ignore_findings: false, dry_run: false }
    }

    /// Exports the rows to this file first, which must not exist.
    ///
    /// Each row is a line of JSON in the form of PostgreSQL's `row_to_json`. The file is read again
    /// before anything is removed.
    #[must_use]
    pub fn archive(mut self, path: impl Into<PathBuf>) -> Self {
        self.archive = Some(path.into());
        self
    }

    /// Keeps the events of this entity, be it a further one of an event, and those whose data name it
    /// as `<entity_type>_id`.
    ///
    /// An id is a `Uuid` or any key. They are kept only by prunes with this setting: repeat it for each prune.
    #[must_use]
    pub fn hold(mut self, entity_type: impl Into<String>, id: impl IntoEntityId) -> Self {
        let Entity { kind, id, key, .. } = Entity::new(entity_type.into(), &id);
        // No entity has no events.
        if let Some(id) = id {
            self.holds.types.push(kind);
            self.holds.ids.push(id);
            self.holds.names.push(key.unwrap_or_else(|| id.to_string()));
        }
        self
    }

    /// Prunes although verification finds problems. The event records how many.
    #[must_use]
    pub fn ignore_findings(mut self, yes: bool) -> Self {
        self.ignore_findings = yes;
        self
    }

    /// Reports the rows that a prune would remove, and changes nothing.
    #[must_use]
    pub fn dry_run(mut self, yes: bool) -> Self {
        self.dry_run = yes;
        self
    }

    /// Prunes as this actor, or as the role of the session, and reports each step.
    pub(crate) async fn run(
        &self,
        pool: &PgPool,
        actor: Option<&str>,
        mut tell: impl FnMut(&str),
    ) -> Result<PruneReport, Failure> {
        if self.before > Timestamp::now() {
            return Err(PruneError::Future(self.before).into());
        }
        if self.dry_run {
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
            return Ok(PruneReport::default());
        }
        let mut connection = connect_with_advisory_lock(pool, LOCK).await?;
        connection.execute(LOCK_TIMEOUT).await?;
        month::clear(&mut connection).await?;
        let pruned = self.prune(pool, &mut connection, actor, &mut tell).await;
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
        actor: Option<&str>,
        tell: &mut impl FnMut(&str),
    ) -> Result<PruneReport, Failure> {
        if month::are_in_default(connection, self.before).await? {
            partitions::make(connection, tell).await?;
        }
        let months = month::before(connection, self.before).await?;
        if months.is_empty() {
            return Ok(PruneReport::default());
        }
        for month in &months {
            month.prepare(connection).await?;
        }
        // Rows that came before have a seal now, and rows that come from now on stay.
        unbatched::seal_all(connection).await?;
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
        let actor = actor.unwrap_or(&user);
        let mut pruned = PruneReport::default();
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
            system_event::record(&mut transaction, event_id, PRUNED, actor, &data).await?;
            transaction.commit().await?;
            tell(&format!("{month}: {} rows pruned, {held} kept", account.rows));
            pruned.months += 1;
            pruned.rows += account.rows;
            pruned.held += held;
            pruned.events.push(event_id);
        }
        // The events came without a batch.
        unbatched::seal_all(connection).await?;
        Ok(pruned)
    }

    /// Verifies the trail before the prune, because problems in pruned rows cannot be found
    /// afterwards.
    async fn verify(&self, pool: &PgPool, tell: &mut impl FnMut(&str)) -> Result<u64, Failure> {
        tell("verifying the trail");
        let verification = Verification::new();
        let report = verification
            .run(pool, |step| {
                if let VerificationStep::Found(finding) = step
                    && finding.is_problem()
                {
                    tell(&finding.to_string());
                }
            })
            .await?;
        match report.problems {
            problems if problems > 0 && !self.ignore_findings => Err(PruneError::Problems(problems).into()),
            problems => Ok(problems),
        }
    }
}
