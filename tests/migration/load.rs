//! Writers go on while the schema is migrated.

use crate::is_as_new;
use audit_runtime::Event;
use audit_runtime::admin::Progress;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tests::{Cluster, Config, before};

/// A migration under load of a busy machine; `scripts/migrate.sh` measures it on a quiet one.
const PATIENCE: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn no_insert_waits_long_while_a_table_is_migrated() {
    let cluster = Cluster::start(Config::default());
    let database = before::version_5_in(&cluster).await;
    before::fill(&database, 200_000).await;
    let audit = database.audit().start().unwrap();
    let ended = AtomicBool::new(false);
    let inserting = async {
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        let (mut longest, mut rows) = (Duration::ZERO, 0);
        while !ended.load(Ordering::Relaxed) {
            let begin = Instant::now();
            let sql = "INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 'a.b', 'a')";
            sqlx::query(sql).execute(&mut connection).await.unwrap();
            longest = longest.max(begin.elapsed());
            rows += 1;
        }
        (longest, rows)
    };
    let recording = async {
        let mut rows = 0;
        while !ended.load(Ordering::Relaxed) {
            for _ in 0..100 {
                audit.record(Event::new("order.accepted")).unwrap();
            }
            audit.flush().await.unwrap();
            rows += 100;
        }
        rows
    };
    let reading = async {
        while !ended.load(Ordering::Relaxed) {
            assert!(
                database.count("SELECT count(*) FROM audit_events WHERE event_type = 'order.filled'").await == 200_000
            );
        }
    };
    let migrating = async {
        let begin = Instant::now();
        database.admin().migrate().await.unwrap();
        ended.store(true, Ordering::Relaxed);
        begin.elapsed()
    };
    let ((longest, inserted), recorded, (), took) = futures_util::join!(inserting, recording, reading, migrating);
    eprintln!("migrated in {took:?}; {inserted} inserts meanwhile, the longest took {longest:?}");
    assert!(longest < PATIENCE, "{longest:?}");
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    assert_eq!(database.events().await, 200_000 + inserted + recorded);
    is_as_new(&database).await;
    database.is_unharmed().await;
}

/// An open transaction holds up the lock for the exchange: the migration waits for it, and nobody waits for the migration.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_stays_open_delays_the_migration_and_no_writer() {
    let cluster = Cluster::start(Config::default());
    let database = before::version_5_in(&cluster).await;
    before::fill(&database, 40_000).await;
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let mut idle = Some(&mut connection);
    let (ended, amended, exchanging) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
    let inserting = async {
        let (mut longest, mut since) = (Duration::ZERO, None);
        let mut open = None;
        while !ended.load(Ordering::Relaxed) {
            let begin = Instant::now();
            let sql = "INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 'a.b', 'a')";
            sqlx::query(sql).execute(&database.pool).await.unwrap();
            longest = longest.max(begin.elapsed());
            // Version 6 itself needs the lock, too; and a query would hold indexes that are to be attached.
            if amended.load(Ordering::Relaxed)
                && let Some(connection) = idle.take()
            {
                let mut transaction = connection.begin().await.unwrap();
                sqlx::query("LOCK TABLE ONLY audit_events IN ACCESS SHARE MODE")
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
                open = Some(transaction);
            }
            if exchanging.load(Ordering::Relaxed) {
                // Long enough for several attempts.
                let since = since.get_or_insert_with(Instant::now);
                if since.elapsed() > Duration::from_secs(2)
                    && let Some(open) = open.take()
                {
                    open.commit().await.unwrap();
                }
            }
        }
        longest
    };
    let migrating = async {
        let told = |step: Progress<'_>| {
            let step = step.to_string();
            amended.fetch_or(step.starts_with("step "), Ordering::Relaxed);
            if step.contains("the primary key exchanged") {
                exchanging.store(true, Ordering::Relaxed);
            }
        };
        database.admin().migrate_with_progress(told).await.unwrap();
        ended.store(true, Ordering::Relaxed);
    };
    // Without a timeout for the lock, each would wait for the other.
    let both = async { futures_util::join!(inserting, migrating) };
    let (longest, ()) = tokio::time::timeout(Duration::from_secs(120), both).await.unwrap();
    eprintln!("the longest insert took {longest:?}");
    assert!(longest < PATIENCE, "{longest:?}");
    is_as_new(&database).await;
}
