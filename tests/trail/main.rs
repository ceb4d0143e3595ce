//! How long a trail takes to read in a table of many millions of rows.
//!
//! `scripts/trail.sh [millions of rows]` runs it.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use audit_runtime::{Cursor, EventFilter, Outcome, Trail};
use chrono::{TimeDelta, Utc};
use rand::prelude::*;
use serde_json::json;
use sqlx::AssertSqlSafe;
use std::time::{Duration, Instant};
use tests::{Cluster, Config, Database};
use uuid::Uuid;

/// Events of one order.
const EACH: u32 = 10;
const REPEATS: usize = 21;

fn id(kind: u32, number: u32) -> Uuid {
    Uuid::from_u128(u128::from(kind) << 96 | u128::from(number))
}

/// A month of orders: each has ten events, a recommendation, a request; every thousandth event is an error.
async fn fill(database: &Database, millions: u32) {
    let uuid = "CREATE FUNCTION uuid(kind int, n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS \
                $$ SELECT (lpad(to_hex(kind), 8, '0') || lpad(to_hex(n), 24, '0'))::uuid $$";
    sqlx::raw_sql(uuid).execute(&database.pool).await.unwrap();
    for million in 0..millions {
        let sql = format!(
            "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, duration_us, outcome, correlation_id, context, origin, batch_id) \
             SELECT gen_random_uuid(), (ARRAY['order.submitted', 'order.accepted', 'order.filled', 'risk.evaluated', 'position.updated'])[1 + n % 5], \
             'order', uuid(1, n / {EACH}), 'user:' || n % 9973, jsonb_build_object('ticker', 'T' || n % 500, 'quantity', n % 1000, 'number', n, \
             'recommendation_id', uuid(2, n / {EACH}), 'side', 'buy', 'order_type', 'limit'), now() - interval '30 days' * (1 - n / ({millions} * 1e6)), 100 + n % 1000, \
             CASE WHEN n % 1000 = 0 THEN 'error' ELSE 'ok' END, uuid(3, n / {EACH}), '{{\"tenant\": \"acme\"}}', 'desk@host:1', uuid(4, n / 5000) \
             FROM generate_series({million} * 1000000::bigint, {million} * 1000000::bigint + 999999) n"
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
        eprintln!("{} million rows", million + 1);
    }
    sqlx::raw_sql("VACUUM ANALYZE audit_events").execute(&database.pool).await.unwrap();
}

async fn measured<F: Future<Output = usize>>(what: &str, mut query: impl FnMut() -> F) {
    let mut times = Vec::new();
    let mut rows = 0;
    for _ in 0..REPEATS {
        let begin = Instant::now();
        rows = query().await;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{what:<44} {rows:>5} rows  median {:>8.2} ms  worst {:>8.2} ms",
        ms(times[REPEATS / 2]),
        ms(times[REPEATS - 1])
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let millions: u32 = std::env::args().nth(1).map_or(10, |millions| millions.parse().expect("millions of rows"));
    let settings = "shared_buffers = 1GB\nmax_wal_size = 8GB\nmaintenance_work_mem = 512MB";
    let cluster = Cluster::start(Config { settings, hba: None });
    let database = Database::migrated_in(&cluster).await;
    fill(&database, millions).await;
    let trail = Trail::new(database.pool.clone());
    let orders = millions * 1_000_000 / EACH;
    let random = |below: u32| rand::rng().random_range(0..below);
    let page = |filter: EventFilter| {
        let trail = trail.clone();
        async move { trail.events(&filter.limit(100)).await.unwrap().events.len() }
    };
    measured("order(id, recommendation)", || {
        let (trail, number) = (trail.clone(), random(orders));
        async move { trail.order(id(1, number), Some(id(2, number))).await.unwrap().len() }
    })
    .await;
    measured("entity(\"order\", id)", || {
        let (trail, number) = (trail.clone(), random(orders));
        async move { trail.entity("order", id(1, number)).await.unwrap().len() }
    })
    .await;
    measured("execution(id, recommendation)", || {
        let (trail, number) = (trail.clone(), random(orders));
        async move { trail.execution(id(1, number), id(2, number)).await.unwrap().len() }
    })
    .await;
    measured("correlation(id)", || {
        let (trail, number) = (trail.clone(), random(orders));
        async move { trail.correlation(id(3, number)).await.unwrap().len() }
    })
    .await;
    let new = EventFilter::new;
    measured("events: newest", || page(new().newest_first())).await;
    measured("events: order.*, newest", || page(new().event("order.*").newest_first())).await;
    measured("events: an actor's, newest", || page(new().actor(format!("user:{}", random(9973))).newest_first())).await;
    measured("events: errors of a type since an hour", || {
        let since = Utc::now() - TimeDelta::hours(1 + i64::from(random(700)));
        page(new().event("order.submitted").outcome(Outcome::Error).since(since))
    })
    .await;
    measured("events: a rare value in data", || page(new().data(json!({"number": random(millions * 1_000_000)}))))
        .await;
    measured("events: a frequent value in data, newest", || {
        page(new().data(json!({"ticker": format!("T{}", random(500))})).newest_first())
    })
    .await;
    let middle = trail.events(&new().since(Utc::now() - TimeDelta::days(15)).limit(1)).await.unwrap().events;
    let middle = Cursor::of(&middle[0]);
    measured("events: a page from the middle", || page(new().event("order.filled").after(middle))).await;
}
