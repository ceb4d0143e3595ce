//! `audit-trail status`: the state of the trail, as the database knows it.

use crate::failure::Failure;
use crate::text::harmless;
use crate::timeline::iso;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgPool;
use std::io::{self, Write};

/// Its origin, when its last batch came and when the last event of that began, events and batches of the last day.
type Writer = (String, DateTime<Utc>, Option<DateTime<Utc>>, i64, i64);

pub(crate) async fn run(pool: &PgPool) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    let (now, connected): (DateTime<Utc>, i64) = sqlx::query_as(
        "SELECT now(), count(*) FROM pg_stat_activity WHERE application_name = 'audit-runtime' AND datname = current_database()",
    )
    .fetch_one(pool)
    .await?;
    let writers: Vec<Writer> = sqlx::query_as(
        "SELECT origin, max(created_at), max(last_event_at), sum(rows)::bigint, count(*) FROM audit_batches \
         WHERE created_at > now() - interval '1 day' AND journal_id <> '00000000-0000-0000-0000-000000000000' GROUP BY origin ORDER BY 2 DESC LIMIT 20",
    )
    .fetch_all(pool)
    .await?;
    writeln!(output, "writers       {connected} connections now; of the last day, by their last batch:")?;
    for (origin, last, event, rows, batches) in &writers {
        let lag = event.map_or_else(|| "-".into(), |event| ago(*last - event));
        writeln!(
            output,
            "              {:<40} {:>8} ago, {rows} events in {batches} batches, lag {lag}",
            harmless(origin),
            ago(now - *last)
        )?;
    }
    if writers.is_empty() {
        writeln!(output, "              none")?;
    }
    let (open, oldest): (i64, Option<DateTime<Utc>>) = sqlx::query_as(
        "SELECT count(*), min(i.created_at) FROM audit_events i WHERE i.outcome = 'started' AND NOT EXISTS \
         (SELECT FROM audit_events c WHERE c.correlation_id = i.correlation_id AND c.created_at = i.created_at AND c.causation_id = i.id)",
    )
    .fetch_one(pool)
    .await?;
    let since = oldest.map_or_else(String::new, |oldest| format!(", the oldest since {}", iso(oldest)));
    writeln!(output, "in flight     {open} calls{since}")?;
    let quarantined: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_quarantine").fetch_one(pool).await?;
    let hint = if quarantined > 0 { ": audit-trail quarantine list" } else { "" };
    writeln!(output, "quarantine    {quarantined} events{hint}")?;
    let partitions: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid), greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid)::bigint \
         FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit_events'::regclass ORDER BY 1",
    )
    .fetch_all(pool)
    .await?;
    writeln!(output, "partitions    {}", partitions.len())?;
    for (name, bound, rows, bytes) in partitions {
        let size = indicatif::HumanBytes(u64::try_from(bytes).unwrap_or(0));
        writeln!(
            output,
            "              {name:<24} about {rows:>10} rows {size:>10}  {bound}",
            size = size.to_string()
        )?;
    }
    let (checkpoint, since, unsealed): (Option<DateTime<Utc>>, i64, i64) = sqlx::query_as(
        "SELECT (SELECT max(created_at) FROM audit_checkpoints), \
         (SELECT count(*) FROM audit_batches b WHERE NOT EXISTS (SELECT FROM audit_tree t WHERE t.batch_id = b.id)), \
         (SELECT count(*) FROM audit_events e WHERE batch_id IS NULL AND NOT EXISTS \
         (SELECT FROM audit_late l WHERE l.event_id = e.id AND l.created_at = e.created_at))",
    )
    .fetch_one(pool)
    .await?;
    let last = checkpoint.map_or_else(
        || "no checkpoint yet: audit-trail checkpoint --help".into(),
        |last| format!("last checkpoint {} ago", ago(now - last)),
    );
    writeln!(output, "seal          {last}; {since} batches since, {unsealed} rows of others not sealed yet")?;
    Ok(())
}

fn ago(delta: TimeDelta) -> String {
    match delta.num_milliseconds().max(0) {
        millis @ ..1_000 => format!("{millis} ms"),
        millis @ 1_000..120_000 => format!("{:.1} s", millis as f64 / 1e3),
        millis @ 120_000..7_200_000 => format!("{} min", millis / 60_000),
        millis @ 7_200_000..172_800_000 => format!("{} h", millis / 3_600_000),
        millis => format!("{} d", millis / 86_400_000),
    }
}
