//! A month that goes: its partition, and the table beside it that holds what stays.

use crate::event::Timestamp;
use crate::postgres::schema::ddl::{LockRetry, batch, execute, no_truncate};
use crate::postgres::schema::online;
use crate::postgres::schema::partitions::mirror;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};
use std::fmt;

/// A partition of `audit_events`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Month {
    /// Quoted.
    pub(super) name: String,
    /// `FOR VALUES ..`
    bound: String,
    /// The bound as a condition.
    condition: String,
    pub(super) begin: Timestamp,
    pub(super) end: Timestamp,
    /// The name of the table of the rows that stay, or of the list of those that go.
    pub(super) kept: String,
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.begin.date(), self.end.date())
    }
}

/// Returns the months that end by then, or those that begin before it. Rows in the default partition
/// belong to no month.
pub(super) async fn before(
    connection: &mut PgConnection,
    time: Timestamp,
    with_part: bool,
) -> Result<Vec<Month>, sqlx::Error> {
    sqlx::query_as(
        "SELECT c.oid::regclass::text AS name, bound, pg_get_partition_constraintdef(c.oid) AS condition, \
         b[1]::timestamptz AS begin, b[2]::timestamptz AS end, 'audit_keep_' || row_number() OVER (ORDER BY b[1]::timestamptz) + taken.last AS kept \
         FROM (SELECT coalesce(max(substring(name FROM '^audit_keep_([0-9]{1,9})$')::bigint), 0) AS last FROM \
         (SELECT relname::text FROM pg_class UNION ALL SELECT proname::text FROM pg_proc) AS names (name)) taken, pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, LATERAL pg_get_expr(c.relpartbound, c.oid) AS bound, \
         LATERAL regexp_match(bound, $$FROM \\('([^']+)'\\) TO \\('([^']+)'\\)$$) AS b \
         WHERE i.inhparent = 'audit_events'::regclass AND (b[2]::timestamptz <= $1 OR $2 AND b[1]::timestamptz < $1) ORDER BY begin",
    )
    .bind(time)
    .bind(with_part)
    .fetch_all(connection)
    .await
}

/// Returns the months of rows in the default partition, which a prune makes partitions for: those that
/// end by then, or those that begin before it. They can be counted, and nothing else.
pub(super) async fn in_default(
    connection: &mut PgConnection,
    time: Timestamp,
    with_part: bool,
) -> Result<Vec<Month>, sqlx::Error> {
    sqlx::query_as(
        "SELECT format('(SELECT * FROM audit_events_default WHERE created_at >= %L AND created_at < %L)', m.begin, m.end) AS name, \
         '' AS bound, '' AS condition, m.begin, m.end, '' AS kept FROM \
         (SELECT month AT TIME ZONE 'UTC' AS begin, (month + interval '1 month') AT TIME ZONE 'UTC' AS end FROM \
         (SELECT DISTINCT date_trunc('month', created_at AT TIME ZONE 'UTC') AS month FROM audit_events_default \
         WHERE created_at >= '2000-01-01' AND created_at < $1) months) m WHERE m.end <= $1 OR $2 ORDER BY m.begin",
    )
    .bind(time)
    .bind(with_part)
    .fetch_all(connection)
    .await
}

/// Returns whether the default partition holds rows that may be of such a month.
pub(super) async fn are_in_default(connection: &mut PgConnection, time: Timestamp) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM audit_events_default WHERE created_at >= '2000-01-01' AND created_at < $1)",
    )
    .bind(time)
    .fetch_one(connection)
    .await
}

/// The comment by which a table is known to be ours.
const MARK: &str = "audit-trail: what stays of a month that is pruned";

/// Clears away the remains of an interrupted prune, and leaves tables that only have a similar
/// name. A table has to bear the mark, or the check that an older version gave it.
pub(super) async fn clear(connection: &mut PgConnection) -> Result<(), MigrateError> {
    let left: Vec<String> = sqlx::query_scalar(
        "WITH ours AS (SELECT c.oid, c.relname FROM pg_class c WHERE c.relname ~ '^audit_keep_[0-9]+$' AND c.relkind = 'r' \
         AND c.relnamespace = current_schema()::regnamespace AND (obj_description(c.oid, 'pg_class') = $1 OR EXISTS \
         (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.conname = 'audit_month' AND k.contype = 'c'))) \
         SELECT format('DROP FUNCTION %s CASCADE', p.oid::regprocedure) FROM pg_proc p JOIN ours ON p.proname = ours.relname \
         WHERE p.pronamespace = current_schema()::regnamespace AND p.prorettype = 'trigger'::regtype AND p.pronargs = 0 \
         UNION ALL SELECT format('DROP TABLE %s', oid::regclass) FROM ours",
    )
    .bind(MARK)
    .fetch_all(&mut *connection)
    .await?;
    for sql in left {
        execute(connection, &sql).await?;
    }
    Ok(())
}

/// Takes the lock of a statement, and tries again if another session is in the way. Rows that are
/// inserted afterwards are those of the transaction itself, as triggers expect.
pub(super) async fn lock(connection: &mut PgConnection, statement: &'static str) -> Result<(), MigrateError> {
    let mut retry = LockRetry::default();
    connection.execute("SAVEPOINT moment").await?;
    while let Err(error) = connection.execute(statement).await {
        connection.execute("ROLLBACK TO moment").await?;
        retry.wait_or_fail(error.into()).await?;
    }
    connection.execute("RELEASE moment").await?;
    Ok(())
}

impl Month {
    /// The table for what stays, which gets what arrives in this month from now on.
    pub(super) async fn prepare(&self, connection: &mut PgConnection) -> Result<(), MigrateError> {
        let Self { kept, condition, .. } = self;
        // The check spares the exchange its look at every row.
        let table = format!(
            "CREATE TABLE {kept} (LIKE audit_events INCLUDING ALL); ALTER TABLE {kept} ADD CONSTRAINT audit_month CHECK ({condition}); \
             COMMENT ON TABLE {kept} IS '{MARK}'"
        );
        batch(connection, &table).await?;
        batch(connection, &online::of_partition(kept, true)).await?;
        mirror(connection, &self.name, kept, kept).await
    }

    /// Makes the list of the rows that go.
    pub(super) async fn make_list(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let kept = &self.kept;
        let table = format!(
            "CREATE TABLE {kept} (number bigint PRIMARY KEY, id uuid NOT NULL, created_at timestamptz NOT NULL, batch_id uuid NOT NULL); \
             COMMENT ON TABLE {kept} IS '{MARK}'"
        );
        batch(connection, &table).await
    }

    /// Puts what stays in the place of the partition, under the lock of the tables, and returns how many
    /// rows stay.
    pub(super) async fn exchange(&self, connection: &mut PgConnection) -> Result<u64, MigrateError> {
        let Self { name, kept, bound, .. } = self;
        let count = format!("SELECT count(*) FROM {kept}");
        let held: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *connection).await?;
        let mut sql =
            format!("ALTER TABLE audit_events DETACH PARTITION {name}; DROP TABLE {name}; DROP FUNCTION {kept}();");
        if held == 0 {
            sql += &format!("DROP TABLE {kept}");
        } else {
            // A name without its schema is what is renamed to.
            let plain = name.rsplit('.').next().unwrap_or(name);
            sql += &format!(
                "ALTER TABLE {kept} RENAME TO {plain}; ALTER TABLE audit_events ATTACH PARTITION {name} {bound}; \
                 ALTER TABLE {name} DROP CONSTRAINT audit_month; COMMENT ON TABLE {name} IS NULL; {}",
                no_truncate(name)
            );
        }
        batch(connection, &sql).await?;
        Ok(held.unsigned_abs())
    }
}
