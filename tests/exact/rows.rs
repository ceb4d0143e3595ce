//! No row hides another, whatever is in it and whoever wrote it.

use crate::printed;
use audit_runtime::admin::Prune;
use audit_runtime::evidence::{self, SigningKey};
use audit_runtime::trail::{EventFilter, Trail, TrailEvent};
use audit_runtime::{Event, Outcome, Timestamp};
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

/// Rows by others: a name, and what differs from an ordinary one.
fn odd_rows() -> Vec<(&'static str, String)> {
    let column = |column: &str, value: &str| format!("({column}) VALUES ({value})");
    let data = |json: String| format!("(data) VALUES ($json${json}$json$)");
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let deep_object = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    vec![
        ("t.max", data(format!("{{\"x\":{}}}", f64::MAX))),
        ("t.huge", data("{\"x\":1e400}".into())),
        ("t.deep128", data(nested(128))),
        ("t.deep129", data(deep_object(129))),
        ("t.deep5000", data(format!("{{\"a\":{},\"b\":\"beside\"}}", nested(5_000)))),
        ("t.outcome", column("outcome", "'failed'")),
        ("t.empty", column("outcome", "''")),
        ("t.infinity", column("created_at", "'infinity'")),
        ("t.minus", column("created_at", "'-infinity'")),
        ("t.bc", column("created_at", "'0044-03-15 12:00:00+00 BC'")),
        ("t.late", column("created_at", "'294276-12-31 23:59:59.999999+00'")),
        ("t.text", data("\"only a text\"".into())),
        ("t.array", data("[1,2]".into())),
        ("t.number", data("-1".into())),
        ("t.null", data("null".into())),
        ("t.context", column("context", "'{\"max\": 1e400, \"list\": [1]}'")),
        ("t.contexttext", column("context", "'\"text\"'")),
        ("t.duration", column("duration_us", "-9223372036854775808")),
        ("t.encrypted", data("{\"x\":{\"$encrypted\":{\"key\":\"no\",\"value\":1}}}".into())),
        ("t.changes", data("{\"changes\":[\"qty 1 to 2\"],\"error\":{\"code\":17}}".into())),
        ("audit.pruned", column("data", "'{\"rows\":\"many\",\"to\":\"infinity\"}'")),
        ("audit.forgotten", column("data", "'[]'")),
    ]
}

/// Inserts them between ordinary rows, and returns how many there are.
async fn odd(database: &Database) -> i64 {
    for (event_type, values) in odd_rows() {
        let (columns, values) = values.split_once(" VALUES ").unwrap();
        let (columns, values) = (&columns[1..columns.len() - 1], &values[1..values.len() - 1]);
        let insert = format!(
            "INSERT INTO audit_events (id, event_type, entity_type, {columns}) VALUES (gen_random_uuid(), '{event_type}', 't', {values}); \
             INSERT INTO audit_events (id, event_type, entity_type, data) VALUES (gen_random_uuid(), 't.plain', 't', '{{\"a\":1}}')"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&database.pool).await.unwrap();
    }
    database.events().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_and_every_output_shows_every_row() {
    let database = Database::new().await;
    let rows = odd(&database).await;
    let trail = Trail::new(database.pool.clone());
    for limit in [1, 3, 500] {
        let events: Vec<TrailEvent> = trail.stream(EventFilter::new().limit(limit)).try_collect().await.unwrap();
        assert_eq!(events.len() as i64, rows);
    }
    let newest = trail.events(&EventFilter::new().newest_first().limit(500)).await.unwrap();
    assert_eq!(newest.events.len() as i64, rows);
    let one = |event_type: &str| newest.events.iter().find(|event| event.event_type == event_type).unwrap();
    assert_eq!((one("t.outcome").outcome, one("t.outcome").outcome_text()), (Outcome::Other, "failed"));
    assert_eq!(
        (one("t.infinity").created_at, one("t.minus").created_at),
        (Timestamp::INFINITY, Timestamp::NEG_INFINITY)
    );
    assert_eq!(one("t.deep5000").data["b"], "beside");
    assert_eq!(one("t.huge").data["x"].to_string(), format!("1{}", "0".repeat(400)));
    let failed = trail.events(&EventFilter::new().outcome_text("failed")).await.unwrap();
    assert_eq!(failed.events.len(), 1);

    for output in ["json", "ndjson", "csv", "table", "timeline"] {
        for wide in [&[][..], &["--wide"]] {
            let arguments = [&["events", "--limit", "500", "--output", output], wide].concat();
            let shown = printed(&database, &arguments);
            for (event_type, _) in odd_rows() {
                assert!(shown.contains(event_type), "{output}: {event_type} is not shown: {shown}");
            }
            assert_eq!(shown.matches("t.plain").count(), odd_rows().len(), "{output}");
        }
    }
    for format in ["ndjson", "csv", "cloudevents"] {
        let shown = printed(&database, &["export", "--format", format]);
        odd_rows().iter().for_each(|(event_type, _)| assert!(shown.contains(event_type), "{format}: {event_type}"));
    }
    for event in &newest.events {
        let shown = printed(&database, &["event", &event.id.to_string(), "--output", "ndjson"]);
        assert!(shown.contains(&event.event_type));
        let shown = printed(&database, &["event", &event.id.to_string(), "--output", "timeline"]);
        assert!(shown.contains(&event.event_type));
    }
    // A reader of the command's own output needs nothing but this library.
    for line in printed(&database, &["export"]).lines() {
        let event: TrailEvent = serde_json::from_str(line).unwrap();
        assert_eq!(&event, newest.events.iter().find(|other| other.id == event.id).unwrap());
    }
    assert!(printed(&database, &["status"]).contains("partitions"));
    let _: Value = serde_json::from_str(&printed(&database, &["status", "--output", "json"])).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_rows_that_arrive_after_an_odd_row() {
    let database = Database::new().await;
    let trail = Trail::new(database.pool.clone());
    let mut following = Box::pin(trail.follow(EventFilter::new().event("t.*").limit(500)));
    let first = "INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 't.first', 't')";
    sqlx::query(first).execute(&database.pool).await.unwrap();
    assert_eq!(following.next().await.unwrap().unwrap().event_type, "t.first");
    odd(&database).await;
    let last = "INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 't.last', 't')";
    sqlx::query(last).execute(&database.pool).await.unwrap();
    let mut seen: Vec<String> = Vec::new();
    let reading = async {
        while seen.last().is_none_or(|seen| seen != "t.last") {
            seen.push(following.next().await.unwrap().unwrap().event_type);
        }
        // At an odd time a row stands behind the last one.
        while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(2), following.next()).await {
            seen.push(event.unwrap().event_type);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading).await.unwrap();
    // Rows of long ago come with the next long look. Those of now and later come at once, with any
    // content.
    for expected in ["t.max", "t.huge", "t.deep128", "t.deep5000", "t.outcome", "t.infinity", "t.late", "t.null"] {
        assert!(seen.iter().any(|seen| seen == expected), "{expected}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_rows_are_sealed_and_proved() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    for n in 0..5 {
        audit.record(Event::new("t.own").data(&serde_json::json!({"n": n}))).unwrap();
    }
    for time in ["0001-01-01T00:00:00+00:00 BC", "4714-11-24T00:00:00+00:00 BC", "290000-01-01T00:00:00Z"] {
        audit.record_at(Event::new("t.own"), time.parse::<Timestamp>().unwrap()).unwrap();
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    odd(&database).await;
    let key = SigningKey::generate("test").unwrap();
    database.admin().checkpoint(&key).await.unwrap();
    let report = database.is_unharmed().await;
    assert_eq!((report.not_sealed, report.rows as i64), (0, database.events().await));
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM audit_events").fetch_all(&database.pool).await.unwrap();
    for id in ids {
        let proof = database.admin().prove(id).await.unwrap();
        let read = evidence::Proof::from_json(&proof.to_json().unwrap()).unwrap();
        assert_eq!(read.verify(key.public()).unwrap().event_id, id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_keeps_every_digit_and_proves_every_row() {
    let database = Database::new().await;
    odd(&database).await;
    // They are of a month that is long over.
    let old = "INSERT INTO audit_events (id, event_type, entity_type, outcome, data, context, duration_us, created_at) \
               SELECT gen_random_uuid(), event_type, entity_type, outcome, data, context, duration_us, '2020-05-04 03:02:01Z' \
               FROM audit_events WHERE event_type NOT LIKE 'audit.%'";
    sqlx::raw_sql(old).execute(&database.pool).await.unwrap();
    database.admin().make_partitions(|_| {}).await.unwrap();
    let key = SigningKey::generate("test").unwrap();
    database.admin().checkpoint(&key).await.unwrap();
    let stored: Vec<(Uuid, String)> = sqlx::query_as(
        "SELECT id, data::text FROM audit_events WHERE created_at >= '2020-05-01Z' AND created_at < '2020-06-01Z'",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let path = database.journals.path().join("archive.ndjson");
    let before: Timestamp = "2020-07-01T00:00:00Z".parse().unwrap();
    let pruned = database.admin().prune(&Prune::new(before).archive(&path), |_| {}).await.unwrap();
    assert_eq!(pruned.rows as usize, stored.len());
    let archive = std::fs::read_to_string(&path).unwrap();
    assert_eq!(archive.lines().count(), stored.len());
    for line in archive.lines() {
        let row: Archived<'_> = serde_json::from_str(line).unwrap();
        let (_, data) = stored.iter().find(|(id, _)| *id == row.id).unwrap();
        assert_eq!(row.data.get(), data);
        let proof = database.admin().prove_archived(line).await.unwrap();
        assert_eq!(proof.verify(key.public()).unwrap().event_id, row.id);
    }
}

#[derive(Deserialize)]
struct Archived<'a> {
    id: Uuid,
    #[serde(borrow)]
    data: &'a RawValue,
}
