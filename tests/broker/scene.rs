//! A broker, a relay that takes batches from it, and services in front.

use audit_runtime::relay::Relay;
use audit_runtime::{Audit, Builder, Nats};
use std::path::Path;
use tests::nats::small_stream;
use tests::{Database, NatsServer};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A relay within this process, which ends when it is dropped.
pub(crate) struct Taking {
    pub(crate) relay: Relay,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Taking {
    pub(crate) fn start(database: &str, nats: &Nats) -> Self {
        let relay = Relay::new(database, 2).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (own, nats) = (relay.clone(), nats.clone());
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            own.serve_nats(&nats, stopped).await;
        });
        Self { relay, stop: Some(stop), serving }
    }

    /// Ends it in good order.
    pub(crate) async fn end(mut self) {
        drop(self.stop.take());
        (&mut self.serving).await.unwrap();
    }
}

/// A broker with its stream, and a database.
pub(crate) struct Scene {
    pub(crate) server: NatsServer,
    pub(crate) nats: Nats,
    pub(crate) database: Database,
}

impl Scene {
    /// `None` where there is no NATS server.
    pub(crate) async fn new() -> Option<Self> {
        let server = NatsServer::start("")?;
        let nats = Nats::new(server.url());
        Relay::set_up(&nats, &small_stream()).await.unwrap();
        Some(Self { server, nats, database: Database::new().await })
    }

    pub(crate) fn relay(&self) -> Taking {
        Taking::start(&self.database.url, &self.nats)
    }

    pub(crate) fn service(&self) -> Builder {
        service(&self.nats, self.database.journals.path())
    }

    /// A client of the broker, with all rights.
    pub(crate) async fn client(&self) -> async_nats::Client {
        async_nats::connect(self.server.url()).await.unwrap()
    }
}

pub(crate) fn service(nats: &Nats, journals: &Path) -> Builder {
    Audit::builder().nats(nats.clone()).journal(journals).segment_bytes(1 << 20).data_limit(1 << 14).service("broker")
}
