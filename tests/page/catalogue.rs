//! The catalogue: what services audit.

use crate::payloads::payloads;
use crate::search::settled;
use crate::server::Page;
use serde_json::{Value, json};
use tests::Database;

fn field(name: &str, capture: &str, is_personal: bool) -> Value {
    json!({"name": name, "source": "parameter", "capture": capture, "is_personal": is_personal})
}

async fn insert(database: &Database, service: &str, version: &str, day: i32, functions: Value) {
    let sql = "INSERT INTO audit_catalogue (service, version, digest, functions, origin, first_seen_at) \
               VALUES ($1, $2, sha256(convert_to($3::text, 'UTF8')), $3, 'test', make_timestamptz(2026, 5, $4, 9, 0, 0, 'UTC'))";
    let query = sqlx::query(sql).bind(service).bind(version).bind(functions).bind(day);
    query.execute(&database.pool).await.unwrap();
}

/// A desk of two versions, of which the newer has lost a function and reported a rule.
async fn desk() -> Database {
    let database = Database::new().await;
    let submit = json!({
        "function": "desk::orders::submit", "file": "src/orders.rs", "line": 42,
        "events": ["order.submitted", "order.rejected"], "entity_type": "order", "has_id": true,
        "fields": [field("ticker", "value", false), field("email", "value", true), field("pin", "redacted", false), field("db", "left_out", false)],
        "guarantee": "required", "is_in_transaction": true, "is_async": true,
    });
    let lost = json!({"function": "desk::old", "file": "src/old.rs", "line": 7, "events": ["order.amended"], "guarantee": "journal"});
    let late = json!({"function": "desk::assess", "file": "src/lib.rs", "line": 9, "has_late_events": true, "is_conditional": true, "guarantee": "journal"});
    insert(&database, "desk", "1.0.0", 1, json!([submit, lost])).await;
    insert(&database, "desk", "1.1.0", 2, json!([submit, late])).await;
    let rules = json!({"rules": [{"event": "order.sub*", "rule": "submits: events of type order.sub*: not recorded"}]});
    let sql = "INSERT INTO audit_events (id, event_type, entity_type, actor, data, origin, created_at) VALUES \
               (gen_random_uuid(), 'audit.policy_changed', 'audit', 'audit', $1, 'desk@host:1', now())";
    sqlx::query(sql).bind(rules).execute(&database.pool).await.unwrap();
    database
}

#[tokio::test]
async fn the_catalogue_shows_functions_fields_and_rules_and_is_on_record() {
    let database = desk().await;
    let page = Page::start(&database, &[]);
    insta::assert_snapshot!("catalogue", settled(&page.page("/catalogue").await));
    let functions = page.json("/catalogue.json").await;
    assert_eq!(functions.as_array().unwrap().len(), 2);
    assert_eq!(functions[1]["fields"][1], field("email", "value", true));
    assert_eq!(functions[1]["rules"][0], "submits: events of type order.sub*: not recorded");
    let viewed = "SELECT count(*) FROM audit_events WHERE event_type = 'audit.viewed' AND data ->> 'page' = 'catalogue' AND data ->> 'rows' = '2'";
    assert_eq!(database.count(viewed).await, 2);
    assert!(page.json("/openapi.json").await["paths"]["/catalogue.json"].is_object());
    assert!(page.page("/").await.contains("href=\"/catalogue\""));
}

#[tokio::test]
async fn a_trail_without_a_catalogue_says_so() {
    let database = Database::new().await;
    let page = Page::start(&database, &[]);
    assert!(page.page("/catalogue").await.contains("No service has stored a catalogue."));
    assert_eq!(page.json("/catalogue.json").await, json!([]));
}

#[tokio::test]
async fn what_a_service_stores_is_shown_as_text() {
    let database = Database::new().await;
    let payloads = payloads();
    for (number, payload) in payloads.iter().enumerate() {
        let function = json!({
            "function": payload, "file": payload, "line": 1, "events": [payload], "entity_type": payload, "has_id": true,
            "fields": [field(payload, "value", true)], "guarantee": payload,
        });
        insert(&database, &format!("{number} {payload}"), payload, 1, json!([function])).await;
    }
    let page = Page::start(&database, &[]).page("/catalogue").await.to_lowercase();
    assert_eq!(page.matches("<section>").count(), payloads.len());
    assert_eq!(page.matches("<script").count(), 1);
    for bad in [
        "<img",
        "<iframe",
        "<base",
        "<svg onload",
        "<details open",
        "href=\"javascript",
        "href=\"data:",
        "\u{202e}",
        "\u{1b}",
    ] {
        assert!(!page.contains(bad), "{bad}");
    }
}
