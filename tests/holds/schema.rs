//! Version 9 of the schema.

use audit_runtime::admin::{Admin, Hold, Role};
use sqlx::{AssertSqlSafe, Executor};
use std::time::Duration;
use tests::Database;

const VERSION_8: &str = "DROP TRIGGER audit_pruned_heeds_holds ON audit_pruned; DROP TABLE audit_holds CASCADE; DROP FUNCTION audit_check_pruned, \
     audit_lift_only, audit_is_held; DELETE FROM audit_schema WHERE version >= 9; \
     COMMENT ON TABLE audit_events IS 'One row for each audited call or event; append-only. Audit schema version 8.'";

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_version_8_is_written_and_verified_before_and_after_its_migration() {
    let database = Database::new().await;
    let name: String =
        sqlx::query_scalar("SELECT current_database() || '-reader'").fetch_one(&database.pool).await.unwrap();
    database.pool.execute(AssertSqlSafe(format!("CREATE ROLE \"{name}\" LOGIN"))).await.unwrap();
    database.admin().grant(Role::Reader, &name).await.unwrap();
    database.pool.execute(sqlx::raw_sql(VERSION_8)).await.unwrap();
    let audit = database.audit().start().unwrap();
    audit.record(audit_runtime::Event::new("a.thing")).unwrap();
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    assert_eq!(database.is_unharmed().await.rows, 1);
    let refused = database.admin().add_hold(&Hold::new().event("a.*"), "case 17").await.unwrap_err().to_string();
    assert!(refused.contains("audit_holds"), "{refused}");
    let steps = database.admin().pending_migration().await.unwrap();
    let versions: Vec<_> = steps.iter().filter(|step| step.about.contains("version 9")).collect();
    assert_eq!(versions.len(), 1, "{steps:#?}");
    assert!(!steps.iter().any(|step| step.about.contains("made anew")), "{steps:#?}");
    database.admin().migrate().await.unwrap();
    assert_eq!(database.admin().pending_migration().await.unwrap(), []);
    let problems = database.admin().inspect_schema().await.unwrap();
    let others: Vec<_> = problems.iter().filter(|problem| !problem.about.contains("every role may create")).collect();
    assert!(others.is_empty(), "{others:#?}");
    // Roles that read the trail read what is held.
    let url = database.url.replace("postgres://postgres@", &format!("postgres://{name}@"));
    let reader = Admin::new(sqlx::PgPool::connect(&url).await.unwrap());
    assert_eq!(reader.holds(true).await.unwrap(), []);
    database.admin().add_hold(&Hold::new().event("a.*"), "case 17").await.unwrap();
    assert_eq!(database.is_unharmed().await.rows, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_of_holds_that_are_gone_are_reported_and_made_anew() {
    let database = Database::new().await;
    for (table, trigger) in [
        ("audit_holds", "audit_holds_lift_once"),
        ("audit_holds", "audit_holds_append_only"),
        ("audit_holds", "audit_holds_no_truncate"),
        ("audit_pruned", "audit_pruned_heeds_holds"),
    ] {
        database.pool.execute(AssertSqlSafe(format!("DROP TRIGGER {trigger} ON {table}"))).await.unwrap();
        let problems = database.admin().schema_problems().await.unwrap();
        assert!(problems.iter().any(|problem| problem.contains(trigger)), "{problems:#?}");
        database.admin().migrate().await.unwrap();
        assert_eq!(database.admin().schema_problems().await.unwrap(), Vec::<String>::new());
    }
}
