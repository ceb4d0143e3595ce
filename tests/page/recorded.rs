//! Each view is on record before anything is shown.

use crate::scene::{accounts, ids, key};
use crate::server::Page;
use audit_runtime::trail::{EventFilter, Trail, TrailEvent};
use reqwest::StatusCode;
use serde_json::Value;
use tests::Database;

async fn own(database: &Database) -> Vec<TrailEvent> {
    let filter = EventFilter::new().event("audit.*").limit(1_000);
    Trail::new(database.pool.clone()).events(&filter).await.unwrap().events
}

#[tokio::test]
async fn each_view_export_and_proof_is_an_event_with_user_filter_and_rows() {
    let key = key();
    let database = accounts(12, &key).await;
    let page = Page::start(&database, &[]);
    let id = ids(&database).await[0];
    page.page("/?tenant=acme").await;
    page.page("/entity/account/1").await;
    page.page(&format!("/event/{id}")).await;
    page.page(&format!("/event/{id}/proof.json")).await;
    page.page("/export.csv?tenant=acme").await;
    page.page("/status").await;
    let events = own(&database).await;
    let told: Vec<_> = events.iter().map(|event| (event.event_type.as_str(), event.data["rows"].to_string())).collect();
    let expected = [
        ("audit.viewed", "6"),
        ("audit.viewed", "2"),
        ("audit.viewed", "1"),
        ("audit.proof", "1"),
        ("audit.exported", "null"),
        ("audit.exported", "6"),
        ("audit.viewed", "0"),
    ];
    assert_eq!(told, expected.map(|(event, rows)| (event, rows.to_owned())));
    assert!(events.iter().all(|event| event.actor == "ann (on this machine)" && event.data["from"] == "127.0.0.1"));
    assert_eq!(events[0].data["query"], "tenant=acme");
    assert_eq!(events[1].data["page"], "entity account 1");
    assert_eq!(events[2].data["event"], id.to_string().as_str());
    assert_eq!(events[5].data["sha256"].as_str().unwrap().len(), 64);
    // Sealed like any other event.
    assert!(events.iter().all(|event| event.batch_id.is_some()));
    database.is_unharmed().await;
}

#[tokio::test]
async fn own_events_are_hidden_unless_they_are_asked_for() {
    let database = accounts(2, &key()).await;
    let page = Page::start(&database, &[]);
    let count = |list: &Value| list["events"].as_array().unwrap().len();
    assert_eq!(count(&page.json("/events.json").await), 2);
    assert_eq!(count(&page.json("/events.json").await), 2);
    assert_eq!(count(&page.json("/events.json?own=1").await), 4);
    assert_eq!(count(&page.json("/events.json?event=audit.viewed").await), 3);
}

#[tokio::test]
async fn nothing_is_shown_that_cannot_be_recorded() {
    let database = accounts(2, &key()).await;
    let page = Page::start(&database, &[]);
    page.page("/").await;
    // Batches are refused from now on, and reading is not.
    let sql = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$; \
               CREATE TRIGGER a_refusal BEFORE INSERT ON audit_batches FOR EACH ROW EXECUTE FUNCTION refuse()";
    sqlx::raw_sql(sql).execute(&database.pool).await.unwrap();
    let id = ids(&database).await[0];
    let paths = [
        "/".to_owned(),
        format!("/event/{id}"),
        format!("/event/{id}/proof.json"),
        "/export.ndjson".into(),
        "/status".into(),
        "/tail".into(),
    ];
    let answers = futures_util::future::join_all(paths.iter().map(|path| page.answer(path))).await;
    for (path, answer) in paths.iter().zip(answers) {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(answer.text.contains("cannot be recorded"), "{path}: {}", answer.text);
        assert!(!answer.text.contains("credited"), "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_journal_on_disk_keeps_the_record_while_postgresql_refuses_it() {
    let database = accounts(2, &key()).await;
    let journal = tempfile::tempdir().unwrap();
    let page = Page::start(&database, &["--journal", journal.path().to_str().unwrap()]);
    let sql = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$; \
               CREATE TRIGGER a_refusal BEFORE INSERT ON audit_batches FOR EACH ROW EXECUTE FUNCTION refuse()";
    sqlx::raw_sql(sql).execute(&database.pool).await.unwrap();
    page.page("/").await;
    sqlx::raw_sql("DROP TRIGGER a_refusal ON audit_batches").execute(&database.pool).await.unwrap();
    tests::eventually("the view is stored", async || own(&database).await.len() == 1).await;
}
