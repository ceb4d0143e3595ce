//! How fast a table of many millions of rows takes in more, and how long its trails take to read.
//!
//! `scripts/trail.sh [millions of rows ..]` runs it.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use audit_runtime::audited;
use audit_runtime::trail::Trail;
use std::time::{Duration, Instant};
use tests::filled::{QUESTIONS, ask, fill};
use tests::{Cluster, Config, Database};
use uuid::Uuid;

const REPEATS: usize = 21;
/// Rows that are taken in at each size.
const TAKEN_IN: u32 = 300_000;

#[audited(event = "order.submitted", actor = "broker_service", fields(order_type = "limit"))]
fn submit(order_id: Uuid, recommendation_id: Uuid, ticker: &str, quantity: u32, side: &str) {}

/// Rows a second from recorded to committed.
async fn take_in(database: &Database) -> f64 {
    let audit = database.audit().segment_bytes(16 << 20).start().unwrap();
    let begin = Instant::now();
    {
        let _entered = audit.enter();
        (0..TAKEN_IN).for_each(|number| submit(Uuid::new_v4(), Uuid::new_v4(), "AAPL", number, "buy"));
    }
    audit.flush().await.unwrap();
    let took = begin.elapsed();
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    f64::from(TAKEN_IN) / took.as_secs_f64()
}

async fn measure(database: &Database, question: &str, millions: u32) {
    let trail = Trail::new(database.pool.clone());
    let mut times = Vec::new();
    let mut rows = 0;
    for _ in 0..REPEATS {
        let begin = Instant::now();
        rows = ask(&trail, question, millions).await;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, worst) = (ms(times[REPEATS / 2]), ms(times[REPEATS - 1]));
    println!("{question:<44} {rows:>5} rows  median {median:>8.2} ms  worst {worst:>8.2} ms");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let sizes = std::env::args().skip(1).map(|millions| millions.parse().expect("millions of rows"));
    let sizes: Vec<u32> =
        Some(sizes.collect()).filter(|sizes: &Vec<u32>| !sizes.is_empty()).unwrap_or_else(|| vec![10]);
    let settings = "shared_buffers = 1GB\nmax_wal_size = 8GB\nmaintenance_work_mem = 512MB";
    let cluster = Cluster::start(Config { settings, hba: None });
    let database = Database::migrated_in(&cluster).await;
    let mut filled = 0;
    let largest = sizes.iter().copied().max().unwrap_or(1);
    for millions in sizes {
        fill(&database, filled, millions, largest).await;
        filled = millions;
        let all = "SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'audit_events'::regclass";
        let indexes =
            "SELECT sum(pg_indexes_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'audit_events'::regclass";
        let gigabytes = async |sql| database.count(sql).await as f64 / 1e9;
        println!(
            "{millions} million rows, {:.2} GB, of which indexes {:.2} GB: {:.0} rows/s taken in",
            gigabytes(all).await,
            gigabytes(indexes).await,
            take_in(&database).await
        );
        for question in QUESTIONS {
            measure(&database, question, millions).await;
        }
    }
}
