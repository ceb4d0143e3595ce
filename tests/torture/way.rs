//! The way from recorders to PostgreSQL, and its faults: nothing, a relay behind a double of it, or a
//! broker with two relays.

use audit_runtime::Nats;
use audit_runtime::relay::{Relay, StreamSettings};
use rand::prelude::*;
use tests::programs::beside;
use tests::{Double, NatsServer, RelayProcess, wait};
use tokio::runtime::Runtime;

/// The parts between recorders and the server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Between {
    Nothing,
    Relay,
    Broker { nodes: usize },
}

/// These parts, as they run.
pub(crate) enum Way {
    Direct,
    Relay { relay: RelayProcess, double: Double, kills: usize },
    Broker(Box<Broker>),
}

/// A broker and two relays.
pub(crate) struct Broker {
    servers: Vec<NatsServer>,
    relays: Vec<RelayProcess>,
    /// Kills of relays and of brokers, and streams that were purged.
    kills: [usize; 2],
    purges: usize,
    /// A backup may be restored, so that the stream has to keep what was stored.
    keeps_all: bool,
    /// The relays have still to read the stream as far as this message.
    reads_until: Option<u64>,
}

impl Way {
    pub(crate) fn start(between: Between, url: &str, seed: u64, runtime: &Runtime) -> Self {
        match between {
            Between::Nothing => Self::Direct,
            Between::Relay => {
                let relay = RelayProcess::start_program(beside("audit-trail"), url);
                let double = Double::start(relay.socket(), 3, seed);
                Self::Relay { relay, double, kills: 0 }
            }
            Between::Broker { nodes } => {
                let servers =
                    if nodes == 3 { NatsServer::cluster("") } else { NatsServer::start("").map(|one| vec![one]) };
                let servers = servers.expect("a NATS server; see scripts/test.sh --install");
                let broker = Broker {
                    servers,
                    relays: Vec::new(),
                    kills: [0; 2],
                    purges: 0,
                    keeps_all: false,
                    reads_until: None,
                };
                broker.set_up(runtime);
                let relay = || RelayProcess::start_nats(beside("audit-trail"), url, &broker.urls());
                let relays = vec![relay(), relay()];
                Self::Broker(Box::new(Broker { relays, ..broker }))
            }
        }
    }

    /// The place that recorders send to.
    pub(crate) fn url(&self, direct: &str) -> String {
        match self {
            Self::Direct => direct.to_owned(),
            Self::Relay { double, .. } => double.address(),
            Self::Broker(broker) => broker.urls(),
        }
    }

    pub(crate) fn interfere(&mut self, random: &mut StdRng, runtime: &Runtime) {
        match self {
            Self::Direct => {}
            Self::Relay { relay, double, kills } => match random.random_range(0..6) {
                0 => {
                    relay.kill();
                    *kills += 1;
                    relay.up();
                }
                1 => double.cut(),
                2 => double.faults(random.random_range(0..10)),
                _ => {}
            },
            Self::Broker(broker) => broker.interfere(random, runtime),
        }
    }

    /// Whether the database can go back to a backup, because what it lacks comes again.
    pub(crate) fn is_read_again(&self) -> bool {
        matches!(self, Self::Broker(_))
    }

    /// Has the broker keep what is stored, or no longer.
    pub(crate) fn keeps_all(&mut self, keeps: bool) {
        if let Self::Broker(broker) = self {
            broker.keeps_all = keeps;
        }
    }

    /// Has the relays read the stream from its beginning.
    pub(crate) fn read_again(&mut self, runtime: &Runtime) {
        if let Self::Broker(broker) = self {
            let last = wait::until("the consumer is gone", || runtime.block_on(forget_consumer(&broker.urls())).ok());
            broker.reads_until = Some(last);
        }
    }

    /// Ends all faults.
    pub(crate) fn rest(&mut self) {
        if let Self::Relay { double, .. } = self {
            double.faults(0);
            double.cut();
        }
    }

    pub(crate) fn tell(&self) {
        match self {
            Self::Direct => {}
            Self::Relay { double, kills, .. } => {
                println!("relays killed {kills} messages that met a fault {}", double.met());
            }
            Self::Broker(broker) => {
                let [relays, servers] = broker.kills;
                println!("relays killed {relays} brokers killed {servers} streams purged {}", broker.purges);
            }
        }
    }
}

impl Broker {
    fn urls(&self) -> String {
        self.servers.iter().map(NatsServer::url).collect::<Vec<_>>().join(",")
    }

    /// Makes the stream, once the cluster has a leader.
    fn set_up(&self, runtime: &Runtime) {
        let mut settings = StreamSettings::default();
        // A restored database is filled again with what was stored in minutes.
        settings.max_bytes = 2 << 30;
        settings.replicas = self.servers.len();
        wait::until("the stream is made", || runtime.block_on(Relay::set_up(&Nats::new(self.urls()), &settings)).ok());
    }

    /// Returns whether the relays have read what the stream had when a backup was restored.
    fn has_read_again(&mut self, runtime: &Runtime) -> bool {
        let has_read = |last| runtime.block_on(read_to(&self.urls())).is_ok_and(|read| read >= last);
        if self.reads_until.is_some_and(has_read) {
            self.reads_until = None;
        }
        self.reads_until.is_none()
    }

    fn interfere(&mut self, random: &mut StdRng, runtime: &Runtime) {
        match random.random_range(0..10) {
            0 | 1 => {
                if let Some(relay) = self.relays.choose_mut(random) {
                    relay.kill();
                    self.kills[0] += 1;
                    relay.up();
                }
            }
            2 => {
                if let Some(server) = self.servers.choose_mut(random) {
                    server.kill();
                    self.kills[1] += 1;
                    server.up();
                }
            }
            // Everything that waits in the broker is lost. A lone server loses its disk, a cluster its stream.
            3 if !self.keeps_all && self.has_read_again(runtime) => {
                self.purges += 1;
                if let [server] = &mut self.servers[..] {
                    server.kill();
                    server.wipe();
                    server.up();
                    self.set_up(runtime);
                } else {
                    let _ = runtime.block_on(purge(&self.urls()));
                }
            }
            // Waiting messages come again, behind those that were sent meanwhile.
            4 => drop(runtime.block_on(repeat(&self.urls()))),
            _ => {}
        }
    }
}

async fn stream(urls: &str) -> Result<async_nats::jetstream::stream::Stream, async_nats::Error> {
    let client = async_nats::connect(urls.split(',').collect::<Vec<_>>()).await?;
    Ok(async_nats::jetstream::new(client).get_stream("AUDIT").await?)
}

/// Removes the consumer, and returns the number of the stream's last message.
async fn forget_consumer(urls: &str) -> Result<u64, async_nats::Error> {
    let mut stream = stream(urls).await?;
    let gone = stream.delete_consumer("audit-relay").await;
    if stream.get_consumer::<async_nats::jetstream::consumer::pull::Config>("audit-relay").await.is_ok() {
        gone?;
    }
    Ok(stream.info().await?.state.last_sequence)
}

/// Returns the number of the last message of which all before it are stored, too.
async fn read_to(urls: &str) -> Result<u64, async_nats::Error> {
    let stream = stream(urls).await?;
    let consumer = stream.get_consumer::<async_nats::jetstream::consumer::pull::Config>("audit-relay").await;
    Ok(consumer?.cached_info().ack_floor.stream_sequence)
}

async fn purge(urls: &str) -> Result<(), async_nats::Error> {
    stream(urls).await?.purge().await?;
    Ok(())
}

/// Publishes the newest messages once more, the last first.
async fn repeat(urls: &str) -> Result<(), async_nats::Error> {
    let client = async_nats::connect(urls.split(',').collect::<Vec<_>>()).await?;
    let context = async_nats::jetstream::new(client);
    let stream = context.get_stream("AUDIT").await?;
    let last = stream.get_info().await?.state.last_sequence;
    for sequence in (last.saturating_sub(20).max(1)..=last).rev() {
        let message = stream.get_raw_message(sequence).await?;
        let mut headers = message.headers.clone();
        headers.insert("Nats-Msg-Id", format!("again-{sequence}-{}", rand::random::<u64>()));
        context.publish_with_headers(message.subject, headers, message.payload).await?.await?;
    }
    Ok(())
}
