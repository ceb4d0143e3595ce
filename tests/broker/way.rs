//! The way of events through the broker, where nothing fails.

use crate::scene::Scene;
use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{Event, MasterKey, Nats, RecordError, audited};
use serde_json::json;
use std::time::Duration;
use tests::{Calls, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_has_a_row_and_many_batches_share_a_transaction() {
    let Some(scene) = Scene::new().await else { return };
    let relay = scene.relay();
    let audit = scene.service().batch_rows(10).start().unwrap();
    let calls = Calls::begin(&audit);
    eventually("some are stored", || async { scene.database.events().await > 2_000 }).await;
    calls.have_a_row_each(&audit, &scene.database).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    let (batches, transactions) = (
        scene.database.count("SELECT count(*) FROM audit_batches").await,
        scene.database.count("SELECT count(DISTINCT xmin::text) FROM audit_batches").await,
    );
    assert!(transactions * 2 < batches, "{batches} batches in {transactions} transactions");
    assert_eq!(scene.database.journal_directories(), 0);
    relay.end().await;
}

#[tokio::test]
async fn a_receipt_tells_what_the_broker_has_and_what_is_stored() {
    let Some(scene) = Scene::new().await else { return };
    let audit = scene.service().start().unwrap();
    let receipt = audit.record(Event::new("order.submitted")).unwrap();
    receipt.sent().await.unwrap();
    assert_eq!(audit.stats().stored, 0);
    assert_eq!(scene.database.events().await, 0, "there is no relay yet");
    let relay = scene.relay();
    receipt.stored().await.unwrap();
    assert_eq!(scene.database.events().await, 1);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
}

#[tokio::test]
async fn an_event_that_no_message_holds_is_refused_where_it_is_recorded() {
    let Some(scene) = Scene::new().await else { return };
    let relay = scene.relay();
    let audit = scene.service().segment_bytes(1 << 22).data_limit(1 << 19).start().unwrap();
    let big = Event::new("order.submitted").data(&json!({"text": "x".repeat(400 << 10)}));
    let Err(RecordError::TooLarge(bytes)) = audit.record(big) else { panic!("it is taken") };
    assert!(bytes > 400 << 10);
    let largest = Event::new("order.submitted").data(&json!({"text": "x".repeat(380 << 10)}));
    for _ in 0..5 {
        audit.record(Event::new("order.submitted").data(&json!({"text": "y".repeat(200 << 10)}))).unwrap();
    }
    audit.record(largest).unwrap();
    audit.flush().await.unwrap();
    assert_eq!(scene.database.events().await, 6);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
}

#[tokio::test]
async fn a_server_that_takes_smaller_messages_is_named() {
    let Some(scene) = Scene::new().await else { return };
    let nats = Nats::new(scene.server.url()).max_payload(4 << 20);
    let audit = crate::scene::service(&nats, scene.database.journals.path()).start().unwrap();
    audit.record(Event::new("order.submitted")).unwrap();
    eventually("it says so", || async {
        audit
            .stats()
            .last_error
            .is_some_and(|error| error.contains("messages of 1048576 bytes") && error.contains("max_payload"))
    })
    .await;
    scene.database.abandon(audit).await;
}

#[audited(event = "customer.changed", id = none, personal(mail), subject = customer)]
fn change(customer: &str, mail: &str) {}

#[audited(event = "job.done", id = none, intent)]
pub(crate) async fn job() {
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn keys_interruptions_and_the_catalogue_come_by_the_relay() {
    let Some(scene) = Scene::new().await else { return };
    let relay = scene.relay();
    let master = MasterKey::generate();
    let audit = scene.service().master_key(master.clone()).start().unwrap();
    audit.scope(async { change("customer:42", "ann@example.com") }).await;
    let working = tokio::spawn(audit.scope(job()));
    eventually("the intent is stored", || async { scene.database.events_of("job.done").await == 1 }).await;
    eventually("the catalogue is stored", || async {
        scene.database.count("SELECT count(*) FROM audit_catalogue WHERE service = 'broker'").await == 1
    })
    .await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    working.abort();
    eventually("it is interrupted", || async { scene.database.events_of("audit.interrupted").await == 1 }).await;
    let clear = "SELECT count(*) FROM audit_events WHERE data::text LIKE '%example%'";
    assert_eq!(scene.database.count(clear).await, 0);
    let trail = Trail::new(scene.database.pool.clone()).master_key(master);
    let events = trail.events(&EventFilter::new().event("customer.changed")).await.unwrap().events;
    assert_eq!(events[0].data["mail"], "ann@example.com");
    relay.end().await;
    scene.database.is_unharmed().await;
}
