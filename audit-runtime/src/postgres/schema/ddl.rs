//! Statements that change tables, under locks that are not waited for in silence.

use crate::postgres::session;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Executor};
use std::time::Duration;

/// A session that waits for a lock holds up everybody behind: not for longer than this, and then
/// again.
pub(crate) const LOCK_TIMEOUT: &str = "SET lock_timeout TO '200ms'";
const ATTEMPTS: u32 = 300;

/// A session of its own, which holds this lock until it ends.
pub(crate) async fn connect_with_advisory_lock(pool: &PgPool, lock: i64) -> Result<PgConnection, sqlx::Error> {
    let mut connection = session::own(pool).await?;
    // Asked for again and again: a session that waits inside of a statement would hold up the
    // indexes, which wait for it.
    while !sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock($1)")
        .bind(lock)
        .fetch_one(&mut connection)
        .await?
    {
        pause().await;
    }
    Ok(connection)
}

/// How often another session's lock was in the way.
#[derive(Debug, Default)]
pub(crate) struct LockRetry(u32);

impl LockRetry {
    /// Waits, if it was, and not too often.
    ///
    /// # Errors
    /// The error was another one, or it is enough.
    pub(crate) async fn wait_or_fail(&mut self, error: MigrateError) -> Result<(), MigrateError> {
        let is_busy = match &error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => is_busy(error),
            _ => false,
        };
        if !is_busy {
            return Err(error);
        }
        self.0 += 1;
        if self.0 < ATTEMPTS {
            pause().await;
            return Ok(());
        }
        let text = format!(
            "somebody has held a lock of audit_events for minutes, as a long query or a verification does: run it again once that has ended ({error})"
        );
        Err(MigrateError::Source(text.into()))
    }
}

/// Executes statements, and retries for a while when another session's lock is in the way.
pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) -> Result<(), MigrateError> {
    let mut retry = LockRetry::default();
    // A single statement runs outside of a transaction, because some may not run in one.
    while let Err(error) = batch(connection, sql).await {
        retry.wait_or_fail(error.into()).await?;
    }
    Ok(())
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// Returns whether another session's lock was in the way.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    // Lock not available, deadlock.
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("55P03" | "40P01"))
}

/// Executes statements once.
pub(crate) async fn batch(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await?;
    Ok(())
}

/// Row triggers go to every partition by themselves, this one does not.
pub(crate) fn no_truncate(table: &str) -> String {
    format!(
        "CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();"
    )
}
