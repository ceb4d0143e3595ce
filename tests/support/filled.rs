//! A table of many millions of rows, and what is asked of it.

use crate::Database;
use audit_runtime::Outcome;
use audit_runtime::trail::{Cursor, EventFilter, Trail};
use chrono::{TimeDelta, Utc};
use rand::prelude::*;
use serde_json::json;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// Events of one order.
const EACH: u32 = 10;

fn id(kind: u32, number: u32) -> Uuid {
    Uuid::from_u128(u128::from(kind) << 96 | u128::from(number))
}

/// Fills in the rows from one million to another of a month of orders that is `of` millions in all.
/// Each order has ten events, a recommendation and a request. Every thousandth event is an error.
pub async fn fill(database: &Database, from: u32, to: u32, of: u32) {
    let uuid = "CREATE OR REPLACE FUNCTION uuid(kind int, n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS \
                $$ SELECT (lpad(to_hex(kind), 8, '0') || lpad(to_hex(n), 24, '0'))::uuid $$";
    sqlx::raw_sql(uuid).execute(&database.pool).await.unwrap();
    for million in from..to {
        let sql = format!(
            "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, duration_us, outcome, correlation_id, context, origin, batch_id) \
             SELECT gen_random_uuid(), (ARRAY['order.submitted', 'order.accepted', 'order.filled', 'risk.evaluated', 'position.updated'])[1 + n % 5], \
             'order', uuid(1, n / {EACH}), 'user:' || n % 9973, jsonb_build_object('ticker', 'T' || n % 500, 'quantity', n % 1000, 'number', n, \
             'recommendation_id', uuid(2, n / {EACH}), 'side', 'buy', 'order_type', 'limit'), now() - interval '30 days' * (1 - n / ({of} * 1e6)), 100 + n % 1000, \
             CASE WHEN n % 1000 = 0 THEN 'error' ELSE 'ok' END, uuid(3, n / {EACH}), '{{\"tenant\": \"acme\"}}', 'desk@host:1', uuid(4, n / 5000) \
             FROM generate_series({million} * 1000000::bigint, {million} * 1000000::bigint + 999999) n"
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
        eprintln!("{} million rows", million + 1);
    }
    sqlx::raw_sql("VACUUM ANALYZE audit_events").execute(&database.pool).await.unwrap();
}

/// The questions.
pub const QUESTIONS: [&str; 11] = [
    "order(id, recommendation)",
    "entity(\"order\", id)",
    "execution(id, recommendation)",
    "correlation(id)",
    "events: newest",
    "events: order.*, newest",
    "events: an actor's, newest",
    "events: errors of a type since an hour",
    "events: a rare value in data",
    "events: a frequent value in data, newest",
    "events: a page from the middle",
];

/// Asks one of the [`QUESTIONS`], each time about something else, and returns how many events are
/// the answer.
///
/// # Panics
/// The question does not exist.
pub async fn ask(trail: &Trail, question: &str, millions: u32) -> usize {
    let random = |below: u32| rand::rng().random_range(0..below);
    let number = random(millions * 1_000_000 / EACH);
    let page = async |filter: EventFilter| trail.events(&filter.limit(100)).await.unwrap().events.len();
    let new = EventFilter::new;
    match question {
        "order(id, recommendation)" => trail.order(id(1, number), Some(id(2, number))).await.unwrap().len(),
        "entity(\"order\", id)" => trail.entity("order", id(1, number)).await.unwrap().len(),
        "execution(id, recommendation)" => trail.execution(id(1, number), id(2, number)).await.unwrap().len(),
        "correlation(id)" => trail.correlation(id(3, number)).await.unwrap().len(),
        "events: newest" => page(new().newest_first()).await,
        "events: order.*, newest" => page(new().event("order.*").newest_first()).await,
        "events: an actor's, newest" => page(new().actor(format!("user:{}", random(9973))).newest_first()).await,
        "events: errors of a type since an hour" => {
            let since = Utc::now() - TimeDelta::hours(1 + i64::from(random(700)));
            page(new().event("order.submitted").outcome(Outcome::Error).since(since)).await
        }
        "events: a rare value in data" => page(new().data(json!({"number": random(millions * 1_000_000)}))).await,
        "events: a frequent value in data, newest" => {
            page(new().data(json!({"ticker": format!("T{}", random(500))})).newest_first()).await
        }
        "events: a page from the middle" => {
            let since = Utc::now() - TimeDelta::days(15) + TimeDelta::seconds(random(86_400).into());
            let middle = trail.events(&new().since(since).limit(1)).await.unwrap().events;
            page(new().event("order.filled").after(Cursor::of(&middle[0]))).await
        }
        other => panic!("{other} is not asked"),
    }
}
