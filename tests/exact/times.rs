//! Every time that PostgreSQL holds, through every way out.

use crate::printed;
use audit_runtime::trail::{EventFilter, Trail, TrailEvent};
use audit_runtime::{Event, Timestamp};
use futures_util::TryStreamExt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::HashMap;
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

/// PostgreSQL's own texts of times, by the ids of their events.
async fn stored(database: &Database) -> HashMap<Uuid, String> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as("SELECT id, to_json(created_at)#>>'{}' FROM audit_events")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    rows.into_iter().collect()
}

/// Those of these texts that PostgreSQL does not read as the time of their event.
async fn misread(database: &Database, shown: &[(Uuid, String)]) -> Vec<String> {
    let (ids, texts): (Vec<Uuid>, Vec<String>) = shown.iter().cloned().unzip();
    sqlx::query_scalar(
        "SELECT s.time FROM unnest($1::uuid[], $2::text[]) s (id, time) JOIN audit_events e ON e.id = s.id \
         WHERE s.time::timestamptz <> e.created_at",
    )
    .bind(&ids)
    .bind(&texts)
    .fetch_all(&database.pool)
    .await
    .unwrap()
}

const ODD: &[&str] = &[
    "infinity",
    "-infinity",
    "294276-12-31 23:59:59.999999+00",
    "4714-11-24 00:00:00+00 BC",
    "0001-01-01 00:00:00+00 BC",
    "0001-12-31 23:59:59.999999+00 BC",
    "0001-01-01 00:00:00+00",
    "9999-12-31 23:59:59.999999+00",
    "10000-01-01 00:00:00+00",
    "262143-01-01 00:00:00+00",
    "1969-12-31 23:59:59.999999+00",
    "1970-01-01 00:00:00+00",
    "1999-12-31 23:59:59.999999+00",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_time_is_shown_as_it_is_stored() {
    let database = Database::new().await;
    let mut runner = TestRunner::default();
    let any = any::<i64>();
    let random = (0..10_000).map(|_| any.new_tree(&mut runner).unwrap().current());
    let micros: Vec<i64> =
        random.filter(|n| (-211_813_488_000_000_000..=9_223_371_331_199_999_999).contains(n)).collect();
    // By others: each microsecond that PostgreSQL counts from 2000.
    sqlx::query(
        "INSERT INTO audit_events (id, event_type, entity_type, created_at) SELECT gen_random_uuid(), 't.foreign', 't', \
         timestamptz '2000-01-01 00:00:00+00' + n / 86400000000 * interval '1 day' + n % 86400000000 * interval '1 microsecond' \
         FROM unnest($1::bigint[]) n WHERE n > -200000000000000000",
    )
    .bind(&micros)
    .execute(&database.pool)
    .await
    .unwrap();
    for time in ODD {
        let insert = "INSERT INTO audit_events (id, event_type, entity_type, created_at) VALUES (gen_random_uuid(), 't.odd', 't', $1::timestamptz)";
        sqlx::query(insert).bind(time).execute(&database.pool).await.unwrap();
    }
    // By this library.
    let audit = database.audit().start().unwrap();
    for n in micros.iter().take(2_000) {
        let time = Timestamp::from_unix_micros(*n);
        audit.record(Event::new("t.own").at(time)).unwrap();
    }
    assert!(audit.record(Event::new("t.own").at(Timestamp::INFINITY)).unwrap_err().to_string().contains("infinity"));
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM audit_quarantine").await, 0);

    let stored = stored(&database).await;
    let events: Vec<TrailEvent> =
        Trail::new(database.pool.clone()).stream(EventFilter::new().limit(500)).try_collect().await.unwrap();
    assert_eq!(events.len(), stored.len());
    assert!(events.is_sorted_by_key(|event| event.created_at), "the order of PostgreSQL is the order of times here");
    for event in &events {
        assert_eq!(stored[&event.id].parse::<Timestamp>().unwrap(), event.created_at);
    }
    let mut shown: Vec<(Uuid, String)> = events.iter().map(|event| (event.id, event.created_at.to_string())).collect();
    for line in printed(&database, &["export"]).lines() {
        let event: TrailEvent = serde_json::from_str(line).unwrap();
        let text: serde_json::Value = serde_json::from_str(line).unwrap();
        shown.push((event.id, text["created_at"].as_str().unwrap().to_owned()));
    }
    for row in
        csv::Reader::from_reader(printed(&database, &["export", "--format", "csv", "--raw"]).as_bytes()).records()
    {
        let row = row.unwrap();
        shown.push((row[0].parse().unwrap(), row[6].to_owned()));
    }
    for line in printed(&database, &["export", "--format", "cloudevents"]).lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let time = event.get("time").or(event.get("createdat")).unwrap().as_str().unwrap().to_owned();
        if let Some(time) = event.get("time") {
            chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap();
        }
        shown.push((event["id"].as_str().unwrap().parse().unwrap(), time));
    }
    assert_eq!(shown.len(), 4 * stored.len());
    assert_eq!(misread(&database, &shown).await, Vec::<String>::new());
    // For people, in their zone.
    for form in ["timeline", "table"] {
        let shown = printed(&database, &["events", "--output", form, "--event", "t.odd"]);
        for time in ["infinity", "-infinity", "294276-12-31", "4714-11-24", "2000"] {
            assert!(shown.contains(time) || time == "2000", "{form}: {time}: {shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_reach_both_ends_of_time() {
    let database = Database::new().await;
    for time in ODD {
        let insert = "INSERT INTO audit_events (id, event_type, entity_type, created_at) VALUES (gen_random_uuid(), 't.odd', 't', $1::timestamptz)";
        sqlx::query(insert).bind(time).execute(&database.pool).await.unwrap();
    }
    let trail = Trail::new(database.pool.clone());
    for newest_first in [false, true] {
        let mut filter = EventFilter::new().limit(2);
        if newest_first {
            filter = filter.newest_first();
        }
        let mut seen = Vec::new();
        loop {
            let page = trail.events(&filter).await.unwrap();
            seen.extend(page.events.iter().map(|event| event.created_at));
            let Some(next) = page.next else { break };
            filter = filter.after(next.to_string().parse().unwrap());
        }
        assert_eq!(seen.len(), ODD.len());
        assert!(if newest_first { seen.is_sorted_by(|a, b| a >= b) } else { seen.is_sorted() }, "{seen:?}");
    }
    let since = EventFilter::new().since(Timestamp::INFINITY);
    assert_eq!(trail.events(&since).await.unwrap().events.len(), 1);
    let until = EventFilter::new().until("0001-01-01T00:00:00+00:00 BC".parse::<Timestamp>().unwrap());
    assert_eq!(trail.events(&until).await.unwrap().events.len(), 2);
    for n in [1, 5, 100] {
        let newest: Vec<TrailEvent> = trail.newest(EventFilter::new().limit(2), n).try_collect().await.unwrap();
        assert_eq!(newest.len(), ODD.len().min(n as usize));
        assert_eq!(newest.last().unwrap().created_at, Timestamp::INFINITY);
        assert!(newest.is_sorted_by_key(|event| event.created_at));
    }
}
