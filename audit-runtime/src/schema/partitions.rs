//! Monthly partitions: those ahead, and those for rows that lie in the default partition.
//!
//! ```text
//! while others write   a partitioned table beside, of the same indexes | what arrives in the default partition is written there too |
//!                      what lies there is copied
//! for a moment         locked; its partitions exchanged for the default one
//! ```
//!
//! Until the last step, which is one transaction, readers see everything where it was; an attempt that was interrupted is cleared away by
//! the next.

use super::existing::{LOCK_TIMEOUT, Patience, execute, turn};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnection, PgExecutor, PgPool};
use sqlx::{AssertSqlSafe, Connection, Executor};

/// Months for which partitions are made ahead.
const MONTHS_AHEAD: i32 = 3;

/// Held by the session that moves rows, or prunes them.
pub(crate) const LOCK: i64 = 0x6175_6469_7400_0002;

pub(crate) const COLUMNS: &str = "id, event_type, entity_type, entity_id, actor, data, created_at, outcome, duration_us, correlation_id, \
     causation_id, context, origin, batch_id";

/// Months that are moved: an event may say any time, and not every one deserves a partition.
const MONTHS: &str = "SELECT to_char(m, 'YYYY_MM'), m::text || '+00', (m + interval '1 month')::text || '+00' FROM \
     (SELECT DISTINCT date_trunc('month', created_at AT TIME ZONE 'UTC') AS m FROM audit_events_default \
     WHERE created_at >= '2000-01-01' AND created_at < now() + interval '1 year') months ORDER BY m";

/// What an attempt leaves behind that was interrupted.
const CLEAR: &str = "DROP TRIGGER IF EXISTS audit_mirror ON audit_events_default; DROP FUNCTION IF EXISTS audit_mirror(); \
     DROP TABLE IF EXISTS audit_moving";

/// A month: its name, its begin and its end.
type Month = (String, String, String);

/// Makes the partitions of the months ahead, and gives the rows in the default partition, which are of months that had none when they
/// came, partitions of their own. Others may read and write meanwhile; it may be interrupted, and run twice.
///
/// # Errors
/// The database cannot be reached or does not allow it: it takes the tables' owner.
pub async fn make_partitions(pool: &PgPool, mut tell: impl FnMut(&str)) -> Result<(), MigrateError> {
    let mut connection = turn(pool, LOCK).await?;
    connection.execute(LOCK_TIMEOUT).await?;
    let done = make(&mut connection, &mut tell).await;
    let _ = connection.close().await;
    done
}

/// [`make_partitions`] in a session that holds the lock.
pub(crate) async fn make(connection: &mut PgConnection, tell: &mut impl FnMut(&str)) -> Result<(), MigrateError> {
    execute(connection, CLEAR).await?;
    let months: Vec<Month> = sqlx::query_as(MONTHS).fetch_all(&mut *connection).await?;
    if !months.is_empty() {
        tell(&format!(
            "the default partition holds rows of {} months: they get partitions, while others write",
            months.len()
        ));
        prepare(connection, &months).await?;
        let moved = copy(connection).await?;
        let mut patience = Patience::default();
        while let Err(error) = exchange(connection, &months).await {
            patience.outlast(error).await?;
        }
        tell(&format!("{moved} rows moved"));
    }
    tell_made(make_ahead(connection).await?, tell);
    Ok(())
}

/// Makes the partitions of the months ahead; returns how many.
pub(crate) async fn make_ahead(executor: impl PgExecutor<'_>) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT audit_make_partitions($1)").bind(MONTHS_AHEAD).fetch_one(executor).await
}

pub(super) fn tell_made(made: i32, tell: &mut impl FnMut(&str)) {
    if made > 0 {
        tell(&format!("{made} monthly partitions made"));
    }
}

/// Executes statements.
pub(crate) async fn batch(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await?;
    Ok(())
}

/// The table beside, and the trigger by which it gets what arrives.
async fn prepare(connection: &mut PgConnection, months: &[Month]) -> Result<(), MigrateError> {
    let mut tables =
        "CREATE TABLE audit_moving (LIKE audit_events INCLUDING ALL) PARTITION BY RANGE (created_at);".to_owned();
    for (name, begin, end) in months {
        // The check spares the exchange its look at every row.
        tables += &format!(
            "CREATE TABLE audit_events_{name} PARTITION OF audit_moving FOR VALUES FROM ('{begin}') TO ('{end}'); \
             ALTER TABLE audit_events_{name} ADD CONSTRAINT audit_month CHECK (created_at >= '{begin}' AND created_at < '{end}');"
        );
    }
    tables += "CREATE TABLE audit_moving_default PARTITION OF audit_moving DEFAULT;";
    batch(connection, &tables).await?;
    mirror(connection, "audit_events_default", "audit_moving", "audit_mirror").await
}

/// Has what arrives in a table written into another, too, by a trigger and a function of that name.
pub(crate) async fn mirror(
    connection: &mut PgConnection,
    from: &str,
    to: &str,
    name: &str,
) -> Result<(), MigrateError> {
    // With the rights of the owner: whoever writes knows nothing of it.
    let new = COLUMNS.split(", ").map(|column| format!("NEW.{}", column.trim())).collect::<Vec<_>>().join(", ");
    let schema: String = sqlx::query_scalar("SELECT quote_ident(current_schema())").fetch_one(&mut *connection).await?;
    let function = format!(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$ BEGIN \
         INSERT INTO {to} ({COLUMNS}) VALUES ({new}) ON CONFLICT DO NOTHING; RETURN NULL; END $$"
    );
    batch(connection, &function).await?;
    // It waits for the transactions that write there, and whoever comes behind waits with it: not for long.
    let trigger = format!("CREATE TRIGGER {name} AFTER INSERT ON {from} FOR EACH ROW EXECUTE FUNCTION {name}()");
    execute(connection, &trigger).await
}

/// Copies what lies there; returns how many rows that are.
async fn copy(connection: &mut PgConnection) -> Result<i64, MigrateError> {
    let copy = format!(
        "INSERT INTO audit_moving ({COLUMNS}) SELECT {COLUMNS} FROM audit_events_default ON CONFLICT DO NOTHING"
    );
    batch(connection, &copy).await?;
    batch(connection, "ANALYZE audit_moving").await?;
    // One statement sees one moment.
    let (there, here): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM audit_events_default), (SELECT count(*) FROM audit_moving)")
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

/// Row triggers go to every partition by themselves, this one does not.
pub(crate) fn no_truncate(table: &str) -> String {
    format!(
        "CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();"
    )
}

/// The moment under the lock: everything or nothing.
async fn exchange(connection: &mut PgConnection, months: &[Month]) -> Result<(), MigrateError> {
    let mut transaction = connection.begin().await?;
    let mut sql = "LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE; \
         ALTER TABLE audit_events DETACH PARTITION audit_events_default; DROP TABLE audit_events_default;"
        .to_owned();
    for (name, begin, end) in months {
        sql += &format!(
            "ALTER TABLE audit_moving DETACH PARTITION audit_events_{name}; \
             ALTER TABLE audit_events ATTACH PARTITION audit_events_{name} FOR VALUES FROM ('{begin}') TO ('{end}'); \
             ALTER TABLE audit_events_{name} DROP CONSTRAINT audit_month;"
        );
        sql += &no_truncate(&format!("audit_events_{name}"));
    }
    sql += "ALTER TABLE audit_moving DETACH PARTITION audit_moving_default; \
         ALTER TABLE audit_moving_default RENAME TO audit_events_default; \
         ALTER TABLE audit_events ATTACH PARTITION audit_events_default DEFAULT; DROP TABLE audit_moving; DROP FUNCTION audit_mirror();";
    sql += &no_truncate("audit_events_default");
    batch(&mut transaction, &sql).await?;
    transaction.commit().await?;
    Ok(())
}
