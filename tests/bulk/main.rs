//! The cost of events in a caller's transaction: many by `record_in`, beside a hand-written
//! `INSERT .. SELECT` of the same rows, and single ones beside a hand-written `INSERT`.
//!
//! `scripts/bulk.sh [events] [rounds]` runs it. It fails if many take more than 2.5 times as long.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use audit_runtime::{Audit, Context, Event};
use serde_json::json;
use sqlx::postgres::{PgConnection, PgPool};
use std::time::{Duration, Instant};
use tests::{Cluster, Config, Database};
use uuid::Uuid;

const COLUMNS: &str = "id, event_type, entity_type, entity_id, actor, data, created_at, outcome, duration_us, correlation_id, \
                       causation_id, context, origin, entity_key, targets, tenant";
/// Inserts of single rows in one transaction, of which the median is taken.
const SINGLE: usize = 500;
const LIMIT: f64 = 2.5;

/// An event as a nightly job records it: about 100 bytes of data.
fn event(id: usize) -> Event {
    Event::new("account.closed").entity("account", id as u64).data(&json!({
        "account_id": id, "balance": 0, "currency": "EUR", "closed_by": "dormant accounts", "previous_status": "dormant",
    }))
}

async fn rows(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM audit_events").fetch_one(pool).await.unwrap()
}

/// Many events of the library's, from their construction to the commit.
async fn recorded(audit: &Audit, pool: &PgPool, events: usize) -> Duration {
    let begin = Instant::now();
    let mut tx = pool.begin().await.unwrap();
    audit.record_in(&mut tx, (0..events).map(event)).await.unwrap();
    tx.commit().await.unwrap();
    begin.elapsed()
}

/// The same rows with ids of their own, from a table.
async fn selected(pool: &PgPool, events: usize) -> Duration {
    let stage = format!(
        "DROP TABLE IF EXISTS same; CREATE TABLE same AS SELECT * FROM audit_events WHERE batch_id IS NULL ORDER BY created_at DESC, id DESC LIMIT {events}; \
         UPDATE same SET id = (left(id::text, 24) || left(md5(random()::text), 12))::uuid; ANALYZE same; CHECKPOINT"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(stage)).execute(pool).await.unwrap();
    let insert = format!("INSERT INTO audit_events ({COLUMNS}) SELECT {COLUMNS} FROM same");
    let begin = Instant::now();
    let mut tx = pool.begin().await.unwrap();
    let done = sqlx::query(sqlx::AssertSqlSafe(insert)).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let took = begin.elapsed();
    assert_eq!(done.rows_affected(), events as u64);
    took
}

async fn inserted_by_hand(connection: &mut PgConnection, number: usize) {
    let values = "$1, $2, $3, $4, $5, $6::jsonb, now(), $7, $8, $9, $10, $11::jsonb, $12, $13, $14::jsonb, $15";
    sqlx::query(sqlx::AssertSqlSafe(format!("INSERT INTO audit_events ({COLUMNS}) VALUES ({values})")))
        .bind(Uuid::now_v7())
        .bind("account.closed")
        .bind("account")
        .bind(Uuid::from_u128(number as u128))
        .bind("nightly")
        .bind(r#"{"account_id":1,"balance":0,"currency":"EUR","closed_by":"dormant accounts","previous_status":"dormant"}"#)
        .bind("ok")
        .bind(None::<i64>)
        .bind(Uuid::from_u128(7))
        .bind(None::<Uuid>)
        .bind(None::<&str>)
        .bind("bulk@host:1")
        .bind(number.to_string())
        .bind(None::<&str>)
        .bind("acme")
        .execute(connection)
        .await
        .unwrap();
}

/// Single rows in one transaction, in turns: by hand, and by the statement that `tx` executes.
async fn single(audit: &Audit, pool: &PgPool) -> (Duration, Duration) {
    let mut tx = pool.begin().await.unwrap();
    let (mut by_hand, mut by_library) = (Vec::new(), Vec::new());
    for number in 0..SINGLE {
        let begin = Instant::now();
        inserted_by_hand(&mut tx, number).await;
        by_hand.push(begin.elapsed());
        let begin = Instant::now();
        audit.record_in(&mut tx, [event(number)]).await.unwrap();
        by_library.push(begin.elapsed());
    }
    tx.rollback().await.unwrap();
    (median(by_hand), median(by_library))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().unwrap());
    let (events, rounds) = (arguments.next().unwrap_or(10_000), arguments.next().unwrap_or(9));
    let cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    let audit = database.audit().start().unwrap();
    let context = Context::new().actor("nightly").tenant("acme").correlation(Uuid::from_u128(7));
    context
        .scope(async {
            let pool = &database.pool;
            // Plans, caches and the first pages are made by a round that does not count.
            recorded(&audit, pool, events).await;
            selected(pool, events).await;
            let (mut library, mut hand) = (Vec::new(), Vec::new());
            for round in 0..rounds {
                if round % 2 == 0 {
                    library.push(recorded(&audit, pool, events).await);
                    hand.push(selected(pool, events).await);
                } else {
                    hand.push(selected(pool, events).await);
                    library.push(recorded(&audit, pool, events).await);
                }
            }
            assert_eq!(rows(pool).await, ((rounds + 1) * 2 * events) as i64, "every row is there");
            let spread = |times: &[Duration]| {
                let milliseconds = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
                format!("{:.0} to {:.0} ms", milliseconds(times.iter().min()), milliseconds(times.iter().max()))
            };
            println!("{events} events, {rounds} rounds in turns");
            println!(
                "record_in           {:>8.1} ms ({})",
                median(library.clone()).as_secs_f64() * 1e3,
                spread(&library)
            );
            println!("INSERT .. SELECT    {:>8.1} ms ({})", median(hand.clone()).as_secs_f64() * 1e3, spread(&hand));
            let ratio = median(library).as_secs_f64() / median(hand).as_secs_f64();
            println!("ratio               {ratio:>8.2}");
            let (by_hand, by_library) = single(&audit, pool).await;
            println!("one row by tx       {:>8.0} us", by_library.as_secs_f64() * 1e6);
            println!("one INSERT by hand  {:>8.0} us", by_hand.as_secs_f64() * 1e6);
            assert!(ratio <= LIMIT, "{ratio:.2} times as long as by hand, and at most {LIMIT} are allowed");
        })
        .await;
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
}
