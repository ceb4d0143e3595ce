//! A database that is restored from a backup, and the stream that fills it again.

use crate::scene::{Taking, service};
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, AckKind};
use audit_runtime::relay::Relay;
use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{Event, MasterKey, Nats, audited};
use futures_util::StreamExt;
use serde_json::json;
use std::time::Duration;
use tests::nats::small_stream;
use tests::{Cluster, Config, Database, NatsServer, eventually};
use tokio::sync::oneshot;
use uuid::Uuid;

#[audited(event = "customer.changed", id = none, personal(mail), subject = customer)]
fn change(customer: &str, mail: &str) {}

#[audited(event = "job.done", id = none, intent, skip(end))]
async fn job(end: oneshot::Receiver<()>) {
    let _ = end.await;
}

/// A broker with its stream, and a database in a cluster of its own.
async fn begin() -> Option<(NatsServer, Nats, Cluster, Database)> {
    let server = NatsServer::start("")?;
    let nats = Nats::new(server.url());
    Relay::set_up(&nats, &small_stream()).await.unwrap();
    let cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    Some((server, nats, cluster, database))
}

async fn restored(mut cluster: Cluster, backup: Cluster, database: Database) -> (Cluster, Database) {
    database.pool.close().await;
    cluster.kill();
    let restored = backup.run();
    let database = database.moved_to(&restored);
    (restored, database)
}

async fn stream(server: &NatsServer) -> jetstream::stream::Stream {
    let client = async_nats::connect(server.url()).await.unwrap();
    jetstream::new(client).get_stream("AUDIT").await.unwrap()
}

async fn rows(database: &Database) -> Vec<(Uuid, String)> {
    let sql = "SELECT id, event_type || data::text || outcome FROM audit_events ORDER BY id";
    sqlx::query_as(sql).fetch_all(&database.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_brings_back_rows_keys_and_interruptions() {
    let Some((server, nats, cluster, database)) = begin().await else { return };
    let relay = Taking::start(&database.url, &nats);
    let master = MasterKey::generate();
    let audit = service(&nats, database.journals.path()).master_key(master.clone()).batch_rows(10).start().unwrap();
    audit.record(Event::new("order.submitted")).unwrap().stored().await.unwrap();
    let backup = cluster.base_backup();
    for number in 0..5 {
        audit.scope(async { change(&format!("customer:{number}"), "ann@example.com") }).await;
    }
    let (_end, ends) = oneshot::channel();
    let working = tokio::spawn(audit.scope(job(ends)));
    eventually("the intent is stored", || async { database.events_of("job.done").await == 1 }).await;
    for _ in 0..30 {
        audit.record(Event::new("order.submitted")).unwrap();
    }
    audit.flush().await.unwrap();
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    working.abort();
    eventually("it is interrupted", || async { database.events_of("audit.interrupted").await == 1 }).await;
    relay.end().await;
    let before = rows(&database).await;

    let (_cluster, database) = restored(cluster, backup, database).await;
    assert!(rows(&database).await.len() < 3);
    stream(&server).await.delete_consumer("audit-relay").await.unwrap();
    let relay = Taking::start(&database.url, &nats);
    eventually("all is back", || async { database.events().await == before.len() as i64 }).await;
    assert_eq!(rows(&database).await, before);
    let trail = Trail::new(database.pool.clone()).master_key(master);
    let events = trail.events(&EventFilter::new().event("customer.changed")).await.unwrap().events;
    assert_eq!(events.iter().filter(|event| event.data["mail"] == "ann@example.com").count(), 5);
    database.is_unharmed().await;
    relay.end().await;
}

/// A second service adopts the journal of the first, while a message with the end of a call is in
/// other hands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_end_is_still_in_the_stream_is_not_taken_for_interrupted() {
    let Some((server, nats, cluster, database)) = begin().await else { return };
    let relay = Taking::start(&database.url, &nats);
    let audit = service(&nats, database.journals.path()).segment_bytes(1 << 16).data_limit(1 << 13).start().unwrap();
    let (end, ends) = oneshot::channel();
    let working = tokio::spawn(audit.scope(job(ends)));
    eventually("the intent is stored", || async { database.events_of("job.done").await == 1 }).await;
    let backup = cluster.base_backup();
    let mut batches = stream(&server).await;
    let before = batches.info().await.unwrap().state.last_sequence;
    end.send(()).unwrap();
    working.await.unwrap();
    eventually("its end is stored", || async { database.events_of("job.done").await == 2 }).await;
    let after = batches.info().await.unwrap().state.last_sequence;
    // The journal goes on in further segments, and lets go of the first.
    for _ in 0..200 {
        audit.record(Event::new("order.submitted").data(&json!({"text": "x".repeat(1_000)}))).unwrap();
    }
    audit.flush().await.unwrap();
    relay.end().await;
    audit.record(Event::new("order.submitted")).unwrap().sent().await.unwrap();
    database.abandon(audit).await;
    let left: Vec<_> =
        std::fs::read_dir(database.journals.path()).unwrap().flatten().map(|entry| entry.path()).collect();

    let (_cluster, database) = restored(cluster, backup, database).await;
    batches.delete_consumer("audit-relay").await.unwrap();
    Relay::set_up(&nats, &small_stream()).await.unwrap();
    let consumer: jetstream::consumer::Consumer<pull::Config> = batches.get_consumer("audit-relay").await.unwrap();
    let mut held = Vec::new();
    let mut all = consumer.fetch().max_messages(100).messages().await.unwrap();
    while let Some(Ok(message)) = all.next().await {
        if (before + 1..=after).contains(&message.info().unwrap().stream_sequence) {
            held.push(message);
        } else {
            message.ack_with(AckKind::Nak(None)).await.unwrap();
        }
    }
    assert!(!held.is_empty());
    let relay = Taking::start(&database.url, &nats);
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut asks = client.subscribe("audit.ask.*").await.unwrap();
    client.flush().await.unwrap();
    let adopter = service(&nats, database.journals.path()).adopt_every(Duration::from_secs(1)).start().unwrap();
    // An adopter that asks a second time was told to wait.
    let mut claims = 0;
    while claims < 2 {
        let asked = asks.next().await.unwrap();
        claims += usize::from(asked.headers.unwrap().get("Audit-Ask").unwrap().as_str().contains("claim"));
    }
    eventually("the intent is back", || async { database.events_of("job.done").await == 1 }).await;
    assert_eq!(database.events_of("audit.interrupted").await, 0);
    for message in held {
        message.ack_with(AckKind::Nak(None)).await.unwrap();
    }
    eventually("the journal is let go of", async || !left.iter().any(|path| path.is_dir())).await;
    assert_eq!((database.events_of("job.done").await, database.events_of("audit.interrupted").await), (2, 0));
    assert_eq!(database.count("SELECT count(*) FROM audit_quarantine").await, 0);
    adopter.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
    database.is_unharmed().await;
}
