//! A relay that takes batches from NATS JetStream.

mod access;
mod arrivals;
mod asks;
mod batches;
mod made;
mod setup;
mod stream;
mod upkeep;

pub use setup::StreamSettings;

use super::Relay;
use crate::event::origin;
use crate::writer::nats::{Nats, connect_client};
use crate::writer::upkeep as partitions;
use async_nats::Client;
use async_nats::jetstream;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The longest wait for the messages in hand at the end.
const FAREWELL: Duration = Duration::from_secs(30);
/// The pause between two attempts to connect.
const AGAIN: Duration = Duration::from_secs(2);
/// The inbox of relays.
const INBOX: &str = "_INBOX.audit-relay";

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
            let worker = batches::Worker {
                shared: self.shared.clone(),
                client: client.clone(),
                stream: stream.clone(),
                stopped: stopped.clone(),
                fetch_bytes: fetches,
            };
            workers.spawn(batches::run(worker));
        }
        let (shared, arrivals) = (self.shared.clone(), Arc::default());
        let asks = asks::Asks { shared, client: client.clone(), stream: stream.clone(), arrivals };
        workers.spawn(asks::run(asks, stopped.clone()));
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
