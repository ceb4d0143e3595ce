//! Months that are over: their indexes are packed, and the one that only writers need is dropped.

use super::plan::{quoted, superfluous};
use super::state::{self, State};
use crate::postgres::schema::ddl::{batch, connect_with_advisory_lock};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Connection};

/// The comment on the primary key of a partition whose indexes are packed.
const MARK: &str = "audit-trail: packed";

/// The indexes of the months that are over, before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Compacted {
    pub(crate) months: usize,
    pub(crate) before: i64,
    pub(crate) after: i64,
}

/// Packs the indexes of the months that are over, while others read and write.
///
/// The lock is the one of sessions that move rows or prune them.
pub(crate) async fn compact(pool: &PgPool, lock: i64, mut tell: impl FnMut(&str)) -> Result<Compacted, MigrateError> {
    let mut connection = connect_with_advisory_lock(pool, lock).await?;
    let done = all(&mut connection, &mut tell).await;
    let _ = connection.close().await;
    done
}

async fn all(connection: &mut PgConnection, tell: &mut impl FnMut(&str)) -> Result<Compacted, MigrateError> {
    batch(connection, "SET lock_timeout TO 0; SET statement_timeout TO 0").await?;
    let mut compacted = Compacted::default();
    let Some(state) = state::read(connection).await? else {
        return Ok(compacted);
    };
    drop_superfluous(connection, &state).await?;
    for partition in state.partitions.iter().filter(|partition| partition.is_over) {
        let Some(key) = partition.key() else {
            continue;
        };
        let mark = "SELECT obj_description(to_regclass($1), 'pg_class')";
        let key = format!("{}.{}", state.schema, quoted(&key.name));
        let found: Option<String> = sqlx::query_scalar(mark).bind(&key).fetch_one(&mut *connection).await?;
        if found.as_deref() == Some(MARK) {
            continue;
        }
        let before: i64 = partition.indexes.iter().map(|index| index.bytes).sum();
        let table = format!("{}.{}", state.schema, quoted(&partition.name));
        drop_leftovers(connection, &table).await?;
        batch(connection, &format!("REINDEX TABLE CONCURRENTLY {table}")).await?;
        batch(connection, &format!("COMMENT ON INDEX {key} IS '{MARK}'")).await?;
        let size = format!("SELECT pg_indexes_size('{}'::regclass)", table.replace('\'', "''"));
        let after: i64 = sqlx::query_scalar(AssertSqlSafe(size)).fetch_one(&mut *connection).await?;
        tell(&format!("{}: indexes of {before} bytes now have {after}", partition.name));
        compacted.months += 1;
        compacted.before += before;
        compacted.after += after;
    }
    Ok(compacted)
}

async fn drop_superfluous(connection: &mut PgConnection, state: &State) -> Result<(), MigrateError> {
    for (_, index) in superfluous(state) {
        let index = format!("{}.{}", state.schema, quoted(&index.name));
        batch(connection, &format!("DROP INDEX CONCURRENTLY {index}")).await?;
    }
    Ok(())
}

/// The remains of an attempt that was interrupted.
async fn drop_leftovers(connection: &mut PgConnection, table: &str) -> Result<(), MigrateError> {
    let left: Vec<String> = sqlx::query_scalar(
        "SELECT format('DROP INDEX CONCURRENTLY %s', i.oid::regclass) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
         WHERE x.indrelid = to_regclass($1) AND NOT x.indisvalid AND i.relname ~ '_cc(new|old)[0-9]*$'",
    )
    .bind(table)
    .fetch_all(&mut *connection)
    .await?;
    for sql in left {
        batch(connection, &sql).await?;
    }
    Ok(())
}
