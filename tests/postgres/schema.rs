//! The tables: beside an application's own, append-only, open to writers that know seven columns.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, Row, SqlStr};
use tests::Database;
use uuid::Uuid;

fn application() -> Migrator {
    // The same version as the audit trail's first. The records are kept apart, so they do not
    // clash.
    let sql = SqlStr::from_static("CREATE TABLE orders (id uuid PRIMARY KEY)");
    Migrator::with_migrations(vec![Migration::new(1, "orders".into(), MigrationType::Simple, sql, false)])
}

#[tokio::test]
async fn it_coexists_with_an_applications_own_migrations_in_either_order() {
    for application_first in [true, false] {
        let database = Database::empty().await;
        if application_first {
            application().run(&database.pool).await.unwrap();
            database.admin().migrate().await.unwrap();
        } else {
            database.admin().migrate().await.unwrap();
            application().run(&database.pool).await.unwrap();
        }
        database.admin().migrate().await.unwrap();
        application().run(&database.pool).await.unwrap();
        assert_eq!(database.count("SELECT count(*) FROM _sqlx_migrations").await, 1);
        assert!(database.count("SELECT count(*) FROM _audit_migrations").await >= 1);
    }
}

#[tokio::test]
async fn a_program_that_knows_four_migrations_migrates_beside_this_one() {
    let migrations = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../audit-runtime/migrations");
    let mut before = Migrator::new(migrations).await.unwrap();
    before.dangerous_set_table_name("_audit_migrations");
    let database = Database::empty().await;
    before.run(&database.pool).await.unwrap();
    let lacking = database.admin().schema_problems().await.unwrap();
    assert!(lacking.iter().any(|problem| problem.contains("version is 0")), "{lacking:?}");
    // Without the new version, events are stored as before.
    let audit = database.audit().start().unwrap();
    audit.record(audit_runtime::Event::new("order.accepted")).unwrap().stored().await.unwrap();
    database.admin().migrate().await.unwrap();
    before.run(&database.pool).await.unwrap();
    audit.record(audit_runtime::Event::new("order.accepted")).unwrap().stored().await.unwrap();
    audit.shutdown(std::time::Duration::from_secs(30)).await.unwrap();
    assert_eq!(database.admin().schema_problems().await.unwrap(), Vec::<String>::new());
    assert_eq!((database.events().await, database.count("SELECT count(*) FROM audit_journals").await), (2, 1));
}

#[tokio::test]
async fn several_processes_may_migrate_at_once() {
    let database = Database::empty().await;
    let admin = database.admin();
    let results = futures_util::future::join_all((0..4).map(|_| admin.migrate())).await;
    for result in results {
        result.unwrap();
    }
    assert_eq!(database.events().await, 0);
}

#[tokio::test]
async fn an_insert_of_the_seven_columns_works_and_lands_in_its_month() {
    let database = Database::new().await;
    for created_at in ["now()", "'2019-03-01 00:00+00'"] {
        let sql = format!(
            "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at) \
             VALUES ('{}', 'order.submitted', 'order', NULL, 'system', '{{}}', {created_at})",
            Uuid::new_v4()
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
    }
    let rows =
        sqlx::query("SELECT tableoid::regclass::text AS partition, outcome FROM audit_events ORDER BY created_at")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    let partitions: Vec<String> = rows.iter().map(|row| row.get("partition")).collect();
    assert_eq!(partitions[0], "audit_events_default");
    let month = format!("audit_events_{}", chrono::Utc::now().format("%Y_%m"));
    assert_eq!(partitions[1], month);
    assert!(rows.iter().all(|row| row.get::<String, _>("outcome") == "ok"));
    // The default partition holds rows of a month without a partition of its own, and `migrate`
    // still succeeds.
    database.admin().migrate().await.unwrap();
}

#[tokio::test]
async fn nobody_changes_or_removes_a_row() {
    let database = Database::new().await;
    sqlx::query("INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 'a.b', 'a')")
        .execute(&database.pool)
        .await
        .unwrap();
    let month = format!("audit_events_{}", chrono::Utc::now().format("%Y_%m"));
    for table in ["audit_events", &month] {
        for statement in ["UPDATE {} SET actor = 'x'", "DELETE FROM {}", "TRUNCATE {}"] {
            let sql = statement.replace("{}", table);
            let error = sqlx::query(AssertSqlSafe(sql.clone())).execute(&database.pool).await.unwrap_err();
            assert!(error.to_string().contains("append-only"), "{sql}: {error}");
        }
    }
    assert_eq!(database.events().await, 1);
}

#[tokio::test]
async fn the_existing_readers_queries_are_served_by_indexes_on_request() {
    let database = Database::empty().await;
    database.admin().with_execution().migrate().await.unwrap();
    // They stay.
    database.admin().migrate().await.unwrap();
    let insert = "INSERT INTO audit_events (id, event_type, entity_type, entity_id, data) \
                  SELECT gen_random_uuid(), 'order.submitted', 'order', gen_random_uuid(), \
                  jsonb_build_object('recommendation_id', gen_random_uuid()) FROM generate_series(1, 20000)";
    sqlx::query(insert).execute(&database.pool).await.unwrap();
    sqlx::query("ANALYZE audit_events").execute(&database.pool).await.unwrap();
    for condition in [
        "entity_id = $1::uuid OR data->>'recommendation_id' = $1 OR data->>'order_id' = $1",
        "entity_type = 'order' AND entity_id = $1::uuid",
        "entity_id = ANY (ARRAY(SELECT $1::uuid UNION SELECT entity_id FROM audit_events WHERE data->>'recommendation_id' = $1))",
    ] {
        let id = Uuid::now_v7();
        let sql = format!("EXPLAIN SELECT * FROM audit_events WHERE {}", condition.replace("$1", &format!("'{id}'")));
        let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&database.pool).await.unwrap();
        let month = format!("Seq Scan on audit_events_{}", chrono::Utc::now().format("%Y_%m"));
        assert!(!plan.iter().any(|line| line.contains(&month)), "{condition}: {plan:#?}");
        // A plan for many rows is compiled and runs in parallel, which takes longer than the few
        // rows there are.
        let rows: u64 = plan[0].split("rows=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(rows < 50, "{condition}: {plan:#?}");
    }
}
