//! Events become rows: all of them, once, with every column.

use audit_runtime::trail::Trail;
use audit_runtime::{Audit, Context, Event, Outcome, StoreError, audited};
use chrono::{DateTime, Utc};
use serde_json::json;
use std::time::Duration;
use tests::{Database, eventually};
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
#[error("market closed")]
struct Closed(#[source] std::io::Error);

#[audited(event = "order.submitted", err = "order.rejected", actor = "broker_service", skip(open))]
fn submit(order_id: Uuid, ticker: &str, quantity: f64, open: bool) -> Result<u32, Closed> {
    if open { Ok(7) } else { Err(Closed(std::io::Error::other("holiday"))) }
}

#[audited(event = "position.updated", id = order_id)]
async fn outer(order_id: Uuid) {
    let _ = submit(order_id, "MSFT", 1.0, true);
}

/// The rows there are, by a new connection: the server was away.
async fn rows(database: &Database) -> i64 {
    let pool = sqlx::PgPool::connect(&database.url).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM audit_events").fetch_one(&pool).await.unwrap()
}

fn start(database: &Database) -> Audit {
    database.audit().start().unwrap()
}

#[tokio::test]
async fn every_column_of_a_row_is_what_the_call_was() {
    let database = Database::new().await;
    let audit = start(&database);
    let (accepted, refused) = (Uuid::now_v7(), Uuid::now_v7());
    let before = Utc::now();
    audit
        .scope(async {
            submit(accepted, "AAPL", 1.5, true).unwrap();
            submit(refused, "Ä\u{0}\n\"", f64::NAN, false).unwrap_err();
        })
        .await;
    audit.flush().await.unwrap();
    let after = Utc::now();

    let trail = Trail::new(database.pool.clone());
    let [row] = trail.entity("order", accepted).await.unwrap().try_into().unwrap();
    assert_eq!(row.event_type, "order.submitted");
    assert_eq!(row.actor, "broker_service");
    assert_eq!(row.data, json!({"order_id": accepted, "ticker": "AAPL", "quantity": 1.5, "result": 7}));
    assert_eq!(row.outcome, Outcome::Ok);
    // The clock's microseconds are cut, not rounded.
    assert!(row.created_at >= before - Duration::from_micros(1) && row.created_at <= after);
    assert!(row.duration().unwrap() < Duration::from_secs(60));
    assert_eq!(row.correlation_id, Some(row.id));
    assert_eq!((row.causation_id, row.context), (None, None));
    let origin = row.origin.unwrap();
    assert!(origin.starts_with("test@") && origin.ends_with(&format!(":{}", std::process::id())), "{origin}");
    assert!(row.batch_id.is_some());

    let [row] = trail.entity("order", refused).await.unwrap().try_into().unwrap();
    assert_eq!((row.event_type.as_str(), row.outcome), ("order.rejected", Outcome::Error));
    assert_eq!(
        row.data,
        json!({"order_id": refused, "ticker": "Ä\\u0000\n\"", "quantity": null,
               "error": {"message": "market closed", "causes": ["holiday"]}})
    );
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_nested_call_names_its_cause_and_inherits_the_context() {
    let database = Database::new().await;
    let audit = start(&database);
    let (order_id, correlation) = (Uuid::now_v7(), Uuid::now_v7());
    let context = Context::new().actor("user:42").correlation(correlation).attribute("tenant", "acme");
    audit.scope(context.scope(outer(order_id))).await;
    audit.flush().await.unwrap();
    let rows = Trail::new(database.pool.clone()).order(order_id, None).await.unwrap();
    let [outer, inner] = rows.try_into().unwrap();
    assert_eq!((outer.event_type.as_str(), outer.actor.as_str()), ("position.updated", "user:42"));
    assert_eq!((inner.event_type.as_str(), inner.actor.as_str()), ("order.submitted", "broker_service"));
    assert_eq!((outer.causation_id, inner.causation_id), (None, Some(outer.id)));
    assert_eq!((outer.correlation_id, inner.correlation_id), (Some(correlation), Some(correlation)));
    assert_eq!(outer.context, Some(json!({"tenant": "acme"}).into()));
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn events_by_hand_have_the_time_they_are_given_and_can_be_waited_for() {
    let database = Database::new().await;
    let audit = start(&database);
    let id = Uuid::now_v7();
    let at: DateTime<Utc> = "2019-02-28T23:59:59.123456Z".parse().unwrap();
    let event = Event::new("order.accepted").entity("order", id).actor("ann").data(&json!({"a": 1}));
    let receipt = audit.record_at(&event, at).unwrap();
    receipt.stored().await.unwrap();
    let [row] = Trail::new(database.pool.clone()).entity("order", id).await.unwrap().try_into().unwrap();
    assert_eq!((row.id, row.created_at, row.data), (receipt.id(), at.into(), json!({"a": 1}).into()));
    let error = audit.record(Event::new("Not a type")).unwrap_err();
    assert!(error.to_string().contains("noun.verb"), "{error}");
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_service_starts_while_postgresql_is_down_and_loses_nothing() {
    let (mut cluster, database) = Database::out_of_reach().await;
    let audit = start(&database);
    audit
        .scope(async {
            for _ in 0..1000 {
                submit(Uuid::now_v7(), "AAPL", 1.0, true).unwrap();
            }
        })
        .await;
    eventually("a failure is told", || async { audit.stats().last_error.is_some() }).await;
    let stats = audit.stats();
    assert_eq!((stats.recorded, stats.stored, stats.pending, stats.refused), (1000, 0, 1000, 0));
    assert!(stats.retries > 0 && stats.lag > Duration::ZERO, "{stats:?}");
    cluster.up();
    audit.flush().await.unwrap();
    let stats = audit.stats();
    assert_eq!((stats.recorded, stats.stored, stats.pending), (1000, 1000, 0));
    assert_eq!((stats.last_error, stats.lag), (None, Duration::ZERO));
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!(rows(&database).await, 1000);
}

#[tokio::test]
async fn shutdown_keeps_to_its_time_and_what_is_left_is_shipped_by_the_next_start() {
    let (mut cluster, database) = Database::out_of_reach().await;
    let audit = start(&database);
    audit
        .scope(async {
            for _ in 0..10 {
                submit(Uuid::now_v7(), "AAPL", 1.0, true).unwrap();
            }
        })
        .await;
    let waiting = audit.record(Event::new("order.accepted")).unwrap();
    let report = audit.shutdown(Duration::from_millis(300)).await.unwrap();
    assert_eq!((report.stored, report.left_in_journal, report.refused), (0, 11, 0));
    assert_eq!(waiting.stored().await, Err(StoreError::Closed));
    assert!(audit.record(Event::new("order.accepted")).is_err());
    assert_eq!(audit.stats().refused, 1);
    drop(audit);
    assert_eq!(database.journal_directories(), 1);

    cluster.up();
    let next = start(&database);
    eventually("the journal is adopted", || async { next.stats().adopted == 11 }).await;
    eventually("the journal goes", || async { database.journal_directories() == 1 }).await;
    let report = next.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!((report.stored, report.left_in_journal), (0, 0));
    assert_eq!(database.journal_directories(), 0, "both journals are empty and gone");
    assert_eq!(rows(&database).await, 11);
}

#[tokio::test]
async fn a_schema_that_is_missing_is_waited_for() {
    let database = Database::empty().await;
    let audit = start(&database);
    let receipt = audit.record(Event::new("order.accepted")).unwrap();
    eventually("the missing schema is told", || async {
        audit.stats().last_error.is_some_and(|error| error.contains("Admin::migrate"))
    })
    .await;
    database.admin().migrate().await.unwrap();
    receipt.stored().await.unwrap();
    assert_eq!(database.events().await, 1);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_row_postgres_refuses_is_quarantined_and_does_not_hold_up_the_others() {
    let database = Database::new().await;
    sqlx::query("ALTER TABLE audit_events ADD CHECK (data->>'quantity' <> '13')")
        .execute(&database.pool)
        .await
        .unwrap();
    let audit = start(&database);
    audit
        .scope(async {
            for quantity in 0..500 {
                submit(Uuid::now_v7(), "AAPL", f64::from(quantity), true).unwrap();
            }
            audit.record(Event::new("order.accepted").data(&json!({"quantity": "13"}))).unwrap();
        })
        .await;
    audit.flush().await.unwrap();
    assert_eq!(database.events().await, 500);
    let (error, sqlstate, payload): (String, String, Vec<u8>) =
        sqlx::query_as("SELECT error, sqlstate, payload FROM audit_quarantine")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert!(error.contains("check constraint"), "{error}");
    assert_eq!(sqlstate, "23514");
    assert!(payload.windows(13).any(|bytes| bytes == b"{\"quantity\":\""));
    let stats = audit.stats();
    assert_eq!((stats.recorded, stats.stored, stats.quarantined), (501, 501, 1));
    assert_eq!(database.count("SELECT sum(rows)::bigint FROM audit_batches").await, 501);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn batches_tile_the_journal_without_a_gap() {
    let database = Database::new().await;
    let audit = database.audit().batch_rows(100).connections(3).start().unwrap();
    audit
        .scope(async {
            for _ in 0..5_000 {
                submit(Uuid::now_v7(), "AAPL", 1.0, true).unwrap();
            }
        })
        .await;
    audit.flush().await.unwrap();
    let gaps = "SELECT count(*) FROM (SELECT first_position, lag(end_position, 1, 0) \
                OVER (ORDER BY first_position) AS before FROM audit_batches) AS b WHERE first_position <> before";
    assert_eq!(database.count(gaps).await, 0);
    assert!(database.count("SELECT count(*) FROM audit_batches").await >= 50);
    let stray = "SELECT count(*) FROM audit_events WHERE batch_id NOT IN (SELECT id FROM audit_batches)";
    assert_eq!((database.events().await, database.count(stray).await), (5_000, 0));
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn two_handles_share_a_directory_without_touching_each_other() {
    let database = Database::new().await;
    let (one, two) = (start(&database), start(&database));
    for _ in 0..100 {
        one.record(Event::new("order.accepted").actor("one")).unwrap();
        two.record(Event::new("order.accepted").actor("two")).unwrap();
    }
    one.flush().await.unwrap();
    two.flush().await.unwrap();
    assert_eq!((one.stats().adopted, two.stats().adopted), (0, 0));
    assert_eq!(database.events().await, 200);
    one.shutdown(Duration::from_secs(10)).await.unwrap();
    two.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_dropped_handle_still_ships_what_it_has() {
    let database = Database::new().await;
    let audit = start(&database);
    audit.record(Event::new("order.accepted")).unwrap();
    drop(audit);
    eventually("the row is there", || async { database.events().await == 1 }).await;
    eventually("the journal is gone", || async { database.journal_directories() == 0 }).await;
}

#[tokio::test]
async fn a_journal_in_memory_leaves_no_file() {
    let database = Database::new().await;
    let audit = Audit::builder().postgres(database.url.as_str()).memory().start().unwrap();
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    assert_eq!((database.events().await, database.journal_directories()), (1, 0));
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn the_sum_of_stats_holds_while_threads_record() {
    let database = Database::new().await;
    let audit = database.audit().journal_limit(2 << 20).start().unwrap();
    std::thread::scope(|scope| {
        let recorders: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| (0..20_000).filter(|_| audit.record(Event::new("order.accepted")).is_ok()).count()))
            .collect();
        while recorders.iter().any(|recorder| !recorder.is_finished()) {
            let stats = audit.stats();
            assert_eq!(stats.recorded, stats.stored + stats.pending + stats.refused, "{stats:?}");
        }
        let taken: usize = recorders.into_iter().map(|recorder| recorder.join().unwrap()).sum();
        assert_eq!(audit.stats().refused, 60_000 - taken as u64);
    });
    audit.flush().await.unwrap();
    // Ended, for until then half a second without a refusal adds an event of its own.
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    let stats = audit.stats();
    let gaps: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_events WHERE event_type = 'audit.gap'")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(stats.recorded, 60_000 + gaps.cast_unsigned());
    assert_eq!((stats.stored, stats.pending), (database.events().await.cast_unsigned(), 0));
}

#[tokio::test]
async fn commits_wait_for_the_disk_unless_that_is_not_asked_for() {
    let database = Database::new().await;
    let name = database.url.rsplit('/').next().unwrap();
    let sql = format!(
        "ALTER DATABASE {name} SET synchronous_commit TO off; CREATE TABLE seen (waits text); \
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$; \
         CREATE TRIGGER see AFTER INSERT ON audit_batches EXECUTE FUNCTION see()"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
    for (waits, setting) in [(None, "on"), (Some(true), "on"), (Some(false), "off")] {
        let builder = waits.into_iter().fold(database.audit(), audit_runtime::Builder::synchronous_commit);
        let audit = builder.start().unwrap();
        audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
        let seen: Vec<String> =
            sqlx::query_scalar("DELETE FROM seen RETURNING waits").fetch_all(&database.pool).await.unwrap();
        assert_eq!(seen, [setting], "{waits:?}");
        audit.shutdown(Duration::from_secs(10)).await.unwrap();
    }
}

#[tokio::test]
async fn events_of_a_small_service_share_transactions() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let (begin, mut pace) = (std::time::Instant::now(), tokio::time::interval(Duration::from_millis(10)));
    for _ in 0..100 {
        pace.tick().await;
        audit.record(Event::new("order.accepted")).unwrap();
    }
    eventually("all are stored", || async { audit.stats().stored == 100 }).await;
    // A batch each 250 ms, however long this machine takes.
    let (batches, took) = (audit.stats().batches, begin.elapsed());
    assert!(u128::from(batches) <= took.as_millis() / 250 + 2, "{batches} batches in {took:?}");
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}
