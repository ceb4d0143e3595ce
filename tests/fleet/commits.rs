//! When a commit waits for a standby is the operator's choice.

use audit_runtime::Event;
use std::time::Duration;
use tests::Database;

#[tokio::test]
async fn the_writer_raises_a_setting_that_waits_for_no_disk_and_lowers_none() {
    let database = Database::new().await;
    let name = database.url.rsplit('/').next().unwrap();
    let watched = "CREATE TABLE seen (waits text); CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS \
                   $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$; \
                   CREATE TRIGGER see AFTER INSERT ON audit_batches EXECUTE FUNCTION see()";
    sqlx::raw_sql(watched).execute(&database.pool).await.unwrap();
    let settings = [
        ("off", "on"),
        ("local", "on"),
        ("remote_write", "remote_write"),
        ("on", "on"),
        ("remote_apply", "remote_apply"),
    ];
    for (setting, expected) in settings {
        let sql = format!("ALTER DATABASE {name} SET synchronous_commit TO {setting}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
        let audit = database.audit().start().unwrap();
        audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
        audit.shutdown(Duration::from_secs(10)).await.unwrap();
        let seen: Vec<String> =
            sqlx::query_scalar("DELETE FROM seen RETURNING waits").fetch_all(&database.pool).await.unwrap();
        assert_eq!(seen, [expected], "{setting}");
    }
}
