//! A month that goes: its partition, and the table beside it that holds what stays.

use crate::event::Timestamp;
use crate::event::reserved::{FORGOTTEN, PRUNED};
use crate::postgres::copy::decode;
use crate::postgres::schema::ddl::{LockRetry, batch, execute, no_truncate};
use crate::postgres::schema::online;
use crate::postgres::schema::partitions::{COLUMNS, mirror};
use sha2::{Digest, Sha256};
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};
use std::fmt;
use uuid::Uuid;

/// The entities whose events are held: their types, their ids, and what others call them in data.
#[derive(Debug, Clone, Default)]
pub(super) struct Holds {
    pub(super) types: Vec<String>,
    pub(super) ids: Vec<Uuid>,
    pub(super) names: Vec<String>,
}

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
    /// The name of the table of the rows that stay.
    pub(super) kept: String,
}

/// The rows and batches that a prune removes.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) rows: u64,
    pub(super) batches: u64,
    pub(super) hash: String,
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.begin.date(), self.end.date())
    }
}

/// Returns the months that end by then. Rows in the default partition belong to no month.
pub(super) async fn before(connection: &mut PgConnection, time: Timestamp) -> Result<Vec<Month>, sqlx::Error> {
    sqlx::query_as(
        "SELECT c.oid::regclass::text AS name, bound, pg_get_partition_constraintdef(c.oid) AS condition, \
         b[1]::timestamptz AS begin, b[2]::timestamptz AS end, 'audit_keep_' || row_number() OVER (ORDER BY b[1]::timestamptz) + taken.last AS kept \
         FROM (SELECT coalesce(max(substring(name FROM '^audit_keep_([0-9]{1,9})$')::bigint), 0) AS last FROM \
         (SELECT relname::text FROM pg_class UNION ALL SELECT proname::text FROM pg_proc) AS names (name)) taken, pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, LATERAL pg_get_expr(c.relpartbound, c.oid) AS bound, \
         LATERAL regexp_match(bound, $$FROM \\('([^']+)'\\) TO \\('([^']+)'\\)$$) AS b \
         WHERE i.inhparent = 'audit_events'::regclass AND b[2]::timestamptz <= $1 ORDER BY begin",
    )
    .bind(time)
    .fetch_all(connection)
    .await
}

/// Whether the default partition holds rows that may be of such a month.
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

/// Which rows are held: those of the entities in `$1`, `$2` and `$3`, be they further ones of an event, and the trail's own accounts.
fn held() -> String {
    format!(
        "(e.event_type IN ('{PRUNED}', '{FORGOTTEN}') OR EXISTS (SELECT FROM unnest($1::text[], $2::uuid[], $3::text[]) AS h (kind, id, name) \
         WHERE e.entity_type = h.kind AND (e.entity_id = h.id OR e.entity_id IS NULL AND e.data ->> '$entity_id' = h.name) \
         OR e.data ->> (h.kind || '_id') = h.name OR e.targets @> jsonb_build_array(jsonb_build_object('type', h.kind, 'id', h.id))))"
    )
}

impl Month {
    /// How many rows would go, and how many would stay.
    pub(super) async fn count(&self, connection: &mut PgConnection, holds: &Holds) -> Result<(i64, i64), sqlx::Error> {
        let held = held();
        let count =
            format!("SELECT count(*) FILTER (WHERE NOT {held}), count(*) FILTER (WHERE {held}) FROM {} e", self.name);
        sqlx::query_as(AssertSqlSafe(count))
            .bind(&holds.types)
            .bind(&holds.ids)
            .bind(&holds.names)
            .fetch_one(connection)
            .await
    }

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

    /// Copies what is held.
    pub(super) async fn hold(&self, connection: &mut PgConnection, holds: &Holds) -> Result<(), sqlx::Error> {
        let copy = format!(
            "INSERT INTO {} ({COLUMNS}) SELECT {COLUMNS} FROM {} e WHERE {} ON CONFLICT DO NOTHING",
            self.kept,
            self.name,
            held()
        );
        sqlx::query(AssertSqlSafe(copy))
            .bind(&holds.types)
            .bind(&holds.ids)
            .bind(&holds.names)
            .execute(&mut *connection)
            .await?;
        batch(connection, &format!("ANALYZE {}", self.kept)).await
    }

    /// The rows that go, as what follows on `FROM`: these are the same from the moment that what is
    /// held is copied.
    pub(super) fn going(&self) -> String {
        format!(
            "{} e LEFT JOIN audit_late l ON e.batch_id IS NULL AND l.event_id = e.id AND l.created_at = e.created_at \
             WHERE NOT EXISTS (SELECT FROM {} k WHERE k.id = e.id AND k.created_at = e.created_at)",
            self.name, self.kept
        )
    }

    /// Says in `audit_pruned` which rows of which batches go.
    pub(super) async fn account(&self, connection: &mut PgConnection, event_id: Uuid) -> Result<Account, sqlx::Error> {
        let insert = format!(
            "INSERT INTO audit_pruned (batch_id, event_id, rows, ids) \
             SELECT p.batch_id, '{event_id}', p.rows, CASE WHEN p.rows = b.rows THEN NULL ELSE p.ids END \
             FROM (SELECT coalesce(e.batch_id, l.batch_id) AS batch_id, count(*)::integer AS rows, \
             string_agg(uuid_send(e.id), '' ORDER BY e.id) AS ids FROM {} GROUP BY 1) p LEFT JOIN audit_batches b ON b.id = p.batch_id",
            self.going()
        );
        batch(connection, &insert).await?;
        let query =
            format!("SELECT batch_id, rows, ids FROM audit_pruned WHERE event_id = '{event_id}' ORDER BY batch_id");
        let (mut rows, mut batches, mut hash) = (0, 0, Sha256::new());
        decode::rows(connection, &query, |row| {
            let mut fields = row.fields();
            fields.uuid()?;
            rows += u64::try_from(fields.i32()?).unwrap_or(0);
            batches += 1;
            hash.update(row.0);
            Ok::<_, sqlx::Error>(())
        })
        .await?;
        Ok(Account { rows, batches, hash: hex::encode(hash.finalize()) })
    }

    /// Runs the moment under the lock, and returns how many rows stay.
    pub(super) async fn exchange(&self, connection: &mut PgConnection) -> Result<u64, MigrateError> {
        let Self { name, kept, bound, .. } = self;
        let mut retry = LockRetry::default();
        connection.execute("SAVEPOINT moment").await?;
        while let Err(error) = connection.execute("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").await {
            connection.execute("ROLLBACK TO moment").await?;
            retry.wait_or_fail(error.into()).await?;
        }
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
