//! Rows in the default partition get partitions of their own, while others write there.

use audit_runtime::Event;
use audit_runtime::evidence::SigningKey;
use sqlx::{Executor, Row};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tests::Database;

/// Rows of the last months, and some of no month that deserves a partition.
const FILL: &str = "INSERT INTO audit_events (id, event_type, entity_type, created_at, data) \
     SELECT gen_random_uuid(), 'a.thing', 'a', now() - interval '35 days' - n * interval '1 hour', '{\"n\": 1.10}' FROM generate_series(1, 4000) n; \
     INSERT INTO audit_events (id, event_type, entity_type, created_at) VALUES (gen_random_uuid(), 'a.thing', 'a', 'infinity'), \
     (gen_random_uuid(), 'a.thing', 'a', '0044-03-15 BC')";

async fn in_default(database: &Database) -> i64 {
    database.count("SELECT count(*) FROM audit_events_default").await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_moved_while_others_write_and_stay_what_was_sealed() {
    let database = Database::new().await;
    sqlx::raw_sql(FILL).execute(&database.pool).await.unwrap();
    let key = SigningKey::generate("test").unwrap();
    let saved = database.admin().checkpoint(&key).await.unwrap().note;
    // The remains of an interrupted attempt.
    let left = "DROP VIEW audit_moving; CREATE TABLE audit_moving (LIKE audit_events INCLUDING ALL); CREATE FUNCTION audit_mirror() RETURNS trigger LANGUAGE plpgsql \
         AS $$ BEGIN INSERT INTO audit_moving SELECT NEW.*; RETURN NULL; END $$; \
         CREATE TRIGGER audit_mirror AFTER INSERT ON audit_events_default FOR EACH ROW EXECUTE FUNCTION audit_mirror()";
    sqlx::raw_sql(left).execute(&database.pool).await.unwrap();
    let audit = database.audit().batch_rows(10).start().unwrap();
    let ended = AtomicBool::new(false);
    let writing = async {
        let mut written = 0;
        while !ended.load(Ordering::Relaxed) {
            for days in 0..100 {
                let time = chrono::Utc::now() - chrono::TimeDelta::days(days);
                audit.record_at(Event::new("a.thing"), time).unwrap();
                written += 1;
            }
            audit.flush().await.unwrap();
        }
        written
    };
    let moving = async {
        for _ in 0..3 {
            database.admin().make_partitions(|_| {}).await.unwrap();
        }
        ended.store(true, Ordering::Relaxed);
    };
    let (written, ()) = futures_util::join!(writing, moving);
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    database.admin().make_partitions(|_| {}).await.unwrap();
    assert_eq!(database.events().await, 4_002 + written);
    assert_eq!(in_default(&database).await, 2);
    let names = "SELECT count(*) FROM pg_class WHERE relname LIKE 'audit_moving%' AND relkind IN ('r', 'p')";
    assert_eq!(database.count(names).await, 0);
    let (findings, report) = database.verify(Some(key.public()), &[saved]).await;
    assert!(findings.is_empty(), "{findings:#?}");
    assert_eq!(report.rows.cast_signed(), 4_002 + written);
    // They are append-only like the others, and have every index.
    let month = "SELECT inhrelid::regclass::text AS name, (SELECT count(*) FROM pg_index WHERE indrelid = inhrelid AND indisvalid) AS indexes \
         FROM pg_inherits WHERE inhparent = 'audit_events'::regclass";
    let partitions = database.pool.fetch_all(month).await.unwrap();
    assert!(partitions.len() > 8, "{}", partitions.len());
    for partition in &partitions {
        let (name, indexes): (String, i64) = (partition.get(0), partition.get(1));
        assert_eq!(indexes, partitions[0].get::<i64, _>(1), "{name}");
        let truncate = sqlx::query(sqlx::AssertSqlSafe(format!("TRUNCATE {name}"))).execute(&database.pool).await;
        assert!(truncate.unwrap_err().to_string().contains("append-only"), "{name}");
    }
    assert!(database.pool.execute("DELETE FROM audit_events").await.is_err());
}

#[tokio::test]
async fn where_nothing_lies_in_the_default_partition_nothing_is_moved() {
    let database = Database::new().await;
    let mut steps = Vec::new();
    database.admin().make_partitions(|step| steps.push(step.to_string())).await.unwrap();
    assert_eq!(steps, Vec::<String>::new());
}
