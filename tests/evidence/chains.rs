//! The chain of a journal whose process died while some of its batches were stored and others,
//! before them, were not.

use audit_runtime::{Audit, Event, MasterKey};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use std::time::Duration;
use tests::{Database, eventually};

/// Makes a batch with such an event wait for whoever holds this lock.
const SLOW: &str = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END $$; \
     CREATE TRIGGER slow BEFORE INSERT ON audit_events FOR EACH ROW WHEN (NEW.event_type = 'it.waits') EXECUTE FUNCTION wait()";

/// Records large events, so that every connection has a backlog. Those of these numbers wait.
fn record(audit: &Audit, slow: &[u32]) {
    for number in 0..200 {
        let event_type = if slow.contains(&number) { "it.waits" } else { "it.goes" };
        let event = Event::new(event_type).data(&json!({"number": number, "padding": "x".repeat(50_000)}));
        // The adopter of the journal has to encrypt to the same bytes.
        let event = event.personal(format_args!("customer:{}", number % 7), &json!({"email": "ann@example.com"}));
        audit.record(event).unwrap();
    }
}

async fn holes(slow: &[u32], batch_rows: usize) {
    let database = Database::new().await;
    sqlx::raw_sql(SLOW).execute(&database.pool).await.unwrap();
    let mut holder = PgConnection::connect(&database.url).await.unwrap();
    holder.execute("SELECT pg_advisory_lock(42)").await.unwrap();
    let master = MasterKey::generate();
    let audit = database.audit().segment_bytes(1 << 24).master_key(master.clone());
    let audit = audit.batch_rows(3).connections(4).start().unwrap();
    record(&audit, slow);
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let stored = "SELECT count(*) FROM audit_batches";
    eventually("some are stored behind those that wait", async || {
        database.count(waiting).await == slow.len() as i64 && database.count(stored).await >= 20
    })
    .await;
    database.abandon(audit).await;
    holder.close().await.unwrap();
    let next = database.audit().segment_bytes(1 << 24).master_key(master).batch_rows(batch_rows).start().unwrap();
    eventually("the rest is adopted", async || database.events().await == 200).await;
    next.shutdown(Duration::from_secs(30)).await.unwrap();
    assert_eq!(database.is_unharmed().await.rows, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_batch_that_was_not_stored_is_made_again_between_its_neighbours() {
    holes(&[7], 5_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_in_a_row_are_made_again_so_that_the_next_one_chains() {
    holes(&[4, 7, 10], 5_000).await;
    holes(&[4, 7, 12], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_and_some_further_ones_are_made_again() {
    holes(&[0, 6, 20], 2).await;
}
