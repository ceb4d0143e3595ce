//! `audit-trail status`: the state of the trail, as the database knows it.

use crate::failure::Failure;
use crate::say;
use crate::show::Style;
use crate::text::{count, harmless, padded};
use audit_runtime::feed::{FeedState, Feeds, Lag, Position};
use serde::Serialize;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, FromRow};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Below this size, rows are counted. Above it, counting takes too long.
const COUNTED_BYTES: i64 = 32 << 20;
/// The longest lag of a writer that needs no attention, in seconds.
pub(crate) const LAG: f64 = 60.0;
const PAGE_BYTES: f64 = 8192.0;
/// The overhead of a page, and of a row in it.
const PAGE_HEADER: f64 = 24.0;
const ROW_POINTER: f64 = 4.0;

/// All that it reports. Times are texts, because a column may contain `infinity`, or a year that
/// few calendars know.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    pub(crate) at: String,
    pub(crate) connections: i64,
    pub(crate) writers: Vec<Writer>,
    pub(crate) in_flight: InFlight,
    pub(crate) quarantine: Quarantine,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) seal: Seal,
    /// Journals of which a batch is not stored, though one behind it is.
    pub(crate) gaps: Vec<Gap>,
    /// Feeds to other systems.
    pub(crate) feeds: Vec<FedTo>,
    /// Triggers and keys that are missing.
    pub(crate) schema_problems: Vec<String>,
}

/// A feed, and how far it is behind.
#[derive(Debug, Serialize)]
pub(crate) struct FedTo {
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) sent: i64,
    pub(crate) set_aside: i64,
    pub(crate) paused: bool,
    pub(crate) waits_for: Option<String>,
    pub(crate) behind_events: u64,
    pub(crate) behind_seconds: Option<f64>,
    pub(crate) held_back_by: Option<String>,
}

/// A process that stored events within the last day.
#[derive(Debug, Serialize, FromRow)]
pub(crate) struct Writer {
    pub(crate) origin: String,
    pub(crate) last_batch_at: String,
    pub(crate) last_batch_age_seconds: Option<f64>,
    pub(crate) events: i64,
    pub(crate) batches: i64,
    /// How long after its last event began the last batch was stored.
    pub(crate) lag_seconds: Option<f64>,
}

#[derive(Debug, Serialize, FromRow)]
pub(crate) struct InFlight {
    pub(crate) calls: i64,
    pub(crate) oldest: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Quarantine {
    pub(crate) events: i64,
}

#[derive(Debug, Serialize, FromRow)]
pub(crate) struct Partition {
    pub(crate) name: String,
    pub(crate) bounds: String,
    pub(crate) rows: i64,
    pub(crate) rows_are_estimated: bool,
    pub(crate) bytes: i64,
    #[serde(skip)]
    pub(crate) heap_bytes: i64,
    /// Of the last VACUUM or ANALYZE, if they saw rows.
    #[serde(skip)]
    pub(crate) rows_per_page: Option<f64>,
}

#[derive(Debug, Serialize, FromRow)]
pub(crate) struct Seal {
    pub(crate) last_checkpoint_at: Option<String>,
    pub(crate) last_checkpoint_age_seconds: Option<f64>,
    pub(crate) batches_since: i64,
    pub(crate) unsealed_rows: i64,
}

/// A journal of which a batch is not stored, though one behind it was within the last day.
#[derive(Debug, Serialize, FromRow)]
pub(crate) struct Gap {
    pub(crate) journal: String,
    pub(crate) origin: String,
    /// Where the first such batch begins.
    pub(crate) position: i64,
    pub(crate) batches: i64,
    /// When the batch behind it was stored.
    pub(crate) since: String,
}

/// Batches of one journal are stored in parallel: the one before may be a moment late.
const LATE: &str = "5 seconds";

/// A time as every machine-readable output writes it, or, without such a form, as PostgreSQL writes
/// it.
fn iso(time: &str) -> String {
    format!(
        "CASE WHEN isfinite({time}) AND {time} BETWEEN '0001-01-01 00:00Z' AND '9999-12-31 23:59:59.999999Z' \
         THEN to_char({time} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"') ELSE {time}::text END"
    )
}

/// Seconds from a time to another, or NULL if one of them is infinite.
fn seconds(from: &str, to: &str) -> String {
    format!("CASE WHEN isfinite({from}) AND isfinite({to}) THEN extract(epoch FROM {to} - {from})::float8 END")
}

async fn rows<T>(pool: &PgPool, sql: String) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
{
    sqlx::query_as(AssertSqlSafe(sql)).fetch_all(pool).await
}

async fn row<T>(pool: &PgPool, sql: String) -> Result<T, sqlx::Error>
where
    T: for<'r> FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
{
    sqlx::query_as(AssertSqlSafe(sql)).fetch_one(pool).await
}

/// Returns the processes that stored events within the last day, the last one first.
pub(crate) async fn writers(pool: &PgPool) -> Result<Vec<Writer>, sqlx::Error> {
    rows(
        pool,
        format!(
            "SELECT origin, {at} AS last_batch_at, {age} AS last_batch_age_seconds, events, batches, {lag} AS lag_seconds FROM \
             (SELECT origin, max(created_at) AS last, max(last_event_at) AS event, sum(rows)::bigint AS events, count(*) AS batches \
             FROM audit_batches WHERE created_at > now() - interval '1 day' AND journal_id <> '00000000-0000-0000-0000-000000000000' \
             GROUP BY origin) writers ORDER BY last DESC, origin LIMIT 20",
            at = iso("last"),
            age = seconds("last", "now()"),
            lag = seconds("event", "last"),
        ),
    )
    .await
}

/// Returns the journals with a gap of the last day.
pub(crate) async fn gaps(pool: &PgPool) -> Result<Vec<Gap>, sqlx::Error> {
    rows(
        pool,
        format!(
            "SELECT journal_id::text AS journal, min(origin) AS origin, min(previous_position) AS position, count(*) AS batches, {since} AS since \
             FROM audit_batches b WHERE created_at > now() - interval '1 day' AND created_at < now() - interval '{LATE}' \
             AND previous_position IS NOT NULL AND NOT EXISTS (SELECT FROM audit_batches p WHERE p.journal_id = b.journal_id \
             AND p.first_position = b.previous_position) GROUP BY journal_id ORDER BY min(created_at) LIMIT 20",
            since = iso("min(created_at)"),
        ),
    )
    .await
}

/// Returns the number of events in the quarantine.
pub(crate) async fn quarantine(pool: &PgPool) -> Result<Quarantine, sqlx::Error> {
    let (events,) = row(pool, "SELECT count(*) FROM audit_quarantine".into()).await?;
    Ok(Quarantine { events })
}

impl FedTo {
    /// The feed in words.
    pub(crate) fn line(&self) -> String {
        let behind = match (self.behind_events, self.behind_seconds) {
            (0, _) => ", behind by none".into(),
            (events, seconds) => format!(", behind by {}, {}", count(events, "event", "events"), time(seconds)),
        };
        let aside = match self.set_aside {
            0 => String::new(),
            some => format!(", {} set aside", count(some, "event", "events")),
        };
        let held = self.held_back_by.as_ref().map_or_else(String::new, |by| format!(", held back by {by}"));
        let waits = match (&self.waits_for, self.paused) {
            (_, true) => ", paused".into(),
            (Some(why), false) => format!(", waits: {why}"),
            (None, false) => String::new(),
        };
        let sent = count(self.sent, "event", "events");
        harmless(&format!("{} to {}: {sent} sent{aside}{behind}{held}{waits}", self.name, self.target))
    }
}

/// Returns the feeds. A schema before version 11 has none.
pub(crate) async fn feeds(pool: &PgPool) -> Result<Vec<FedTo>, Failure> {
    let (has_feeds,): (bool,) = row(pool, "SELECT to_regclass('audit_feeds') IS NOT NULL".into()).await?;
    let mut fed = Vec::new();
    if !has_feeds {
        return Ok(fed);
    }
    for FeedState { name, target, position, sent, set_aside, paused, waits_for, .. } in
        Feeds::new(pool.clone()).list().await?
    {
        let lag = match position.parse::<Position>() {
            Ok(position) => Some(Lag::read(pool, &position).await?),
            Err(_) => None,
        };
        let (behind_events, behind_seconds, held_back_by) =
            lag.map_or((0, None, None), |lag| (lag.events, lag.seconds, lag.held_back_by));
        fed.push(FedTo {
            name,
            target,
            sent,
            set_aside,
            paused,
            waits_for,
            behind_events,
            behind_seconds,
            held_back_by,
        });
    }
    Ok(fed)
}

impl Status {
    pub(crate) async fn read(pool: &PgPool) -> Result<Self, Failure> {
        let (at, connections) = row(
            pool,
            format!(
                "SELECT {}, count(*) FROM pg_stat_activity WHERE application_name = 'audit-runtime' AND datname = current_database()",
                iso("now()")
            ),
        )
        .await?;
        let writers = writers(pool).await?;
        let in_flight = row(
            pool,
            format!(
                "SELECT calls, {} AS oldest FROM (SELECT count(*) AS calls, min(i.created_at) AS begin FROM audit_events i \
                 WHERE i.outcome = 'started' AND NOT EXISTS (SELECT FROM audit_events c WHERE c.correlation_id = i.correlation_id \
                 AND c.created_at = i.created_at AND c.causation_id = i.id)) open",
                iso("begin")
            ),
        )
        .await?;
        let seal = row(
            pool,
            format!(
                "SELECT {at} AS last_checkpoint_at, {age} AS last_checkpoint_age_seconds, \
                 (SELECT count(*) FROM audit_batches b WHERE NOT EXISTS (SELECT FROM audit_tree t WHERE t.batch_id = b.id)) AS batches_since, \
                 (SELECT count(*) FROM audit_events e WHERE batch_id IS NULL AND NOT EXISTS \
                 (SELECT FROM audit_late l WHERE l.event_id = e.id AND l.created_at = e.created_at)) AS unsealed_rows \
                 FROM (SELECT max(created_at) AS last FROM audit_checkpoints) checkpoints",
                at = iso("last"),
                age = seconds("last", "now()"),
            ),
        )
        .await?;
        let (gaps, quarantine) = (gaps(pool).await?, quarantine(pool).await?);
        let partitions = partitions(pool).await?;
        let feeds = feeds(pool).await?;
        let schema_problems = audit_runtime::admin::Admin::new(pool.clone()).schema_problems().await?;
        Ok(Self { at, connections, writers, in_flight, quarantine, partitions, seal, gaps, feeds, schema_problems })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string succeeds.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let connections = count(self.connections, "connection", "connections");
        writeln!(text, "writers       {connections} now; of the last day, by their last batch:")?;
        for writer in &self.writers {
            writeln!(
                text,
                "  {}  {:>7} ago, lag {}, {} in {}",
                padded(&harmless(&writer.origin), 24),
                time(writer.last_batch_age_seconds),
                time(writer.lag_seconds),
                count(writer.events, "event", "events"),
                count(writer.batches, "batch", "batches"),
            )?;
        }
        if self.writers.is_empty() {
            writeln!(text, "  none")?;
        }
        let since = self.in_flight.oldest.as_ref().map_or_else(String::new, |at| format!(", the oldest since {at}"));
        writeln!(text, "in flight     {}{since}", count(self.in_flight.calls, "call", "calls"))?;
        let hint = if self.quarantine.events > 0 { ": audit-trail quarantine list" } else { "" };
        writeln!(text, "quarantine    {}{hint}", count(self.quarantine.events, "event", "events"))?;
        writeln!(text, "partitions    {}", self.partitions.len())?;
        for partition in &self.partitions {
            let about = if partition.rows_are_estimated { "about" } else { "" };
            let size = indicatif::HumanBytes(partition.bytes.unsigned_abs()).to_string();
            writeln!(
                text,
                "  {}  {:<24} {about:>5} {:>8} rows {size:>10}",
                padded(&harmless(&partition.name), 20),
                times(&partition.bounds),
                partition.rows,
            )?;
        }
        let seal = &self.seal;
        let last = match &seal.last_checkpoint_at {
            Some(_) => format!("last checkpoint {} ago", time(seal.last_checkpoint_age_seconds)),
            None => "no checkpoint yet: audit-trail checkpoint --help".into(),
        };
        writeln!(text, "seal          {last}")?;
        let batches = count(seal.batches_since, "batch", "batches");
        let rows = count(seal.unsealed_rows, "row", "rows");
        writeln!(text, "              since then {batches}; not sealed yet: {rows} of others")?;
        for gap in &self.gaps {
            writeln!(
                text,
                "gaps          journal {} of {}: the batch at {} is not here{}, and one behind it is since {}; it waits in its journal, or the \
                 database went back: audit-trail journal status, journal replay",
                gap.journal,
                harmless(&gap.origin),
                gap.position,
                if gap.batches > 1 { format!(" (and {} others)", gap.batches - 1) } else { String::new() },
                gap.since,
            )?;
        }
        for feed in &self.feeds {
            writeln!(text, "feed          {}", feed.line())?;
        }
        for problem in &self.schema_problems {
            writeln!(text, "schema        {}: audit-trail migrate", harmless(problem))?;
        }
        Ok(())
    }
}

/// The times that a partition is for: of a month, its first day and the first day of the next.
pub(crate) fn times(bounds: &str) -> String {
    let days: Vec<&str> =
        bounds.split('\'').skip(1).step_by(2).map(|time| time.trim_end_matches(" 00:00:00+00")).collect();
    match *days {
        [from, to] => format!("{from} to {to}"),
        _ if bounds == "DEFAULT" => "all other times".into(),
        _ => bounds.to_owned(),
    }
}

/// The partitions, in the order of their names, with the number of their rows.
///
/// A reader may ask the whole table only: a partition has no privileges of its own.
async fn partitions(pool: &PgPool) -> Result<Vec<Partition>, sqlx::Error> {
    let sql = "SELECT c.relname::text AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds, 0::bigint AS rows, \
         true AS rows_are_estimated, pg_total_relation_size(c.oid)::bigint AS bytes, pg_relation_size(c.oid)::bigint AS heap_bytes, \
         CASE WHEN c.reltuples > 0 AND c.relpages > 0 THEN c.reltuples::float8 / c.relpages END AS rows_per_page \
         FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit_events'::regclass ORDER BY 1";
    let mut partitions: Vec<Partition> = rows(pool, sql.into()).await?;
    if partitions.iter().map(|partition| partition.heap_bytes).sum::<i64>() <= COUNTED_BYTES {
        let sql = "SELECT c.relname::text, e.rows FROM (SELECT tableoid, count(*) AS rows FROM audit_events GROUP BY tableoid) e \
                   JOIN pg_class c ON c.oid = e.tableoid";
        let counted: HashMap<String, i64> = rows::<(String, i64)>(pool, sql.into()).await?.into_iter().collect();
        for partition in &mut partitions {
            partition.rows = counted.get(&partition.name).copied().unwrap_or(0);
            partition.rows_are_estimated = false;
        }
        return Ok(partitions);
    }
    // Until a partition is analysed, its rows count as wide as those elsewhere.
    let sql = "SELECT avg(pg_column_size(e))::float8 FROM (SELECT * FROM audit_events LIMIT 1000) e";
    let (width,): (Option<f64>,) = row(pool, sql.into()).await?;
    let assumed = width.map_or(1.0, |width| (PAGE_BYTES - PAGE_HEADER) / (width + ROW_POINTER));
    for partition in &mut partitions {
        let pages = partition.heap_bytes as f64 / PAGE_BYTES;
        partition.rows = (pages * partition.rows_per_page.unwrap_or(assumed)).ceil() as i64;
    }
    Ok(partitions)
}

pub(crate) async fn run(pool: &PgPool, style: &Style) -> Result<(), Failure> {
    let status = Status::read(pool).await?;
    if style.is_given() {
        return say::line(serde_json::to_string(&status)?);
    }
    say::bytes(status.text().as_bytes())
}

/// A time span in a unit that fits.
pub(crate) fn time(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else {
        return "-".into();
    };
    match seconds.max(0.0) {
        seconds @ ..1.0 => format!("{:.0} ms", seconds * 1e3),
        seconds @ 1.0..120.0 => format!("{seconds:.1} s"),
        seconds @ 120.0..7_200.0 => format!("{:.0} min", (seconds / 60.0).floor()),
        seconds @ 7_200.0..172_800.0 => format!("{:.0} h", (seconds / 3_600.0).floor()),
        seconds => format!("{:.0} d", (seconds / 86_400.0).floor()),
    }
}
