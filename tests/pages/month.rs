//! A month of orders, recorded by the library and sealed in small batches.

use audit_runtime::evidence::SigningKey;
use audit_runtime::{Context, Event, Timestamp};
use serde_json::json;
use std::time::{Duration, Instant};
use tests::Database;
use uuid::Uuid;

/// Events of one order.
const EACH: u32 = 10;
/// Batches of the whole trail.
const BATCHES: usize = 100_000;
/// Events of a batch, at least.
const SMALLEST: usize = 10;
/// Events between two waits for the writer.
const AHEAD: u32 = 200_000;
const DAYS: i64 = 30;
const TYPES: [&str; 5] = ["order.submitted", "order.accepted", "order.filled", "risk.evaluated", "position.updated"];

/// Half of all orders are of one tenant.
pub fn tenant(order: u32) -> String {
    if order.is_multiple_of(2) { "acme".into() } else { format!("tenant {}", order % 97) }
}

pub fn actor(number: u32) -> String {
    if number.is_multiple_of(5) { "desk".into() } else { format!("user:{}", number % 9_973) }
}

pub fn order(number: u32) -> Uuid {
    Uuid::from_u128(1 << 96 | u128::from(number))
}

pub fn account(order: u32) -> u32 {
    order % 100_000
}

fn event(number: u32) -> Event {
    let order_number = number / EACH;
    let event = Event::new(TYPES[(number % 5) as usize]).actor(actor(number)).tenant(tenant(order_number));
    let event = match number % EACH {
        9 => event.entity("account", account(order_number)),
        _ => event.entity("order", order(order_number)).target("account", account(order_number)),
    };
    event.data(&json!({
        "ticker": format!("T{}", number % 500), "quantity": number % 1_000, "number": number, "side": "buy", "order_type": "limit",
        "recommendation_id": recommendation(order_number), "limit_price": "187.25",
    }))
}

pub fn recommendation(order: u32) -> Uuid {
    Uuid::from_u128(2 << 96 | u128::from(order))
}

/// Failures come from another program, without a batch, so that a checkpoint seals them: one in a
/// thousand events.
const FAILURES: &str = "INSERT INTO audit_events (id, event_type, entity_type, entity_key, actor, data, tenant, created_at, outcome) \
     SELECT gen_random_uuid(), 'order.rejected', 'order', n::text, 'desk', jsonb_build_object('error', jsonb_build_object('message', 'the desk is closed')), \
     'acme', to_timestamp($1::float8 / 1e6) + n * interval '1 us' * ($2::float8 / $3::float8), 'error' FROM generate_series(1, $3::bigint) n";

/// Fills a trail with so many events of a month, with a checkpoint at each tenth.
pub async fn fill(database: &Database, events: u32, key: &SigningKey) {
    let audit = database.audit().segment_bytes(16 << 20).journal_limit(4 << 30).connections(3);
    let audit = audit.batch_rows((events as usize / BATCHES).max(SMALLEST)).start().unwrap();
    let now = Timestamp::now().unix_micros().unwrap();
    let month = DAYS * 86_400_000_000;
    let begin = Instant::now();
    for number in 0..events {
        if number % EACH == 0 {
            let at = now - month + i64::from(number) * (month / i64::from(events));
            let context = Context::new()
                .correlation(Uuid::from_u128(3 << 96 | u128::from(number / EACH)))
                .attribute("ip", format!("10.0.{}.{}", number / 256 % 256, number / 10 % 256));
            let _entered = audit.enter();
            let _context = context.enter();
            for inner in number..number + EACH {
                let event = event(inner).at(Timestamp::from_unix_micros(at + i64::from(inner - number) * 1_500));
                drop(audit.record(event).unwrap());
            }
        }
        if number % AHEAD == AHEAD - 1 {
            audit.flush().await.unwrap();
        }
        if (number + 1) % (events / 10) == 0 {
            audit.flush().await.unwrap();
            let tenth = i64::from((number + 1) / (events / 10)) - 1;
            let failures =
                sqlx::query(FAILURES).bind((now - month + tenth * month / 10) as f64).bind((month / 10) as f64);
            failures.bind(i64::from(events / 10_000)).execute(&database.pool).await.unwrap();
            database.admin().checkpoint(key).await.unwrap();
            eprintln!("{} rows after {:.0} s", number + 1, begin.elapsed().as_secs_f64());
        }
    }
    audit.shutdown(Duration::from_secs(600)).await.unwrap();
    sqlx::raw_sql("VACUUM ANALYZE").execute(&database.pool).await.unwrap();
    let bytes = "SELECT pg_database_size(current_database())";
    println!(
        "{} rows in {} batches under {} checkpoints, {:.1} GB",
        database.events().await,
        database.count("SELECT count(*) FROM audit_tree").await,
        database.count("SELECT count(*) FROM audit_checkpoints").await,
        database.count(bytes).await as f64 / 1e9
    );
}
