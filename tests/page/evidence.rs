//! The proof beside every row.

use crate::scene::{accounts, as_superuser, ids, key};
use crate::server::Page;
use audit_runtime::evidence::Proof;
use reqwest::StatusCode;

#[tokio::test]
async fn an_event_is_verified_by_its_page_and_its_proof_elsewhere() {
    let key = key();
    let database = accounts(40, &key).await;
    let page = Page::start(&database, &["--public-key", &key.public().to_string()]);
    let id = ids(&database).await[17];
    let shown = page.page(&format!("/event/{id}")).await;
    assert!(shown.contains("Evidence: verified") && shown.matches(">passed<").count() == 4, "{shown}");
    let proof = page.page(&format!("/event/{id}/proof.json")).await;
    let proven = Proof::from_json(&proof).unwrap().verify(key.public()).unwrap();
    assert_eq!(proven.event_id, id);
    let json = page.json(&format!("/event/{id}.json")).await;
    assert_eq!((&json["evidence"]["verdict"], &json["evidence"]["checkpoint"]), (&"verified".into(), &1.into()));
}

#[tokio::test]
async fn a_tampered_row_is_seen_on_its_page_at_once_and_in_lists_after_a_check() {
    let key = key();
    let database = accounts(40, &key).await;
    let page = Page::start(&database, &["--public-key", &key.public().to_string()]);
    let id = ids(&database).await[17];
    as_superuser(&database, &format!("UPDATE audit_events SET data = '{{\"cents\": 1}}' WHERE id = '{id}'")).await;
    let list = "/events.json";
    let state = |list: &serde_json::Value| {
        let events = list["events"].as_array().unwrap().clone();
        let found = events.into_iter().find(|entry| entry["event"]["id"] == id.to_string()).unwrap();
        found["evidence"]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(&page.json(list).await), "covered");
    let checked = page.json("/events.json?check=1").await;
    assert_eq!(state(&checked), "altered");
    let verified = |entry: &&serde_json::Value| entry["evidence"]["state"] == "verified";
    assert_eq!(checked["events"].as_array().unwrap().iter().filter(verified).count(), 39);
    // Lists remember it, and the page states it.
    assert_eq!(state(&page.json(list).await), "altered");
    assert!(page.page("/").await.contains("ALTERED"));
    let shown = page.page(&format!("/event/{id}")).await;
    assert!(shown.contains("Evidence: ALTERED") && shown.contains("the row is not what was sealed"), "{shown}");
    let proof = page.answer(&format!("/event/{id}/proof.json")).await;
    assert_eq!(proof.status, StatusCode::CONFLICT, "{}", proof.text);
    let problems = page.json("/status.json").await["problems"].to_string();
    assert!(problems.contains("1 event is ALTERED"), "{problems}");
    // Set right again, it is verified again.
    as_superuser(&database, &format!("UPDATE audit_events SET data = '{{\"cents\": 17}}' WHERE id = '{id}'")).await;
    assert!(page.page(&format!("/event/{id}")).await.contains("Evidence: verified"));
    assert_eq!(state(&page.json(list).await), "covered");
}

#[tokio::test]
async fn each_step_of_the_evidence_fails_on_its_own() {
    let key = key();
    let database = accounts(40, &key).await;
    let page = Page::start(&database, &["--public-key", &key.public().to_string()]);
    let id = ids(&database).await[3];
    let path = format!("/event/{id}.json");
    for (harm, repair, step) in [
        (
            "UPDATE audit_batches SET root = sha256('x')",
            "UPDATE audit_batches SET root = kept.root FROM kept WHERE kept.id = audit_batches.id",
            "batch",
        ),
        (
            "UPDATE audit_batches SET origin = 'mallory'",
            "UPDATE audit_batches SET origin = kept.origin FROM kept WHERE kept.id = audit_batches.id",
            "tree",
        ),
        (
            "UPDATE audit_checkpoints SET note = replace(note, 'time 2', 'time 1')",
            "UPDATE audit_checkpoints SET note = replace(note, 'time 1', 'time 2')",
            "signature",
        ),
    ] {
        as_superuser(&database, "CREATE TABLE IF NOT EXISTS kept AS SELECT * FROM audit_batches").await;
        as_superuser(&database, harm).await;
        let json = page.json(&path).await;
        assert_eq!(json["evidence"][step]["state"], "failed", "{harm}: {json}");
        assert_eq!(json["evidence"]["verdict"], "ALTERED");
        as_superuser(&database, repair).await;
        let json = page.json(&path).await;
        assert_eq!(json["evidence"]["verdict"], "verified", "{repair}: {json}");
    }
    as_superuser(&database, &format!("DELETE FROM audit_events WHERE id = '{id}'")).await;
    assert_eq!(page.answer(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_not_sealed_or_not_covered_is_no_alarm() {
    let key = key();
    let database = accounts(3, &key).await;
    let page = Page::start(&database, &[]);
    crate::scene::record(&database, |audit| drop(audit.record(audit_runtime::Event::new("account.opened")).unwrap()))
        .await;
    let sql = "INSERT INTO audit_events (id, event_type, entity_type, created_at) VALUES (gen_random_uuid(), 'note.left', 'note', now())";
    sqlx::query(sql).execute(&database.pool).await.unwrap();
    let list = page.json("/events.json?check=1").await;
    let states: Vec<_> =
        list["events"].as_array().unwrap().iter().map(|entry| entry["evidence"]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["not_sealed", "equals_seal", "verified", "verified", "verified"]);
    // The next checkpoint covers both, and the server's tree grows.
    database.admin().checkpoint(&key).await.unwrap();
    let list = page.json("/events.json?check=1").await;
    let states: Vec<_> =
        list["events"].as_array().unwrap().iter().map(|entry| entry["evidence"]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["verified"; 5]);
}
