//! A database that goes back, and lacks the keys of batches that were cut and not stored.

use crate::{LONG, as_superuser, change};
use audit_runtime::MasterKey;
use audit_runtime::trail::{EventFilter, Trail};
use sqlx::{Postgres, Transaction};
use tests::{Database, eventually};

const WAITING: u64 = 500;

/// Stores one event, and cuts batches that wait for a lock.
async fn cut(database: &Database, master: &MasterKey) {
    let audit = database.audit().master_key(master.clone()).batch_rows(20).connections(2).start().unwrap();
    audit.scope(async { change("customer:0", "ann@example.com") }).await;
    audit.flush().await.unwrap();
    let holder = lock(database).await;
    audit
        .scope(async {
            for number in 0..WAITING {
                change(&format!("customer:{}", number % 10), &format!("{}{number}@example.com", "ann+".repeat(1_000)));
            }
        })
        .await;
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'audit_batches'::regclass";
    eventually("batches wait", || async { database.count(waiting).await >= 2 }).await;
    assert_eq!(database.abandon(audit).await.left_in_journal, WAITING);
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE NOT granted AND relation = 'audit_batches'::regclass";
    database.count(end).await;
    holder.rollback().await.unwrap();
    assert_eq!(database.events().await, 1);
}

async fn lock(database: &Database) -> Transaction<'static, Postgres> {
    let mut holder = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE audit_batches IN SHARE MODE").execute(&mut *holder).await.unwrap();
    holder
}

async fn adopted(database: &Database, master: &MasterKey) -> u64 {
    let next = database.audit().master_key(master.clone()).start().unwrap();
    eventually("it is adopted", || async { database.journal_directories() == 1 }).await;
    next.shutdown(LONG).await.unwrap();
    let trail = Trail::new(database.pool.clone()).master_key(master.clone());
    let events = trail.events(&EventFilter::new().event("customer.changed").limit(501)).await.unwrap().events;
    assert_eq!(events.len() as u64, WAITING + 1);
    events.iter().filter(|event| event.data["mail"].as_str().is_some_and(|mail| mail.ends_with("@example.com"))).count()
        as u64
}

#[tokio::test]
async fn an_adopter_encrypts_by_the_keys_that_the_cut_log_has() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    cut(&database, &master).await;
    // As a standby lacks it that takes over, and another process makes the next one.
    as_superuser(&database, "DELETE FROM audit_keys").await;
    let other = tempfile::tempdir().unwrap();
    let beside = database.audit().journal(other.path()).master_key(master.clone()).start().unwrap();
    beside.scope(async { change("customer:0", "ann@example.com") }).await;
    beside.shutdown(LONG).await.unwrap();
    as_superuser(
        &database,
        "DELETE FROM audit_events WHERE data->'mail'->'$encrypted'->>'key' = (SELECT id::text FROM audit_keys)",
    )
    .await;
    as_superuser(
        &database,
        "DELETE FROM audit_batches b WHERE NOT EXISTS (SELECT FROM audit_events WHERE batch_id = b.id)",
    )
    .await;
    // The log has the key of its batches, and so that of the stored event.
    assert_eq!(adopted(&database, &master).await, WAITING + 1);
    assert_eq!(database.count("SELECT count(*) FROM audit_keys").await, 11);
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_key_that_was_destroyed_stays_so_and_the_chain_holds() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    cut(&database, &master).await;
    database.admin().forget("customer:0").await.unwrap();
    // Batches that had not been cut have another key.
    let readable = adopted(&database, &master).await;
    assert!((WAITING / 10 * 9..=WAITING - 4).contains(&readable), "{readable}");
    database.is_unharmed().await;
}
