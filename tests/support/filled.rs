//! A table of many millions of rows, and what is asked of it.

use crate::Database;
use audit_runtime::Outcome;
use audit_runtime::trail::{Cursor, EventFilter, Trail};
use chrono::{TimeDelta, Utc};
use rand::prelude::*;
use serde_json::json;
use sqlx::AssertSqlSafe;
use tokio::sync::OnceCell;
use uuid::Uuid;

/// Events of one order.
const EACH: u32 = 10;

fn id(kind: u32, number: u32) -> Uuid {
    Uuid::from_u128(u128::from(kind) << 96 | u128::from(number))
}

/// The columns since version 6, and their values.
const FURTHER: (&str, &str) = (
    ", entity_key, targets, tenant",
    ", CASE n % 50 WHEN 0 THEN n::text END, CASE n % 50 WHEN 0 THEN jsonb_build_array(jsonb_build_object('type', 'account', \
     'id', uuid(6, n / 2500)), jsonb_build_object('type', 'invoice', 'id', uuid(7, n))) END, \
     CASE n % 50 WHEN 0 THEN 'tenant ' || n / 50 % 97 END",
);

/// Fills in the rows from one million to another of a month of orders that is `of` millions in all.
/// Each order has ten events, a recommendation and a request. Every thousandth event is an error, and
/// every fifth the desk's. Every fiftieth has a key, two targets and a tenant, and the library's id.
/// Every hundredth is of the one hot entity. Every 500th came without a batch.
pub async fn fill(database: &Database, from: u32, to: u32, of: u32) {
    let uuid = "CREATE OR REPLACE FUNCTION uuid(kind int, n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS \
                $$ SELECT (lpad(to_hex(kind), 8, '0') || lpad(to_hex(n), 24, '0'))::uuid $$";
    sqlx::raw_sql(uuid).execute(&database.pool).await.unwrap();
    let id = "CREATE OR REPLACE FUNCTION audit_fill_id(t timestamptz, n bigint) RETURNS uuid LANGUAGE sql AS \
              $$ SELECT (lpad(to_hex((extract(epoch FROM t) * 1000)::bigint), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid $$";
    sqlx::raw_sql(id).execute(&database.pool).await.unwrap();
    // Version 5 of the schema lacks them.
    let has_keys = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'audit_events'::regclass AND attname = 'tenant'";
    let (columns, further) = if database.count(has_keys).await == 1 { FURTHER } else { ("", "") };
    for million in from..to {
        let sql = format!(
            "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, duration_us, outcome, correlation_id, context, origin, \
             batch_id{columns}) \
             SELECT CASE n % 50 WHEN 0 THEN audit_fill_id(t, n) ELSE uuid(5, n) END, \
             (ARRAY['order.submitted', 'order.accepted', 'order.filled', 'risk.evaluated', 'position.updated'])[1 + n % 5], \
             'order', CASE n % 100 WHEN 7 THEN uuid(9, 9) ELSE uuid(1, n / {EACH}) END, CASE n % 5 WHEN 0 THEN 'desk' ELSE 'user:' || n % 9973 END, \
             jsonb_build_object('ticker', 'T' || n % 500, 'quantity', n % 1000, 'number', n, \
             'recommendation_id', uuid(2, n / {EACH}), 'side', 'buy', 'order_type', 'limit'), t, 100 + n % 1000, \
             CASE WHEN n % 1000 = 0 THEN 'error' ELSE 'ok' END, uuid(3, n / {EACH}), '{{\"tenant\": \"acme\"}}', 'desk@host:1', \
             CASE n % 500 WHEN 1 THEN NULL ELSE uuid(4, n / 5000) END{further} \
             FROM generate_series({million} * 1000000::bigint, {million} * 1000000::bigint + 999999) n, \
             LATERAL (SELECT now() - interval '30 days' * (1 - n / ({of} * 1e6)) AS t) times"
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
        eprintln!("{} million rows", million + 1);
    }
    sqlx::raw_sql("VACUUM ANALYZE audit_events").execute(&database.pool).await.unwrap();
}

/// The questions.
pub const QUESTIONS: [&str; 19] = [
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
    "entity(\"order\", hot), newest",
    "events: the most frequent actor's, newest",
    "events: a frequent type's, newest",
    "events: errors, newest",
    "events: a tenant's, newest",
    "events: a target's, newest",
    "events: by an id of the library",
    "events: by an id of another writer",
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
        "entity(\"order\", hot), newest" => page(new().entity("order", id(9, 9)).newest_first()).await,
        "events: the most frequent actor's, newest" => page(new().actor("desk").newest_first()).await,
        "events: a frequent type's, newest" => page(new().event("order.filled").newest_first()).await,
        "events: errors, newest" => page(new().outcome(Outcome::Error).newest_first()).await,
        "events: a tenant's, newest" => page(new().tenant(format!("tenant {}", random(97))).newest_first()).await,
        "events: a target's, newest" => {
            let account = id(6, random(millions * 400));
            page(new().target("account", account).newest_first()).await
        }
        "events: by an id of the library" => {
            static KNOWN: OnceCell<Vec<Uuid>> = OnceCell::const_new();
            let known = async || trail.events(&new().tenant("tenant 7").limit(50)).await.unwrap().events;
            let known = KNOWN.get_or_init(async || known().await.iter().map(|event| event.id).collect()).await;
            page(new().id(known[rand::rng().random_range(0..known.len())])).await
        }
        "events: by an id of another writer" => page(new().id(id(5, random(millions * 2_000) * 500 + 1))).await,
        other => panic!("{other} is not asked"),
    }
}
