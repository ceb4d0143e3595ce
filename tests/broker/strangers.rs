//! Messages that no service of the trail sends: refused, counted, and in nobody's way.

use crate::scene::Scene;
use async_nats::HeaderMap;
use async_nats::jetstream;
use audit_runtime::Event;
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
