//! Takes the steps of a plan.

use super::plan::{Choice, Kind, Step, plan};
use super::state::{self, Follow, State};
use crate::postgres::schema::ddl::{LOCK_TIMEOUT, LockRetry, batch, connect_with_advisory_lock, execute};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection, Executor};
use std::time::Duration;

/// Held by the session that takes the steps.
const LOCK: i64 = 0x6175_6469_7400_0003;
/// Tables of less bytes are locked for as long as their indexes take, which is a fraction of a second.
const SMALL: i64 = 2 << 20;
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Takes all steps that are left.
pub(crate) async fn run(pool: &PgPool, choice: Choice, tell: &mut impl FnMut(&str)) -> Result<(), MigrateError> {
    let mut connection = pool.acquire().await?;
    let Some(state) = state::read(&mut connection).await? else {
        return Ok(());
    };
    if plan(&state, choice).is_empty() {
        return Ok(());
    }
    if state.bytes < SMALL {
        let mut retry = LockRetry::default();
        loop {
            match small(&mut connection, choice).await {
                Ok(Some(steps)) => {
                    if steps > 0 {
                        tell(&format!("{steps} steps for indexes of small tables, at once"));
                    }
                    return Ok(());
                }
                // It has grown.
                Ok(None) => break,
                Err(error) => retry.wait_or_fail(error).await?,
            }
        }
    }
    drop(connection);
    let mut connection = connect_with_advisory_lock(pool, LOCK).await?;
    let done = step_by_step(pool, &mut connection, choice, tell).await;
    let _ = connection.close().await;
    done
}

/// Returns the steps that are left, as far as this role can know. Every role may ask.
pub(in super::super) async fn pending(connection: &mut PgConnection, choice: Choice) -> Result<Vec<Step>, sqlx::Error> {
    let Some(state) = state::read(connection).await? else {
        return Ok(Vec::new());
    };
    let without_follow = follows_twice(connection, &state).await?.is_some();
    Ok(plan(&state, Choice { without_follow, ..choice }))
}

/// Takes all steps in the caller's transaction, which holds the lock of small or empty tables; returns how many these were.
pub(in super::super) async fn at_once(connection: &mut PgConnection, choice: Choice) -> Result<usize, MigrateError> {
    let Some(state) = state::read(connection).await? else {
        return Ok(0);
    };
    let without_follow = follows_twice(connection, &state).await?.is_some();
    let steps = plan(&state, Choice { without_follow, ..choice });
    let sql: Vec<String> =
        steps.iter().flat_map(|step| &step.sql).map(|sql| sql.replace(" CONCURRENTLY", "")).collect();
    batch(connection, &sql.join("; ")).await?;
    Ok(steps.len())
}

/// Takes all steps in one transaction, if the table is small even under the lock.
async fn small(connection: &mut PgConnection, choice: Choice) -> Result<Option<usize>, MigrateError> {
    let mut transaction = connection.begin().await?;
    lock(&mut transaction).await?;
    match state::read(&mut transaction).await? {
        Some(state) if state.bytes >= SMALL => return Ok(None),
        _ => {}
    }
    let steps = at_once(&mut transaction, choice).await?;
    transaction.commit().await?;
    Ok(Some(steps))
}

/// Locks the table and all its partitions. Each user of a partition has locked the table as well, so that there is one wait in all.
async fn lock(transaction: &mut PgConnection) -> Result<(), MigrateError> {
    batch(transaction, "SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO '200ms'").await?;
    Ok(batch(transaction, "LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").await?)
}

async fn step_by_step(
    pool: &PgPool,
    connection: &mut PgConnection,
    mut choice: Choice,
    tell: &mut impl FnMut(&str),
) -> Result<(), MigrateError> {
    let (mut taken, mut last) = (0, None);
    loop {
        let Some(state) = state::read(connection).await? else {
            return Ok(());
        };
        if taken == 0
            && let Some(journal) = follows_twice(connection, &state).await?
        {
            tell(&format!(
                "two batches of journal {journal} follow on the same one: the unique index that forbids it is left out; \
                 audit-trail verify reports what they hold"
            ));
            choice.without_follow = true;
        }
        let steps = plan(&state, choice);
        let Some(step) = steps.first() else {
            return Ok(());
        };
        if last.as_ref() == Some(step) {
            return Err(MigrateError::Source(format!("{}: taken, and yet to be taken", step.about).into()));
        }
        tell(&format!("step {} of {}: {}", taken + 1, taken + steps.len(), step.about));
        match step.kind {
            Kind::Statements | Kind::Transaction => {
                for sql in &step.sql {
                    statement(pool, connection, sql, tell).await?;
                }
            }
            Kind::Exchange => exchange(connection, choice).await?,
        }
        taken += 1;
        last = Some(step.clone());
    }
}

/// Executes a statement. One that works concurrently waits for others without being in their way.
async fn statement(
    pool: &PgPool,
    connection: &mut PgConnection,
    sql: &str,
    tell: &mut impl FnMut(&str),
) -> Result<(), MigrateError> {
    if !sql.contains(" CONCURRENTLY ") {
        connection.execute(LOCK_TIMEOUT).await?;
        return execute(connection, sql).await;
    }
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *connection).await?;
    batch(connection, "SET lock_timeout TO 0; SET statement_timeout TO 0").await?;
    let mut building = std::pin::pin!(batch(connection, sql));
    loop {
        match tokio::time::timeout(REPORT_EVERY, &mut building).await {
            Ok(done) => return Ok(done?),
            Err(_) => {
                if let Some(progress) = progress(pool, pid).await {
                    tell(&progress);
                }
            }
        }
    }
}

/// Returns how far an index is.
async fn progress(pool: &PgPool, pid: i32) -> Option<String> {
    const SQL: &str = "SELECT phase, CASE WHEN blocks_total > 0 THEN 100 * blocks_done / blocks_total END, current_locker_pid \
                       FROM pg_stat_progress_create_index WHERE pid = $1";
    let mut connection = pool.try_acquire()?;
    let (phase, percent, blocker): (String, Option<i64>, Option<i64>) =
        sqlx::query_as(SQL).bind(pid).fetch_optional(&mut *connection).await.ok()??;
    let percent = percent.map_or_else(String::new, |percent| format!(", {percent} %"));
    let blocker =
        blocker.filter(|pid| *pid > 0).map_or_else(String::new, |pid| format!(", for the session of process {pid}"));
    Some(format!("  {phase}{percent}{blocker}"))
}

/// Exchanges the keys in one transaction, if nothing else is left to do even under the lock.
async fn exchange(connection: &mut PgConnection, choice: Choice) -> Result<(), MigrateError> {
    let mut retry = LockRetry::default();
    loop {
        match try_exchange(connection, choice).await {
            Err(error) => retry.wait_or_fail(error).await?,
            done => return done,
        }
    }
}

async fn try_exchange(connection: &mut PgConnection, choice: Choice) -> Result<(), MigrateError> {
    let mut transaction = connection.begin().await?;
    lock(&mut transaction).await?;
    let steps = state::read(&mut transaction).await?.map(|state| plan(&state, choice)).unwrap_or_default();
    // A partition that was made meanwhile lacks its indexes: it gets them first.
    if let Some(step) = steps.first().filter(|step| step.kind == Kind::Exchange) {
        batch(&mut transaction, &step.sql.join("; ")).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// Returns a journal of which two batches follow on the same one; `None` where this role may not know.
async fn follows_twice(connection: &mut PgConnection, state: &State) -> Result<Option<String>, sqlx::Error> {
    const MAY: &str = "SELECT has_table_privilege(to_regclass('audit_batches')::oid, 'SELECT')";
    const SQL: &str = "SELECT journal_id::text FROM audit_batches WHERE root IS NOT NULL \
                       GROUP BY journal_id, coalesce(previous_position, -1) HAVING count(*) > 1 LIMIT 1";
    if state.follow == Follow::Made {
        return Ok(None);
    }
    let row = connection.fetch_one(sqlx::raw_sql(MAY)).await?;
    if sqlx::Row::try_get::<Option<bool>, _>(&row, 0)? != Some(true) {
        return Ok(None);
    }
    let row = connection.fetch_optional(sqlx::raw_sql(SQL)).await?;
    row.map(|row| sqlx::Row::try_get(&row, 0)).transpose()
}
