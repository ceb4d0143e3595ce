//! Personal values: encrypted, unless somebody who may see them states why.

use crate::server::{Page, sent};
use audit_runtime::{Event, MasterKey};
use reqwest::StatusCode;
use serde_json::json;
use std::time::Duration;
use tests::Database;

/// One event with a mail address, and the file of the key.
async fn registered() -> (Database, tempfile::TempDir, uuid::Uuid) {
    let database = Database::new().await;
    let directory = tempfile::tempdir().unwrap();
    let key = MasterKey::generate();
    tests::secret_file(directory.path(), "master.key", key.secret());
    let audit = database.audit().master_key(key).start().unwrap();
    let event = Event::new("customer.registered")
        .data(&json!({"plan": "basic"}))
        .personal("customer:1", &json!({"email": "ann@example.com"}));
    let id = audit.record(event).unwrap().id();
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    (database, directory, id)
}

#[tokio::test]
async fn a_reveal_needs_the_role_the_key_and_a_reason_and_is_on_record() {
    let (database, directory, id) = registered().await;
    let file = directory.path().join("access.toml");
    let hash = |token: &[u8]| hex::encode(<sha2::Sha256 as sha2::Digest>::digest(token));
    let text = format!(
        "[[user]]\nname = \"ada\"\ntoken_sha256 = \"{}\"\nroles = [\"view\", \"export\", \"reveal\"]\n\
         [[user]]\nname = \"tim\"\ntoken_sha256 = \"{}\"\nroles = [\"view\", \"export\"]\n",
        hash(b"ada's"),
        hash(b"tim's")
    );
    std::fs::write(&file, text).unwrap();
    let key = directory.path().join("master.key");
    let page = Page::start(&database, &["--access", file.to_str().unwrap(), "--master-key", key.to_str().unwrap()]);
    let get = async |token: &str, path: &str| sent(page.request(path).bearer_auth(token)).await;
    // Nowhere else, whoever asks.
    for path in [
        format!("/event/{id}"),
        format!("/event/{id}.json"),
        "/".into(),
        "/export.ndjson".into(),
        "/export.csv".into(),
        "/?find=example.com".into(),
    ] {
        let answer = get("ada's", &path).await;
        assert!(answer.status == StatusCode::OK && !answer.text.contains("ann@"), "{path}: {}", answer.text);
    }
    assert!(get("ada's", &format!("/event/{id}")).await.text.contains("Show personal values"));
    assert!(!get("tim's", &format!("/event/{id}")).await.text.contains("Show personal values"));
    let reveal = format!("/event/{id}/reveal?reason=support+case+17");
    assert_eq!(get("tim's", &reveal).await.status, StatusCode::FORBIDDEN);
    for bad in ["", "?reason=", "?reason=+++", "?reason=x"] {
        assert_eq!(get("ada's", &format!("/event/{id}/reveal{bad}")).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let cross = page.request(&reveal).bearer_auth("ada's").header("sec-fetch-site", "cross-site");
    assert_eq!(sent(cross).await.status, StatusCode::FORBIDDEN);
    let count = "SELECT count(*) FROM audit_events WHERE event_type = 'audit.revealed'";
    assert_eq!(database.count(count).await, 0);
    let shown = get("ada's", &reveal).await.text;
    assert!(shown.contains("ann@example.com") && shown.contains("support case 17"), "{shown}");
    let on_record = "SELECT count(*) FROM audit_events WHERE event_type = 'audit.revealed' AND actor = 'ada' AND data->>'reason' = 'support case 17'";
    assert_eq!(database.count(on_record).await, 1);
}

#[tokio::test]
async fn without_the_key_nothing_is_revealed_and_what_was_forgotten_is_marked() {
    let (database, directory, id) = registered().await;
    let page = Page::start(&database, &[]);
    let answer = page.answer(&format!("/event/{id}/reveal?reason=support")).await;
    assert!(answer.status == StatusCode::FORBIDDEN && answer.text.contains("no master key"), "{}", answer.text);
    assert!(page.page(&format!("/event/{id}")).await.contains("[encrypted]"));
    database.admin().forget("customer:1").await.unwrap();
    let key = directory.path().join("master.key");
    let page = Page::start(&database, &["--master-key", key.to_str().unwrap()]);
    let shown = page.page(&format!("/event/{id}/reveal?reason=support")).await;
    assert!(shown.contains("[erased]") && !shown.contains("ann@"), "{shown}");
}
