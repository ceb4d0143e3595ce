//! The ways from services to PostgreSQL, and what runs between.

use audit_runtime::Nats;
use audit_runtime::relay::{Relay, StreamSettings};
use std::time::Duration;
use tests::programs::beside;
use tests::{Bouncer, Cluster, NatsServer, RelayProcess, processor};

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Direct,
    Bouncer,
    Relay,
    Broker,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Direct, Self::Bouncer, Self::Relay, Self::Broker];

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bouncer => "PgBouncer",
            Self::Relay => "relay",
            Self::Broker => "NATS and relay",
        }
    }
}

/// The processes between services and PostgreSQL.
pub(crate) struct Way {
    url: String,
    bouncer: Option<Bouncer>,
    relay: Option<RelayProcess>,
    broker: Option<NatsServer>,
}

impl Way {
    pub(crate) async fn start(kind: Kind, cluster: &Cluster, database: &str) -> Self {
        let url = cluster.url(database);
        let mut way = Self { url: url.clone(), bouncer: None, relay: None, broker: None };
        match kind {
            Kind::Direct => {}
            Kind::Bouncer => {
                let bouncer = Bouncer::start(cluster.port(), 10);
                way.url = bouncer.url(database);
                way.bouncer = Some(bouncer);
            }
            Kind::Relay => {
                let relay = RelayProcess::start_program(beside("audit-trail"), &url);
                way.url = relay.address();
                way.relay = Some(relay);
            }
            Kind::Broker => {
                let broker = NatsServer::start("").expect("a NATS server; see scripts/test.sh --install");
                way.url = broker.url();
                Relay::set_up(&Nats::new(broker.url()), &StreamSettings::default()).await.unwrap();
                way.relay = Some(RelayProcess::start_nats(beside("audit-trail"), &url, &broker.url()));
                way.broker = Some(broker);
            }
        }
        way
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The time that the processes between have worked.
    pub(crate) fn used(&self) -> Duration {
        let pids = [
            self.bouncer.as_ref().map(Bouncer::pid),
            self.relay.as_ref().and_then(RelayProcess::pid),
            self.broker.as_ref().and_then(NatsServer::pid),
        ];
        pids.into_iter().flatten().map(processor::of).sum()
    }

    /// Ends them, so that their sessions end.
    pub(crate) fn end(&mut self) {
        self.bouncer = None;
        if let Some(mut relay) = self.relay.take() {
            relay.terminate();
        }
    }
}
