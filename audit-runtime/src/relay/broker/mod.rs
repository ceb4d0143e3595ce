//! A relay that takes batches from NATS JetStream.

mod access;
mod asks;
mod batches;
mod setup;
mod upkeep;

pub use setup::StreamSettings;

use super::{Relay, shared::Shared};
use crate::event::origin;
use crate::writer::nats::{Nats, STREAM, connect_client};
use crate::writer::upkeep as partitions;
use async_nats::Client;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, Context};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The durable consumer that all relays share.
const CONSUMER: &str = "audit-relay";
/// A message that a relay has not acknowledged after this time goes to another. A relay with a message
/// in hand reports progress meanwhile.
const ACK_WAIT: Duration = Duration::from_secs(60);
/// The most messages in the hands of all relays.
const MAX_ACK_PENDING: i64 = 1_024;
/// The longest wait for the messages in hand at the end.
const FAREWELL: Duration = Duration::from_secs(30);
/// The pause between two attempts to connect.
const AGAIN: Duration = Duration::from_secs(2);
/// The inbox of relays.
const INBOX: &str = "_INBOX.audit-relay";

fn failed(why: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("the relay cannot take batches from NATS: {why}"))
}

impl Relay {
    /// Makes the stream of batches and its consumer, or changes them to these settings.
    ///
    /// # Errors
    /// NATS cannot be reached or does not allow it, for example because it has fewer servers than
    /// replicas are asked for.
    pub async fn set_up(nats: &Nats, settings: &StreamSettings) -> io::Result<()> {
        let client = connect_client(nats, &origin(Some("audit-relay")), INBOX).await?;
        setup::set_up(&jetstream::new(client), settings).await
    }

    /// Takes batches from NATS until `stop` completes. It then finishes those in hand.
    ///
    /// It answers the other questions of services too, and does the upkeep of a relay. While NATS
    /// cannot be reached, or has no stream of batches ([`set_up`](Self::set_up)), it says so and tries
    /// again.
    pub async fn serve_nats(&self, nats: &Nats, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let client = tokio::select! {
            () = &mut stop => return,
            client = connected(nats) => client,
        };
        let stream = jetstream::new(client.clone());
        let (stopping, stopped) = watch::channel(false);
        let mut workers = JoinSet::new();
        let fetches = (nats.max_payload_bytes() + (1 << 16)).max(batches::FETCH);
        for _ in 0..self.shared.settings.connections {
            let worker = Worker {
                shared: self.shared.clone(),
                client: client.clone(),
                stream: stream.clone(),
                stopped: stopped.clone(),
                fetch_bytes: fetches,
            };
            workers.spawn(batches::run(worker));
        }
        workers.spawn(asks::run(self.shared.clone(), client.clone(), stopped.clone()));
        workers.spawn(upkeep::run(stream.clone(), stopped));
        let partitions = partitions::run(self.shared.connections.options(), Duration::from_secs(5));
        tokio::pin!(partitions);
        tokio::select! {
            () = &mut stop => {}
            () = &mut partitions => {}
        }
        stopping.send_replace(true);
        let ending = async { while workers.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, ending).await.is_err() {
            tracing::warn!("batches were still in hand when the relay ended; NATS gives them to another");
        }
        let _ = client.drain().await;
        self.shared.connections.close().await;
    }
}

/// Connects, however often that has to be tried. From then on, the client keeps the connection.
async fn connected(nats: &Nats) -> Client {
    loop {
        match connect_client(nats, &origin(Some("audit-relay")), INBOX).await {
            Ok(client) => return client,
            Err(error) => tracing::warn!(%error, retry_in = ?AGAIN, "the relay cannot take batches"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The parts of one worker, which uses one connection to PostgreSQL at a time.
pub(super) struct Worker {
    shared: Arc<Shared>,
    client: Client,
    stream: Context,
    stopped: watch::Receiver<bool>,
    fetch_bytes: usize,
}

/// Finds the consumer, or makes it.
async fn consumer(context: &Context) -> io::Result<PullConsumer> {
    let stream = context.get_stream(STREAM).await.map_err(|error| {
        failed(format!(
            "it has no stream {STREAM} ({error}); run audit-trail relay --setup with the rights to make one"
        ))
    })?;
    let config = pull::Config {
        durable_name: Some(CONSUMER.into()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: MAX_ACK_PENDING,
        ..pull::Config::default()
    };
    stream.get_or_create_consumer(CONSUMER, config).await.map_err(failed)
}
