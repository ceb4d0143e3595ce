//! The catalogue of a service in the database: once for each version, and never in the way.

use audit_runtime::admin::Role;
use audit_runtime::trail::{StoredCatalogue, Trail};
use audit_runtime::{Audit, Builder, Event};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPoolOptions;
use std::time::Duration;
use tests::{Database, eventually};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Records one event, and shuts down.
async fn run(builder: Builder) {
    let audit = builder.start().unwrap();
    record(&audit);
    audit.shutdown(TIMEOUT).await.unwrap();
}

fn record(audit: &Audit) {
    audit.record(Event::new("order.accepted")).unwrap();
}

async fn stored(database: &Database) -> Vec<StoredCatalogue> {
    Trail::new(database.pool.clone()).catalogues(None).await.unwrap()
}

#[tokio::test]
async fn each_version_of_a_service_is_stored_once() {
    let database = Database::new().await;
    for version in ["1.0.0", "1.0.0", "1.1.0", "1.0.0"] {
        run(database.audit().service("bank").service_version(version)).await;
    }
    run(database.audit().service("desk")).await;
    let catalogues = stored(&database).await;
    let versions: Vec<_> = catalogues.iter().map(|stored| (&*stored.service, &*stored.version)).collect();
    assert_eq!(versions, [("bank", "1.0.0"), ("bank", "1.1.0"), ("desk", "")]);
    assert_eq!(catalogues[0].functions, audit_runtime::catalogue());
    // That of a library, too, which knows nothing of PostgreSQL.
    let library = catalogues[0].functions.iter().find(|function| function.function == "audited_library::add_interest");
    assert_eq!(library.unwrap().events, ["interest.added"]);
    assert_eq!(Trail::new(database.pool.clone()).catalogues(Some("desk")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn processes_that_start_together_store_it_once() {
    let database = Database::new().await;
    let audits: Vec<Audit> = (0..3).map(|_| database.audit().service("bank").start().unwrap()).collect();
    audits.iter().for_each(record);
    for audit in &audits {
        audit.shutdown(TIMEOUT).await.unwrap();
    }
    assert_eq!(stored(&database).await.len(), 1);
}

#[tokio::test]
async fn a_process_that_records_nothing_stores_it_too() {
    let database = Database::new().await;
    let audit = database.audit().service("idle").start().unwrap();
    eventually("the catalogue is stored", async || !stored(&database).await.is_empty()).await;
    audit.shutdown(TIMEOUT).await.unwrap();
    assert_eq!(database.events().await, 0);
}

/// A role with this part, and a URL by which it connects.
async fn role(database: &Database, part: Role) -> (String, String) {
    let name = format!("{part}_{}", uuid::Uuid::now_v7().simple());
    execute(database, &format!("CREATE ROLE {name} LOGIN")).await;
    database.admin().grant(part, &name).await.unwrap();
    let url = database.url.replace("postgres://postgres@", &format!("postgres://{name}@"));
    (name, url)
}

async fn execute(database: &Database, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&database.pool).await.unwrap();
}

#[tokio::test]
async fn a_role_that_may_not_store_it_stores_its_events() {
    let database = Database::new().await;
    let (name, url) = role(&database, Role::Writer).await;
    execute(&database, &format!("REVOKE INSERT ON audit_catalogue FROM {name}")).await;
    run(database.audit().postgres(url.as_str())).await;
    assert_eq!((database.events().await, stored(&database).await.len()), (1, 0));
    database.admin().grant(Role::Writer, &name).await.unwrap();
    run(database.audit().postgres(url.as_str())).await;
    assert_eq!((database.events().await, stored(&database).await.len()), (2, 1));
}

#[tokio::test]
async fn a_database_of_version_6_gets_the_table_and_its_roles_the_rights() {
    let database = Database::new().await;
    let (writer, url) = role(&database, Role::Writer).await;
    let (reader, reading) = role(&database, Role::Reader).await;
    execute(
        &database,
        "DROP TABLE audit_catalogue; DELETE FROM audit_schema WHERE version = 7; \
         COMMENT ON TABLE audit_events IS 'Audit schema version 6.'",
    )
    .await;
    run(database.audit().postgres(url.as_str())).await;
    assert_eq!(database.events().await, 1);
    let problems = database.admin().schema_problems().await.unwrap();
    assert!(problems.iter().any(|problem| problem.contains("its version is 6")), "{problems:?}");
    database.admin().migrate().await.unwrap();
    assert_eq!(database.admin().schema_problems().await.unwrap(), Vec::<String>::new());
    run(database.audit().postgres(url.as_str())).await;
    let pool = PgPoolOptions::new().max_connections(1).connect(&reading).await.unwrap();
    assert_eq!(Trail::new(pool.clone()).catalogues(None).await.unwrap().len(), 1);
    for sql in [
        format!("SET ROLE {writer}; SELECT * FROM audit_catalogue"),
        format!("SET ROLE {reader}; INSERT INTO audit_catalogue SELECT * FROM audit_catalogue"),
        "UPDATE audit_catalogue SET version = '2'".to_owned(),
        "DELETE FROM audit_catalogue".to_owned(),
        "TRUNCATE audit_catalogue".to_owned(),
    ] {
        let mut connection = database.pool.acquire().await.unwrap().detach();
        let refused = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut connection).await.unwrap_err();
        let code = refused.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn types_are_found_without_reading_their_events() {
    let database = Database::new().await;
    execute(
        &database,
        "INSERT INTO audit_events (id, event_type, entity_type, actor, data, created_at) \
         SELECT gen_random_uuid(), (ARRAY['order.accepted', 'order.filled', 'zone.left'])[n % 3 + 1], 'order', 'a', '{}', \
         '2026-05-04 09:00:30Z'::timestamptz - n * interval '1 hour' FROM generate_series(0, 2999) n",
    )
    .await;
    let trail = Trail::new(database.pool.clone());
    let types: Vec<String> = ["zone.left", "never.seen", "order.accepted"].map(str::to_owned).into();
    let last: Vec<_> = trail.last_recorded(&types).await.unwrap().into_iter().map(|of| of.last_recorded).collect();
    let shown: Vec<_> = last.iter().map(|last| last.map(|time| time.to_string())).collect();
    assert!(shown[0].as_ref().unwrap().starts_with("2026-05-04T07:00:00"), "{shown:?}");
    assert!(shown[1].is_none() && shown[2].as_ref().unwrap().starts_with("2026-05-04T09:00:00"), "{shown:?}");
    let recorded = trail.recorded_types().await.unwrap();
    let names: Vec<&str> = recorded.iter().map(|recorded| recorded.event_type.as_str()).collect();
    assert_eq!(names, ["order.accepted", "order.filled", "zone.left"]);
    assert_eq!(recorded[2].last_recorded, last[0]);
}
