//! A connection to a database on which batches can be stored exactly once.

use crate::postgres::ConnectOptions;
use crate::postgres::failure::{Failure, Incomplete};
use crate::postgres::schema::check;
use crate::sys::RateLimited;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};
use std::time::Duration;
use uuid::Uuid;

/// A timeout of a role or a database for interactive queries must not stop the trail.
const LIMITS: &str = "SET LOCAL statement_timeout TO '50s'; SET LOCAL lock_timeout TO '10s'";

/// Connects, looks at what the tables stand on, and binds this process's journal, if it has one, to
/// its role. (The first batch would do so as well, but others would wait for its end.)
///
/// # Errors
/// The database cannot be reached, its server is too old, or `audit_batches` lacks a unique key. Or
/// the journal belongs to another role.
pub(super) async fn connect(options: &ConnectOptions, journal: Option<Uuid>) -> Result<PgConnection, sqlx::Error> {
    static WARNED: RateLimited = RateLimited::every(Duration::from_secs(60));
    let mut connection = options.connect().await?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {LIMITS}")))).await?;
    let missing = check::missing(&mut connection).await?;
    if let Some(key) = missing.iter().find(|missing| missing.is_key_of_batches()) {
        return Err(Incomplete(key.clone()).into());
    }
    let problems = check::problems_of_writers(&mut connection, &missing).await?;
    if !problems.is_empty() {
        WARNED.warn(|suppressed| {
            let problems = problems.join("; ");
            tracing::error!(
                suppressed,
                "the audit schema is incomplete: {problems}; run audit-trail migrate, which mends it"
            );
        });
    }
    let Some(journal_id) = journal else {
        connection.execute("ROLLBACK").await?;
        return Ok(connection);
    };
    // The server runs all of a message's statements in one transaction. So no answer to a COMMIT
    // can be lost here.
    let bind = format!("ROLLBACK; {LIMITS}; SELECT audit_bind('{journal_id}')");
    if let Err(error) = connection.execute(sqlx::raw_sql(AssertSqlSafe(bind))).await {
        // An older schema, or a role that was granted less: its first batch binds the journal, if
        // there is anything to bind it to.
        if !matches!(Failure::of(&error), Failure::SchemaMissing | Failure::NotAllowed) {
            return Err(error);
        }
    }
    Ok(connection)
}
