//! `audit-trail status`.

use crate::{morning, run};
use audit_runtime::Event;
use serde_json::Value;
use tests::Database;

fn status(database: &Database) -> Value {
    let ran = run(database, &["status", "--output", "json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().count(), 1);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// The rows of all partitions, and whether they are estimated.
fn rows(status: &Value) -> (i64, bool) {
    let partitions = status["partitions"].as_array().unwrap();
    let rows = partitions.iter().map(|partition| partition["rows"].as_i64().unwrap()).sum();
    (rows, partitions.iter().any(|partition| partition["rows_are_estimated"] == true))
}

#[tokio::test]
async fn everything_is_in_its_json_with_times_and_sizes_as_machines_read_them() {
    let database = morning().await;
    let audit = database.audit().service("desk").start().unwrap();
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    let status = status(&database);
    chrono::DateTime::parse_from_rfc3339(status["at"].as_str().unwrap()).unwrap();
    assert!(status["connections"].as_i64().unwrap() > 0, "{status}");
    let writer = &status["writers"][0];
    assert!(writer["origin"].as_str().unwrap().starts_with("desk@"), "{status}");
    assert_eq!((&writer["events"], &writer["batches"]), (&1.into(), &1.into()));
    chrono::DateTime::parse_from_rfc3339(writer["last_batch_at"].as_str().unwrap()).unwrap();
    for seconds in ["last_batch_age_seconds", "lag_seconds"] {
        assert!((0.0..60.0).contains(&writer[seconds].as_f64().unwrap()), "{status}");
    }
    assert_eq!(status["in_flight"]["calls"], 1);
    assert_eq!(status["in_flight"]["oldest"], "2026-05-04T09:31:00.000000+00:00");
    assert_eq!((&status["quarantine"]["events"], &status["seal"]["unsealed_rows"]), (&0.into(), &7.into()));
    assert_eq!(status["seal"]["last_checkpoint_at"], Value::Null);
    assert_eq!(rows(&status), (8, false));
    let partition = &status["partitions"][0];
    assert!(
        partition["bytes"].as_i64().unwrap() > 0 && partition["bounds"].as_str().unwrap().contains("FROM"),
        "{status}"
    );
    audit.shutdown(std::time::Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn rows_that_nobody_has_analysed_are_counted_or_estimated() {
    let database = Database::new().await;
    sqlx::query("ALTER TABLE audit_events_default SET (autovacuum_enabled = off)")
        .execute(&database.pool)
        .await
        .unwrap();
    let fill = "INSERT INTO audit_events (id, event_type, entity_type, created_at, data) \
                SELECT gen_random_uuid(), 'a.b', 'a', '2020-01-01', jsonb_build_object('text', repeat('x', 900)) FROM generate_series(1, $1)";
    sqlx::query(fill).bind(1_000).execute(&database.pool).await.unwrap();
    assert_eq!(rows(&status(&database)), (1_000, false));
    sqlx::query(fill).bind(39_000).execute(&database.pool).await.unwrap();
    let status = status(&database);
    let (estimated, are_estimated) = rows(&status);
    assert!(are_estimated && (30_000..50_000).contains(&estimated), "{status}");
    let text = run(&database, &["status"]).stdout;
    let line = text.lines().find(|line| line.contains("audit_events_default")).unwrap();
    assert!(line.contains("about") && line.contains(&format!("{estimated} rows")), "{line}");
    let empty =
        status["partitions"].as_array().unwrap().iter().find(|partition| partition["name"] != "audit_events_default");
    assert_eq!(empty.unwrap()["rows"], 0);
}

#[tokio::test]
async fn times_of_no_calendar_are_shown_as_postgresql_writes_them() {
    for (time, shown) in [
        ("infinity", "infinity"),
        ("-infinity", "-infinity"),
        ("0044-03-15 12:00:00+00 BC", "0044-03-15 12:00:00+00 BC"),
        ("294276-12-31 23:59:59.999999+00", "294276-12-31 23:59:59.999999+00"),
        ("9999-12-31 23:59:59.999999+00", "9999-12-31T23:59:59.999999+00:00"),
    ] {
        let database = Database::new().await;
        let call = format!(
            "INSERT INTO audit_events (id, event_type, entity_type, outcome, created_at) \
             VALUES (gen_random_uuid(), 'a.b', 'a', 'started', '{time}')"
        );
        let batch = format!(
            "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin, created_at, last_event_at) \
             VALUES (gen_random_uuid(), gen_random_uuid(), 0, 1, 0, 'odd', 'infinity', '{time}')"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{call}; {batch}"))).execute(&database.pool).await.unwrap();
        let status = status(&database);
        assert_eq!(status["in_flight"]["oldest"], shown);
        let writer = &status["writers"][0];
        assert_eq!((&writer["last_batch_at"], &writer["lag_seconds"]), (&"infinity".into(), &Value::Null), "{status}");
        let text = run(&database, &["status"]);
        assert!(text.code == 0 && text.stdout.contains(shown), "{}{}", text.stdout, text.stderr);
    }
}
