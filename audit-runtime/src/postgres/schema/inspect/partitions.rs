//! The months ahead, and rows that lie in the default partition.

use super::problem::{SchemaProblem, SchemaProblemKind};
use crate::postgres::schema::partitions::are_missing;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

/// The times of months that could have a partition, and have none. Rows of these times lie in the
/// default partition.
const GAPS: &str = "SELECT lower(gap)::text, upper(gap)::text FROM (SELECT unnest( \
     tstzmultirange(tstzrange('2000-01-01 00:00Z', date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '1 year')) \
     - coalesce(range_agg(tstzrange(bounds[1]::timestamptz, bounds[2]::timestamptz)), '{}')) AS gap \
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, \
     LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid), $$FROM \\('([^']+)'\\) TO \\('([^']+)'\\)$$) AS bounds \
     WHERE i.inhparent = 'audit_events'::regclass AND bounds IS NOT NULL) gaps";

pub(super) async fn inspect(
    connection: &mut PgConnection,
    problems: &mut Vec<SchemaProblem>,
) -> Result<(), sqlx::Error> {
    if are_missing(connection).await? {
        let about = "a month of those ahead has no partition, and its events go to the default partition";
        problems.push(SchemaProblem::new(SchemaProblemKind::Partitions, about, "audit-trail partitions"));
    }
    // A role that may not read events learns nothing of where they lie.
    let may_read: bool = sqlx::query_scalar("SELECT has_table_privilege('audit_events', 'SELECT')")
        .persistent(false)
        .fetch_one(&mut *connection)
        .await?;
    if !may_read {
        return Ok(());
    }
    let gaps: Vec<(String, String)> = sqlx::query_as(GAPS).persistent(false).fetch_all(&mut *connection).await?;
    for (from, to) in gaps {
        // Constants, by which the planner leaves out every other partition.
        let sql = format!(
            "SELECT min(created_at)::text FROM (SELECT created_at FROM audit_events WHERE created_at >= '{from}' AND created_at < '{to}' \
             ORDER BY created_at LIMIT 1) first"
        );
        let first: Option<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).persistent(false).fetch_one(&mut *connection).await?;
        if let Some(first) = first {
            let about = format!(
                "the default partition contains rows of months that could have partitions, the first of {first}"
            );
            problems.push(SchemaProblem::new(SchemaProblemKind::DefaultPartition, about, "audit-trail partitions"));
            break;
        }
    }
    Ok(())
}
