//! How far a feed is behind.

use super::position::Position;
use crate::event::Timestamp;
use crate::postgres::DatabaseError;
use sqlx::postgres::{PgConnection, PgPool};

/// Entries that are counted.
const COUNTED: i64 = 100_000;

/// The events that wait behind a position.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Lag {
    /// The events of batches behind the position, of at most 100,000 batches. The conditions of a feed
    /// are not considered.
    pub events: u64,
    /// The time at which the first of these batches was stored.
    pub since: Option<Timestamp>,
    /// The age of that batch by the clock of the server, in seconds.
    pub seconds: Option<f64>,
    /// The session whose transaction holds back batches that are stored already, in words.
    pub held_back_by: Option<String>,
}

impl Lag {
    /// Reads what waits behind a position.
    ///
    /// # Errors
    /// The database cannot be reached, or does not allow it.
    pub async fn read(pool: &PgPool, position: &Position) -> Result<Self, DatabaseError> {
        let read = async {
            let mut connection = pool.acquire().await?;
            lag(&mut connection, position).await
        };
        read.await.map_err(DatabaseError::of)
    }
}

async fn lag(connection: &mut PgConnection, position: &Position) -> Result<Lag, sqlx::Error> {
    let behind = if position.leaves.is_some() { ">=" } else { ">" };
    let sql = format!(
        "WITH waiting AS (SELECT rows, created_at, xact, lineage FROM audit_batches WHERE \
         CASE WHEN $1::text IS NULL THEN lineage IS NOT NULL OR (created_at, id) {behind} ($5, $3) \
         WHEN lineage = $1 THEN (xact, id) {behind} (($2::text)::xid8, $3) ELSE lineage <> ALL ($4) END LIMIT {COUNTED}) \
         SELECT coalesce(sum(rows), 0)::bigint, min(created_at), extract(epoch FROM now() - min(created_at))::float8, \
         coalesce(bool_or(xact >= pg_snapshot_xmin(pg_current_snapshot()) AND lineage = audit_lineage()), false) FROM waiting"
    );
    let (events, since, seconds, is_held_back): (i64, Option<Timestamp>, Option<f64>, bool) =
        sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(&position.lineage)
            .bind(position.at.max(0).to_string())
            .bind(position.id)
            .bind(&position.passed)
            .bind(Timestamp::from_postgres(position.at))
            .fetch_one(&mut *connection)
            .await?;
    let held_back_by = if is_held_back { holder(connection).await? } else { None };
    Ok(Lag { events: events.unsigned_abs(), since, seconds, held_back_by })
}

/// The oldest transaction that writes.
async fn holder(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT about FROM (SELECT age(backend_xid) AS age, format('process %s (%s), in a transaction since %s', pid, \
         coalesce(nullif(application_name, ''), usename, 'unnamed'), xact_start) AS about FROM pg_stat_activity WHERE backend_xid IS NOT NULL \
         UNION ALL SELECT age(transaction), format('the prepared transaction %s since %s', gid, prepared) FROM pg_prepared_xacts) AS open \
         ORDER BY age DESC LIMIT 1",
    )
    .fetch_optional(connection)
    .await
}
