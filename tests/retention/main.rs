//! How long INSERTs wait while months are pruned, and while rows are moved out of the default
//! partition.
//!
//! `scripts/retention.sh [millions of rows]` runs it.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use audit_runtime::admin::{Admin, Prune};
use audit_runtime::sqlx;
use chrono::{TimeDelta, Utc};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tests::{Cluster, Config, Database, eventually};

const WRITERS: u32 = 4;
/// A row of now, and one of each of the months that are moved and pruned, in turns.
const DAYS: [i64; 4] = [0, 70, 100, 130];

/// Inserts one row after another, and returns how long each took.
async fn insert(url: String, inserted: Arc<AtomicU64>, ended: Arc<AtomicBool>) -> Vec<Duration> {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut took = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let days = DAYS[took.len() % DAYS.len()];
        let insert = "INSERT INTO audit_events (id, event_type, entity_type, created_at) VALUES (gen_random_uuid(), 'a.thing', 'a', $1)";
        let begin = Instant::now();
        sqlx::query(insert).bind(Utc::now() - TimeDelta::days(days)).execute(&mut connection).await.unwrap();
        took.push(begin.elapsed());
        inserted.fetch_add(1, Ordering::Relaxed);
        // Their rate: not all that the server can take.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    took
}

async fn beside(database: &Database, what: &str, work: impl Future<Output = String>) {
    let ended = Arc::new(AtomicBool::new(false));
    let inserted = Arc::new(AtomicU64::new(0));
    let writer = |_| tokio::spawn(insert(database.url.clone(), inserted.clone(), ended.clone()));
    let writers: Vec<_> = (0..WRITERS).map(writer).collect();
    eventually("they are at it", async || inserted.load(Ordering::Relaxed) > 1_000).await;
    let begin = Instant::now();
    let done = work.await;
    let seconds = begin.elapsed().as_secs_f64();
    ended.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    for writer in writers {
        took.extend(writer.await.unwrap());
    }
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{what}: {done} in {seconds:.1} s; {} INSERTs meanwhile: median {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        took.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

#[tokio::main]
async fn main() {
    let millions: u32 = std::env::args().nth(1).map_or(2, |millions| millions.parse().unwrap());
    let settings = "shared_buffers = 1GB\nmax_wal_size = 8GB";
    let cluster = Cluster::start(Config { settings, ..Config::default() });
    let database = Database::migrated_in(&cluster).await;
    let rows = format!(
        "INSERT INTO audit_events (id, event_type, entity_type, entity_id, created_at, data) \
         SELECT gen_random_uuid(), 'order.submitted', 'order', gen_random_uuid(), now() - interval '70 days' - (n % 120) * interval '1 day', \
         jsonb_build_object('ticker', 'AAPL', 'quantity', n) FROM generate_series(1, {millions}000000) n"
    );
    database.pool.execute(AssertSqlSafe(rows)).await.unwrap();
    beside(&database, "partitions", async {
        let mut last = String::new();
        database.admin().make_partitions(|step| last = step.to_string()).await.unwrap();
        last
    })
    .await;
    let (pool, journals) = (&database.pool, database.journals.path());
    beside(&database, "prune", async move {
        let prune = Prune::new(Utc::now() - TimeDelta::days(60));
        let archive = journals.join("archive");
        let pruned = Admin::new(pool.clone()).prune(&prune.archive(archive), |_| {}).await.unwrap();
        format!("{} rows of {} months", pruned.rows, pruned.months)
    })
    .await;
}
