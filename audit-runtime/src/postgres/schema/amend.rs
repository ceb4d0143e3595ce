//! The steps that a schema takes after its migrations.
//!
//! `_audit_migrations` ends with version 4 for good, or an older program could no longer migrate
//! the same database. Later versions are recorded in `audit_schema`, and in the comment on
//! `audit_events`, which every role can read. Each is applied in one transaction, under a lock that
//! readers and writers can neither take nor wait for.

use super::amendments::{AMENDMENTS, Amendment, in_schema, version};
use super::check::{self, Missing};
use super::ddl::{LOCK_TIMEOUT, LockRetry, batch, is_busy};
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};

/// Applies the versions that a database lacks, and makes anew the triggers and unique keys that it
/// has lost.
pub(super) async fn run(connection: &mut PgConnection, tell: &mut impl FnMut(&str)) -> Result<(), MigrateError> {
    connection.execute(LOCK_TIMEOUT).await?;
    let mut retry = LockRetry::default();
    let done = loop {
        match attempt(connection, tell).await {
            Err(error) => match retry.wait_or_fail(error).await {
                Ok(()) => {}
                error => break error,
            },
            done => break done,
        }
    };
    connection.execute("RESET lock_timeout").await?;
    done
}

/// Does it in one transaction.
pub(super) async fn attempt(connection: &mut PgConnection, tell: &mut impl FnMut(&str)) -> Result<(), MigrateError> {
    let mut transaction = connection.begin().await?;
    // Several processes take turns. An advisory lock could be held by every role.
    transaction.execute("LOCK TABLE audit_events IN SHARE UPDATE EXCLUSIVE MODE").await?;
    let schema: String = sqlx::query_scalar(
        "SELECT quote_ident(nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = 'audit_events'::regclass",
    )
    .fetch_one(&mut *transaction)
    .await?;
    let mut steps = Vec::new();
    let version = version(&mut transaction).await?;
    for amendment in AMENDMENTS.iter().filter(|amendment| amendment.version > version) {
        batch(&mut transaction, &in_schema(amendment.sql, &schema)).await?;
        batch(&mut transaction, &recorded(amendment, &schema)).await?;
        steps.push(format!("version {}, {}", amendment.version, amendment.about));
    }
    // One after another: partitions get a trigger of the table's with it.
    while let Some(missing) = check::missing(&mut transaction).await?.into_iter().next() {
        batch(&mut transaction, &missing.remedy(&schema)).await.map_err(|error| unrepaired(&missing, error))?;
        let step = format!("{missing}: made anew");
        if steps.contains(&step) {
            return Err(MigrateError::Source(format!("{missing}, although it was made").into()));
        }
        steps.push(step);
    }
    if !steps.is_empty() && everybody_creates(&mut transaction).await? {
        let text = format!(
            "every role may create objects in schema {schema}; REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC forbids it"
        );
        tracing::warn!("{text}");
        steps.push(text);
    }
    transaction.commit().await?;
    steps.iter().for_each(|step| tell(step));
    Ok(())
}

/// Returns the statements that record a version.
pub(super) fn recorded(amendment: &Amendment, schema: &str) -> String {
    format!(
        "INSERT INTO {schema}.audit_schema (version) VALUES ({0}) ON CONFLICT DO NOTHING; COMMENT ON TABLE {schema}.audit_events IS \
         'One row for each audited call or event; append-only. Audit schema version {0}.'",
        amendment.version
    )
}

/// A held lock passes. Every other failure needs an administrator.
fn unrepaired(missing: &Missing, error: sqlx::Error) -> MigrateError {
    if is_busy(&error) {
        return error.into();
    }
    MigrateError::Source(format!("{missing}, and it cannot be made anew: {error}").into())
}

/// Returns whether every role may create objects in the schema, as before PostgreSQL 15 in
/// `public`.
pub(super) async fn everybody_creates(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT has_schema_privilege('public', relnamespace, 'CREATE') FROM pg_class WHERE oid = 'audit_events'::regclass",
    )
    .fetch_one(connection)
    .await
}
