//! Rows as odd as PostgreSQL allows them are in the lake as they are.

use crate::scene::{Lake, alone, report, run};
use crate::trail::as_superuser;
use sqlx::AssertSqlSafe;
use tests::Database;
use uuid::Uuid;

/// Inserts rows whose columns hold what few rows hold, and returns how many there are.
async fn odd(database: &Database) -> i64 {
    let nested = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let texts = [
        "",
        "\u{1b}[2J\u{202e}",
        "'; DROP TABLE audit_events; --",
        "a\nb\tc\\",
        "\u{1f600}ä\u{0}".trim_end_matches('\0'),
        "null",
    ];
    let mut values: Vec<(&str, String)> = vec![
        ("created_at", "'infinity'".into()),
        ("created_at", "'-infinity'".into()),
        ("created_at", "'0044-03-15 12:00:00.000001+00 BC'".into()),
        ("created_at", "'4714-11-24 00:00:00+00 BC'".into()),
        ("created_at", "'294276-12-31 23:59:59.999999+00'".into()),
        ("created_at", "'9999-12-31 23:59:59.999999+00'".into()),
        ("created_at", "'10000-01-01 00:00:00+00'".into()),
        ("created_at", "'0001-01-01 00:00:00+00'".into()),
        ("created_at", "'1969-12-31 23:59:59.999999+00'".into()),
        ("data", "'null'".into()),
        ("data", "'\"a text\"'".into()),
        ("data", "'[1, 1.10, 1e3, -0, 199.39999999999998, 1e400]'".into()),
        ("data", format!("'{{\"x\": {}}}'", f64::MAX)),
        ("data", format!("'{nested}'")),
        ("data", "'{\"$entity_id\": \"INV-7\"}'".into()),
        ("context", "'null'".into()),
        ("context", "'{\"a\": 1.0}'".into()),
        ("targets", "'null'".into()),
        ("targets", "'[]'".into()),
        ("targets", "'[{\"type\": \"a\"}, 7, {\"type\": \"b\", \"id\": \"no id\"}]'".into()),
        ("duration_us", "-9223372036854775808".into()),
        ("duration_us", "9223372036854775807".into()),
        ("entity_id", format!("'{}'", Uuid::max())),
        ("correlation_id", format!("'{}'", Uuid::nil())),
    ];
    for column in ["actor", "outcome", "origin", "entity_key", "tenant"] {
        values.extend(texts.iter().map(|text| (column, format!("$t${text}$t$"))));
    }
    for (number, (column, value)) in values.iter().enumerate() {
        let insert = format!(
            "INSERT INTO audit_events (id, event_type, entity_type, {column}) VALUES (gen_random_uuid(), 't.odd{number}', 't', {value})"
        );
        sqlx::raw_sql(AssertSqlSafe(insert)).execute(&database.pool).await.unwrap();
    }
    database.events().await
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_times_numbers_and_texts_verify_and_read_as_from_the_database() {
    let lake = Lake::new(41).await;
    let rows = odd(lake.database()).await;
    lake.checkpoint().await;
    lake.sync(&[]).well();
    assert_eq!(report(&lake.verify(&["--json"]).well())["rows"], rows);
    let (all, mut proven) = (ids(lake.database()).await, 0);
    let odd = all.len();
    for (_, id) in all {
        let here = alone(&["proof", &id, "--lake", &lake.url()]);
        let there = run(lake.database(), &["proof", &id]);
        assert_eq!((here.code, &here.stdout), (there.code, &there.stdout), "{id}: {} {}", here.stderr, there.stderr);
        proven += usize::from(here.code == 0);
    }
    assert_eq!(proven, odd);
    let all = ["events", "--limit", "10000", "--output", "ndjson"];
    let url = lake.url();
    let both = [&all[..], &["--lake", &url]].concat();
    let hot = run(lake.database(), &all).well();
    assert_eq!(hot.stdout.lines().count() as i64, rows);
    assert_eq!(run(lake.database(), &both).well().stdout, hot.stdout, "each event once");
    as_superuser(&lake.database().pool, "DELETE FROM audit_events").await;
    let cold = run(lake.database(), &both).well();
    for (cold, hot) in cold.stdout.lines().zip(hot.stdout.lines()) {
        assert_eq!(cold, hot, "from the lake alone");
    }
    assert_eq!(cold.stdout.len(), hot.stdout.len());
}

/// The events with odd types, and some others.
async fn ids(database: &Database) -> Vec<(String, String)> {
    let query = "(SELECT event_type, id::text FROM audit_events WHERE event_type ~ '^t.odd[12]?[0-9]$') UNION ALL \
                 (SELECT event_type, id::text FROM audit_events WHERE event_type NOT LIKE 't.odd%' ORDER BY id LIMIT 4)";
    sqlx::query_as(query).fetch_all(&database.pool).await.unwrap()
}
