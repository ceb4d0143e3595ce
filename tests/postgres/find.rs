//! `Trail::find`: places that an index serves, then values; hostile texts; bounds.

use audit_runtime::trail::{EventFilter, Find, Found, FoundEvent, Place, Trail};
use audit_runtime::{Context, Event, Timestamp};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

async fn steps(trail: &Trail, find: Find) -> Vec<Found> {
    trail.find(find).try_collect().await.unwrap()
}

async fn found(trail: &Trail, find: Find) -> Vec<FoundEvent> {
    let steps = steps(trail, find).await;
    steps.into_iter().filter_map(|step| if let Found::Event(found) = step { Some(*found) } else { None }).collect()
}

/// Numbers of the events, with the place of each.
async fn numbers(trail: &Trail, text: &str) -> Vec<(i64, Place)> {
    let found = found(trail, Find::new(text)).await;
    found.iter().map(|found| (found.event.data["n"].as_i64().unwrap(), found.place)).collect()
}

async fn insert(database: &Database, number: i64, data: &Value, days_ago: i32) {
    let mut data = data.clone();
    data["n"] = number.into();
    let sql = "INSERT INTO audit_events (id, event_type, entity_type, data, created_at) \
               VALUES (gen_random_uuid(), 'note.left', 'note', $1, now() - make_interval(days => $2))";
    sqlx::query(sql).bind(data).bind(days_ago).execute(&database.pool).await.unwrap();
}

#[tokio::test]
async fn places_come_first_and_each_event_once() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let entered = audit.enter();
    let number = |event: Event, n: i64| audit.record(event.data(&json!({"n": n, "also": "INV-7"}))).unwrap();
    number(Event::new("invoice.sent").entity("invoice", "INV-7"), 1);
    number(Event::new("transfer.made").entity("transfer", 9).target("invoice", "INV-7"), 2);
    number(Event::new("note.left").actor("INV-7"), 3);
    number(Event::new("note.left").tenant("INV-7"), 4);
    let inside = Context::new().attribute("about", "inv-7 again").enter();
    audit.record(Event::new("note.left").data(&json!({"n": 5}))).unwrap();
    drop(inside);
    audit.record(Event::new("note.left").data(&json!({"n": 6, "text": "INV-77"}))).unwrap();
    audit.record(Event::new("note.left").data(&json!({"n": 7, "text": "INV-8"}))).unwrap();
    drop(entered);
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    let trail = Trail::new(database.pool.clone());
    let places = [(1, Place::Entity), (2, Place::Target), (3, Place::Actor), (4, Place::Tenant)];
    let values = [(6, Place::Value), (5, Place::Value)];
    assert_eq!(numbers(&trail, "INV-7").await, [&places[..], &values].concat());
    assert_eq!(numbers(&trail, "invoice:INV-7").await, places[..2]);
    assert_eq!(numbers(&trail, "note.left").await.len(), 5);
    // An index knows one spelling, and values have any.
    let lower: Vec<i64> = numbers(&trail, "inv-7").await.into_iter().map(|(number, _)| number).collect();
    assert_eq!(lower, [6, 5, 4, 3, 2, 1]);
    let all = trail.events(&EventFilter::new()).await.unwrap().events;
    let of = all.iter().find(|event| event.data["n"] == 1).unwrap();
    for (id, place) in
        [(of.id, Place::Id), (of.entity_id.unwrap(), Place::Entity), (of.batch_id.unwrap(), Place::Batch)]
    {
        for spelled in [id.to_string(), id.simple().to_string(), id.to_string().to_uppercase()] {
            assert!(numbers(&trail, &spelled).await.contains(&(1, place)), "{spelled}");
        }
        // As a timeline shows the end of it.
        let end = id.to_string()[28..].to_owned();
        assert!(numbers(&trail, &end).await.contains(&(1, Place::Value)), "{end}");
    }
    let by_context = found(&trail, Find::new("AGAIN")).await;
    assert_eq!(by_context[0].path.as_deref(), Some("context.about"));
    assert_eq!(by_context[0].value.as_deref(), Some("inv-7 again"));
    let of_tenant = Find::new("INV-7").filter(EventFilter::new().tenant("INV-7"));
    assert_eq!(found(&trail, of_tenant).await.len(), 1);
}

#[tokio::test]
async fn every_text_is_a_text() {
    let database = Database::new().await;
    let texts = [
        "100%",
        "a_b",
        "%",
        "_",
        "'; DROP TABLE audit_events; --",
        "\"quoted\"",
        "back\\slash",
        "line\nbreak",
        "tab\there",
        "\u{1}control",
        "(unclosed",
        "[a-z",
        "a{2}",
        "***=x",
        "^start$",
        "Ärger",
        "日本語",
        "\u{1f600}",
        "a\u{301}",
        "null?",
        "199.39999999999998",
        "x\u{7f}y",
        "\\u0041",
        "C:\\new",
    ];
    for (number, text) in texts.iter().enumerate() {
        insert(
            &database,
            i64::try_from(number).unwrap(),
            &json!({"deep": [{"text": format!("before {text} behind")}]}),
            0,
        )
        .await;
    }
    let trail = Trail::new(database.pool.clone());
    for (number, text) in texts.iter().enumerate() {
        let expected: Vec<i64> =
            texts.iter().enumerate().filter(|(_, other)| other.contains(text)).map(|(n, _)| n as i64).rev().collect();
        let found: Vec<i64> = numbers(&trail, text).await.into_iter().map(|(number, _)| number).collect();
        assert_eq!(found, expected, "{text:?} {number}");
    }
    let upper = numbers(&trail, "ÄRGER BEHIND").await;
    assert_eq!(upper.len(), 1, "{upper:?}");
    for nowhere in ["", "\0", "before  100%", "be.ore", &"x".repeat(1_000_000), &"(".repeat(10_000)] {
        let short: String = nowhere.chars().take(20).collect();
        assert!(numbers(&trail, nowhere).await.is_empty(), "{short:?}");
    }
    let long = "y".repeat(200_000);
    insert(&database, 100, &json!({"text": format!("{long}z")}), 0).await;
    assert_eq!(numbers(&trail, &format!("{long}z")).await.len(), 1);
    assert!(numbers(&trail, &format!("{long}x")).await.is_empty());
    // NUL is stored as it can be.
    let audit = database.audit().start().unwrap();
    audit.record(Event::new("note.left").actor("nul\0actor").data(&json!({"n": 101, "text": "nul\0text"}))).unwrap();
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    assert_eq!(numbers(&trail, "nul\0actor").await, [(101, Place::Actor)]);
    assert_eq!(numbers(&trail, "ul\0tex").await, [(101, Place::Value)]);
}

#[tokio::test]
async fn numbers_and_names_are_found_as_a_whole() {
    let database = Database::new().await;
    for (number, data) in [
        (1, json!({"amount": 12.5})),
        (2, json!({"amount": "12.50 EUR"})),
        (3, json!({"amount": 112.5})),
        (4, json!({"by": {"INV-7": {"paid": true}}})),
        (5, json!({"by": {"INV-77": 1}})),
        (6, json!({"customer_id": 42})),
        (7, json!({"customer_id": 421})),
    ] {
        insert(&database, number, &data, 0).await;
    }
    let trail = Trail::new(database.pool.clone());
    let only = async |text: &str| -> Vec<i64> {
        let mut found: Vec<i64> = numbers(&trail, text).await.into_iter().map(|(number, _)| number).collect();
        found.sort_unstable();
        found
    };
    for (text, expected) in [
        ("12.5", vec![1, 2]),
        ("12.50", vec![1, 2]),
        ("12.500", vec![1]),
        ("inv-7", vec![4]),
        ("42", vec![6]),
        ("CUSTOMER_ID", vec![6, 7]),
        ("true", vec![]),
    ] {
        assert_eq!(only(text).await, expected, "{text}");
    }
    let named = found(&trail, Find::new("INV-7")).await;
    assert_eq!(named[0].path.as_deref(), Some("data.by[\"INV-7\"]"));
}

#[tokio::test]
async fn values_are_looked_at_newest_first_in_windows_and_no_further_than_asked() {
    let database = Database::new().await;
    for (number, days) in [(1, 700), (2, 60), (3, 20), (4, 1), (5, 0)] {
        insert(&database, number, &json!({"text": "needle"}), days).await;
    }
    for (number, time) in [(0, "-infinity"), (6, "infinity"), (7, "294276-12-31")] {
        let sql = "INSERT INTO audit_events (id, event_type, entity_type, data, created_at) VALUES (gen_random_uuid(), 'a.b', 'a', $1, $2::timestamptz)";
        let data = json!({"n": number, "text": "needle"});
        sqlx::query(sql).bind(data).bind(time).execute(&database.pool).await.unwrap();
    }
    let trail = Trail::new(database.pool.clone());
    let all: Vec<i64> = numbers(&trail, "needle").await.into_iter().map(|(number, _)| number).collect();
    assert_eq!(all, [6, 7, 5, 4, 3, 2, 1, 0]);
    let month = Timestamp::now().saturating_sub(Duration::from_secs(30 * 86_400));
    let bounded = steps(&trail, Find::new("needle").values_since(month)).await;
    let numbers: Vec<i64> = bounded
        .iter()
        .filter_map(|step| if let Found::Event(found) = step { found.event.data["n"].as_i64() } else { None })
        .collect();
    assert_eq!(numbers, [6, 7, 5, 4, 3]);
    // The search says how far it is, and ends where it was to end.
    let searched: Vec<Timestamp> = bounded
        .iter()
        .filter_map(|step| if let Found::Searched { since } = step { Some(*since) } else { None })
        .collect();
    assert_eq!(searched.first(), Some(&Timestamp::INFINITY));
    assert!(searched.is_sorted_by(|later, earlier| later >= earlier), "{searched:?}");
    assert_eq!(searched.last(), Some(&month));
    let before = Timestamp::now().saturating_sub(Duration::from_secs(10 * 86_400));
    let older = found(&trail, Find::new("needle").filter(EventFilter::new().since(month).until(before))).await;
    assert_eq!(older.iter().map(|found| found.event.data["n"].as_i64().unwrap()).collect::<Vec<_>>(), [3]);
    // A key is found however old it is, but for a filter that says otherwise.
    let sql = "UPDATE audit_events SET entity_id = $1 WHERE data->>'n' = '1'";
    sqlx::raw_sql("ALTER TABLE audit_events DISABLE TRIGGER ALL").execute(&database.pool).await.unwrap();
    let id = Uuid::from_u128(5);
    sqlx::query(sql).bind(id).execute(&database.pool).await.unwrap();
    assert_eq!(found(&trail, Find::new(id.to_string()).values_since(month)).await.len(), 1);
    let none = Find::new(id.to_string()).filter(EventFilter::new().since(month));
    assert!(found(&trail, none).await.is_empty());
}

#[tokio::test]
async fn an_empty_trail_is_searched_at_once() {
    let database = Database::new().await;
    let trail = Trail::new(database.pool.clone());
    assert!(found(&trail, Find::new("anything")).await.is_empty());
}

#[tokio::test]
async fn keys_are_found_by_indexes_in_a_large_table() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    audit.record(Event::new("invoice.sent").entity("invoice", "INV-7").data(&json!({"n": 1}))).unwrap();
    audit
        .record(Event::new("transfer.made").entity("transfer", 1).target("invoice", "INV-7").data(&json!({"n": 2})))
        .unwrap();
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    let many = "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, tenant, targets, correlation_id, batch_id) \
        SELECT gen_random_uuid(), 'order.' || n % 40, 'order', gen_random_uuid(), 'user:' || n % 5000, jsonb_build_object('n', n), \
        now() - n * interval '1 second', 'tenant-' || n % 300, jsonb_build_array(jsonb_build_object('type', 'a', 'id', gen_random_uuid(), 'key', n::text)), \
        gen_random_uuid(), gen_random_uuid() FROM generate_series(1, 200000) n";
    sqlx::query(many).execute(&database.pool).await.unwrap();
    sqlx::raw_sql("VACUUM ANALYZE audit_events").execute(&database.pool).await.unwrap();
    // A search that read the whole table would be ended by the server.
    let pool = PgPoolOptions::new().max_connections(1).connect(&database.url).await.unwrap();
    let trail = Trail::new(pool.clone());
    let before = pages(&pool).await;
    // No value is looked at, because the time begins in the future.
    let tomorrow = Timestamp::now().saturating_add(Duration::from_secs(86_400));
    let found = found(&trail, Find::new("INV-7").values_since(tomorrow)).await;
    assert_eq!(found.iter().map(|found| found.place).collect::<Vec<_>>(), [Place::Entity, Place::Target]);
    let read = pages(&pool).await - before;
    let all = "SELECT sum(pg_relation_size(c.oid) / 8192)::bigint FROM pg_class c WHERE c.relname LIKE 'audit_events%'";
    let all: i64 = sqlx::query_scalar(all).fetch_one(&pool).await.unwrap();
    assert!(read * 4 < all, "{read} of {all} pages");
    // So are the trail and the history of an entity.
    let before = pages(&pool).await;
    assert_eq!(trail.entity("invoice", "INV-7").await.unwrap().len(), 2);
    let read_trail = pages(&pool).await - before;
    let before = pages(&pool).await;
    assert!(trail.history("invoice", "INV-7").as_of(tomorrow).await.unwrap().is_empty());
    let read_history = pages(&pool).await - before;
    assert!(read_trail.max(read_history) < 300, "{read_trail} and {read_history} of {all} pages");
}

/// Pages of the audit tables and their indexes that were looked at so far.
async fn pages(pool: &sqlx::postgres::PgPool) -> i64 {
    let sql = "SELECT sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit + idx_blks_read, 0))::bigint \
               FROM pg_statio_user_tables WHERE relname LIKE 'audit_events%'";
    let flush = "SELECT to_regproc('pg_stat_force_next_flush') IS NOT NULL";
    if sqlx::query_scalar(flush).fetch_one(pool).await.unwrap() {
        sqlx::query("SELECT pg_stat_force_next_flush()").execute(pool).await.unwrap();
    } else {
        // Before PostgreSQL 15, a session reports with the first statement after half a second.
        tokio::time::sleep(Duration::from_secs(1)).await;
        sqlx::query("SELECT 1").execute(pool).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}
