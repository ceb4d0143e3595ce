//! How long INSERTs and events wait while a table of millions of rows is migrated from version 5.
//!
//! `scripts/migrate.sh [millions of rows]` runs it.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use audit_runtime::Event;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tests::filled::fill;
use tests::{Cluster, Config, Database, before};

const INSERT: &str = "INSERT INTO audit_events (id, event_type, entity_type, entity_id, data) VALUES (gen_random_uuid(), 'order.noted', \
                      'order', gen_random_uuid(), '{\"ticker\": \"AAPL\"}')";
/// Events a second beside the INSERTs.
const RATE: u32 = 1_000;

/// The waits of a loop, the longest last.
fn summary(what: &str, mut waits: Vec<Duration>) {
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    println!("{what:<28} {:>8}  p50 {:>9.2?}  p99 {:>9.2?}  longest {:>9.2?}", waits.len(), at(0.5), at(0.99), at(1.0));
}

/// One INSERT after the other.
async fn insert(url: String, ended: Arc<AtomicBool>) -> Vec<Duration> {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut waits = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let begin = Instant::now();
        sqlx::query(INSERT).execute(&mut connection).await.unwrap();
        waits.push(begin.elapsed());
    }
    waits
}

async fn bytes(database: &Database) -> (i64, i64) {
    let sql = "SELECT sum(pg_indexes_size(inhrelid))::bigint, sum(pg_table_size(inhrelid))::bigint \
               FROM pg_inherits WHERE inhparent = 'audit_events'::regclass";
    sqlx::query_as(sql).fetch_one(&database.pool).await.unwrap()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let millions: u32 = std::env::args().nth(1).map_or(1, |millions| millions.parse().expect("millions of rows"));
    let settings = "shared_buffers = 1GB\nmax_wal_size = 8GB\nmaintenance_work_mem = 512MB";
    let cluster = Cluster::start(Config { settings, hba: None });
    let database = before::version_5_in(&cluster).await;
    fill(&database, 0, millions, millions).await;
    let (indexes, heap) = bytes(&database).await;
    let rows = database.events().await;
    println!("{rows} rows; bytes of a row: {} of heap, {} of indexes", heap / rows, indexes / rows);

    let ended = Arc::new(AtomicBool::new(false));
    let inserting = tokio::spawn(insert(database.url.clone(), Arc::clone(&ended)));
    let audit = database.audit().segment_bytes(16 << 20).start().unwrap();
    let recording = tokio::spawn({
        let (audit, ended) = (audit.clone(), Arc::clone(&ended));
        async move {
            let mut waits = Vec::new();
            let mut tick = tokio::time::interval(Duration::from_millis(100));
            while !ended.load(Ordering::Relaxed) {
                tick.tick().await;
                let begin = Instant::now();
                for _ in 1..RATE / 10 {
                    audit.record(Event::new("order.accepted")).unwrap();
                }
                audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
                waits.push(begin.elapsed());
            }
            waits
        }
    });
    let begin = Instant::now();
    database
        .admin()
        .migrate_with_progress(|step| println!("{:>7.1} s  {step}", begin.elapsed().as_secs_f64()))
        .await
        .unwrap();
    let took = begin.elapsed();
    ended.store(true, Ordering::Relaxed);
    println!("migrated in {took:.1?}");
    summary("INSERT, one after another", inserting.await.unwrap());
    summary("events, recorded to stored", recording.await.unwrap());
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    let (indexes, heap) = bytes(&database).await;
    let rows = database.events().await;
    println!("{rows} rows; bytes of a row: {} of heap, {} of indexes", heap / rows, indexes / rows);
    assert_eq!(database.admin().pending_migration().await.unwrap(), []);
}
