//! `pg_upgrade`, in place, to another version of the server.

use crate::{is_well, record, verifies};
use audit_runtime::evidence::SigningKey;
use tests::{Cluster, Config, Database, before};

#[tokio::test]
async fn a_trail_that_pg_upgrade_moved_verifies_and_goes_on() {
    let mut from = Cluster::start(Config::default());
    let database = Database::migrated_in(&from).await;
    sqlx::query("REVOKE CREATE ON SCHEMA public FROM PUBLIC").execute(&database.pool).await.unwrap();
    record(&database, 1_000).await;
    before::fill(&database, 500).await;
    let key = SigningKey::generate("audit.example.com/upgrade").unwrap();
    let checkpoint = database.admin().checkpoint(&key).await.unwrap();
    let events = database.events().await;
    database.pool.close().await;
    let Some(to) = from.upgraded(Config::default()) else {
        eprintln!("left out: this PostgreSQL came without pg_upgrade, or the old one without pg_resetwal");
        return;
    };
    eprintln!("PostgreSQL {} is upgraded to {}", from.major(), to.major());
    let database = database.moved_to(&to);
    assert_eq!(database.events().await, events);
    verifies(&database, &key, &checkpoint.note).await;
    assert_eq!(database.admin().pending_migration().await.unwrap(), []);
    // The writers' batches go on: transaction numbers continue.
    record(&database, 100).await;
    let next = database.admin().checkpoint(&key).await.unwrap();
    verifies(&database, &key, &next.note).await;
    assert_eq!(database.events().await, events + 100);
    is_well(&database, &[]);
}
