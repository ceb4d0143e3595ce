//! The broker loses, repeats and reorders; everything is killed. Nothing is lost, nothing is doubled.

use crate::scene::{Scene, Taking, service};
use async_nats::HeaderMap;
use async_nats::jetstream;
use audit_runtime::relay::Relay;
use audit_runtime::{Event, Nats};
use futures_util::StreamExt;
use std::time::Duration;
use tests::nats::small_stream;
use tests::{Calls, Cluster, Config, Database, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_and_one_that_loses_all_cost_time_alone() {
    let Some(mut scene) = Scene::new().await else { return };
    let relay = scene.relay();
    let audit = scene.service().batch_rows(50).start().unwrap();
    let calls = Calls::begin(&audit);
    for round in 0..3 {
        let made = calls.made();
        eventually("calls go on", || async { calls.made() > made + 500 }).await;
        scene.server.kill();
        if round == 1 {
            scene.server.wipe();
        }
        scene.server.up();
        if round == 1 {
            // As an administrator does, who finds the stream gone.
            eventually("the stream is made again", || async {
                audit_runtime::relay::Relay::set_up(&scene.nats, &small_stream()).await.is_ok()
            })
            .await;
        }
    }
    calls.have_a_row_each(&audit, &scene.database).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_purged_repeated_and_reordered_costs_time_alone() {
    let Some(scene) = Scene::new().await else { return };
    let audit = scene.service().batch_rows(20).start().unwrap();
    let calls = Calls::begin(&audit);
    let context = jetstream::new(scene.client().await);
    let stream = context.get_stream("AUDIT").await.unwrap();
    eventually("messages wait", || async { stream.get_info().await.unwrap().state.messages >= 6 }).await;
    // Copies in the opposite order, behind the originals.
    let info = stream.get_info().await.unwrap();
    for sequence in (info.state.first_sequence..=info.state.last_sequence).rev() {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let mut headers = HeaderMap::new();
        for (name, values) in message.headers.iter().filter(|(name, _)| name.as_ref() as &str != "Nats-Msg-Id") {
            values.iter().for_each(|value| headers.insert(name.clone(), value.clone()));
        }
        context.publish_with_headers(message.subject, headers, message.payload).await.unwrap().await.unwrap();
    }
    let relay = scene.relay();
    eventually("some are stored", || async { scene.database.events().await > 100 }).await;
    stream.purge().await.unwrap();
    calls.have_a_row_each(&audit, &scene.database).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_and_the_database_that_are_killed_cost_time_alone() {
    let Some(scene) = Scene::new().await else { return };
    let mut cluster = Cluster::start(Config::default());
    let mut database = Database::migrated_in(&cluster).await;
    let audit = crate::scene::service(&scene.nats, database.journals.path()).batch_rows(50).start().unwrap();
    let calls = Calls::begin(&audit);
    let mut relays = vec![Taking::start(&database.url, &scene.nats), Taking::start(&database.url, &scene.nats)];
    for round in 0..4 {
        let made = calls.made();
        eventually("calls go on", || async { calls.made() > made + 500 }).await;
        if round % 2 == 0 {
            cluster.kill();
            cluster.up();
        } else {
            relays.remove(0).end().await;
            relays.push(Taking::start(&database.url, &scene.nats));
        }
    }
    database.reconnect();
    calls.have_a_row_each(&audit, &database).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    for relay in relays {
        relay.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_reads_the_stream_again() {
    let Some(scene) = Scene::new().await else { return };
    let relay = scene.relay();
    let audit = scene.service().batch_rows(50).start().unwrap();
    let calls = Calls::begin(&audit);
    eventually("some are stored", || async { scene.database.events().await > 500 }).await;
    let made = calls.end();
    audit.flush().await.unwrap();
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
    // As a backup of an hour ago would have it.
    let restored = Database::new().await;
    let client = scene.client().await;
    let stream = jetstream::new(client).get_stream("AUDIT").await.unwrap();
    stream.delete_consumer("audit-relay").await.unwrap();
    let relay = Taking::start(&restored.url, &scene.nats);
    eventually("all are stored again", || async { restored.events().await == made.len() as i64 }).await;
    tests::calls::have_a_row_each(&made, &restored).await;
    let _ = stream.get_info().await.unwrap();
    relay.end().await;
}

#[tokio::test]
async fn one_refused_row_holds_up_no_other_service() {
    let Some(scene) = Scene::new().await else { return };
    let check = "ALTER TABLE audit_events ADD CONSTRAINT no_thirteens CHECK (event_type <> 'order.odd')";
    sqlx::raw_sql(check).execute(&scene.database.pool).await.unwrap();
    let audits: Vec<_> = (0..5).map(|_| scene.service().start().unwrap()).collect();
    for (number, audit) in audits.iter().enumerate() {
        audit.record(audit_runtime::Event::new("order.submitted")).unwrap();
        if number == 2 {
            audit.record(audit_runtime::Event::new("order.odd")).unwrap();
        }
        audit.record(audit_runtime::Event::new("order.settled")).unwrap().sent().await.unwrap();
    }
    let relay = scene.relay();
    for audit in &audits {
        audit.flush().await.unwrap();
    }
    assert_eq!(scene.database.events().await, 10);
    assert_eq!(scene.database.count("SELECT count(*) FROM audit_quarantine").await, 1);
    for audit in audits {
        audit.shutdown(Duration::from_secs(10)).await.unwrap();
    }
    relay.end().await;
    scene.database.is_unharmed().await;
}

#[tokio::test]
async fn answers_that_are_lost_are_asked_for_again() {
    let Some(scene) = Scene::new().await else { return };
    // A relay hears the question, and its answer goes nowhere.
    let relay = scene.relay();
    let audit = scene.service().start().unwrap();
    let client = scene.client().await;
    let mut inboxes = client.subscribe("_INBOX.broker.>").await.unwrap();
    client.flush().await.unwrap();
    audit.record(audit_runtime::Event::new("order.submitted")).unwrap();
    loop {
        // JetStream's acknowledgement goes there too.
        let heard = inboxes.next().await.unwrap();
        if heard.headers.is_some_and(|headers| headers.get("Audit-Answer").is_some()) {
            break;
        }
    }
    audit.flush().await.unwrap();
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
}

#[tokio::test]
async fn a_journal_with_many_stored_batches_is_adopted_by_small_messages() {
    let Some(server) = tests::NatsServer::start("max_payload: 65536") else { return };
    let nats = Nats::new(server.url()).max_payload(64 << 10);
    Relay::set_up(&nats, &small_stream()).await.unwrap();
    let database = Database::new().await;
    let relay = Taking::start(&database.url, &nats);
    let audit = service(&nats, database.journals.path()).batch_rows(1).data_limit(1 << 10).start().unwrap();
    for _ in 0..1_500 {
        audit.record(Event::new("order.submitted")).unwrap();
    }
    eventually("they are stored", || async { database.events().await == 1_500 }).await;
    relay.end().await;
    // A message that answers the last request of that relay would come again after a minute.
    let stream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    eventually("its requests are over", || async {
        let consumer: jetstream::consumer::PullConsumer =
            stream.get_consumer_from_stream("audit-relay", "AUDIT").await.unwrap();
        consumer.get_info().await.unwrap().num_waiting == 0
    })
    .await;
    for _ in 0..10 {
        audit.record(Event::new("order.submitted")).unwrap();
    }
    database.abandon(audit).await;
    // The answer that tells an adopter of these batches is larger than a message, and so would be the
    // question whether the disk has them.
    let relay = Taking::start(&database.url, &nats);
    let audit = service(&nats, database.journals.path()).data_limit(1 << 10).start().unwrap();
    eventually("the journal is adopted", || async {
        database.events().await == 1_510 && database.journal_directories() == 1
    })
    .await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    relay.end().await;
    database.is_unharmed().await;
}
