//! Verifying a trail of a million rows: every digest, every root, the chain, a signed checkpoint.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

mod results;

use audit_runtime::audited;
use audit_runtime::evidence::{SigningKey, Verification};
use results::Rounds;
use serde_json::json;
use std::time::{Duration, Instant};
use tests::{Cluster, Config, Database};
use uuid::Uuid;

const ROWS: u32 = 1_000_000;
const ROUNDS: usize = 5;

#[audited(event = "order.submitted", actor = "broker_service")]
fn submit(order_id: Uuid, ticker: &str, quantity: u32, side: &str, limit_price: Option<f64>) {}

#[tokio::main]
async fn main() {
    let settings = "shared_buffers = 1GB\nmax_wal_size = 8GB";
    let cluster = Cluster::start(Config { settings, ..Config::default() });
    let database = Database::migrated_in(&cluster).await;
    let audit = database.audit().segment_bytes(16 << 20).start().unwrap();
    {
        let _entered = audit.enter();
        (0..ROWS).for_each(|number| submit(Uuid::now_v7(), "AAPL", number, "buy", Some(187.25)));
    }
    audit.shutdown(Duration::from_secs(600)).await.unwrap();
    sqlx::raw_sql("VACUUM ANALYZE").execute(&database.pool).await.unwrap();
    let key = SigningKey::generate("bench").unwrap();
    database.admin().checkpoint(&key).await.unwrap();
    let mut rates = Rounds::default();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let verification = Verification::new().public_key(key.public().clone());
        let report = database.admin().verify(&verification, |_| ()).await.unwrap();
        rates.add(f64::from(ROWS) / begin.elapsed().as_secs_f64());
        assert_eq!((report.rows, report.problems), (u64::from(ROWS), 0));
    }
    println!("verify: {:.0} rows/s", rates.median());
    results::keep("verify", &json!({"rows": ROWS, "rows_a_second": rates.to_json()}));
}
