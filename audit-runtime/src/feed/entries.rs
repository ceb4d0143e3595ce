//! Batches that arrived behind a position, and rows that were stored after their batch.

use super::position::Position;
use crate::event::Timestamp;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

/// Entries that are listed at once.
const LISTED: i64 = 500;

/// A batch, or an event that was stored after its batch.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Entry {
    /// The order within the lineage.
    pub(super) at: i64,
    /// The batch, or the event.
    pub(super) id: Uuid,
    pub(super) batch_id: Uuid,
    /// The time at which the batch was stored.
    pub(super) created_at: Timestamp,
    pub(super) first_event_at: Option<Timestamp>,
    pub(super) last_event_at: Option<Timestamp>,
    pub(super) rows: i32,
    /// Whether the rows of the batch came without it.
    pub(super) is_late: bool,
    /// Whether the entry is one event that left the quarantine.
    pub(super) is_retried: bool,
    /// Whether the batch has leaves.
    pub(super) is_sealed: bool,
}

/// The columns of a batch that an entry needs.
const BATCH: &str = "b.id AS batch_id, b.created_at, b.first_event_at, b.last_event_at, b.rows, \
     b.journal_id = '00000000-0000-0000-0000-000000000000' AS is_late, b.leaves IS NOT NULL AS is_sealed";

/// Returns the lineages of batches, the one whose first batch is the oldest first.
pub(super) async fn lineages(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    // The index has them in order, so that each takes one step.
    sqlx::query_scalar(
        "WITH RECURSIVE l (lineage) AS (SELECT min(lineage) FROM audit_batches WHERE lineage IS NOT NULL \
         UNION ALL SELECT (SELECT min(b.lineage) FROM audit_batches b WHERE b.lineage > l.lineage) FROM l WHERE l.lineage IS NOT NULL) \
         SELECT l.lineage FROM l, LATERAL (SELECT b.created_at FROM audit_batches b WHERE b.lineage = l.lineage \
         ORDER BY b.xact, b.id LIMIT 1) AS first WHERE l.lineage IS NOT NULL ORDER BY first.created_at, l.lineage",
    )
    .fetch_all(connection)
    .await
}

/// Returns the entries behind a position, in their order, and the position from which the next ones
/// are read.
pub(super) async fn behind(
    connection: &mut PgConnection,
    position: &Position,
) -> Result<(Position, Vec<Entry>), sqlx::Error> {
    let mut position = position.clone();
    loop {
        let current: String = sqlx::query_scalar("SELECT audit_lineage()").fetch_one(&mut *connection).await?;
        let entries = match &position.lineage {
            None => old(connection, &position).await?,
            Some(lineage) => of_lineage(connection, lineage, &position, *lineage == current).await?,
        };
        if !entries.is_empty() || position.lineage.as_ref() == Some(&current) {
            return Ok((position, entries));
        }
        let is_known = |lineage: &String| {
            *lineage == current || position.passed.contains(lineage) || position.lineage.as_ref() == Some(lineage)
        };
        let next = lineages(connection).await?.into_iter().find(|lineage| !is_known(lineage));
        position = position.enter(next.unwrap_or(current));
    }
}

/// Batches that were stored before the schema counted transactions. All of them are complete.
async fn old(connection: &mut PgConnection, position: &Position) -> Result<Vec<Entry>, sqlx::Error> {
    let behind = if position.leaves.is_some() { ">=" } else { ">" };
    let sql = format!(
        "SELECT (extract(epoch FROM b.created_at - timestamptz '2000-01-01 00:00Z') * 1000000)::bigint AS at, b.id, false AS is_retried, {BATCH} \
         FROM audit_batches b WHERE b.lineage IS NULL AND (b.created_at, b.id) {behind} ($1, $2) ORDER BY b.created_at, b.id LIMIT {LISTED}"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(Timestamp::from_postgres(position.at))
        .bind(position.id)
        .fetch_all(connection)
        .await
}

/// Entries of a lineage. On the current one, those of transactions that may still be preceded by others
/// wait.
async fn of_lineage(
    connection: &mut PgConnection,
    lineage: &str,
    position: &Position,
    is_current: bool,
) -> Result<Vec<Entry>, sqlx::Error> {
    let behind = if position.leaves.is_some() { ">=" } else { ">" };
    let complete = |xact: &str| match is_current {
        true => format!(" AND {xact} < pg_snapshot_xmin(pg_current_snapshot())"),
        false => String::new(),
    };
    let sql = format!(
        "SELECT * FROM (SELECT b.xact::text::bigint AS at, b.id, false AS is_retried, {BATCH} FROM audit_batches b \
         WHERE b.lineage = $1 AND (b.xact, b.id) {behind} (($2::text)::xid8, $3){} ORDER BY b.xact, b.id LIMIT {LISTED}) batches \
         UNION ALL \
         SELECT * FROM (SELECT r.xact::text::bigint AS at, r.event_id AS id, true AS is_retried, {BATCH} \
         FROM audit_retried r JOIN audit_batches b ON b.id = r.batch_id \
         WHERE r.lineage = $1 AND (r.xact, r.event_id) {behind} (($2::text)::xid8, $3){} ORDER BY r.xact, r.event_id LIMIT {LISTED}) retried \
         ORDER BY at, id LIMIT {LISTED}",
        complete("b.xact"),
        complete("r.xact"),
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(lineage)
        .bind(position.at.max(0).to_string())
        .bind(position.id)
        .fetch_all(connection)
        .await
}
