//! Logical replication of the tables to another server, where an auditor verifies.

use crate::{doctor, fill_old_month, last_month, record, verifies};
use audit_runtime::admin::Prune;
use audit_runtime::evidence::SigningKey;
use audit_runtime::{Event, MasterKey};
use sqlx::AssertSqlSafe;
use std::time::Duration;
use tests::{Cluster, Config, Database, before, eventually};

/// The tables with what is recorded and its evidence. Partitions are published as their parent, so
/// that those of the subscriber may differ.
const PUBLISH: &str = "CREATE PUBLICATION audit FOR TABLE audit_events, audit_batches, audit_quarantine, audit_late, audit_tree, \
     audit_checkpoints, audit_pruned, audit_keys, audit_catalogue, audit_timestamps, audit_journals, audit_holds WITH (publish_via_partition_root = true)";

/// The rows of each table. Each is copied by a worker of its own.
async fn counts(database: &Database) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in PUBLISH.split("TABLE ").nth(1).unwrap().split(" WITH").next().unwrap().split(", ") {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        counts.push(sqlx::query_scalar(count).fetch_one(&database.pool).await.unwrap());
    }
    counts
}

#[tokio::test]
async fn a_subscriber_verifies_what_the_publisher_signed() {
    let settings = "wal_level = logical\nmax_wal_senders = 12\nmax_replication_slots = 12\n";
    let publisher = Cluster::start(Config { settings, ..Config::default() });
    let subscriber = Cluster::start(Config { settings, ..Config::default() });
    let (from, to) = (Database::migrated_in(&publisher).await, Database::migrated_in(&subscriber).await);
    let key = SigningKey::generate("audit.example.com/replica").unwrap();
    record(&from, 500).await;
    before::fill(&from, 200).await;
    fill_old_month(&from, 100).await;
    from.admin().make_partitions(|_| {}).await.unwrap();
    from.admin().checkpoint(&key).await.unwrap();

    sqlx::raw_sql(PUBLISH).execute(&from.pool).await.unwrap();
    let name = from.url.rsplit('/').next().unwrap();
    let subscribe = format!(
        "CREATE SUBSCRIPTION audit CONNECTION 'host=127.0.0.1 port={} user=postgres dbname={name}' PUBLICATION audit",
        publisher.port()
    );
    sqlx::raw_sql(AssertSqlSafe(subscribe)).execute(&to.pool).await.unwrap();
    let arrived = async || counts(&to).await == counts(&from).await;
    eventually("the tables are copied", arrived).await;

    // Later rows, seals and checkpoints arrive as well.
    record(&from, 300).await;
    let checkpoint = from.admin().checkpoint(&key).await.unwrap();
    eventually("later rows arrive", arrived).await;
    verifies(&to, &key, &checkpoint.note).await;
    assert_eq!(to.admin().schema_problems().await.unwrap(), Vec::<String>::new());
    // The subscriber refuses changes like the publisher.
    let refused = sqlx::query("DELETE FROM audit_events").execute(&to.pool).await.unwrap_err();
    assert!(refused.to_string().contains("append-only"), "{refused}");

    // A subject that is forgotten is forgotten there, too.
    let audit = from.audit().master_key(MasterKey::generate()).start().unwrap();
    let event = Event::new("account.opened").personal("customer:42", &serde_json::json!({"email": "ann@example.com"}));
    audit.record(event).unwrap();
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    let keys = "SELECT count(*) FROM audit_keys WHERE wrapped IS NOT NULL";
    eventually("the key arrives", async || to.count(keys).await == 1).await;
    assert!(from.admin().forget("customer:42").await.unwrap().is_some());
    eventually("the key is destroyed", async || to.count(keys).await == 0).await;
    // Before PostgreSQL 15, every role may create objects there.
    sqlx::query("REVOKE CREATE ON SCHEMA public FROM PUBLIC").execute(&to.pool).await.unwrap();
    // The old month arrived in the default partition. Doctor finds nothing else.
    let said = doctor(&to, &[]).1;
    assert!(said.contains("default-partition") && said.contains("1 finding, 0 of them critical"), "{said}");

    // A prune drops partitions, which no publication sends: the rows stay on the subscriber, and
    // everything else of the prune arrives.
    let pruned = from.admin().prune(&Prune::new(last_month()), |_| {}).await.unwrap();
    assert!(pruned.rows >= 100, "{pruned:?}");
    let checkpoint = from.admin().checkpoint(&key).await.unwrap();
    eventually("the prune is reported", async || counts(&to).await[1..] == counts(&from).await[1..]).await;
    assert!(to.events().await > from.events().await);
    verifies(&from, &key, &checkpoint.note).await;
    verifies(&to, &key, &checkpoint.note).await;

    // The month is dropped there by hand. Rows that arrive while partitions are made would be lost.
    sqlx::raw_sql("ALTER SUBSCRIPTION audit DISABLE").execute(&to.pool).await.unwrap();
    to.admin().make_partitions(|_| {}).await.unwrap();
    let drop = "DO $$ BEGIN EXECUTE 'DROP TABLE audit_events_' || to_char(date_trunc('month', now()) - interval '3 months', 'YYYY_MM'); END $$";
    sqlx::raw_sql(drop).execute(&to.pool).await.unwrap();
    sqlx::raw_sql("ALTER SUBSCRIPTION audit ENABLE").execute(&to.pool).await.unwrap();
    record(&from, 50).await;
    let checkpoint = from.admin().checkpoint(&key).await.unwrap();
    eventually("later rows arrive", arrived).await;
    verifies(&to, &key, &checkpoint.note).await;
    sqlx::raw_sql("DROP SUBSCRIPTION audit").execute(&to.pool).await.unwrap();
}
