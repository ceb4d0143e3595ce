//! Monthly partitions: those ahead, and those for rows that lie in the default partition.
//!
//! ```text
//! while others write   a partitioned table beside, of the same indexes | what arrives in the default partition is written there too |
//!                      what lies there is copied
//! for a moment         locked; its partitions exchanged for the default one
//! ```
//!
//! Until the last step, which is one transaction, readers see everything where it was. An attempt
//! that was interrupted is cleared away by the next.

use super::amendments::{GUARD, in_schema};
use super::ddl::{LOCK_TIMEOUT, LockRetry, batch, connect_with_advisory_lock, execute, no_truncate};
use super::online;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnection, PgExecutor, PgPool};
use sqlx::{Connection, Executor};

/// Months for which partitions are made ahead.
const MONTHS_AHEAD: i32 = 3;

/// The statement that makes them.
pub(super) const MAKE_AHEAD: &str = "SELECT audit_make_partitions(3)";

/// Held by the session that moves rows, or prunes them.
pub(crate) const LOCK: i64 = 0x6175_6469_7400_0002;

pub(crate) const COLUMNS: &str = "id, event_type, entity_type, entity_id, actor, data, created_at, outcome, duration_us, correlation_id, \
     causation_id, context, origin, batch_id, entity_key, targets, tenant";

/// Months whose events are moved. An event may have any time, and not every month deserves a
/// partition.
const MONTHS: &str = "SELECT to_char(m, 'YYYY_MM'), m::text || '+00', (m + interval '1 month')::text || '+00' FROM \
     (SELECT DISTINCT date_trunc('month', created_at AT TIME ZONE 'UTC') AS m FROM audit_events_default \
     WHERE created_at >= '2000-01-01' AND created_at < now() + interval '1 year') months ORDER BY m";

/// The remains of an interrupted attempt, of this version or an older one, whose table was `audit_moving`. A table of that name that the
/// library made receives the rows that its trigger mirrors.
const LEFT: &str = "SELECT format('DROP TRIGGER %I ON %s; DROP FUNCTION %s', t.tgname, t.tgrelid::regclass, t.tgfoid::regprocedure) \
     FROM pg_trigger t WHERE t.tgrelid = to_regclass('audit_events_default') AND t.tgname = 'audit_mirror' \
     UNION ALL SELECT format('DROP FUNCTION %s', p.oid::regprocedure) FROM pg_proc p WHERE p.proname = 'audit_mirror' \
     AND p.pronamespace = current_schema()::regnamespace AND p.prorettype = 'trigger'::regtype AND p.prosrc LIKE '%audit_moving%' \
     AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = p.oid) \
     UNION ALL SELECT format('DROP TABLE %s', c.oid::regclass) FROM pg_class c WHERE c.relname IN ('audit_moving', 'audit_moving_rows') \
     AND c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') \
     AND (obj_description(c.oid, 'pg_class') = 'audit-trail: an attempt to move rows' \
     OR EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid AND inhrelid = to_regclass('audit_moving_default')) \
     OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = to_regclass('audit_events_default') AND t.tgname = 'audit_mirror'))";
/// The comment by which a table is known to be ours.
const MARK: &str = "audit-trail: an attempt to move rows";

/// A month: its name, its begin and its end.
type Month = (String, String, String);

/// Makes the partitions of the months ahead, and moves rows out of the default partition.
pub(crate) async fn make_partitions(pool: &PgPool, mut tell: impl FnMut(&str)) -> Result<(), MigrateError> {
    let mut connection = connect_with_advisory_lock(pool, LOCK).await?;
    connection.execute(LOCK_TIMEOUT).await?;
    let done = make(&mut connection, &mut tell).await;
    let _ = connection.close().await;
    done
}

/// [`make_partitions`] in a session that holds the lock.
pub(crate) async fn make(connection: &mut PgConnection, tell: &mut impl FnMut(&str)) -> Result<(), MigrateError> {
    clear(connection).await?;
    let months: Vec<Month> = sqlx::query_as(MONTHS).fetch_all(&mut *connection).await?;
    if !months.is_empty() {
        tell(&format!(
            "the default partition holds rows of {} months: they get partitions, while others write",
            months.len()
        ));
        prepare(connection, &months).await?;
        let moved = copy(connection).await?;
        let mut retry = LockRetry::default();
        while let Err(error) = exchange(connection, &months).await {
            retry.wait_or_fail(error).await?;
        }
        tell(&format!("{moved} rows moved"));
    }
    tell_made(make_ahead(connection).await?, tell);
    Ok(())
}

/// Clears away what an attempt left that was interrupted.
async fn clear(connection: &mut PgConnection) -> Result<(), MigrateError> {
    let left: Vec<String> = sqlx::query_scalar(LEFT).fetch_all(&mut *connection).await?;
    for sql in left {
        execute(connection, &sql).await?;
    }
    let schema: String = sqlx::query_scalar("SELECT quote_ident(current_schema())").fetch_one(&mut *connection).await?;
    batch(connection, &in_schema(GUARD, &schema)).await?;
    let foreign: bool =
        sqlx::query_scalar("SELECT to_regclass('audit_moving_rows') IS NOT NULL").fetch_one(connection).await?;
    if foreign {
        let text = "the table audit_moving_rows is here, and none that the audit trail made: it is left as it is. Rename it, then run it again";
        return Err(MigrateError::Source(text.into()));
    }
    Ok(())
}

/// Makes the partitions of the months ahead, and returns how many.
pub(crate) async fn make_ahead(executor: impl PgExecutor<'_>) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT audit_make_partitions($1)").bind(MONTHS_AHEAD).fetch_one(executor).await
}

/// Returns whether a month of those ahead lacks a partition that it could have.
///
/// A month of which the default partition holds rows stays there. A role that may not look goes by the months to come.
pub(super) async fn are_missing(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let missing = "SELECT m::text || '+00', (m + interval '1 month')::text || '+00', n > 0, \
         coalesce(has_table_privilege(to_regclass('audit_events_default')::oid, 'SELECT'), false) \
         FROM pg_class c JOIN pg_namespace t ON t.oid = c.relnamespace, generate_series(-1, $1) AS n, \
         LATERAL (SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n)) AS month (m) \
         WHERE c.oid = 'audit_events'::regclass \
         AND to_regclass(quote_ident(t.nspname) || '.audit_events_' || to_char(m, 'YYYY_MM')) IS NULL";
    let missing: Vec<(String, String, bool, bool)> =
        sqlx::query_as(missing).bind(MONTHS_AHEAD).fetch_all(&mut *connection).await?;
    for (begin, end, is_to_come, may_look) in missing {
        let held = "SELECT EXISTS (SELECT FROM audit_events_default WHERE created_at >= $1::text::timestamptz \
                    AND created_at < $2::text::timestamptz)";
        let is_held = match may_look {
            true => sqlx::query_scalar(held).bind(begin).bind(end).fetch_one(&mut *connection).await?,
            false => !is_to_come,
        };
        if !is_held {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn tell_made(made: i32, tell: &mut impl FnMut(&str)) {
    if made > 0 {
        tell(&format!("{made} monthly partitions made"));
    }
}

/// The table beside, and the trigger by which it gets what arrives.
async fn prepare(connection: &mut PgConnection, months: &[Month]) -> Result<(), MigrateError> {
    let mut tables = format!(
        "CREATE TABLE audit_moving_rows (LIKE audit_events INCLUDING ALL) PARTITION BY RANGE (created_at); \
         COMMENT ON TABLE audit_moving_rows IS '{MARK}';"
    );
    for (name, begin, end) in months {
        // The check spares the exchange its look at every row.
        tables += &format!(
            "CREATE TABLE audit_events_{name} PARTITION OF audit_moving_rows FOR VALUES FROM ('{begin}') TO ('{end}'); \
             ALTER TABLE audit_events_{name} ADD CONSTRAINT audit_month CHECK (created_at >= '{begin}' AND created_at < '{end}');"
        );
        tables += &online::of_partition(&format!("audit_events_{name}"), false);
    }
    tables += "CREATE TABLE audit_moving_rows_default PARTITION OF audit_moving_rows DEFAULT;";
    tables += &online::of_partition("audit_moving_rows_default", false);
    batch(connection, &tables).await?;
    mirror(connection, "audit_events_default", "audit_moving_rows", "audit_mirror").await
}

/// Has what arrives in a table written into another, too, by a trigger and a function of that name.
pub(crate) async fn mirror(
    connection: &mut PgConnection,
    from: &str,
    to: &str,
    name: &str,
) -> Result<(), MigrateError> {
    // The trigger runs with the rights of the owner, because writers lack them. So other roles may
    // not make a trigger of the function.
    let new = COLUMNS.split(", ").map(|column| format!("NEW.{}", column.trim())).collect::<Vec<_>>().join(", ");
    let (schema, table): (String, i64) =
        sqlx::query_as("SELECT quote_ident(current_schema()), to_regclass($1)::oid::bigint")
            .bind(from)
            .fetch_one(&mut *connection)
            .await?;
    let function = format!(
        "CREATE FUNCTION {schema}.{name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $audit$ \
         BEGIN IF TG_RELID <> {table} THEN RAISE EXCEPTION '% is a trigger of another table', '{name}' USING ERRCODE = \
         'insufficient_privilege'; END IF; \
         INSERT INTO {schema}.{to} ({COLUMNS}) VALUES ({new}) ON CONFLICT DO NOTHING; RETURN NULL; END $audit$; \
         REVOKE ALL ON FUNCTION {schema}.{name}() FROM PUBLIC"
    );
    batch(connection, &function).await?;
    // It waits for the transactions that write there, and sessions behind it wait with it: not for
    // long.
    let trigger = format!("CREATE TRIGGER {name} AFTER INSERT ON {from} FOR EACH ROW EXECUTE FUNCTION {name}()");
    execute(connection, &trigger).await
}

/// Copies the rows there, and returns their number.
async fn copy(connection: &mut PgConnection) -> Result<i64, MigrateError> {
    let copy = format!(
        "INSERT INTO audit_moving_rows ({COLUMNS}) SELECT {COLUMNS} FROM audit_events_default ON CONFLICT DO NOTHING"
    );
    batch(connection, &copy).await?;
    batch(connection, "ANALYZE audit_moving_rows").await?;
    // One statement sees one moment.
    let (there, here): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM audit_events_default), (SELECT count(*) FROM audit_moving_rows)")
            .fetch_one(&mut *connection)
            .await?;
    if there == here {
        return Ok(there);
    }
    Err(MigrateError::Source(
        format!("the default partition holds {there} rows, and {here} were copied; nothing is changed: run it again")
            .into(),
    ))
}

/// The moment under the lock: everything or nothing.
async fn exchange(connection: &mut PgConnection, months: &[Month]) -> Result<(), MigrateError> {
    let mut transaction = connection.begin().await?;
    let mut sql = "LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE; \
         ALTER TABLE audit_events DETACH PARTITION audit_events_default; DROP TABLE audit_events_default;"
        .to_owned();
    for (name, begin, end) in months {
        sql += &format!(
            "ALTER TABLE audit_moving_rows DETACH PARTITION audit_events_{name}; \
             ALTER TABLE audit_events ATTACH PARTITION audit_events_{name} FOR VALUES FROM ('{begin}') TO ('{end}'); \
             ALTER TABLE audit_events_{name} DROP CONSTRAINT audit_month;"
        );
        sql += &no_truncate(&format!("audit_events_{name}"));
    }
    sql += "ALTER TABLE audit_moving_rows DETACH PARTITION audit_moving_rows_default; \
         ALTER TABLE audit_moving_rows_default RENAME TO audit_events_default; \
         ALTER TABLE audit_events ATTACH PARTITION audit_events_default DEFAULT; DROP TABLE audit_moving_rows; DROP FUNCTION audit_mirror();";
    sql += &no_truncate("audit_events_default");
    batch(&mut transaction, &sql).await?;
    transaction.commit().await?;
    Ok(())
}
