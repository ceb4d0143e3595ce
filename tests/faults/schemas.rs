//! Tables of another version than this library's.

use audit_runtime::Event;
use std::time::Duration;
use tests::{Database, before, eventually};

/// Migrated to a version that only a later program knows.
async fn version_99() -> Database {
    let database = Database::new().await;
    let books = "INSERT INTO audit_schema (version) VALUES (99); \
                 COMMENT ON TABLE audit_events IS 'One row for each audited call or event; append-only. Audit schema version 99.'";
    sqlx::raw_sql(books).execute(&database.pool).await.unwrap();
    database
}

#[tokio::test]
async fn events_and_journals_of_the_dead_are_stored_in_older_and_newer_tables() {
    const VERSION: &str = "SELECT max(version)::bigint FROM audit_schema";
    let own = Database::new().await.count(VERSION).await;
    for (version, database) in [(5, before::version_5().await), (99, version_99().await)] {
        let is_older = version < own;
        database.orphan(3).await;
        let audit = database.audit().start().unwrap();
        let receipt = audit.record(Event::new("order.accepted")).unwrap();
        let stored = tokio::time::timeout(Duration::from_secs(30), receipt.stored()).await;
        stored.unwrap_or_else(|_| panic!("version {version}: {:?}", audit.stats().last_error)).unwrap();
        eventually("the events of a dead process are stored", || async { database.events().await == 4 }).await;
        let problems = database.admin().schema_problems().await.unwrap();
        let is_told = problems.iter().any(|problem| problem.contains("and this program works with"));
        assert_eq!(is_told, is_older, "version {version}: {problems:?}");

        // Older tables have no column for its key. It waits for the migration.
        let keyed = audit.record(Event::new("order.filled").entity("order", "42")).unwrap();
        if is_older {
            eventually("it is refused", || async { audit.stats().retries > 0 }).await;
            assert_eq!(database.events().await, 4, "version {version}");
        }
        database.admin().migrate().await.unwrap();
        keyed.stored().await.unwrap();
        // Older tables lack the function that finds its interrupted calls.
        eventually("its journal is removed", || async { database.journal_directories() == 1 }).await;
        audit.shutdown(Duration::from_secs(30)).await.unwrap();
        let expected = version.max(own);
        let found = database.count(VERSION).await;
        assert_eq!(found, expected, "a migration leaves what a later program has made");
        let comment =
            "SELECT substring(obj_description('audit_events'::regclass) FROM 'schema version ([0-9]+)')::bigint";
        assert_eq!(database.count(comment).await, expected);
        assert_eq!(database.count("SELECT count(*) FROM audit_events WHERE entity_key = '42'").await, 1);
        database.is_unharmed().await;
    }
}
