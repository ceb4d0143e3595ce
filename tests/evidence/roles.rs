//! The rights of each role, tried by logging in as each.

use audit_runtime::admin::{Admin, Role};
use audit_runtime::evidence::SigningKey;
use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{Audit, Event, MasterKey, audited};
use serde_json::json;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};
use std::time::Duration;
use tests::{Database, eventually};
use uuid::Uuid;

#[audited(event = "order.submitted", intent)]
async fn submit(order_id: Uuid) {
    std::future::pending::<()>().await;
}

/// A role of this database's own, and a way to log in as it.
async fn role(database: &Database, duty: Role) -> (String, PgPool) {
    named(database, &duty.to_string(), duty).await
}

/// A role of this database's own whose name ends so, and a way to log in as it.
pub async fn named(database: &Database, name: &str, duty: Role) -> (String, PgPool) {
    let name = full_name(database, name).await;
    database.pool.execute(AssertSqlSafe(format!("CREATE ROLE \"{name}\" LOGIN"))).await.unwrap();
    database.admin().grant(duty, &name).await.unwrap();
    database.admin().grant(duty, &name).await.unwrap();
    let url = database.url.replace("postgres://postgres@", &format!("postgres://{name}@"));
    (url.clone(), PgPoolOptions::new().max_connections(2).connect(&url).await.unwrap())
}

/// The name of such a role.
pub async fn full_name(database: &Database, name: &str) -> String {
    sqlx::query_scalar("SELECT current_database() || '-' || $1").bind(name).fetch_one(&database.pool).await.unwrap()
}

pub async fn is_refused(pool: &PgPool, sql: &str) {
    let error = pool.execute(AssertSqlSafe(sql.to_owned())).await.expect_err(sql);
    let code = error.as_database_error().and_then(|error| error.code()).map(Into::into);
    assert_eq!(code, Some("42501".to_owned()), "{sql}: {error}");
}

const TABLES: [&str; 8] = [
    "audit_events",
    "audit_batches",
    "audit_quarantine",
    "audit_late",
    "audit_tree",
    "audit_checkpoints",
    "audit_pruned",
    "audit_timestamps",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_may_store_and_read_no_event() {
    let database = Database::new().await;
    let (url, pool) = role(&database, Role::Writer).await;
    let journals = database.journals.path();
    let audit = Audit::builder().postgres(url.as_str()).journal(journals).master_key(MasterKey::generate());
    let audit = audit.start().unwrap();
    let personal = Event::new("a.thing").personal("customer:42", &json!({"email": "ann@example.com"}));
    audit.record(personal).unwrap();
    // A call under way when the trail is shut down. The writer has to look for its interruption.
    let call = tokio::spawn(audit.scope(submit(Uuid::now_v7())));
    eventually("the intent is there", async || database.events().await == 2).await;
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM audit_events WHERE event_type = 'audit.interrupted'").await, 1);
    call.abort();
    for table in TABLES {
        if table != "audit_batches" {
            is_refused(&pool, &format!("SELECT * FROM {table}")).await;
        }
        for sql in
            [format!("UPDATE {table} SET ctid = ctid"), format!("DELETE FROM {table}"), format!("TRUNCATE {table}")]
        {
            let error = pool.execute(AssertSqlSafe(sql.clone())).await.unwrap_err();
            assert!(error.as_database_error().is_some(), "{sql}: {error}");
        }
    }
    is_refused(&pool, "DELETE FROM audit_batches").await;
    // A writer may not learn which subjects have keys.
    for sql in [
        "SELECT id FROM audit_keys",
        "INSERT INTO audit_keys (id) VALUES (gen_random_uuid())",
        "UPDATE audit_keys SET wrapped = ''",
    ] {
        is_refused(&pool, sql).await;
    }
    is_refused(&pool, "INSERT INTO audit_checkpoints (tree_size, note, frontier) VALUES (0, '', '')").await;
    database.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_may_read_and_verify_and_change_nothing() {
    let mut database = Database::new().await;
    let (_, pool) = role(&database, Role::Reader).await;
    let master = MasterKey::generate();
    let audit = database.audit().master_key(master.clone()).start().unwrap();
    let personal = Event::new("a.thing").personal("customer:42", &json!({"email": "ann@example.com"}));
    audit.record(personal).unwrap();
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    let read = Trail::new(pool.clone()).master_key(master).events(&EventFilter::new()).await.unwrap();
    assert_eq!(read.events[0].data["email"], "ann@example.com");
    is_refused(&pool, "SELECT subject FROM audit_keys").await;
    is_refused(&pool, "SELECT audit_take_keys('{}', '{}', '{}')").await;
    for table in TABLES {
        pool.execute(AssertSqlSafe(format!("SELECT * FROM {table}"))).await.unwrap();
        is_refused(&pool, &format!("INSERT INTO {table} DEFAULT VALUES")).await;
        is_refused(&pool, &format!("DELETE FROM {table}")).await;
        is_refused(&pool, &format!("TRUNCATE {table}")).await;
    }
    is_refused(&pool, "SELECT audit_open_intents(gen_random_uuid())").await;
    is_refused(&pool, "SELECT audit_make_partitions(1)").await;
    database.pool = pool;
    assert_eq!(database.is_unharmed().await.rows, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealer_may_make_checkpoints_and_change_no_event() {
    let database = Database::new().await;
    let (_, pool) = role(&database, Role::Checkpointer).await;
    let insert = "INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 'a.thing', 'a')";
    database.pool.execute(insert).await.unwrap();
    let made = Admin::new(pool.clone()).checkpoint(&SigningKey::generate("test").unwrap()).await.unwrap();
    assert_eq!((made.sealed_late, made.batches), (1, 1));
    is_refused(&pool, insert).await;
    for table in TABLES {
        is_refused(&pool, &format!("DELETE FROM {table}")).await;
    }
    assert_eq!(database.is_unharmed().await.sealed_late, 1);
}

#[tokio::test]
async fn a_role_that_is_not_there_is_named_with_the_remedy() {
    let database = Database::new().await;
    let error = database.admin().grant(Role::Reader, "no\"body").await.unwrap_err().to_string();
    assert!(error.contains("role no\"body does not exist") && error.contains("CREATE ROLE"), "{error}");
}

#[tokio::test]
async fn not_even_the_owner_changes_a_row_or_removes_one() {
    let database = Database::new().await;
    let old = "INSERT INTO audit_events (id, event_type, entity_type, created_at) VALUES (gen_random_uuid(), 'a.thing', 'a', '1999-01-01')";
    database.pool.execute(old).await.unwrap();
    database
        .pool
        .execute("INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 'a.thing', 'a')")
        .await
        .unwrap();
    database.admin().checkpoint(&SigningKey::generate("test").unwrap()).await.unwrap();
    let partitions: Vec<String> = sqlx::query_scalar(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert!(partitions.len() > 4);
    let columns = [
        ("audit_batches", "origin"),
        ("audit_checkpoints", "note"),
        ("audit_tree", "leaf"),
        ("audit_late", "batch_id"),
        ("audit_pruned", "rows"),
        ("audit_keys", "subject"),
    ];
    let events = partitions.iter().map(String::as_str).chain(["audit_events"]).map(|table| (table, "actor"));
    for (table, column) in events.chain(columns) {
        is_refused(&database.pool, &format!("TRUNCATE {table} CASCADE")).await;
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
            .fetch_one(&database.pool)
            .await
            .unwrap();
        if rows > 0 {
            is_refused(&database.pool, &format!("UPDATE {table} SET {column} = {column}")).await;
            is_refused(&database.pool, &format!("DELETE FROM {table}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_looks_after_partitions_and_checkpoints() {
    let database = Database::new().await;
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass";
    let before = database.count(partitions).await;
    let last: String = sqlx::query_scalar(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass \
         AND inhrelid <> 'audit_events_default'::regclass ORDER BY 1 DESC LIMIT 1",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    database.pool.execute(AssertSqlSafe(format!("DROP TABLE {last}"))).await.unwrap();
    let (url, _) = role(&database, Role::Writer).await;
    let name: String =
        sqlx::query_scalar("SELECT current_database() || '-writer'").fetch_one(&database.pool).await.unwrap();
    database.admin().grant(Role::Checkpointer, &name).await.unwrap();
    let key = SigningKey::generate("audit.example.com/test").unwrap();
    let audit = Audit::builder()
        .postgres(url.as_str())
        .memory()
        .upkeep_after(Duration::from_millis(10))
        .checkpoint_every(Duration::from_millis(50), key.clone())
        .start()
        .unwrap();
    audit.record(Event::new("a.thing")).unwrap();
    eventually("the partition is there again", async || database.count(partitions).await == before).await;
    let covered = "SELECT count(*) FROM audit_checkpoints WHERE tree_size > 0";
    eventually("a checkpoint is made", async || database.count(covered).await > 1).await;
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    let (findings, report) = database.verify(Some(key.public()), &[]).await;
    assert!(findings.is_empty() && report.rows == 1 && report.batches == 1, "{findings:#?} {report:?}");
}
