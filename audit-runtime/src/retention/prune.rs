//! The steps of a prune.

use super::error::{Failure, PruneError};
use super::going::{Account, Going, Selection, Way};
use super::month::Month;
use super::settings::Prune;
use super::{holds, month, unsent};
use crate::event::reserved::PRUNED;
use crate::event::{Timestamp, clock, ids};
use crate::evidence::{Verification, VerificationStep, unbatched};
use crate::postgres::schema::ddl::{LOCK_TIMEOUT, connect_with_advisory_lock};
use crate::postgres::schema::partitions::{self, LOCK};
use crate::postgres::system_event;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection, Executor};
use uuid::Uuid;

/// The most rows that one transaction deletes.
const AT_ONCE: u64 = 20_000;

/// The result of a prune.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneReport {
    /// Months from which rows were removed, or from which a dry run would remove rows.
    pub months: u64,
    /// Rows that were removed, or that a dry run would remove.
    pub rows: u64,
    /// Rows that stay, because they are held. Without a filter, also rows of these months that arrived
    /// meanwhile.
    pub held: u64,
    /// The events that report the prune: one for each month, or for 20,000 rows that were deleted.
    pub events: Vec<Uuid>,
}

/// The facts that each event of a prune states.
struct Stated<'a> {
    prune: &'a Prune,
    user: String,
    actor: String,
    problems: u64,
    /// The holds that were in force when the rows were chosen.
    known: Vec<Uuid>,
}

impl Prune {
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
        self.archive.iter().try_for_each(|target| target.check())?;
        if self.dry_run {
            return self.rehearse(&mut *pool.acquire().await?, &mut tell).await;
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

    /// Reports the rows that would go.
    async fn rehearse(
        &self,
        connection: &mut PgConnection,
        tell: &mut impl FnMut(&str),
    ) -> Result<PruneReport, Failure> {
        let selection = Selection::of(self);
        let mut report = PruneReport::default();
        let unplaced = month::in_default(connection, self.before, self.is_filtered()).await?;
        if !unplaced.is_empty() {
            tell("the default partition holds rows that are as old: they would get partitions first");
        }
        let mut months = month::before(connection, self.before, self.is_filtered()).await?;
        months.extend(unplaced);
        months.sort_by_key(|month| month.begin);
        for month in &months {
            let counts = selection.count(connection, month).await?;
            if self.is_filtered() && counts.going + counts.held == 0 {
                continue;
            }
            tell(&format!("{month}: {} rows would be pruned, {} kept", counts.going, counts.held));
            if counts.held > 0 {
                for (hold, rows) in selection.held_by(connection, month).await? {
                    tell(&format!("{month}: hold {hold} keeps {rows} rows"));
                }
            }
            report.months += u64::from(counts.going > 0);
            report.rows += counts.going;
            report.held += counts.held;
        }
        if !self.ignore_feeds {
            let months: Vec<&Month> = months.iter().collect();
            for feed in unsent::by(connection, &selection, &months, true).await? {
                tell(&format!("feed {feed} has not sent all of these rows: without --despite-feeds, none would go"));
            }
        }
        Ok(report)
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
        let known = holds::in_force(connection).await?;
        let selection = Selection::of(self);
        let mut going = self.choose(connection, &selection).await?;
        if going.is_empty() {
            return Ok(PruneReport::default());
        }
        for going in going.iter().filter(|going| going.way == Way::Exchange) {
            going.month.prepare(connection).await?;
        }
        // Rows that came before have a seal now, and rows that come from now on stay.
        unbatched::seal_all(connection).await?;
        for going in going.iter_mut().filter(|going| going.way == Way::Delete) {
            going.month.make_list(connection).await?;
            going.list(connection, &selection).await?;
        }
        if !self.ignore_feeds {
            let months: Vec<&Month> = going.iter().map(|going| &going.month).collect();
            let behind = unsent::by(connection, &selection, &months, false).await?;
            if !behind.is_empty() {
                return Err(PruneError::Unsent(behind.into_iter().collect()).into());
            }
        }
        let problems = self.verify(pool, tell).await?;
        for going in going.iter().filter(|going| going.way == Way::Exchange) {
            going.keep(connection, &selection).await?;
        }
        let archives = match &self.archive {
            Some(target) => target.keep(connection, &going, tell).await?,
            None => Vec::new(),
        };
        let user: String = sqlx::query_scalar("SELECT session_user::text").fetch_one(&mut *connection).await?;
        let actor = actor.unwrap_or(&user).to_owned();
        let stated = Stated { prune: self, user, actor, problems, known };
        let mut pruned = PruneReport::default();
        for (place, going) in going.iter().enumerate() {
            let archive = archives.get(place);
            let before = pruned.rows;
            let held = match going.way {
                Way::Exchange => stated.exchange(connection, going, archive, &mut pruned).await?,
                Way::Delete => stated.delete(connection, going, archive, &mut pruned).await?,
            };
            let month = &going.month;
            match pruned.rows - before {
                0 => tell(&format!("{month}: nothing goes")),
                rows => {
                    tell(&format!("{month}: {rows} rows pruned, {held} kept"));
                    pruned.months += 1;
                    pruned.held += held;
                }
            }
        }
        // The events came without a batch.
        unbatched::seal_all(connection).await?;
        Ok(pruned)
    }

    /// Returns the months of which rows go, each with its way.
    async fn choose(&self, connection: &mut PgConnection, selection: &Selection) -> Result<Vec<Going>, Failure> {
        let months = month::before(connection, self.before, self.is_filtered()).await?;
        if !self.is_filtered() {
            let whole = |month| Going { month, way: Way::Exchange, held: 0, listed: 0 };
            return Ok(months.into_iter().map(whole).collect());
        }
        let mut going = Vec::new();
        for month in months {
            let counts = selection.count(connection, &month).await?;
            if counts.going > 0 {
                let way = counts.way(&month, Timestamp::now());
                going.push(Going { month, way, held: counts.held, listed: 0 });
            }
        }
        Ok(going)
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

impl Stated<'_> {
    /// Exchanges a partition, and returns how many of its rows are kept.
    async fn exchange(
        &self,
        connection: &mut PgConnection,
        going: &Going,
        archive: Option<&Value>,
        pruned: &mut PruneReport,
    ) -> Result<u64, Failure> {
        let event_id = ids::event_id(clock::micros_now());
        let mut transaction = connection.begin().await?;
        transaction.execute(holds::KNOWS_HOLDS).await?;
        let account = going.account(&mut transaction, event_id, None).await?;
        if account.rows == 0 {
            return Ok(0);
        }
        month::lock(&mut transaction, "LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").await?;
        // A hold comes with an event, which this lock would have waited for.
        self.check_holds(&mut transaction).await?;
        let kept = going.month.exchange(&mut transaction).await?;
        let held = if self.prune.is_filtered() { going.held } else { kept };
        let data = self.data(going, &account, held, archive);
        system_event::record(&mut transaction, event_id, PRUNED, &self.actor, &data).await?;
        transaction.commit().await?;
        pruned.rows += account.rows;
        pruned.events.push(event_id);
        Ok(held)
    }

    /// Deletes the rows that are listed, and returns how many are held.
    async fn delete(
        &self,
        connection: &mut PgConnection,
        going: &Going,
        archive: Option<&Value>,
        pruned: &mut PruneReport,
    ) -> Result<u64, Failure> {
        for behind in (0..going.listed).step_by(AT_ONCE as usize) {
            let (event_id, numbers) = (ids::event_id(clock::micros_now()), (behind, behind + AT_ONCE));
            let mut transaction = connection.begin().await?;
            month::lock(&mut transaction, "LOCK TABLE audit_holds IN SHARE MODE").await?;
            self.check_holds(&mut transaction).await?;
            transaction.execute(holds::KNOWS_HOLDS).await?;
            let account = going.account(&mut transaction, event_id, Some(numbers)).await?;
            if account.rows == 0 {
                continue;
            }
            // The trigger asks for the event.
            let data = self.data(going, &account, going.held, archive);
            system_event::record(&mut transaction, event_id, PRUNED, &self.actor, &data).await?;
            let gone = going.delete(&mut transaction, numbers).await?;
            if gone != account.rows {
                return Err(PruneError::Changed { listed: account.rows, gone }.into());
            }
            transaction.commit().await?;
            pruned.rows += account.rows;
            pruned.events.push(event_id);
        }
        Ok(going.held)
    }

    /// Refuses to go on if a hold was added since the rows were chosen.
    async fn check_holds(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        match holds::added(connection, &self.known).await? {
            Some(hold) => Err(PruneError::HoldAdded(hold).into()),
            None => Ok(()),
        }
    }

    /// Returns the data of an event.
    fn data(&self, going: &Going, account: &Account, held: u64, archive: Option<&Value>) -> Value {
        let Going { month, .. } = going;
        let mut data = json!({
            "from": month.begin, "to": month.end.min(self.prune.before), "rows": account.rows, "batches": account.batches,
            "held": held, "account": account.hash, "archive": archive, "problems": self.problems,
            "database_user": self.user,
        });
        if self.prune.is_filtered() {
            data["filter"] = self.prune.only.clone().unwrap_or_default().stated();
            data["except"] = self.prune.except.iter().map(|except| except.stated()).collect();
        }
        data
    }
}
