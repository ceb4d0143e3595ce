//! A service adopts the journal of another by way of the broker.

use crate::scene::{Scene, Taking, service};
use async_nats::HeaderMap;
use async_nats::jetstream;
use audit_runtime::relay::Relay;
use audit_runtime::{Event, Nats};
use futures_util::FutureExt;
use std::time::Duration;
use tests::nats::small_stream;
use tests::{Database, NatsServer, eventually};
use tokio::time::timeout;

/// Leaves a journal of so many events, none of which has reached the broker.
async fn leave(scene: &mut Scene, events: usize) {
    scene.server.kill();
    let audit = scene.service().batch_rows(1).start().unwrap();
    for _ in 0..events {
        audit.record(Event::new("order.submitted")).unwrap();
    }
    scene.database.abandon(audit).await;
    scene.server.up();
}

#[tokio::test]
async fn an_adopter_has_several_batches_under_way_and_dies_over_them() {
    let Some(mut scene) = Scene::new().await else { return };
    leave(&mut scene, 200).await;
    let stream = jetstream::new(scene.client().await).get_stream("AUDIT").await.unwrap();
    let relay = scene.relay();
    // Nothing is stored while this is held, so no batch is answered.
    let mut holder = scene.database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE audit_batches IN EXCLUSIVE MODE").execute(&mut *holder).await.unwrap();
    let adopter = scene.service().batch_rows(1).start().unwrap();
    eventually("batches are sent ahead", || async { stream.get_info().await.unwrap().state.last_sequence >= 8 }).await;
    assert_eq!((scene.database.events().await, adopter.stats().adopted), (0, 0));
    scene.database.abandon(adopter).await;
    holder.rollback().await.unwrap();
    let next = scene.service().batch_rows(3).start().unwrap();
    eventually("it is adopted", || async { scene.database.journal_directories() == 1 }).await;
    assert_eq!(scene.database.events().await, 200);
    next.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
    scene.database.is_unharmed().await;
}

#[tokio::test]
async fn positions_of_an_adopted_journal_tell_nothing_of_the_adopters_own() {
    let Some(mut scene) = Scene::new().await else { return };
    leave(&mut scene, 50).await;
    let relay = scene.relay();
    let adopter = scene.service().start().unwrap();
    eventually("it is adopted", || async { scene.database.journal_directories() == 1 }).await;
    scene.server.kill();
    let receipt = adopter.record(Event::new("order.submitted")).unwrap();
    assert!(receipt.sent().now_or_never().is_none());
    scene.server.up();
    receipt.sent().await.unwrap();
    adopter.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
    assert_eq!(scene.database.events().await, 51);
}

#[tokio::test]
async fn where_a_broker_gives_few_connections_an_adopter_goes_on_with_those() {
    // The relay has one, and the lane of the adopter may have another.
    let Some(server) = NatsServer::start("max_connections: 4") else { return };
    let nats = Nats::new(server.url());
    Relay::set_up(&nats, &small_stream()).await.unwrap();
    let database = Database::new().await;
    let audit = service(&Nats::new("nats://127.0.0.1:1"), database.journals.path()).batch_rows(1).start().unwrap();
    for _ in 0..300 {
        audit.record(Event::new("order.submitted")).unwrap();
    }
    database.abandon(audit).await;
    let relay = Taking::start(&database.url, &nats);
    let adopter = service(&nats, database.journals.path()).batch_rows(1).start().unwrap();
    eventually("it is adopted", || async { database.journal_directories() == 1 }).await;
    let stats = adopter.stats();
    // The first attempt may have come before the relay.
    assert!(stats.adopted == 300 && stats.retries < 10, "{stats:?}");
    adopter.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_batch_that_the_stream_takes_for_one_that_it_had_is_stored_at_once() {
    let Some(scene) = Scene::new().await else { return };
    let relay = scene.relay();
    let audit = scene.service().start().unwrap();
    let directory = std::fs::read_dir(scene.database.journals.path()).unwrap().flatten();
    let journal = directory.map(|entry| entry.path()).find(|path| path.is_dir()).unwrap();
    let journal = journal.file_name().unwrap().to_str().unwrap().to_owned();
    // Another process has sent it, and died before it was answered.
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", format!("{journal}:0"));
    let stream = jetstream::new(scene.client().await);
    let subject = format!("audit.batch.broker.{journal}");
    stream.publish_with_headers(subject, headers, "lost".into()).await.unwrap().await.unwrap();
    let receipt = audit.record(Event::new("order.submitted")).unwrap();
    timeout(Duration::from_secs(20), receipt.stored()).await.expect("it is stored in time").unwrap();
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
}
