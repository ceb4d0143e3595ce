//! Events that a target refuses, and targets that refuse all.

use crate::endpoint::Endpoint;
use crate::{forward, record, run};
use tests::Database;

#[tokio::test]
async fn an_event_that_is_refused_is_set_aside_and_the_others_go_on() {
    let database = Database::new().await;
    record(&database, 40).await;
    let audit = database.audit().start().unwrap();
    audit.record(audit_runtime::Event::new("order.odd")).unwrap();
    audit.shutdown(crate::LONG).await.unwrap();
    record(&database, 40).await;
    let endpoint = Endpoint::start(|request| match request.text().contains("order.odd") {
        true => Some((400, "", b"no such type".to_vec())),
        false => Some((200, "", Vec::new())),
    })
    .await;
    let to = format!("http://127.0.0.1:{}/", endpoint.port);
    let (code, text) = forward(&database, &to, &["--name", "siem"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("80 events sent, 1 event set aside") && text.contains("no such type"), "{text}");
    let (code, text) = run(&database, &["feed", "refused", "siem", "--output", "json"]);
    let refused: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, refused.as_array().unwrap().len()), (0, 1), "{text}");
    assert!(refused[0]["error"].as_str().unwrap().contains("400"), "{text}");
    assert_eq!(forward(&database, &to, &["--name", "siem"]).1, "audit-trail: 0 events sent, 0 events set aside\n");
}

#[tokio::test]
async fn an_endpoint_that_refuses_every_event_is_waited_for() {
    let database = Database::new().await;
    record(&database, 60).await;
    let endpoint = Endpoint::start(|_| Some((400, "", b"wrong tenant".to_vec()))).await;
    let to = format!("http://127.0.0.1:{}/", endpoint.port);
    let (code, text) = forward(&database, &to, &["--name", "siem"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("refuses every event") && text.contains("wrong tenant"), "{text}");
    assert_eq!(database.count("SELECT count(*) FROM audit_set_aside").await, 0);
    assert_eq!(database.count("SELECT sent FROM audit_feeds").await, 0);
}

/// Refuses events of the type `order.odd`.
async fn picky() -> Endpoint {
    Endpoint::start(|request| match request.text().contains("order.odd") {
        true => Some((400, "", b"no such type".to_vec())),
        false => Some((200, "", Vec::new())),
    })
    .await
}

async fn record_odd(database: &Database, events: usize) {
    let audit = database.audit().start().unwrap();
    for _ in 0..events {
        audit.record(audit_runtime::Event::new("order.odd")).unwrap();
    }
    assert_eq!(audit.shutdown(crate::LONG).await.unwrap().left_in_journal, 0);
}

const SENT: &str = "SELECT coalesce(sum(sent), 0)::bigint FROM audit_feeds";
const ASIDE: &str = "SELECT coalesce(sum(set_aside), 0)::bigint FROM audit_feeds";

#[tokio::test]
async fn a_target_that_never_took_an_event_is_waited_for_however_few_there_are() {
    let database = Database::new().await;
    let endpoint = picky().await;
    let to = format!("http://127.0.0.1:{}/", endpoint.port);
    for _ in 0..3 {
        record_odd(&database, 1).await;
        let (code, text) = forward(&database, &to, &["--name", "siem"]);
        assert!(code == 1 && text.contains("refuses every event, so that none is set aside"), "{text}");
    }
    assert_eq!(database.count(ASIDE).await, 0);
    // One that it takes tells that the others are at fault.
    record(&database, 1).await;
    let (code, text) = forward(&database, &to, &["--name", "siem"]);
    assert!(code == 1 && text.contains("1 event sent, 3 events set aside"), "{text}");
    // Another form is another matter.
    record_odd(&database, 1).await;
    for _ in 0..2 {
        let (code, text) = forward(&database, &to, &["--name", "siem", "--form", "ocsf"]);
        assert!(code == 1 && text.contains("refuses every event, so that none is set aside"), "{text}");
    }
    assert_eq!(database.count(ASIDE).await, 3);
}

#[tokio::test]
async fn a_good_event_after_bad_ones_sets_a_new_feed_going() {
    let database = Database::new().await;
    let endpoint = picky().await;
    let to = format!("http://127.0.0.1:{}/", endpoint.port);
    record_odd(&database, 2).await;
    let running = crate::Running::start(&database, &["forward", "--to", &to, "--from", "beginning"]);
    let waits = "SELECT count(*) FROM audit_feeds WHERE waits_for LIKE '%none is set aside%'";
    tests::eventually("it waits", async || database.count(waits).await == 1).await;
    record(&database, 1).await;
    tests::eventually("it goes on", async || database.count(SENT).await == 1).await;
    assert_eq!(database.count(ASIDE).await, 2);
    assert_eq!(running.terminate(), 0);
}

#[tokio::test]
async fn events_that_are_refused_in_masses_stop_no_feed() {
    let database = Database::new().await;
    let endpoint = picky().await;
    let to = format!("http://127.0.0.1:{}/", endpoint.port);
    // The first ones are at fault, and the target has taken nothing yet.
    record_odd(&database, 30).await;
    record(&database, 2).await;
    let arguments = ["forward", "--to", &to, "--from", "beginning", "--name", "siem"];
    let mut running = crate::Running::start(&database, &arguments);
    tests::eventually("the others are sent", async || database.count(SENT).await == 2).await;
    assert_eq!(database.count(ASIDE).await, 30);
    // All of them are, and the process begins anew amid them.
    running.kill();
    record_odd(&database, 30).await;
    let mut running = crate::Running::start(&database, &arguments);
    let doubted = "SELECT count(*) FROM audit_feeds WHERE waits_for LIKE '%refuses every event for now%'";
    tests::eventually("the target is asked again", async || database.count(doubted).await == 1).await;
    running.kill();
    let running = crate::Running::start(&database, &arguments);
    tests::eventually("they are set aside", async || database.count(ASIDE).await == 60).await;
    record(&database, 1).await;
    tests::eventually("the next one is sent", async || database.count(SENT).await == 3).await;
    assert_eq!(running.terminate(), 0);
    // A feed that runs at times comes further, too.
    record_odd(&database, 1).await;
    let (code, text) = forward(&database, &to, &["--name", "siem"]);
    assert!(code == 1 && text.contains("0 events sent, 1 event set aside"), "{text}");
}
