//! A plain table of seven columns ends with the indexes of a new one.

use crate::is_as_new;
use sqlx::Executor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tests::Database;

const TABLE: &str = "CREATE TABLE audit_events (id uuid PRIMARY KEY, event_type text NOT NULL, entity_type text NOT NULL, entity_id uuid, \
     actor text NOT NULL, data jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now()); \
     INSERT INTO audit_events SELECT gen_random_uuid(), 'order.filled', 'order', gen_random_uuid(), 'broker', jsonb_build_object('n', n), \
     now() - n * interval '1 minute' FROM generate_series(1, 40000) n";

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_table_is_taken_in_with_every_index_while_its_writers_go_on() {
    let database = Database::empty().await;
    database.pool.execute(sqlx::raw_sql(TABLE)).await.unwrap();
    let pending = database.admin().pending_migration().await.unwrap();
    assert!(pending.len() == 1 && pending[0].about.contains("a plain table audit_events"), "{pending:?}");
    let ended = AtomicBool::new(false);
    let inserting = async {
        let (mut longest, mut rows) = (Duration::ZERO, 0);
        while !ended.load(Ordering::Relaxed) {
            let begin = Instant::now();
            let sql = "INSERT INTO audit_events (id, event_type, entity_type, actor, data) VALUES (gen_random_uuid(), 'a.b', 'a', 'x', '{}')";
            database.pool.execute(sql).await.unwrap();
            longest = longest.max(begin.elapsed());
            rows += 1;
        }
        (longest, rows)
    };
    let migrating = async {
        database.admin().migrate().await.unwrap();
        ended.store(true, Ordering::Relaxed);
    };
    let ((longest, rows), ()) = futures_util::join!(inserting, migrating);
    eprintln!("{rows} inserts meanwhile, the longest took {longest:?}");
    assert_eq!(database.events().await, 40_000 + rows);
    assert!(longest < Duration::from_secs(15), "{longest:?}");
    is_as_new(&database).await;
    database.is_unharmed().await;
}

#[tokio::test]
async fn an_empty_plain_table_is_taken_in() {
    let database = Database::empty().await;
    database.pool.execute(sqlx::raw_sql(TABLE)).await.unwrap();
    database.pool.execute("DELETE FROM audit_events").await.unwrap();
    database.admin().with_execution().migrate().await.unwrap();
    assert_eq!(database.admin().with_execution().pending_migration().await.unwrap(), []);
}
