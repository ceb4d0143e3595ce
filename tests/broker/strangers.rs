//! Messages that no service of the trail sends: refused, counted, and in nobody's way.

use crate::scene::{Scene, service};
use async_nats::HeaderMap;
use async_nats::jetstream;
use audit_runtime::{Event, Nats};
use std::time::Duration;
use tests::eventually;
use uuid::Uuid;

#[tokio::test]
async fn junk_and_batches_on_anothers_subject_are_refused() {
    let Some(scene) = Scene::new().await else { return };
    let audit = scene.service().start().unwrap();
    audit.record(Event::new("order.submitted")).unwrap().sent().await.unwrap();
    let context = jetstream::new(scene.client().await);
    let stream = context.get_stream("AUDIT").await.unwrap();
    let own = stream.get_raw_message(1).await.unwrap();
    let send = async |subject: String, headers: HeaderMap, payload: Vec<u8>| {
        let mut all = headers;
        all.insert("Nats-Msg-Id", Uuid::new_v4().to_string());
        context.publish_with_headers(subject, all, payload.into()).await.unwrap().await.unwrap();
    };
    let journal = own.subject.rsplit_once('.').unwrap().1.to_owned();
    // Junk, no headers, another service's subject, another journal's, an altered payload, another's inbox.
    send(format!("audit.batch.broker.{journal}"), HeaderMap::new(), b"junk".to_vec()).await;
    send(format!("audit.batch.broker.{journal}"), own.headers.clone(), b"junk".to_vec()).await;
    send(format!("audit.batch.payments.{journal}"), own.headers.clone(), own.payload.to_vec()).await;
    send(format!("audit.batch.broker.{}", Uuid::new_v4()), own.headers.clone(), own.payload.to_vec()).await;
    let mut to_another = own.headers.clone();
    to_another.insert("Audit-Reply", "audit.ask.broker");
    send(own.subject.to_string(), to_another, own.payload.to_vec()).await;
    let relay = scene.relay();
    eventually("all are refused", || async { relay.relay.stats().altered == 5 }).await;
    audit.flush().await.unwrap();
    assert_eq!(scene.database.events().await, 1);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
    scene.database.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_of_another_service_is_left_to_it_and_holds_up_no_other() {
    let Some(scene) = Scene::new().await else { return };
    let path = scene.database.journals.path();
    // Neither process has reached the broker.
    for name in ["other", "broker"] {
        let audit = service(&Nats::new("nats://127.0.0.1:1"), path).service(name).start().unwrap();
        audit.record(Event::new(format!("{name}.ended"))).unwrap();
        scene.database.abandon(audit).await;
    }
    let relay = scene.relay();
    let adopter = scene.service().start().unwrap();
    eventually("its own is stored", || async { scene.database.events_of("broker.ended").await == 1 }).await;
    adopter.record(Event::new("order.submitted")).unwrap().stored().await.unwrap();
    eventually("its own journal goes", || async { scene.database.journal_directories() == 2 }).await;
    assert_eq!(scene.database.events_of("other.ended").await, 0);
    adopter.shutdown(Duration::from_secs(10)).await.unwrap();
    // A program of this name may send for all.
    let shipper = scene.service().service("audit-trail").start().unwrap();
    eventually("the other is stored", || async { scene.database.events_of("other.ended").await == 1 }).await;
    shipper.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
    scene.database.is_unharmed().await;
}
